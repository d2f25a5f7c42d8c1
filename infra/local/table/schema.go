package table

// Limits of keys in bytes (service quotas, "Partition keys and sort keys").
const (
	maxPartitionKey = 2048
	maxSortKey      = 1024
)

// keyAttribute is a partition key or a sort key.
type keyAttribute struct {
	name string
	kind kind // S, N or B
	max  int  // bytes
}

// schema is the primary key of a table: the partition key, and the sort key if there is one.
type schema []keyAttribute

// key locates an item: its key values, encoded so that their bytes compare as the values do. sort is empty in a table without a sort key.
type key struct {
	partition, sort string
}

// encode checks a key value and encodes it.
func (a keyAttribute) encode(v value) (string, error) {
	encoded := ""
	switch v := v.(type) {
	case text:
		encoded = string(v)
	case binary:
		encoded = string(v)
	case number:
		encoded = v.sortKey()
	}
	switch {
	case encoded == "":
		word := "string"
		if a.kind == kindBinary {
			word = "binary"
		}
		return "", invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", word, a.name)
	case len(encoded) > a.max && a.max == maxPartitionKey:
		return "", invalid("One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of %d bytes", a.max)
	case len(encoded) > a.max:
		return "", invalid("One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of %d bytes", a.max)
	}
	return encoded, nil
}

// exactly is the key that d is, with nothing else in it.
func (s schema) exactly(d document) (key, error) {
	if len(d) != len(s) {
		return key{}, invalid("The provided key element does not match the schema")
	}
	for _, a := range s {
		if v := d[a.name]; v == nil || v.kind() != a.kind {
			return key{}, invalid("The provided key element does not match the schema")
		}
	}
	return s.encode(d)
}

// within is the key of an item.
func (s schema) within(item document) (key, error) {
	for _, a := range s {
		switch v := item[a.name]; {
		case v == nil:
			return key{}, invalid("One or more parameter values were invalid: Missing the key %s in the item", a.name)
		case v.kind() != a.kind:
			return key{}, invalid("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", a.name, a.kind, v.kind())
		}
	}
	return s.encode(item)
}

func (s schema) encode(d document) (k key, err error) {
	if k.partition, err = s[0].encode(d[s[0].name]); err == nil && len(s) > 1 {
		k.sort, err = s[1].encode(d[s[1].name])
	}
	return k, err
}

// of is the key part of an item.
func (s schema) of(item document) document {
	d := make(document, len(s))
	for _, a := range s {
		d[a.name] = item[a.name]
	}
	return d
}

// has tells whether the attribute is part of the key.
func (s schema) has(name string) bool {
	for _, a := range s {
		if a.name == name {
			return true
		}
	}
	return false
}

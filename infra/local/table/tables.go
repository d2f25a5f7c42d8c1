package table

import (
	"slices"
	"strconv"
)

// createTable makes a table that is ACTIVE at once.
func (t *Table) createTable(r *request) (*call, error) {
	name, err := r.table()
	if err != nil {
		return nil, err
	}
	s := &store{name: name, created: t.options.Now(), tell: t.options.Changed, partitions: map[string]*partition{}}
	if s.schema, err = r.schema(); err != nil {
		return nil, err
	}
	if s.provisioned, err = r.billing(); err != nil {
		return nil, err
	}
	run := func(map[int]bool) (answer, Units, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.stores[name] != nil {
			return nil, Units{}, inUse("Table already exists: " + name)
		}
		t.stores[name] = s
		return answer{{"TableDescription", s.describe("ACTIVE")}}, Units{}, nil
	}
	return &call{op: Op{Table: name}, run: run}, nil
}

// schema reads KeySchema and AttributeDefinitions.
func (r *request) schema() (schema, error) {
	elements, _ := r.list("KeySchema")
	definitions, _ := r.list("AttributeDefinitions")
	kinds := map[string]kind{}
	for _, raw := range definitions {
		d := r.part(raw)
		name, _ := d.text("AttributeName")
		kinds[name] = kind(d.choice("AttributeType", "S", "N", "B"))
		r.err = firstError(r.err, d.err)
	}
	var s schema
	for i, raw := range elements {
		e := r.part(raw)
		name, _ := e.text("AttributeName")
		role := e.choice("KeyType", "HASH", "RANGE")
		r.err = firstError(r.err, e.err)
		a := keyAttribute{name: name, kind: kinds[name], max: maxPartitionKey}
		want := "HASH"
		if i > 0 {
			a.max, want = maxSortKey, "RANGE"
		}
		switch {
		case r.err != nil:
			return nil, r.err
		case i > 1 || role != want:
			return nil, invalid("Invalid KeySchema: it has one HASH key, and after it at most one RANGE key")
		case a.kind == "":
			return nil, invalid("One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [%s]", name)
		case slices.ContainsFunc(s, func(b keyAttribute) bool { return b.name == name }):
			return nil, invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
		}
		s = append(s, a)
	}
	switch {
	case r.err != nil:
		return nil, r.err
	case len(s) == 0:
		return nil, constraint("null", "keySchema", "not be null")
	case len(kinds) != len(s):
		return nil, invalid("One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	return s, nil
}

// part is a request for an element of a list of structures.
func (r *request) part(raw any) *request {
	fields, ok := raw.(map[string]any)
	if !ok {
		r.fail(raw, "Structure")
	}
	return r.sub(fields)
}

// billing is the provisioned throughput, or zeros for a table that is billed by request.
func (r *request) billing() (units [2]int, err error) {
	mode := r.choice("BillingMode", "PROVISIONED", "PAY_PER_REQUEST")
	throughput, found := r.object("ProvisionedThroughput")
	switch {
	case r.err != nil:
		return units, r.err
	case mode == "PAY_PER_REQUEST" && found:
		return units, invalid("One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
	case mode == "PAY_PER_REQUEST":
		return units, nil
	case !found:
		return units, invalid("One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
	}
	p := r.sub(throughput)
	units[0], _ = p.integer("ReadCapacityUnits")
	units[1], _ = p.integer("WriteCapacityUnits")
	if p.err == nil && (units[0] < 1 || units[1] < 1) {
		p.err = invalid("One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must be at least 1")
	}
	return units, p.err
}

// describe is the TableDescription. Unlike AWS's, its counts are of this moment.
func (s *store) describe(status string) answer {
	var definitions, elements []answer
	for i, a := range s.schema {
		role := "HASH"
		if i > 0 {
			role = "RANGE"
		}
		definitions = append(definitions, answer{{"AttributeName", a.name}, {"AttributeType", string(a.kind)}})
		elements = append(elements, answer{{"AttributeName", a.name}, {"KeyType", role}})
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	d := answer{
		{"AttributeDefinitions", definitions},
		{"CreationDateTime", float64(s.created.UnixMilli()) / 1000},
		{"DeletionProtectionEnabled", false},
		{"ItemCount", s.items},
		{"KeySchema", elements},
		{"ProvisionedThroughput", answer{{"NumberOfDecreasesToday", 0}, {"ReadCapacityUnits", s.provisioned[0]}, {"WriteCapacityUnits", s.provisioned[1]}}},
		{"TableArn", "arn:aws:dynamodb:local:000000000000:table/" + s.name},
		{"TableName", s.name},
		{"TableSizeBytes", s.bytes},
		{"TableStatus", status},
	}
	if s.provisioned == [2]int{} {
		d = d.with("BillingModeSummary", answer{{"BillingMode", "PAY_PER_REQUEST"}})
	}
	return d
}

// onTable is a call about a table that exists.
func (t *Table) onTable(r *request, run func(*store) (answer, error)) (*call, error) {
	name, err := r.table()
	if err != nil {
		return nil, err
	}
	return &call{op: Op{Table: name}, run: func(map[int]bool) (answer, Units, error) {
		s, err := t.store(name)
		if err != nil {
			return nil, Units{}, err
		}
		a, err := run(s)
		return a, Units{}, err
	}}, nil
}

func (t *Table) describeTable(r *request) (*call, error) {
	return t.onTable(r, func(s *store) (answer, error) {
		return answer{{"Table", s.describe("ACTIVE")}}, nil
	})
}

func (t *Table) deleteTable(r *request) (*call, error) {
	return t.onTable(r, func(s *store) (answer, error) {
		t.mu.Lock()
		delete(t.stores, s.name)
		t.mu.Unlock()
		return answer{{"TableDescription", s.describe("DELETING")}}, nil
	})
}

func (t *Table) listTables(r *request) (*call, error) {
	limit, limited := r.integer("Limit")
	after, _ := r.text("ExclusiveStartTableName")
	switch {
	case r.err != nil:
		return nil, r.err
	case !limited:
		limit = 100
	case limit < 1:
		return nil, constraint(quote(strconv.Itoa(limit)), "limit", "have value greater than or equal to 1")
	case limit > 100:
		return nil, constraint(quote(strconv.Itoa(limit)), "limit", "have value less than or equal to 100")
	}
	run := func(map[int]bool) (answer, Units, error) {
		t.mu.RLock()
		names := []string{}
		for name := range t.stores {
			if name > after {
				names = append(names, name)
			}
		}
		t.mu.RUnlock()
		slices.Sort(names)
		if len(names) <= limit {
			return answer{{"TableNames", names}}, Units{}, nil
		}
		return answer{{"TableNames", names[:limit]}, {"LastEvaluatedTableName", names[limit-1]}}, Units{}, nil
	}
	return &call{run: run}, nil
}

// updateTimeToLive turns the TTL on or off; on AWS that takes an hour, here no time.
func (t *Table) updateTimeToLive(r *request) (*call, error) {
	fields, found := r.object("TimeToLiveSpecification")
	if !found {
		return nil, firstError(r.err, constraint("null", "timeToLiveSpecification", "not be null"))
	}
	specification := r.sub(fields)
	attribute, _ := specification.text("AttributeName")
	enabled := specification.flag("Enabled")
	switch {
	case specification.err != nil:
		return nil, specification.err
	case attribute == "":
		return nil, constraint("''", "timeToLiveSpecification.attributeName", "have length greater than or equal to 1")
	}
	return t.onTable(r, func(s *store) (answer, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case enabled && s.ttl != "":
			return nil, invalid("TimeToLive is already enabled")
		case !enabled && s.ttl == "":
			return nil, invalid("TimeToLive is already disabled")
		case !enabled && s.ttl != attribute:
			return nil, invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", s.ttl)
		}
		s.ttl = ""
		if enabled {
			s.ttl = attribute
		}
		return answer{{"TimeToLiveSpecification", answer{{"AttributeName", attribute}, {"Enabled", enabled}}}}, nil
	})
}

func (t *Table) describeTimeToLive(r *request) (*call, error) {
	return t.onTable(r, func(s *store) (answer, error) {
		s.mu.RLock()
		defer s.mu.RUnlock()
		d := answer{{"TimeToLiveStatus", "DISABLED"}}
		if s.ttl != "" {
			d = answer{{"AttributeName", s.ttl}, {"TimeToLiveStatus", "ENABLED"}}
		}
		return answer{{"TimeToLiveDescription", d}}, nil
	})
}

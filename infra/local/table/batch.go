package table

import (
	"maps"
	"slices"
)

// Limits of batches (service quotas, "API-specific limits").
const (
	maxBatchGet     = 100
	maxBatchWrite   = 25
	maxBatchGetSize = 16 << 20 // bytes of items
)

// batchGet is what one table has to give.
type batchGet struct {
	store      *store
	request    map[string]any // as it came, for UnprocessedKeys
	rawKeys    []any
	keys       []key
	shown      []Key
	paths      []path
	consistent bool
}

// tables are the tables of a batch in the order of their names, which a JSON object does not have.
func (r *request) tables() ([]string, map[string]any, error) {
	items, found := r.object("RequestItems")
	if !found || len(items) == 0 {
		return nil, nil, firstError(r.err, invalid("The requestItems parameter is required for %s", r.operation))
	}
	return slices.Sorted(maps.Keys(items)), items, nil
}

func (t *Table) batchGetItem(r *request) (*call, error) {
	names, items, err := r.tables()
	if err != nil {
		return nil, err
	}
	report := r.capacity()
	var gets []*batchGet
	var op Op
	total := 0
	for _, name := range names {
		g, err := t.decodeBatchGet(name, r.part(items[name]))
		if err = firstError(r.err, err); err != nil {
			return nil, err
		}
		if total += len(g.keys); total > maxBatchGet {
			return nil, invalid("Too many items requested for the BatchGetItem call")
		}
		gets = append(gets, g)
		op.Keys = append(op.Keys, g.shown...)
	}
	if len(gets) == 1 {
		op.Table = names[0]
	}
	return &call{op: op, run: func(skip map[int]bool) (answer, Units, error) {
		return runBatchGet(gets, skip, report)
	}}, r.err
}

func (t *Table) decodeBatchGet(name string, r *request) (*batchGet, error) {
	if err := r.only([]string{"Keys", "ConsistentRead", "ExpressionAttributeNames", "ProjectionExpression"}); err != nil {
		return nil, err
	}
	if err := checkTableName(name); err != nil {
		return nil, err
	}
	g := &batchGet{request: r.fields, consistent: r.flag("ConsistentRead")}
	g.rawKeys, _ = r.list("Keys")
	if len(g.rawKeys) > maxBatchGet {
		return nil, invalid("Too many items requested for the BatchGetItem call")
	}
	var err error
	if g.store, err = t.store(name); err != nil {
		return nil, err
	}
	if len(g.rawKeys) == 0 && r.err == nil {
		return nil, invalid("The list of keys in RequestItems for BatchGetItem is required: %s has empty list", name)
	}
	seen := map[key]bool{}
	for _, raw := range g.rawKeys {
		k, shown, err := r.sub(map[string]any{"Key": raw}).key(g.store)
		if err != nil {
			return nil, err
		}
		if seen[k] {
			return nil, invalid("Provided list of item keys contains duplicates")
		}
		seen[k] = true
		g.keys, g.shown = append(g.keys, k), append(g.shown, shown)
	}
	if err := r.checkAlone(nil, "ProjectionExpression"); err != nil {
		return nil, err
	}
	env, err := r.environment()
	if err != nil {
		return nil, err
	}
	g.paths, err = env.projection(r)
	return g, firstError(r.err, err, env.unused())
}

// runBatchGet reads item by item: a batch is no snapshot. What does not fit into the answer, and what is to be skipped, comes back as UnprocessedKeys.
func runBatchGet(gets []*batchGet, skip map[int]bool, report capacity) (answer, Units, error) {
	var total Units
	var responses, unprocessed answer
	var consumed []answer
	index, bytes := -1, 0
	for _, g := range gets {
		found := []document{}
		var left []any
		var units Units
		for i, k := range g.keys {
			index++
			g.store.mu.RLock()
			row := g.store.get(k)
			g.store.mu.RUnlock()
			if skip[index] || bytes+row.size > maxBatchGetSize {
				left = append(left, g.rawKeys[i])
				continue
			}
			bytes += row.size
			units = units.plus(readUnits(row.size, g.consistent))
			if row.item != nil {
				found = append(found, projected(row.item, g.paths))
			}
		}
		responses = responses.with(g.store.name, found)
		if left != nil {
			again := maps.Clone(g.request)
			again["Keys"] = left
			unprocessed = unprocessed.with(g.store.name, again)
		}
		total = total.plus(units)
		if report != nil {
			consumed = append(consumed, report(g.store.name, units))
		}
	}
	a := answer{{"Responses", responses}, {"UnprocessedKeys", unprocessed}}
	if report != nil {
		a = a.with("ConsumedCapacity", consumed)
	}
	return a, total, nil
}

// batchWrite is one PutRequest or DeleteRequest.
type batchWrite struct {
	store *store
	raw   any // as it came, for UnprocessedItems
	key   key
	shown Key
	item  document // nil deletes
}

func (t *Table) batchWriteItem(r *request) (*call, error) {
	names, items, err := r.tables()
	if err != nil {
		return nil, err
	}
	report := r.capacity()
	r.choice("ReturnItemCollectionMetrics", "NONE", "SIZE")
	var writes []*batchWrite
	var op Op
	for _, name := range names {
		ofTable, err := t.decodeBatchWrites(name, r.sub(map[string]any{"Requests": items[name]}), maxBatchWrite-len(writes))
		if err = firstError(r.err, err); err != nil {
			return nil, err
		}
		writes = append(writes, ofTable...)
	}
	for _, w := range writes {
		op.Keys = append(op.Keys, w.shown)
	}
	if len(names) == 1 {
		op.Table = names[0]
	}
	return &call{op: op, run: func(skip map[int]bool) (answer, Units, error) {
		return runBatchWrite(writes, skip, report)
	}}, r.err
}

func (t *Table) decodeBatchWrites(name string, r *request, most int) ([]*batchWrite, error) {
	if err := checkTableName(name); err != nil {
		return nil, err
	}
	raw, _ := r.list("Requests")
	switch {
	case r.err != nil:
		return nil, r.err
	case len(raw) > most:
		return nil, invalid("Too many items requested for the BatchWriteItem call")
	}
	s, err := t.store(name)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return nil, invalid("The batch write request list for a table cannot be null or empty: %s", name)
	}
	var all []*batchWrite
	seen := map[key]bool{}
	for _, one := range raw {
		w, err := r.part(one).batchWrite(s)
		if err = firstError(r.err, err); err != nil {
			return nil, err
		}
		if seen[w.key] {
			return nil, invalid("Provided list of item keys contains duplicates")
		}
		seen[w.key] = true
		w.store, w.raw = s, one
		all = append(all, w)
	}
	return all, nil
}

func (r *request) batchWrite(s *store) (*batchWrite, error) {
	put, puts := r.object("PutRequest")
	remove, removes := r.object("DeleteRequest")
	w := &batchWrite{}
	var err error
	switch {
	case r.err != nil:
		return nil, r.err
	case puts == removes:
		return nil, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	case puts:
		w.item, w.key, err = r.sub(put).item(s)
		w.shown = s.show(w.item)
	default:
		w.key, w.shown, err = r.sub(remove).key(s)
	}
	return w, err
}

// runBatchWrite writes item by item: a batch is no transaction.
func runBatchWrite(writes []*batchWrite, skip map[int]bool, report capacity) (answer, Units, error) {
	var total Units
	left := map[string][]any{}
	units := map[string]Units{}
	for i, w := range writes {
		name := w.store.name
		if skip[i] {
			left[name] = append(left[name], w.raw)
			continue
		}
		_, _, used, err := w.store.replace(w.key, nil, func(document) (document, error) { return w.item, nil })
		if err != nil {
			return nil, total, err
		}
		units[name] = units[name].plus(used)
		total = total.plus(used)
	}
	a := answer{{"UnprocessedItems", left}}
	if report == nil {
		return a, total, nil
	}
	var consumed []answer
	for _, name := range slices.Sorted(maps.Keys(units)) {
		consumed = append(consumed, report(name, units[name]))
	}
	return a.with("ConsumedCapacity", consumed), total, nil
}

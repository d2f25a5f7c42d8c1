package table

import (
	"iter"
	"slices"
)

// maxPage is the number of bytes after which a Query or a Scan ends its page (service quotas).
const maxPage = 1 << 20

// reading is what Query and Scan have in common.
type reading struct {
	store      *store
	consistent bool
	limit      int // items to evaluate; 0 is no limit
	start      document
	filter     *expr
	selects    *expr // KeyConditionExpression
	paths      []path
	count      bool // only the number of items
	capacity   capacity
	env        *environment
}

// decodeReading reads the common parameters; withValues are the expressions that take values, of which the filter is the first.
func (t *Table) decodeReading(r *request, withValues ...string) (*reading, error) {
	name, err := r.table()
	if err != nil {
		return nil, err
	}
	q := &reading{capacity: r.capacity(), consistent: r.flag("ConsistentRead")}
	limit, limited := r.integer("Limit")
	if limited && limit < 1 && r.err == nil {
		r.err = constraint(quote(integer(limit).String()), "limit", "have value greater than or equal to 1")
	}
	q.limit = limit
	q.store, err = t.store(name)
	if err = firstError(r.err, err); err != nil {
		return nil, err
	}
	if err = r.checkAlone(withValues, "ProjectionExpression"); err != nil {
		return nil, err
	}
	if raw, found := r.object("ExclusiveStartKey"); found {
		if q.start, err = decodeDocument(raw); err != nil {
			return nil, err
		}
	}
	if q.env, err = r.environment(); err != nil {
		return nil, err
	}
	if q.filter, err = q.env.condition(r, "FilterExpression"); err != nil {
		return nil, err
	}
	if q.paths, err = q.env.projection(r); err != nil {
		return nil, err
	}
	for _, parameter := range withValues[1:] {
		if q.selects, err = q.env.condition(r, parameter); err != nil {
			return nil, err
		}
	}
	return q, firstError(q.env.unused(), r.err)
}

func (q *reading) decodeSelect(r *request) error {
	projected := r.has("ProjectionExpression")
	switch r.choice("Select", "", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "COUNT", "SPECIFIC_ATTRIBUTES") {
	case "COUNT":
		q.count = true
		if projected {
			return invalid("Cannot specify the ProjectionExpression when choosing to get only the Count")
		}
	case "ALL_ATTRIBUTES":
		if projected {
			return invalid("Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES")
		}
	case "ALL_PROJECTED_ATTRIBUTES":
		return invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	case "SPECIFIC_ATTRIBUTES":
		if !projected {
			return invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
		}
	}
	return r.err
}

// page is what one Query or Scan has come to.
type page struct {
	reading *reading
	found   []document
	matched int
	scanned int
	bytes   int
	latest  document // item that was evaluated last
	partial bool     // the page ended early: after latest there may be more
}

// take evaluates rows until the page is full; it tells whether there is room for more. A limit ends the page at once, a megabyte before the next item.
func (p *page) take(rows iter.Seq[*row]) bool {
	for row := range rows {
		if p.bytes >= maxPage {
			p.partial = true
			return false
		}
		p.scanned++
		p.bytes += row.size
		p.latest = row.item
		if p.reading.filter.holds(row.item) {
			p.matched++
			if !p.reading.count {
				p.found = append(p.found, projected(row.item, p.reading.paths))
			}
		}
		if p.scanned == p.reading.limit {
			p.partial = true
			return false
		}
	}
	return true
}

// answer is the page; reading nothing costs as much as reading a small item.
func (p *page) answer() (answer, Units, error) {
	s := p.reading.store
	var a answer
	if !p.reading.count {
		a = a.with("Items", p.found)
	}
	a = a.with("Count", p.matched).with("ScannedCount", p.scanned)
	if p.partial {
		a = a.with("LastEvaluatedKey", s.schema.of(p.latest))
	}
	units := readUnits(p.bytes, p.reading.consistent)
	return p.reading.capacity.report(a, s.name, units), units, nil
}

func (t *Table) query(r *request) (*call, error) {
	q, err := t.decodeReading(r, "FilterExpression", "KeyConditionExpression")
	if err != nil {
		return nil, err
	}
	selected, err := q.store.keyCondition(q.selects)
	if err != nil {
		return nil, err
	}
	backward := r.has("ScanIndexForward") && !r.flag("ScanIndexForward")
	if err = firstError(r.err, q.checkFilter()); err != nil {
		return nil, err
	}
	start, err := q.startOf(selected)
	if err = firstError(err, q.decodeSelect(r)); err != nil {
		return nil, err
	}
	run := func(map[int]bool) (answer, Units, error) {
		q.store.mu.RLock()
		defer q.store.mu.RUnlock()
		p := page{reading: q}
		p.take(selected.rows(q.store.partitions[selected.partition], start, backward))
		return p.answer()
	}
	return &call{op: Op{Table: q.store.name, Keys: []Key{{Table: q.store.name, Partition: selected.shown}}}, run: run}, nil
}

// checkFilter refuses key attributes in the filter of a Query.
func (q *reading) checkFilter() error {
	if q.filter == nil {
		return nil
	}
	for _, e := range q.filter.nodes() {
		switch {
		case e.path == nil || !q.store.schema.has(e.path[0].name):
		case len(e.path) > 1:
			return nestedKey(e.path[0].name)
		default:
			return invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", e.path[0].name)
		}
	}
	return nil
}

// startOf is the sort key to start after, or nil.
func (q *reading) startOf(selected *keyRange) (*string, error) {
	if q.start == nil {
		return nil, nil
	}
	k, err := q.startKey()
	switch {
	case err != nil:
		return nil, err
	case k.partition != selected.partition:
		return nil, invalid("The provided starting key is outside query boundaries based on provided conditions")
	case !selected.includes(k.sort):
		return nil, invalid("The provided starting key does not match the range key predicate")
	}
	return &k.sort, nil
}

func (q *reading) startKey() (key, error) {
	k, err := q.store.schema.exactly(q.start)
	return k, validation(err, func(message string) string { return "The provided starting key is invalid: " + message })
}

// scan reads partition after partition. It holds the table for the time of a page.
func (t *Table) scan(r *request) (*call, error) {
	q, err := t.decodeReading(r, "FilterExpression")
	if err != nil {
		return nil, err
	}
	var start *key
	if q.start != nil {
		k, err := q.startKey()
		if err != nil {
			return nil, err
		}
		start = &k
	}
	if err := q.decodeSelect(r); err != nil {
		return nil, err
	}
	run := func(map[int]bool) (answer, Units, error) {
		q.store.mu.Lock()
		defer q.store.mu.Unlock()
		p := page{reading: q}
		for i, partitionKey := range q.store.scanFrom(start) {
			all := q.store.partitions[partitionKey]
			rows := all.rows
			if i == 0 && start != nil && partitionKey == start.partition {
				rows = all.after(start.sort)
			}
			if !p.take(slices.Values(rows)) {
				break
			}
		}
		return p.answer()
	}
	return &call{op: Op{Table: q.store.name}, run: run}, nil
}

// scanFrom is the partition keys from that of start on.
func (s *store) scanFrom(start *key) []string {
	order := s.scanOrder()
	if start == nil {
		return order
	}
	i, _ := slices.BinarySearchFunc(order, start.partition, byHash)
	return order[i:]
}

// after is the rows behind the sort key.
func (p *partition) after(sortKey string) []*row {
	i, found := p.find(sortKey)
	if found {
		i++
	}
	return p.rows[i:]
}

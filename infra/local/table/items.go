package table

import "slices"

// getItem: GetItem.
func (t *Table) getItem(r *request) (*call, error) {
	name, err := r.table()
	if err != nil {
		return nil, err
	}
	report, consistent := r.capacity(), r.flag("ConsistentRead")
	s, err := t.store(name)
	if err = firstError(r.err, err); err != nil {
		return nil, err
	}
	if err = r.checkAlone(nil, "ProjectionExpression"); err != nil {
		return nil, err
	}
	k, shown, err := r.key(s)
	if err != nil {
		return nil, err
	}
	env, err := r.environment()
	if err != nil {
		return nil, err
	}
	paths, err := env.projection(r)
	if err = firstError(r.err, err, env.unused()); err != nil {
		return nil, err
	}
	run := func(map[int]bool) (answer, Units, error) {
		s.mu.RLock()
		found := s.get(k)
		s.mu.RUnlock()
		units := readUnits(found.size, consistent)
		var a answer
		if found.item != nil {
			a = a.with("Item", projected(found.item, paths))
		}
		return report.report(a, name, units), units, nil
	}
	return &call{op: Op{Table: name, Keys: []Key{shown}}, run: run}, nil
}

// projected is all of the item when no paths are given.
func projected(item document, paths []path) document {
	if paths == nil {
		return item
	}
	return project(item, paths)
}

// write is a decoded PutItem, UpdateItem or DeleteItem.
type write struct {
	store     *store
	key       key
	shown     Key
	condition *expr
	env       *environment
	updates   *update // of UpdateItem

	values    string // ReturnValues
	onFailure string // ReturnValuesOnConditionCheckFailure
	capacity  capacity

	// change makes the new item of the old one; nil stands for no item on both sides.
	change func(before document) (document, error)
}

// decodeWrite reads what the three have in common. locate finds the key; expressions are those beside the condition.
func (t *Table) decodeWrite(r *request, returnValues []string, locate func(*store) (key, Key, error), expressions ...string) (*write, error) {
	name, err := r.table()
	if err != nil {
		return nil, err
	}
	w := &write{capacity: r.capacity()}
	w.values = r.choice("ReturnValues", "NONE", "ALL_NEW", "ALL_OLD", "UPDATED_NEW", "UPDATED_OLD")
	w.onFailure = r.choice("ReturnValuesOnConditionCheckFailure", "NONE", "ALL_OLD")
	r.choice("ReturnItemCollectionMetrics", "NONE", "SIZE") // only tables with local indexes have any
	if r.err == nil && !slices.Contains(returnValues, w.values) {
		r.err = invalid("Return values set to invalid value")
	}
	w.store, err = t.store(name)
	if err = firstError(r.err, err); err != nil {
		return nil, err
	}
	if err = r.checkAlone(append(expressions, "ConditionExpression")); err != nil {
		return nil, err
	}
	if w.key, w.shown, err = locate(w.store); err != nil {
		return nil, err
	}
	w.env, err = r.environment()
	if err != nil {
		return nil, err
	}
	if w.updates, err = w.env.update(r); err != nil {
		return nil, err
	}
	w.condition, err = w.env.condition(r, "ConditionExpression")
	return w, firstError(r.err, err, w.env.unused())
}

func (w *write) call() *call {
	return &call{op: Op{Table: w.store.name, Keys: []Key{w.shown}}, run: w.run}
}

func (w *write) run(map[int]bool) (answer, Units, error) {
	before, after, units, err := w.store.replace(w.key, w.condition, w.change)
	if err == errConditionFailed { //nolint:errorlint // never wrapped
		if w.onFailure == "NONE" {
			before = nil
		}
		return nil, units, conditionFailed(before)
	}
	if err != nil {
		return nil, units, err
	}
	var a answer
	if shown := w.attributes(before, after); len(shown) > 0 {
		a = a.with("Attributes", shown)
	}
	return w.capacity.report(a, w.store.name, units), units, nil
}

// attributes is what ReturnValues asks for; of an updated list or map only the parts that the expression names.
func (w *write) attributes(before, after document) document {
	switch w.values {
	case "ALL_OLD":
		return before
	case "ALL_NEW":
		return after
	case "UPDATED_OLD":
		return project(before, w.updates.targets())
	case "UPDATED_NEW":
		return project(after, w.updates.targets())
	}
	return nil
}

var errConditionFailed = conditionFailed(nil)

// replace is the one way in which items change: read, check, compute, write, as one step. A failed condition costs what its item does.
func (s *store) replace(k key, condition *expr, change func(document) (document, error)) (before, after document, units Units, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.get(k)
	if !condition.holds(found.item) {
		return found.item, nil, writeUnits(found.size, 0), errConditionFailed
	}
	after, err = change(found.item)
	if err != nil {
		return found.item, nil, Units{}, err
	}
	bytes := itemSize(after)
	s.put(k, after, bytes)
	return found.item, after, writeUnits(found.size, bytes), nil
}

func (t *Table) putItem(r *request) (*call, error) {
	var item document
	w, err := t.decodeWrite(r, []string{"NONE", "ALL_OLD"}, func(s *store) (k key, shown Key, err error) {
		item, k, err = r.item(s)
		return k, s.show(item), err
	})
	if err != nil {
		return nil, err
	}
	w.change = func(document) (document, error) { return item, nil }
	return w.call(), nil
}

// item is the Item, with its key and within its limit.
func (r *request) item(s *store) (document, key, error) {
	raw, found := r.object("Item")
	if !found {
		return nil, key{}, firstError(r.err, constraint("null", "item", "not be null"))
	}
	item, err := decodeDocument(raw)
	if err != nil {
		return nil, key{}, err
	}
	k, err := s.schema.within(item)
	switch {
	case err != nil:
		return item, k, err
	case nesting(item) > maxNesting+1:
		return item, k, errNesting
	case itemSize(item) > maxItem:
		return item, k, invalid("Item size has exceeded the maximum allowed size")
	}
	return item, k, nil
}

var errNesting = invalid("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")

func (t *Table) deleteItem(r *request) (*call, error) {
	w, err := t.decodeWrite(r, []string{"NONE", "ALL_OLD"}, r.key)
	if err != nil {
		return nil, err
	}
	w.change = func(document) (document, error) { return nil, nil }
	return w.call(), nil
}

// key is the Key, and how a Hook sees it.
func (r *request) key(s *store) (key, Key, error) {
	raw, found := r.object("Key")
	if !found {
		return key{}, Key{}, firstError(r.err, constraint("null", "key", "not be null"))
	}
	d, err := decodeDocument(raw)
	if err != nil {
		return key{}, Key{}, err
	}
	k, err := s.schema.exactly(d)
	return k, s.show(d), err
}

// show is the key of an item as a Hook sees it.
func (s *store) show(item document) Key {
	shown := Key{Table: s.name}
	for i, a := range s.schema {
		form := ""
		switch v := item[a.name].(type) {
		case text:
			form = string(v)
		case binary:
			form = string(v)
		case number:
			form = v.String()
		}
		if i == 0 {
			shown.Partition = form
		} else {
			shown.Sort = form
		}
	}
	return shown
}

func (t *Table) updateItem(r *request) (*call, error) {
	w, err := t.decodeWrite(r, []string{"NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"}, r.key, "UpdateExpression")
	if err != nil {
		return nil, err
	}
	for _, a := range w.store.schema {
		if slices.ContainsFunc(w.updates.targets(), func(p path) bool { return p[0].name == a.name }) {
			return nil, invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", a.name)
		}
	}
	raw, _ := r.object("Key")
	keyAttributes, err := decodeDocument(raw)
	if err != nil {
		return nil, err
	}
	w.change = func(before document) (document, error) { return w.updates.change(before, keyAttributes) }
	return w.call(), nil
}

// change is the item after the update. A missing item has its key, to be read too.
func (u *update) change(before, keyAttributes document) (document, error) {
	if before == nil {
		if !u.creates() {
			return nil, nil
		}
		before = keyAttributes
	}
	after, err := u.apply(before)
	if err != nil {
		return nil, err
	}
	if itemSize(after) > maxItem {
		return nil, errUpdateTooLong
	}
	if nesting(after) > maxNesting+1 {
		return nil, errNesting
	}
	return after, nil
}

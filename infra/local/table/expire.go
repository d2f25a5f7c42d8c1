package table

import "time"

// maxExpired is the age beyond which DynamoDB leaves an expired item alone (Developer Guide, "Using time to live").
const maxExpired = 5 * 365 * 24 * time.Hour

// Expire removes the items whose time to live had passed at now, from every table that has it enabled, and says how many they were. It needs no
// ExpireEvery.
func (t *Table) Expire(now time.Time) int {
	t.mu.Lock()
	t.expired = now
	stores := make([]*store, 0, len(t.stores))
	for _, s := range t.stores {
		stores = append(stores, s)
	}
	t.mu.Unlock()
	removed := 0
	for _, s := range stores {
		removed += s.expire(now)
	}
	return removed
}

// expire is Expire when it is time for it.
func (t *Table) expire() {
	if t.options.ExpireEvery <= 0 {
		return
	}
	now := t.options.Now()
	t.mu.RLock()
	due := now.Sub(t.expired) >= t.options.ExpireEvery
	t.mu.RUnlock()
	if due {
		t.Expire(now)
	}
}

func (s *store) expire(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ttl == "" {
		return 0
	}
	latest, earliest := integer(int(now.Unix())), integer(int(now.Add(-maxExpired).Unix()))
	var dead []key
	for partitionKey, p := range s.partitions {
		for _, row := range p.rows {
			if at, ok := row.item[s.ttl].(number); ok && at.compare(latest) < 0 && at.compare(earliest) >= 0 {
				dead = append(dead, key{partition: partitionKey, sort: row.sort})
			}
		}
	}
	for _, k := range dead {
		s.put(k, nil, 0)
	}
	return len(dead)
}

package table

import (
	"hash/fnv"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// store holds the items of one table. Its mutex makes every operation on an item atomic, and all of them linearizable.
type store struct {
	name        string
	schema      schema
	created     time.Time
	tell        func(Key, map[string]types.AttributeValue) // Options.Changed
	provisioned [2]int                                     // read and write units; zero when billed by request

	mu         sync.RWMutex
	ttl        string // attribute of the time to live; empty when it is off
	partitions map[string]*partition
	order      []string // partition keys as Scan meets them; nil when it has to be sorted anew
	items      int
	bytes      int
}

// partition is the items of one partition key, in the order of their sort keys.
type partition struct {
	rows []*row
}

// row is an item as it is stored: never changed, only replaced.
type row struct {
	sort string
	item document
	size int
}

// find is where the sort key is, or belongs.
func (p *partition) find(sortKey string) (int, bool) {
	return sort.Find(len(p.rows), func(i int) int { return strings.Compare(sortKey, p.rows[i].sort) })
}

// none is the row of an item that does not exist.
var none = &row{}

// get is the row of the key, or none.
func (s *store) get(k key) *row {
	if p := s.partitions[k.partition]; p != nil {
		if i, found := p.find(k.sort); found {
			return p.rows[i]
		}
	}
	return none
}

// put stores an item of that size, a nil one removes it. The caller holds the lock.
func (s *store) put(k key, item document, size int) {
	p := s.partitions[k.partition]
	if p == nil {
		if item == nil {
			return
		}
		p = &partition{}
		s.partitions[k.partition] = p
		s.order = nil
	}
	i, found := p.find(k.sort)
	if s.tell != nil {
		switch {
		case item != nil:
			s.tell(s.show(item), attributes(item))
		case found:
			s.tell(s.show(p.rows[i].item), nil)
		}
	}
	switch {
	case found:
		s.bytes -= p.rows[i].size
		s.items--
		if item == nil {
			p.rows = slices.Delete(p.rows, i, i+1)
		} else {
			p.rows[i] = &row{sort: k.sort, item: item, size: size}
		}
	case item != nil:
		p.rows = slices.Insert(p.rows, i, &row{sort: k.sort, item: item, size: size})
	}
	if item != nil {
		s.bytes += size
		s.items++
	}
	if len(p.rows) == 0 {
		delete(s.partitions, k.partition)
		s.order = nil
	}
}

// scanOrder is the partition keys in an order of their own, by hash as in DynamoDB, so that nobody relies on another. The caller holds the lock for
// writing.
func (s *store) scanOrder() []string {
	if s.order == nil {
		s.order = make([]string, 0, len(s.partitions))
		for k := range s.partitions {
			s.order = append(s.order, k)
		}
		slices.SortFunc(s.order, byHash)
	}
	return s.order
}

func byHash(a, b string) int {
	if x, y := hash(a), hash(b); x != y {
		if x < y {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

func hash(k string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(k)) // never fails
	return h.Sum64()
}

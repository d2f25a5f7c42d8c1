package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/shared/realtime"
)

// Timers is the SWEEP item: realtime.Timers. A lease of all shards is owner and lease, of some it is owner<h> and lease<h> of
// each. All of it is in one item, so that one condition keeps any two leases apart, however the shards are divided.
type Timers struct{ *table }

// Begin implements realtime.Timers. The SDK may send it again: the lease of owner is no other's.
func (s *Timers) Begin(ctx context.Context, l realtime.Lease, now time.Time) (realtime.Timer, error) {
	const op = "begin sweep"
	var set, remove expression
	free := func(suffix string) string {
		return fmt.Sprintf("(attribute_not_exists(#lease%s) OR #lease%s < :now)", suffix, suffix)
	}
	var conditions []string
	if len(l.Shards) == realtime.Shards {
		set.add("#owner = :owner", "#lease = :lease")
		conditions = append(conditions, "("+free("")+" OR #owner = :owner)")
		for h := range realtime.Shards {
			conditions = append(conditions, free(digit(h)))
			remove.add("#owner"+digit(h), "#lease"+digit(h)) // of workers that were there once: the item stays below 1 KB
		}
	} else {
		conditions = append(conditions, free(""))
		for _, h := range l.Shards {
			owner := "#owner" + digit(h)
			set.add(owner+" = :owner", "#lease"+digit(h)+" = :lease")
			conditions = append(conditions, "("+free(digit(h))+" OR "+owner+" = :owner)")
		}
	}
	found, err := s.update(ctx, op, sweepKey(), &dynamodb.UpdateItemInput{
		UpdateExpression:    clauses(set, remove),
		ConditionExpression: new(strings.Join(conditions, " AND ")),
		ExpressionAttributeValues: values{
			":owner": text(l.Owner),
			":lease": number(l.Until.Unix()),
			":now":   number(now.Unix()),
		},
		ReturnValues: types.ReturnValueAllNew,
	})
	if err != nil && !errors.Is(err, errCondition) {
		return realtime.Timer{}, err
	}
	timer, decoded := timerOf(op, found)
	if decoded == nil && err != nil {
		return timer, realtime.ErrBusy
	}
	return timer, decoded
}

// Save implements realtime.Timers.
func (s *Timers) Save(ctx context.Context, l realtime.Lease, shard int, t realtime.ShardTimer) error {
	w := timerWrite{values: values{}}
	w.shard(shard, t)
	return s.write(ctx, "save sweep", l, []int{shard}, w)
}

// End implements realtime.Timers.
func (s *Timers) End(ctx context.Context, l realtime.Lease, t realtime.Timer) error {
	w := timerWrite{values: values{}}
	for _, h := range l.Shards {
		w.shard(h, t.Shards[h])
	}
	if len(l.Shards) == realtime.Shards {
		w.put("active", number(t.Active))
		w.put("peak", number(t.Peak))
		w.remove.add("#lease")
	} else {
		for _, h := range l.Shards {
			w.remove.add("#lease" + digit(h))
		}
	}
	return s.write(ctx, "end sweep", l, l.Shards, w)
}

// write does a write while the lease of those of its shards is there.
func (s *Timers) write(ctx context.Context, op string, l realtime.Lease, shards []int, w timerWrite) error {
	condition := "#owner = :owner"
	if len(l.Shards) < realtime.Shards {
		var owned []string
		for _, h := range shards {
			owned = append(owned, "#owner"+digit(h)+" = :owner")
		}
		condition = strings.Join(owned, " AND ")
	}
	w.values[":owner"] = text(l.Owner)
	_, err := s.update(ctx, op, sweepKey(), &dynamodb.UpdateItemInput{
		UpdateExpression:          clauses(w.set, w.remove),
		ConditionExpression:       &condition,
		ExpressionAttributeValues: w.values,
	})
	if errors.Is(err, errCondition) {
		return realtime.ErrBusy
	}
	return err
}

// Read implements realtime.Timers.
func (s *Timers) Read(ctx context.Context) (realtime.Timer, error) {
	const op = "read sweep"
	found, err := s.get(ctx, op, sweepKey(), false)
	if err != nil {
		return realtime.Timer{}, err
	}
	return timerOf(op, found)
}

// timerWrite collects the attributes of a write. Those that are zero are none: a walk or a verification that is under way takes
// room that the item does not have otherwise.
type timerWrite struct {
	set, remove expression
	values      values
}

func (w *timerWrite) shard(h int, t realtime.ShardTimer) {
	name := func(s string) string { return s + digit(h) }
	w.put(name("walked"), number(millis(t.Walked)))
	w.put(name("verified"), number(millis(t.Verified)))
	w.put(name("count"), number(t.Count))
	w.putOr(t.Walk.Started.IsZero(), name("started"), number(millis(t.Walk.Started)))
	w.putOr(t.Walk.Started.IsZero(), name("after"), text(t.Walk.After))
	w.putOr(t.Walk.Started.IsZero(), name("counted"), number(t.Walk.Count))
	w.putOr(t.Verification.Began.IsZero(), name("began"), number(millis(t.Verification.Began)))
	w.putOr(t.Verification.Began.IsZero(), name("upto"), text(t.Verification.After))
	w.putOr(!t.Verification.Missed, name("missed"), number(1))
}

func (w *timerWrite) put(name string, value types.AttributeValue) {
	w.set.add("#" + name + " = :" + name)
	w.values[":"+name] = value
}

func (w *timerWrite) putOr(none bool, name string, value types.AttributeValue) {
	if none {
		w.remove.add("#" + name)
		return
	}
	w.put(name, value)
}

// expression is the actions of one clause of an update.
type expression []string

func (e *expression) add(actions ...string) { *e = append(*e, actions...) }

// clauses is the whole of an update.
func clauses(set, remove expression) *string {
	all := "SET " + strings.Join(set, ", ")
	if len(remove) > 0 {
		all += " REMOVE " + strings.Join(remove, ", ")
	}
	return &all
}

// timerOf reads the item; what it does not have yet is zero.
func timerOf(op string, from item) (t realtime.Timer, err error) {
	read := func(name string, into any) {
		if value, ok := from[name]; ok && err == nil {
			err = attributevalue.Unmarshal(value, into)
		}
	}
	integer := func(name string) (n int) {
		read(name, &n)
		return n
	}
	instant := func(name string) time.Time {
		var ms int64
		read(name, &ms)
		return fromMillis(ms)
	}
	word := func(name string) (s string) {
		read(name, &s)
		return s
	}
	t.Active, t.Peak = integer("active"), integer("peak")
	for i := range t.Shards {
		h := digit(i)
		t.Shards[i] = realtime.ShardTimer{
			Walked:       instant("walked" + h),
			Verified:     instant("verified" + h),
			Count:        integer("count" + h),
			Walk:         realtime.Walk{Started: instant("started" + h), After: word("after" + h), Count: integer("counted" + h)},
			Verification: realtime.Verification{Began: instant("began" + h), After: word("upto" + h), Missed: integer("missed"+h) == 1},
		}
	}
	if err != nil {
		return realtime.Timer{}, failure(op, sweepKey(), err)
	}
	return t, nil
}

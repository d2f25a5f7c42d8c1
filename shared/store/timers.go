package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/shared/realtime"
)

// Timers is the SWEEP item: realtime.Timers.
type Timers struct{ *table }

// Begin implements realtime.Timers. The SDK may send it again: the lease of owner is no other's.
func (s *Timers) Begin(ctx context.Context, owner string, now, lease time.Time) (realtime.Timer, error) {
	const op = "begin sweep"
	found, err := s.update(ctx, op, sweepKey(), &dynamodb.UpdateItemInput{
		UpdateExpression:    new("SET #owner = :owner, #lease = :lease"),
		ConditionExpression: new("attribute_not_exists(#lease) OR #lease < :now OR #owner = :owner"),
		ExpressionAttributeValues: values{
			":owner": text(owner),
			":lease": number(lease.Unix()),
			":now":   number(now.Unix()),
		},
		ReturnValues: types.ReturnValueAllNew,
	})
	switch {
	case errors.Is(err, errCondition):
		return realtime.Timer{}, realtime.ErrBusy
	case err != nil:
		return realtime.Timer{}, err
	}
	return timerOf(op, found)
}

// Save implements realtime.Timers.
func (s *Timers) Save(ctx context.Context, owner string, t realtime.Timer) error {
	return s.save(ctx, "save sweep", owner, t, "")
}

// End implements realtime.Timers.
func (s *Timers) End(ctx context.Context, owner string, t realtime.Timer) error {
	return s.save(ctx, "end sweep", owner, t, " REMOVE #lease")
}

func (s *Timers) save(ctx context.Context, op, owner string, t realtime.Timer, remove string) error {
	v := timerValues(t)
	var set []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		set = append(set, "#"+name[1:]+" = "+name)
	}
	v[":owner"] = text(owner)
	_, err := s.update(ctx, op, sweepKey(), &dynamodb.UpdateItemInput{
		UpdateExpression:          new("SET " + strings.Join(set, ", ") + remove),
		ConditionExpression:       new("#owner = :owner"),
		ExpressionAttributeValues: v,
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

// timerValues has the value of each attribute of the item but owner and lease.
func timerValues(t realtime.Timer) values {
	verify := 0
	if t.Walk.Verify {
		verify = 1
	}
	v := values{
		":next":    number(t.Walk.Shard),
		":after":   text(t.Walk.After),
		":started": number(millis(t.Walk.Started)),
		":verify":  number(verify),
		":counted": number(t.Walk.Count),
		":active":  number(t.Active),
		":peak":    number(t.Peak),
	}
	for i, shard := range t.Shards {
		h := fmt.Sprintf("%x", i)
		v[":walked"+h] = number(millis(shard.Walked))
		v[":verified"+h] = number(millis(shard.Verified))
		v[":count"+h] = number(shard.Count)
	}
	return v
}

// timerOf reads the item; what it does not have yet is zero.
func timerOf(op string, from item) (t realtime.Timer, err error) {
	read := func(name string, into any) {
		if value, ok := from[name]; ok && err == nil {
			err = attributevalue.Unmarshal(value, into)
		}
	}
	integer := func(name string) (n int64) {
		read(name, &n)
		return n
	}
	read("after", &t.Walk.After)
	t.Walk.Shard = int(integer("next"))
	t.Walk.Started = fromMillis(integer("started"))
	t.Walk.Verify = integer("verify") == 1
	t.Walk.Count = int(integer("counted"))
	t.Active = int(integer("active"))
	t.Peak = int(integer("peak"))
	for i := range t.Shards {
		h := fmt.Sprintf("%x", i)
		t.Shards[i] = realtime.ShardTimer{
			Walked:   fromMillis(integer("walked" + h)),
			Verified: fromMillis(integer("verified" + h)),
			Count:    int(integer("count" + h)),
		}
	}
	if err != nil {
		return realtime.Timer{}, failure(op, sweepKey(), err)
	}
	return t, nil
}

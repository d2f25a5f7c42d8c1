package console

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/table"
)

// filled is rows with so many connections of as many users, each in a room of twenty.
func filled(n int) *rows {
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	number := func(n int64) types.AttributeValue { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }
	r := newRows(time.Now)
	at := time.Now().UnixMilli()
	for i := range n {
		id, user, room := fmt.Sprintf("HSVTep8kG%06d=", i), fmt.Sprintf("user-%d", i), fmt.Sprintf("conversation:c%d", i/20)
		for _, item := range []map[string]types.AttributeValue{
			{"pk": text("ns#/ws/app#0"), "sk": text(id), "user": text(user), "protocol": text("json"), "connectedAt": number(at), "rooms": &types.AttributeValueMemberSS{Value: []string{room}}},
			{"pk": text("user:" + user), "sk": text("#"), "v": number(1), "sockets": number(1), "lastSeen": number(at), "s#" + id: &types.AttributeValueMemberM{
				Value: map[string]types.AttributeValue{"connectedAt": number(at), "lastSeen": number(at), "userAgent": text("Mozilla/5.0"), "ip": text("127.0.0.1"), "protocol": text("json")},
			}},
			{"pk": text(room), "sk": text("c#0#" + id), "user": text(user), "protocol": text("json"), "t": number(at), "exp": number(at/1000 + 7800)},
		} {
			pk, sk := item["pk"].(*types.AttributeValueMemberS).Value, item["sk"].(*types.AttributeValueMemberS).Value
			r.changed(table.Key{Table: "realtime", Partition: pk, Sort: sk}, item)
		}
	}
	return r
}

// What the console remembers of a connection, with its presence and its room, is small.
func TestMemoryOfAConnection(t *testing.T) {
	const n, most = 10_000, 4 << 10 // bytes of each
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := filled(n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if c := r.counts(); c.Rows != n || c.Online != n || c.Rooms != n/20 {
		t.Errorf("%+v", c)
	}
	each := (after.HeapAlloc - before.HeapAlloc) / n
	t.Logf("%d bytes of each connection", each)
	if each > most {
		t.Errorf("%d bytes of each connection, %d at most", each, most)
	}
	runtime.KeepAlive(r)
}

// BenchmarkWindow is what a page asks for twice a second, of 10 000 connections: the first window, and one that is searched for.
func BenchmarkWindow(b *testing.B) {
	r := filled(10_000)
	for name, search := range map[string]string{"all": "", "search": "user-9999"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if l := r.list(window{limit: 80, search: search}, nil, true); l.Total != 10_000 {
					b.Fatal(l.Total)
				}
			}
		})
	}
}

// BenchmarkEvent is what the console costs an event of a client: all that it is told of one, beyond those that it follows.
func BenchmarkEvent(b *testing.B) {
	c := New(Config{})
	i := 0
	for b.Loop() {
		i++
		id := fmt.Sprint(i)
		c.gateway(gateway.Event{Kind: gateway.KindMessage, Time: time.Now(), TraceID: id, RouteKey: "x", Bytes: 30})
		call := lambda.Invocation{Function: "x", TraceID: id, Segment: id, Payload: []byte(`{"requestContext":{"connectionId":"c="}}`), MemoryMB: 256}
		c.asked(call)
		c.operation(table.Op{Name: "UpdateItem", TraceID: id, Segment: id, Units: table.Units{Write: 1}})
		c.gateway(gateway.Event{Kind: gateway.PostToConnection, Time: time.Now(), TraceID: id, Segment: id, Bytes: 30, Status: 200})
		c.traces.output("x", `{"level":"INFO","message":"invocation","trace_id":"`+id+`"}`)
		c.invocation(call)
	}
}

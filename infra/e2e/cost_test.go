package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"example.org/realtime/infra/local/stack"
)

// A presence, with N connections, below PRESENCE_GLOBAL_MAX: the number of connections, everybody in 16 queries, the user before and
// after; and a post to each.
const presenceRead = 0.5 + 16 + 1 + 1

// bill measures operations and prints what they took.
type bill struct {
	*system
	t     *testing.T
	lines []string
}

// newBill is a bill of a system in which one process of each function has one event after the other, so that everything that was
// asked for has happened when an event that came later is through.
func newBill(t *testing.T, values map[string]string) *bill {
	t.Helper()
	if os.Getenv("DYNAMODB_ENDPOINT") != "" {
		t.Skip("needs the meter of the embedded table, and DYNAMODB_ENDPOINT names another")
	}
	b := &bill{t: t, system: own(t, func(o *stack.Options) {
		settings(values)(o)
		o.Lambda.Processes = 1
	})}
	t.Cleanup(func() {
		if testing.Verbose() {
			fmt.Printf("| operation | WRU | RRU | Lambda | posts |\n|---|--:|--:|--:|--:|\n%s\n", strings.Join(b.lines, "\n"))
		}
	})
	return b
}

// costs wants an operation to take exactly that.
func (b *bill) costs(operation string, want reading, do func()) {
	b.t.Helper()
	b.settle()
	before := b.local.meter.read()
	do()
	eventually(b.t, fmt.Sprintf("%d invocations of %s end", want.Invocations, operation), func() bool {
		return b.local.meter.read().minus(before).Invocations >= want.Invocations
	})
	barriers := b.settle()
	got := b.local.meter.read().minus(before)
	got.Invocations -= barriers
	if got != want {
		b.t.Errorf("%s\n took %+v\n want %+v", operation, got, want)
	}
	b.lines = append(b.lines, fmt.Sprintf("| %s | %g | %g | %d | %d |", operation, got.Write, got.Read, got.Invocations, got.Posts))
}

// settle waits until nothing is under way any more: in API Gateway, which invokes all functions but publish, and in publish, which is
// asked for more than it is waited for. For that it is sent requests that it refuses at once, behind whatever it was asked for before;
// settle returns how many.
func (b *bill) settle() (invocations int) {
	b.t.Helper()
	for idle := false; !idle; {
		eventually(b.t, "API Gateway is idle", func() bool { return b.local.meter.idle(b.local.Gateway.Open()) })
		before := b.local.meter.read().Invocations
		_, err := b.send(`{}`)
		refused(b.t, err, "event", "required")
		invocations++
		idle = b.local.meter.read().Invocations == before+1
	}
	return invocations
}

// TestCost holds every operation to what it may cost, in request units, invocations and posts.
// go test -v -run Cost prints the table.
func TestCost(t *testing.T) {
	b := newBill(t, nil)
	const conversation, other = "c1", "c2"
	var clients []*client
	connect := func(user string) func() {
		return func() { clients = append(clients, b.connect(t, user)) }
	}
	b.costs("participants: one added", reading{Write: 1, Invocations: 1}, func() { b.participants(t, "add", other, "dave") })
	b.participants(t, "add", conversation, "alice", "bob", "carol")
	b.participants(t, "add", other, "alice")
	b.costs("connect, as the first", reading{Write: 2, Read: presenceRead, Invocations: 3, Posts: 1 + 1}, connect("alice"))
	connect("alice")()
	connect("bob")()
	connect("carol")()
	b.costs("connect, as the fifth", reading{Write: 2, Read: presenceRead, Invocations: 3, Posts: 1 + 5}, connect("dave"))
	alice, tab, bob, carol, dave := clients[0], clients[1], clients[2], clients[3], clients[4]
	b.costs("connect with a token that is refused, until it is closed", reading{Invocations: 4, Posts: 1, Closes: 1}, func() {
		c, err := b.dial(t, "garbage")
		if err != nil {
			t.Fatal(err)
		}
		c.awaitRefusal("socket_error:unauthorized")
	})

	b.costs("heartbeat, 5 connections", reading{Write: 1, Read: presenceRead, Invocations: 2, Posts: 5}, func() { alice.send(`{"event":"presence:heartbeat"}`) })
	b.costs("heartbeat, again within PRESENCE_HEARTBEAT_MIN_SECONDS", reading{Write: 1, Invocations: 1}, func() { alice.send(`{"event":"presence:heartbeat"}`) })
	b.costs("heartbeat with an id", reading{Write: 1, Read: presenceRead, Invocations: 2, Posts: 5 + 1}, func() { bob.succeed("presence:heartbeat", "") })

	join := func(id string) string {
		return `{"event":"conversations:join","data":{"conversationId":"` + conversation + `"}` + id + `}`
	}
	leave := func(id string) string {
		return `{"event":"conversations:leave","data":{"conversationId":"` + conversation + `"}` + id + `}`
	}
	b.costs("join with an id, the first of a process in a minute", reading{Write: 2, Read: 1 + 0.5, Invocations: 1, Posts: 1}, func() { alice.join(other) })
	b.costs("join", reading{Write: 2, Read: 1, Invocations: 1}, func() { alice.send(join("")) })
	b.costs("leave", reading{Write: 1, Invocations: 1}, func() { alice.send(leave("")) })
	b.costs("join with an id", reading{Write: 2, Read: 1, Invocations: 1, Posts: 1}, func() { alice.join(conversation) })
	b.costs("leave with an id", reading{Write: 1, Invocations: 1, Posts: 1}, func() { alice.leave(conversation) })
	b.costs("join of one who does not take part, with an id", reading{Read: 1, Invocations: 1, Posts: 1}, func() { dave.ask("conversations:join", `{"conversationId":"c1"}`) })
	b.costs("unknown event", reading{Invocations: 1, Posts: 1}, func() { dave.send(`{"event":"x"}`) })
	alice.join(conversation)
	tab.join(conversation)
	bob.join(conversation)

	id := `,"id":"` + unique("id-") + `"`
	b.costs("publish to a user with 2 sockets", reading{Read: 1, Invocations: 1, Posts: 2}, func() { b.delivers(t, 2, "notifications:new", notice("k"), to("alice")) })
	b.costs("publish with an id to a user with 2 sockets", reading{Write: 2, Read: 1, Invocations: 1, Posts: 2}, func() {
		b.delivers(t, 2, "notifications:new", notice("k"), to("alice")+id)
	})
	b.costs("the same once more", reading{Write: 1, Invocations: 1}, func() {
		if p := b.publish(t, "notifications:new", notice("k"), to("alice")+id); !p.Duplicate {
			t.Errorf("%+v", p)
		}
	})
	data := message(conversation, "alice", []string{"bob", "carol"}, `{"id":"m1"}`)
	b.costs("publish to a conversation, 2 recipients and the sender, 3 joined", reading{Read: 1 + 2 + 1, Invocations: 1, Posts: 4}, func() {
		b.delivers(t, 4, "messages:new", data, "")
	})
	b.costs("the same with an id", reading{Write: 2, Read: 1 + 2 + 1, Invocations: 1, Posts: 4}, func() {
		b.delivers(t, 4, "messages:new", data, `"id":"`+unique("id-")+`"`)
	})
	b.costs("publish to all 5 connections", reading{Read: 16, Invocations: 1, Posts: 5}, func() { b.delivers(t, 5, "notifications:new", notice("k"), `"to":{"all":true}`) })
	b.costs("the same with an id", reading{Write: 2, Read: 16, Invocations: 1, Posts: 5}, func() {
		b.delivers(t, 5, "notifications:new", notice("k"), `"to":{"all":true},"id":"`+unique("id-")+`"`)
	})
	b.costs("publish, refused", reading{Invocations: 1}, func() {
		_, err := b.send(request("notifications:new", `{}`, to("alice")))
		refused(t, err, "data.eventKey", "")
	})

	b.costs("participants: one with 2 sockets removed", reading{Write: 1 + 2, Read: 1, Invocations: 1}, func() { b.participants(t, "remove", conversation, "alice") })
	b.costs("sweep, 5 connections verified", reading{Write: 18, Read: 8, Invocations: 1, Lookups: 5}, func() { b.sweep(t) })
	b.costs("sweep, again", reading{Write: 18, Read: 8, Invocations: 1, Lookups: 5}, func() { b.sweep(t) })

	lost := b.connect(t, "carol")
	b.participants(t, "add", other, "carol")
	lost.join(other)
	b.local.loseDisconnect(lost.id)
	lost.close()
	b.settle()
	b.local.age(t, lost, time.Minute)
	b.costs("sweep, that finds one of 6 connections dead, which had a room", reading{Write: 18 + 3, Read: 8 + presenceRead, Invocations: 2, Lookups: 5, Posts: 5}, func() { b.sweep(t) })

	b.costs("disconnect, 2 rooms, 4 others", reading{Write: 2 + 2, Read: 1 + presenceRead, Invocations: 2, Posts: 4}, func() { alice.close() })
	b.costs("disconnect, no room, 3 others", reading{Write: 2, Read: 1 + presenceRead, Invocations: 2, Posts: 3}, func() { carol.close() })
	dave.close()
	tab.close()
	b.costs("disconnect, a room, nobody else", reading{Write: 2 + 1, Read: 1 + presenceRead, Invocations: 2}, func() { bob.close() })
}

// A presence of 10 posts or more takes them out of the budget, for a write.
func TestCostOfBudget(t *testing.T) {
	b := newBill(t, nil)
	var clients []*client
	for i := range 9 {
		clients = append(clients, b.connect(t, fmt.Sprint("u", i)))
	}
	b.costs("heartbeat, 9 connections", reading{Write: 1, Read: presenceRead, Invocations: 2, Posts: 9}, func() { clients[0].send(`{"event":"presence:heartbeat"}`) })
	b.costs("connect, as the tenth", reading{Write: 2 + 1, Read: presenceRead, Invocations: 3, Posts: 1 + 10}, func() { clients = append(clients, b.connect(t, "u9")) })
	b.costs("heartbeat, 10 connections", reading{Write: 1 + 1, Read: presenceRead, Invocations: 2, Posts: 10}, func() { clients[1].send(`{"event":"presence:heartbeat"}`) })
	b.costs("disconnect, no room, 9 others", reading{Write: 2, Read: 1 + presenceRead, Invocations: 2, Posts: 9}, func() { clients[9].close() })
}

// Above PRESENCE_GLOBAL_MAX a presence is read and posted to the user's own room and to rooms in common.
func TestCostAboveLimit(t *testing.T) {
	b := newBill(t, map[string]string{"PRESENCE_GLOBAL_MAX": "2"})
	b.participants(t, "set", "c1", "alice", "bob")
	stranger := b.connect(t, "carol")
	bob := b.connect(t, "bob")
	alice := b.connect(t, "alice")
	b.sweep(t)
	bob.join("c1")                  // reads the number of connections for the minute
	const counted, own = 0.5, 1 + 1 // the number of connections; the user before and after
	b.costs("above the limit: join, of a room with one other", reading{Write: 2, Read: 1 + counted + 1 + own, Invocations: 2, Posts: 2}, func() {
		alice.send(`{"event":"conversations:join","data":{"conversationId":"c1"}}`)
	})
	b.costs("above the limit: heartbeat", reading{Write: 1, Read: counted + own, Invocations: 2, Posts: 1}, func() { alice.send(`{"event":"presence:heartbeat"}`) })
	var tab *client
	b.costs("above the limit: connect, as the second tab", reading{Write: 2, Read: counted + own, Invocations: 3, Posts: 1 + 2}, func() { tab = b.connect(t, "alice") })
	b.costs("above the limit: disconnect, no room", reading{Write: 2, Read: 1 + counted + own, Invocations: 2, Posts: 1}, func() { tab.close() })
	b.costs("above the limit: disconnect, a room with one other", reading{Write: 2 + 1, Read: 1 + counted + 1 + own, Invocations: 2, Posts: 1}, func() { alice.close() })
	stranger.none("what it has no part in", isPresenceOf("alice"))
}

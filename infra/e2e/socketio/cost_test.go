package socketio

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.org/realtime/infra/local/stack"
)

// costs of a client that is alone in the service, in all that AWS bills for but time: 60 connection-minutes an hour, and what a function
// runs. A presence goes to every other client as well, one message each.
var costs = []struct {
	client, what string
	want         reading
}{
	{"JSON", "connect", reading{Invocations: 3, Write: 2, Read: 18.5, Messages: 2}},
	{"JSON", "join, with an ack", reading{Invocations: 1, Write: 2, Read: 1, Messages: 2}},
	{"JSON", "receive a message of a conversation of two", reading{Invocations: 1, Read: 3, Messages: 1}},
	{"JSON", "disconnect", reading{Invocations: 2, Write: 3, Read: 19.5}},
	{"JSON", "idle for an hour", reading{Read: 7, Messages: 7, Lookups: 60}},
	{"Socket.IO", "connect", reading{Invocations: 5, Write: 4, Read: 19.5, Messages: 5}},
	{"Socket.IO", "join, with an ack", reading{Invocations: 1, Write: 2, Read: 2, Messages: 2}},
	{"Socket.IO", "the same in the first 15 s", reading{Invocations: 1, Write: 2, Read: 3, Messages: 2}},
	{"Socket.IO", "receive a message of a conversation of two", reading{Invocations: 1, Read: 3, Messages: 1}},
	{"Socket.IO", "disconnect", reading{Invocations: 2, Write: 3, Read: 19.5}},
	{"Socket.IO", "idle for an hour, pings every 300 s", reading{Invocations: 12, Write: 12, Messages: 24, Lookups: 48}},
	{"Socket.IO", "idle for an hour, pings every 60 s", reading{Invocations: 60, Write: 60, Messages: 120}},
	{"Socket.IO", "idle for an hour, pings every 25 s (worked out)", reading{Invocations: 144, Write: 144, Messages: 288}},
	{"none", "sweep for an hour, whoever is there", reading{Invocations: 60, Write: 1080, Read: 480}},
}

// TestCost measures them. go test -v prints the table.
func TestCost(t *testing.T) {
	// Every sweep verifies, as it does with the default: one comes every minute, and verification is due after 60 s. Functions of one
	// process each read the number of connections once, not once in each.
	s := start(t, map[string]string{"PRESENCE_TTL_SECONDS": "30"}, func(o *stack.Options) { o.Lambda.Processes = 1 })
	s.takePart(t, "c1", "alice", "bob")
	got := map[string]map[string]reading{"JSON": s.costsOfJSON(t), "Socket.IO": s.costsOfSocketIO(t)}
	got["none"] = map[string]reading{"sweep for an hour, whoever is there": reading{}.add(s.sweepCosts(t), 60)}

	var b strings.Builder
	b.WriteString("| client | what | Lambda invocations | write units | read units | messages | GetConnection |\n|---|---|--:|--:|--:|--:|--:|\n")
	for _, line := range costs {
		c, measured := got[line.client][line.what]
		if c != line.want || !measured {
			t.Errorf("%s, %s: %+v, want %+v", line.client, line.what, c, line.want)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %g | %g | %d | %d |\n", line.client, line.what, c.Invocations, c.Write, c.Read, c.Messages, c.Lookups)
	}
	t.Log("\n" + b.String())
}

// costsOfJSON measures a connection that began so long ago that its first keep-alive is due at once.
func (s *system) costsOfJSON(t *testing.T) map[string]reading {
	got := map[string]reading{}
	var client *raw
	s.clock.back(481 * time.Second)
	got["connect"] = s.costs(t, 3, func() {
		client = s.dial(t, "?token="+token("alice", 0))
		client.next(`{"event":"notifications:ready"`)
	})
	s.clock.back(0)
	keptAlive, verified := s.sweepCosts(t), s.sweepCosts(t)
	got["join, with an ack"] = s.joinCosts(t, client, `{"event":"conversations:join","data":{"conversationId":"c1"},"id":1}`, `{"event":"ack"`)
	got["receive a message of a conversation of two"] = s.receiveCosts(t, client, `{"event":"messages:new"`)
	got["disconnect"] = s.costs(t, 2, func() { client.leave() })
	sweep := s.sweepCosts(t)
	got["idle for an hour"] = perHour(keptAlive.add(sweep, -1), 8*time.Minute, verified.add(sweep, -1))
	return got
}

// costsOfSocketIO measures a connection that began so long ago that its first ping is due at once.
func (s *system) costsOfSocketIO(t *testing.T) map[string]reading {
	const join = `42/ws/app,1["conversations:join",{"conversationId":"c1"}]`
	got := map[string]reading{}
	var client *raw
	sweep := s.sweepCosts(t)
	s.forgetSweeps(t)
	s.clock.back(301 * time.Second)
	got["connect"] = s.costs(t, 5, func() { client = s.enter(t, "alice") })
	s.clock.back(0)
	ping := s.costs(t, 2, func() { // sweep's, and default's for the pong
		s.sweep(t)
		client.next("2")
		client.send("3")
	}).add(sweep, -1)
	verified := s.sweepCosts(t).add(sweep, -1)
	for name, every := range map[string]time.Duration{
		"idle for an hour, pings every 300 s":             300 * time.Second,
		"idle for an hour, pings every 60 s":              60 * time.Second,
		"idle for an hour, pings every 25 s (worked out)": 25 * time.Second,
	} {
		got[name] = perHour(ping, every, verified)
	}
	got["join, with an ack"] = s.joinCosts(t, client, join, "43")
	got["receive a message of a conversation of two"] = s.receiveCosts(t, client, `42/ws/app,["messages:new"`)
	got["disconnect"] = s.costs(t, 2, func() { client.leave() })
	s.costs(t, 5, func() { client = s.enter(t, "alice") })
	got["the same in the first 15 s"] = s.joinCosts(t, client, join, "43")
	s.costs(t, 2, func() { client.leave() })
	return got
}

// joinCosts are those of the second join: the first reads the number of connections for a minute to come.
func (s *system) joinCosts(t *testing.T, client *raw, join, ack string) (second reading) {
	for range 2 {
		second = s.costs(t, 1, func() {
			client.send(join)
			client.next(ack)
		})
	}
	return second
}

func (s *system) receiveCosts(t *testing.T, client *raw, event string) reading {
	return s.costs(t, 1, func() {
		s.invoke(t, "publish", `{"event":"messages:new","data":{"conversationId":"c1","message":{"id":"m1"},"senderId":"bob","recipients":["alice","bob"]}}`)
		client.next(event)
	})
}

func (s *system) sweepCosts(t *testing.T) reading { return s.costs(t, 1, func() { s.sweep(t) }) }

// costs are what the meter counts until so many invocations have ended.
func (s *system) costs(t *testing.T, invocations int, do func()) reading {
	t.Helper()
	before := s.meter.read()
	do()
	eventually(t, fmt.Sprintf("%d invocations", invocations), func() bool { return s.meter.read().Invocations >= before.Invocations+invocations })
	return s.meter.read().add(before, -1)
}

// perHour is what a connection costs in its first hour: something every step, and in the minutes without it what verifying takes.
func perHour(something reading, step time.Duration, verifying reading) reading {
	times := int(time.Hour / step)
	return reading{}.add(something, times).add(verifying, max(0, 60-times))
}

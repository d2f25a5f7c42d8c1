package e2e

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// Connect, heartbeat and every disconnect are told to everybody, each socket once, and ip and user agent to the user's own sockets.
func TestPresence(t *testing.T) {
	s := suite(t)
	alice, bob := unique("alice-"), unique("bob-")
	observer := s.connect(t, bob)
	begun := time.Now()

	one := s.arrive(t, alice)
	s.told(t, "connect", alice, []*client{one}, []*client{observer}, online(1))
	two := s.arrive(t, alice)
	last := s.told(t, "connect of a second tab", alice, []*client{one, two}, []*client{observer}, online(2))
	for _, socket := range last.Sockets {
		for _, at := range []*int64{socket.ConnectedAt, socket.LastSeen, last.LastSeen} {
			if at == nil || time.UnixMilli(*at).Sub(begun).Abs() > time.Minute { // the server's clock is another
				t.Errorf("an instant that cannot be: %+v", socket)
			}
		}
	}
	one.id, two.id = last.socketOf(one).SocketID, last.socketOf(two).SocketID

	seen := func(c *client, p presence) int64 {
		return *p.Sockets[slices.IndexFunc(p.Sockets, func(s presenceSocket) bool { return s.SocketID == c.id })].LastSeen
	}
	seenAgain := func(c *client) func(presence) bool {
		before := seen(c, last)
		return func(p presence) bool { return online(2)(p) && seen(c, p) > before }
	}
	one.succeed("presence:heartbeat", `{"ignored":[1,2]}`)
	last = s.told(t, "heartbeat", alice, []*client{one, two}, []*client{observer}, seenAgain(one))
	// A second one within PRESENCE_HEARTBEAT_MIN_SECONDS changes nothing; the other socket has a time of its own.
	first := seen(one, last)
	one.succeed("presence:heartbeat", "")
	two.succeed("presence:heartbeat", `null`)
	last = s.told(t, "heartbeat of the second tab", alice, []*client{one, two}, []*client{observer}, seenAgain(two))
	if second := seen(one, last); second != first && s.local != nil { // deployed, sweep may have seen it meanwhile
		t.Errorf("last seen at %d after the first heartbeat and at %d after the second", first, second)
	}

	two.close()
	s.told(t, "disconnect of the second tab", alice, []*client{one}, []*client{observer}, online(1))
	one.close()
	last = s.told(t, "disconnect", alice, nil, []*client{observer}, offline)
	if last.LastSeen == nil {
		t.Error("offline, and never seen")
	}
}

// told waits for a presence of the user that holds, at each client: the user's own sockets see ip and user agent, others do not. It
// returns one that an own socket got, if there is any. That each gets it once is the cost tests' to show: here the next change comes so
// soon that the one before may be told twice.
func (s *system) told(t *testing.T, what, user string, own, others []*client, holds func(presence) bool) (last presence) {
	t.Helper()
	for i, c := range append(slices.Clone(others), own...) {
		p := c.presence(what, user, holds)
		for _, socket := range p.Sockets {
			if masked := socket.UserAgent == nil && socket.IP == nil; masked != (i < len(others)) {
				t.Errorf("%s: %s got user agent and ip of %s: %t", what, c.user, user, !masked)
			}
		}
		if i >= len(others) && p.socketOf(c) == nil {
			t.Errorf("%s: %s does not find itself in %+v", what, c.user, p)
		}
		last = p
	}
	return last
}

// The payload of a heartbeat is ignored, whatever it is.
func TestHeartbeatPayloads(t *testing.T) {
	s := suite(t)
	c := s.connect(t, unique("alice-"))
	for _, message := range []string{
		`{"event":"presence:heartbeat","id":1}`,
		`{"event":"presence:heartbeat","id":1,"data":null}`,
		`{"event":"presence:heartbeat","id":1,"data":7}`,
		`{"event":"presence:heartbeat","id":1,"data":"x"}`,
		`{"event":"presence:heartbeat","id":1,"data":[{}]}`,
		`{"id":1,"data":{"conversationId":"#"},"event":"presence:heartbeat"}`,
	} {
		c.send(message)
		if f := c.await("an ack", is("ack")); f.raw != `{"event":"ack","id":1,"data":{"success":true}}` {
			t.Errorf("%s: %v", message, f)
		}
	}
	c.none("an error", is("error"))
}

// A presence that a backend publishes goes where ours goes, and is masked as ours is.
func TestPublishedPresence(t *testing.T) {
	s := suite(t)
	s.onThisMachine(t) // everybody who uses a deployed stage would get it
	alice, bob := unique("alice-"), unique("bob-")
	a := s.connect(t, alice)
	b := s.connect(t, bob)
	b.takeAll(isPresenceOf(alice))
	snapshot := func(info string) string {
		return `{"userId":"` + alice + `","isOnline":true,"lastSeen":null,"sockets":[{"socketId":"x","connectedAt":1701245041796,"lastSeen":null,` + info + `}]}`
	}
	a.takeAll(isPresenceOf(alice))
	data := snapshot(`"userAgent":"Fridge 1.0","ip":"192.0.2.1"`)
	if p := s.publish(t, "presence:update", data, ""); p.Delivered < 2 || p.Failed > 0 {
		t.Errorf("%+v", p)
	}
	for c, want := range map[*client]string{a: data, b: snapshot(`"userAgent":null,"ip":null`)} {
		got := c.takeAll(isPresenceOf(alice))
		if len(got) != 1 || got[0].raw != envelope("presence:update", want) {
			t.Errorf("%s got %v\nwant %s", c.user, got, want)
		}
	}
}

// Two sockets of one user that come and go at once: the last word that an observer hears is true.
func TestPresenceRace(t *testing.T) {
	s := apart(t)
	alice, bob := unique("alice-"), unique("bob-")
	observer := s.connect(t, bob)
	var g errgroup.Group
	for range 2 {
		g.Go(func() error {
			for range 4 {
				c, err := s.dial(t, s.token(alice))
				if err != nil {
					return err
				}
				if _, err := c.take(is("notifications:ready")); err != nil {
					return err
				}
				c.close()
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	c := s.arrive(t, alice)
	c.presence("one socket is left", alice, func(p presence) bool { return len(p.Sockets) == 1 && p.socketOf(c) != nil })
	c.close()
	var last presence
	eventually(t, "the last word is offline", func() bool {
		for _, f := range observer.takeAll(isPresenceOf(alice)) {
			last = presence{}
			decode(t, f.data, &last)
		}
		return offline(last)
	})
}

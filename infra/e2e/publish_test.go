package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"golang.org/x/sync/errgroup"

	"example.org/realtime/infra/local/lambda"
)

// refused wants the error that Lambda reports for a request that breaks the contract: the field, then what is wrong with it.
func refused(t *testing.T, err error, field, message string) {
	t.Helper()
	e, ok := errors.AsType[*functionError](err)
	if !ok || e.Header != "Unhandled" || e.Type != "ValidationError" || !strings.HasPrefix(e.Message, field+": ") || !strings.Contains(e.Message, message) {
		t.Errorf("%v, want a ValidationError: %s: ... %s", err, field, message)
	}
}

func TestAudiences(t *testing.T) {
	s := suite(t)
	conversation, alice, bob, carol := unique("c-"), unique("alice-"), unique("bob-"), unique("carol-")
	s.participants(t, "set", conversation, alice, bob)
	a := s.connect(t, alice)
	tab := s.connect(t, alice)
	b := s.connect(t, bob)
	c := s.connect(t, carol)
	a.join(conversation)
	b.join(conversation)
	all := []*client{a, tab, b, c}
	mine := `"` + conversation + `"`
	tests := []struct {
		name, more string
		to         []*client
	}{
		{"users", to(alice, carol), []*client{a, tab, c}},
		{"a user twice", to(alice, alice), []*client{a, tab}},
		{"nobody that is here", to(unique("away-")), nil},
		{"conversations", `"to":{"conversations":[` + mine + `]}`, []*client{a, b}},
		{"connections", `"to":{"connections":["` + tab.id + `","` + b.id + `"]}`, []*client{tab, b}},
		{"an unknown connection", `"to":{"connections":["AAAAAAAAAAAAAAA="]}`, nil},
		{"a union, each socket once", `"to":{"users":["` + alice + `"],"conversations":[` + mine + `],"connections":["` + a.id + `","` + c.id + `"],"groups":["none"]}`, all},
		{"except users", `"to":{"users":` + list([]string{alice, bob}) + `},"except":{"users":["` + alice + `"]}`, []*client{b}},
		{"except connections", to(alice, bob) + `,"except":{"connections":["` + a.id + `"]}`, []*client{tab, b}},
		{"except both", to(alice, bob) + `,"except":{"users":["` + bob + `"],"connections":["` + a.id + `"]}`, []*client{tab}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := notice(unique("k-"))
			s.delivers(t, len(tt.to), "notifications:new", data, tt.more)
			for _, c := range tt.to {
				c.exactly("notifications:new", data)
			}
			for _, c := range all {
				c.none("what was not for it", is("notifications:new"))
			}
		})
	}
	t.Run("to replaces the default audience", func(t *testing.T) {
		data := message(conversation, bob, []string{alice}, `1`)
		s.delivers(t, 1, "messages:new", data, to(carol))
		c.exactly("messages:new", data)
	})
	t.Run("except takes from the default audience", func(t *testing.T) {
		data := message(conversation, bob, []string{alice}, `1`)
		s.delivers(t, 1, "messages:new", data, `"except":{"users":["`+alice+`"]}`)
		b.exactly("messages:new", data)
	})
	t.Run("all", func(t *testing.T) {
		s.onThisMachine(t) // it would reach everybody who uses the stage
		data := notice(unique("k-"))
		p := s.publish(t, "notifications:new", data, `"to":{"all":true}`)
		if p.Delivered < len(all) || p.Failed > 0 {
			t.Errorf("%+v", p)
		}
		for _, c := range all {
			c.exactly("notifications:new", data)
		}
	})
	for _, c := range all {
		c.none("what was not for it", func(f frame) bool { return is("messages:new")(f) || is("notifications:new")(f) })
	}
}

// Events that the server sends by itself can be published, too.
func TestPublishServerEvents(t *testing.T) {
	s := suite(t)
	alice := unique("alice-")
	c := s.connect(t, alice)
	for event, data := range map[string]string{
		"notifications:ready": `{"message":"Once more","userId":"` + alice + `"}`,
		"error":               `{"code":"billing:limit","message":"Your plan has ended."}`,
	} {
		s.delivers(t, 1, event, data, to(alice))
		c.exactly(event, data)
	}
}

func TestSystemDisconnect(t *testing.T) {
	s := suite(t)
	alice, bob := unique("alice-"), unique("bob-")
	one := s.connect(t, alice)
	two := s.connect(t, alice)
	b := s.connect(t, bob)
	for i, more := range []string{`,"reconnect":true`, ""} {
		c := []*client{one, two}[i]
		data := `{"reason":"maintenance","message":"Back in five minutes."}`
		s.delivers(t, 1, "system:disconnect", data, `"to":{"connections":["`+c.id+`"]}`+more)
		if f := c.await("system:disconnect", is("system:disconnect")); f.raw != envelope("system:disconnect", data) {
			t.Errorf("got %v", f)
		}
		if got := c.awaitClose(); got != closedByServer {
			t.Errorf("closed with %v", got)
		}
		b.presence("a socket less", alice, func(p presence) bool { return len(p.Sockets) == 1-i && p.IsOnline == (i == 0) })
	}
	s.delivers(t, 1, "notifications:new", notice("still here"), to(alice, bob))
}

func TestIdempotency(t *testing.T) {
	s := suite(t)
	alice, id := unique("alice-"), strings.Repeat("ü", 246)+unique("")
	c := s.connect(t, alice)
	data := notice("once")
	once := request("notifications:new", data, `"id":"`+id+`",`+to(alice))
	want := published{ID: id, Event: "notifications:new", Matched: 1, Delivered: 1}
	for try := range 3 {
		want.Duplicate = try > 0
		if p, err := s.send(once); err != nil || p != want {
			t.Errorf("try %d: %+v, %v, want %+v", try+1, p, err, want)
		}
	}
	c.exactly("notifications:new", data)
	_, err := s.send(request("notifications:new", data+" ", `"id":"`+id+`",`+to(alice)))
	refused(t, err, "id", "another")
	_, err = s.send(request("notifications:new", data, `"id":"`+id+"x"+`",`+to(alice)))
	refused(t, err, "id", "256")

	// A request that was refused has not used its id up.
	id = unique("id-")
	_, err = s.send(request("notifications:new", `{}`, `"id":"`+id+`",`+to(alice)))
	refused(t, err, "data.eventKey", "")
	s.delivers(t, 1, "notifications:new", data, `"id":"`+id+`",`+to(alice))
	c.exactly("notifications:new", data)
}

// Of many requests with one id at once one is done; the others get its answer, or are to try again.
func TestSameIDAtOnce(t *testing.T) {
	s := suite(t)
	alice := unique("alice-")
	c := s.connect(t, alice)
	data := notice("once")
	once := request("notifications:new", data, `"id":"`+unique("id-")+`",`+to(alice))
	var g errgroup.Group
	for range 6 {
		g.Go(func() error {
			for {
				_, err := s.send(once)
				if e, ok := errors.AsType[*functionError](err); !ok || e.Type != "PublishInProgress" {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	c.exactly("notifications:new", data)
}

// A backend that does not wait for the answer. What is refused then ends where the template says: in the failure queue.
func TestFireAndForget(t *testing.T) {
	s := suite(t)
	alice := unique("alice-")
	c := s.connect(t, alice)
	forget := func(request string) {
		t.Helper()
		_, err := s.functions.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: &s.publisher, InvocationType: "Event", Payload: []byte(request)})
		if err != nil {
			t.Fatal(err)
		}
	}
	data := notice(unique("k-"))
	forget(request("notifications:new", data, to(alice)))
	if f := c.await("the event", is("notifications:new")); f.raw != envelope("notifications:new", data) {
		t.Errorf("got %v", f)
	}
	if s.local == nil || s.local.Functions == nil {
		return
	}
	id := unique("id-")
	forget(request("notifications:new", `{}`, `"id":"`+id+`",`+to(alice)))
	eventually(t, "it is in the failure queue", func() bool {
		return slices.ContainsFunc(s.local.Functions.Failures(), func(f lambda.Failure) bool {
			return strings.Contains(string(f.Payload), id) && f.Attempts == 3 && f.Destination != "" && strings.Contains(string(f.Response), "ValidationError")
		})
	})
}

// The requests of events/ that are refused, each with the field that is wrong.
func TestRefusedRequests(t *testing.T) {
	s := suite(t)
	tests := map[string]map[string]string{
		s.publisher: {
			"publish/errors/unknown-event": "event", "publish/errors/client-event": "event", "publish/errors/missing-event": "event",
			"publish/errors/missing-data": "data", "publish/errors/missing-field": "data.senderId", "publish/errors/wrong-type": "data.recipients[1]",
			"publish/errors/bad-id": "data.senderId", "publish/errors/deleted-without-deletedAt": "data.message.deletedAt",
			"publish/errors/no-audience": "to", "publish/errors/empty-audience": "to", "publish/errors/unknown-room-kind": "to.planets",
			"publish/errors/unknown-member": "urgent", "publish/errors/empty-id": "id", "publish/errors/event-and-job": "job",
			"publish/errors/reconnect-without-disconnect": "reconnect",
		},
		s.controller: {
			"control/errors/unknown-op": "op", "control/errors/missing-conversation": "conversationId", "control/errors/bad-user": "users[0]",
			"control/errors/no-users": "users", "control/errors/no-group": "groupId", "control/errors/no-presence": "users",
			"control/errors/deny-too-long": "denySeconds", "control/errors/nobody": "request",
		},
	}
	for function, files := range tests {
		for file, field := range files {
			t.Run(file, func(t *testing.T) {
				request, err := os.ReadFile(filepath.Join(root, "events", file+".json"))
				if err != nil {
					t.Fatal(err)
				}
				_, err = s.invoke(function, string(request))
				refused(t, err, field, "")
			})
		}
	}
	for _, folder := range []string{"publish/errors", "control/errors"} {
		entries, err := os.ReadDir(filepath.Join(root, "events", folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			name := folder + "/" + strings.TrimSuffix(entry.Name(), ".json")
			if tests[s.publisher][name]+tests[s.controller][name] == "" {
				t.Errorf("events/%s.json is not tried here", name)
			}
		}
	}
}

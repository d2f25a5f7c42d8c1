package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The requests of events/publish do what they say, for alice and bob in the conversation c1.
func TestSamples(t *testing.T) {
	s := own(t, nil) // some of them go to everybody
	var event struct {
		QueryStringParameters map[string]string
	}
	decode(t, sample(t, "authorizer.json"), &event)
	if _, err := s.invoke(s.controller, string(sample(t, "control/set.json"))); err != nil {
		t.Fatal(err)
	}
	a, err := s.dial(t, event.QueryStringParameters["token"])
	if err != nil {
		t.Fatal(err)
	}
	a.user = "alice"
	a.await("notifications:ready", is("notifications:ready"))
	b := s.connect(t, "bob")
	a.join("c1")
	a.presence("bob is here", "bob", online(1))
	a.takeAll(is("presence:update"))
	b.takeAll(is("presence:update"))
	tests := []struct {
		file   string
		a, b   bool // gets it
		closes bool
	}{
		{"messages-new", true, true, false},
		{"messages-updated", true, true, false},
		{"messages-deleted", true, true, false},
		{"except", false, true, false},
		{"notifications-new", true, false, false},
		{"notifications-ready", true, false, false},
		{"error", true, false, false},
		{"id", true, false, false},
		{"presence-update", true, true, false},
		{"to-all", true, true, false},
		{"to-connection", false, false, false},
		{"to-group", false, false, false},
		{"system-disconnect", true, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			raw := sample(t, "publish/"+tt.file+".json")
			var request struct {
				Event string
				Data  json.RawMessage
			}
			decode(t, raw, &request)
			p, err := s.send(string(raw))
			if err != nil {
				t.Fatal(err)
			}
			want := published{ID: p.ID, Event: request.Event}
			for c, gets := range map[*client]bool{a: tt.a, b: tt.b} {
				if gets {
					want.Matched, want.Delivered = want.Matched+1, want.Delivered+1
					f := c.await(request.Event, is(request.Event))
					want := envelope(request.Event, string(request.Data))
					if request.Event == "presence:update" { // encoded anew, without what it masks
						want = compact(t, want)
					}
					if f.raw != want {
						t.Errorf("%s\n got %v\nwant %s", c.user, f, want)
					}
				}
			}
			if p != want {
				t.Errorf("answered %+v, want %+v", p, want)
			}
			if tt.closes {
				if got := a.awaitClose(); got != closedByServer {
					t.Errorf("closed with %v", got)
				}
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(root, "events/publish/*.json"))
	if err != nil || len(files) != len(tests) {
		t.Errorf("%d of the %d requests in events/publish are tried here", len(tests), len(files))
	}
}

func compact(t *testing.T, document string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(document)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sample(t *testing.T, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "events", file))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

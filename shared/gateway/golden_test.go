package gateway

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
)

// samples are the files of events/ whose names begin with that.
func samples(t *testing.T, name string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, pattern := range []string{name + ".json", name + "-*.json"} {
		paths, err := filepath.Glob(filepath.Join("..", "..", "events", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(path)] = raw
		}
	}
	if len(files) == 0 {
		t.Fatalf("no sample for %s", name)
	}
	return files
}

// roundTrip decodes a sample and holds what is encoded again to it.
func roundTrip(t *testing.T, name string, raw []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var want, got map[string]any
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	delete(want, "type")           // REQUEST, always
	delete(want, "stageVariables") // empty
	if _, ok := want["isBase64Encoded"]; !ok {
		delete(got, "isBase64Encoded")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -sample +decoded and encoded:\n%s", name, diff)
	}
}

func TestSamples(t *testing.T) {
	const connection = "L0SM9cOFvHcCIhw="
	for name, raw := range samples(t, "authorizer") {
		var e AuthorizerEvent
		roundTrip(t, name, raw, &e)
		if token := Token(e.Event); (token == "") != strings.Contains(name, "no-token") {
			t.Errorf("%s: token %q", name, token)
		}
		if e.MethodARN == "" || e.RequestContext.ConnectionID != connection {
			t.Errorf("%s: %s of %s", name, e.RequestContext.ConnectionID, e.MethodARN)
		}
	}
	for name, raw := range samples(t, "connect") {
		var e Event
		roundTrip(t, name, raw, &e)
		c, err := Connected(e)
		if err != nil || c.ConnectionID != connection || c.IP != "192.0.2.1" || c.ConnectedAt.UnixMilli() != 1701245041796 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		if refused := strings.Contains(name, "refused"); refused != (c.Identity.Refused != "") || refused == (c.Identity.UserID == "alice") {
			t.Errorf("%s: %+v", name, c.Identity)
		}
		if header := Subprotocol(e); (header != nil) != strings.Contains(name, "subprotocol") {
			t.Errorf("%s: %v", name, header)
		}
	}
	for name, raw := range samples(t, "disconnect") {
		var e Event
		roundTrip(t, name, raw, &e)
		if d, err := Disconnected(e); err != nil || d.ConnectionID != connection || d.Identity.UserID != "alice" || !d.At.After(d.ConnectedAt) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	for _, route := range []string{"heartbeat", "join", "leave", "default"} {
		for name, raw := range samples(t, route) {
			var e Event
			roundTrip(t, name, raw, &e)
			m, err := Message(e)
			if err != nil || m.ConnectionID != connection || m.Identity.UserID != "alice" || len(m.Body) == 0 {
				t.Errorf("%s: %+v, %v", name, m, err)
			}
			if strings.Contains(name, "too-large") != (len(m.Body) > contract.MaxPayloadBytes) {
				t.Errorf("%s: %d bytes", name, len(m.Body))
			}
		}
	}
}

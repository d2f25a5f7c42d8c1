package wire

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeJSON(t *testing.T) {
	for _, tt := range []struct {
		body string
		want Inbound
	}{
		{`{"event":"presence:heartbeat"}`, Inbound{Event: "presence:heartbeat"}},
		{`{"event":"e","data":{"a": 1},"id":"7"}`, Inbound{Event: "e", Data: json.RawMessage(`{"a": 1}`), ID: json.RawMessage(`"7"`)}},
		{`{"id":-7.50e1,"event":"e","more":true}`, Inbound{Event: "e", ID: json.RawMessage(`-7.50e1`)}},
		{`{"event":"e","id":null}`, Inbound{Event: "e"}},
		{` {"event":""} `, Inbound{}},
	} {
		got, err := DecodeJSON([]byte(tt.body))
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", tt.body, err, diff)
		}
	}
}

func TestDecodeJSONRefuses(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{``, "the message must be JSON"},
		{`hello`, "the message must be JSON"},
		{`42/ws/app,["conversations:join",{}]`, "the message must be JSON"},
		{`{"event":"e"`, "the message must be JSON"},
		{`{"event":"e"}{}`, "the message must be JSON"},
		{`3`, "the message must be a JSON object"},
		{`null`, "the message must be a JSON object"},
		{`"event"`, "the message must be a JSON object"},
		{`["event"]`, "the message must be a JSON object"},
		{`{}`, "event: required"},
		{`{"Event":"e"}`, "event: required"},
		{`{"event":7}`, "event: must be a string"},
		{`{"event":null}`, "event: must be a string"},
		{`{"event":"e","id":{}}`, "id: must be a string or a number"},
		{`{"event":"e","id":true}`, "id: must be a string or a number"},
		{"{\"event\":\"\xff\"}", "the message must be UTF-8"},
		{strings.Repeat("[", 5000), "the message must be JSON"},
		{strings.Repeat("[", 2500) + strings.Repeat("]", 2500), "the message must be a JSON object"},
	} {
		if _, err := DecodeJSON([]byte(tt.body)); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%.60s: got %v, want %s", tt.body, err, tt.want)
		}
	}
}

func TestErrorKeepsTheID(t *testing.T) {
	in, err := DecodeJSON([]byte(`{"id":"7","data":{}}`))
	if err == nil || string(in.ID) != `"7"` {
		t.Errorf("got %+v, %v: the refusal could not be acked", in, err)
	}
}

func TestEventAndAckSplice(t *testing.T) {
	const payload = `{"html": "<b>&</b>", "n":1.0}`
	if got, want := string(EncodeJSONEvent("messages:new", json.RawMessage(payload))), `{"event":"messages:new","data":`+payload+`}`; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := string(EncodeJSONAck(json.RawMessage(`-7.50e1`), json.RawMessage(`{"success":true}`))), `{"event":"ack","id":-7.50e1,"data":{"success":true}}`; got != want {
		t.Errorf("got %s", got)
	}
}

// FuzzDecodeJSON: no input panics, and what was read says the same when it travels again.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{`{"event":"e","data":{"a":1},"id":"7"}`, `{"event":7}`, `[`, `{"id":1e9,"event":"\u0000"}`, "\xff", `{"event":"e","id": null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := DecodeJSON(body)
		if err != nil {
			return
		}
		name, _ := json.Marshal(in.Event)
		again := `{"event":` + string(name)
		if in.Data != nil {
			again += `,"data":` + string(in.Data)
		}
		if in.ID != nil {
			again += `,"id":` + string(in.ID)
		}
		back, err := DecodeJSON([]byte(again + "}"))
		if err != nil {
			t.Fatalf("%q: %v", again, err)
		}
		if diff := cmp.Diff(in, back); diff != "" {
			t.Error(diff)
		}
	})
}

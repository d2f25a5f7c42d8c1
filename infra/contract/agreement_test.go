package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.org/realtime/infra/contract/schemas"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

const root = "../.."

func load(t *testing.T, name string) *schemas.Schema {
	t.Helper()
	s, err := schemas.Load(root, name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// samples are the files of a folder of events, by their names.
func samples(t *testing.T, folder string) map[string]json.RawMessage {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "events", folder, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d samples, %v", folder, len(paths), err)
	}
	files := map[string]json.RawMessage{}
	for _, path := range paths {
		if files[strings.TrimSuffix(filepath.Base(path), ".json")], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestAgreement holds schemas and parsers to the same answer: for the samples, those that are refused included, and for each that is
// not with every member left out, added and replaced by what is next to a limit.
func TestAgreement(t *testing.T) {
	parsePublish := func(raw []byte) error {
		_, err := contract.ParsePublish(raw)
		return err
	}
	requests := map[string]json.RawMessage{
		"all of it": json.RawMessage(`{"id":"i","event":"messages:new","data":{"conversationId":"c","message":{},"senderId":"a","recipients":["b"],"more":1},
			"to":{"users":["a"],"conversations":["c"],"groups":["g"],"connections":["x="],"all":true},"except":{"users":["a"],"connections":["x="]}}`),
		"nulls": json.RawMessage(`{"id":null,"event":"messages:new","data":{"conversationId":"c","message":{},"senderId":"a","recipients":[]},
			"to":null,"except":{"users":null,"connections":null}}`),
		"hardly anybody": json.RawMessage(`{"event":"messages:new","data":{"conversationId":"c","message":{},"senderId":"a","recipients":[]},
			"to":{"users":[],"conversations":null,"groups":["g"],"connections":[],"all":false}}`),
	}
	maps.Copy(requests, samples(t, "publish"))
	maps.Copy(requests, samples(t, "publish/errors"))
	agree(t, "publish/request", requests, parsePublish)
	for _, event := range contract.ServerEvents {
		agree(t, "publish/"+kebab(event), map[string]json.RawMessage{event: samples(t, "publish")[kebab(event)]}, func(raw []byte) error {
			p, err := contract.ParsePublish(raw)
			if err == nil && p.Event != event {
				err = fmt.Errorf("is %s", p.Event)
			}
			return err
		})
	}
	parseControl := func(raw []byte) error {
		_, err := contract.ParseControl(raw)
		return err
	}
	requests = map[string]json.RawMessage{
		"nulls": json.RawMessage(`{"op":"sockets.disconnect","users":["a"],"connections":null,"reason":"r","message":null,"reconnect":null,"denySeconds":null}`),
		"next":  json.RawMessage(`{"op":"participants.list","conversationId":"c","next":"a"}`),
	}
	maps.Copy(requests, samples(t, "control"))
	maps.Copy(requests, samples(t, "control/errors"))
	agree(t, "control/request", requests, parseControl)
	agree(t, "client-to-server", map[string]json.RawMessage{
		"heartbeat": json.RawMessage(`{"event":"presence:heartbeat"}`),
		"ignored":   json.RawMessage(`{"event":"presence:heartbeat","data":{"a":[1]},"id":"1"}`),
		"join":      json.RawMessage(`{"event":"conversations:join","data":{"conversationId":"c1"},"id":1}`),
		"leave":     json.RawMessage(`{"event":"conversations:leave","data":{"conversationId":"c1","more":1},"id":null,"more":1}`),
	}, parseEnvelope)
}

// parseEnvelope is what the rules do with a message of a JSON client before they look at the table.
func parseEnvelope(raw []byte) error {
	in, err := wire.DecodeJSON(raw)
	switch {
	case err != nil:
		return err
	case in.Event == contract.PresenceHeartbeat:
		return nil
	case in.Event == contract.ConversationsJoin, in.Event == contract.ConversationsLeave:
		_, err := contract.ParseRoom(in.Data)
		return err
	}
	return &contract.Error{Code: contract.UnknownEvent}
}

func agree(t *testing.T, name string, documents map[string]json.RawMessage, parse func([]byte) error) {
	t.Helper()
	s := load(t, name)
	valid, refused := 0, 0
	for sample, raw := range documents {
		all := map[string][]byte{"as it is": raw}
		if parse(raw) == nil {
			all = mutants(t, raw)
		}
		for what, mutant := range all {
			parsed, checked := parse(mutant), s.Check(mutant)
			if (parsed == nil) != (checked == nil) {
				t.Errorf("%s: %s, %s:\n%.300s\nthe parser says %v\nthe schema says %.1000v", name, sample, what, mutant, parsed, checked)
			}
			if parsed == nil {
				valid++
			} else {
				refused++
			}
		}
	}
	if valid == 0 || refused == 0 {
		t.Errorf("%s: %d documents are valid and %d are not: this shows nothing", name, valid, refused)
	}
	t.Logf("%s: %d documents are valid, %d are not", name, valid, refused)
}

// mutants are a document, and all that differ from it in one member.
func mutants(t *testing.T, raw json.RawMessage) map[string][]byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var document any
	if err := d.Decode(&document); err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{"as it is": raw}
	var visit func(path string, value any, put func(any))
	add := func(what string) {
		mutant, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		all[what] = mutant
	}
	visit = func(path string, value any, put func(any)) {
		for _, list := range []map[string]any{replacements, lengths(value)} {
			for what, other := range list {
				put(other)
				add(path + " is " + what)
			}
		}
		put(value)
		switch value := value.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(value)) {
				was := value[name]
				delete(value, name)
				add(path + " without " + name)
				value[name] = was
				visit(path+"."+name, was, func(v any) { value[name] = v })
			}
			for _, name := range additions {
				if _, there := value[name]; !there {
					for _, v := range []any{nil, true, "x", []any{"x"}} {
						value[name] = v
						add(fmt.Sprintf("%s with %s %v", path, name, v))
					}
					delete(value, name)
				}
			}
		case []any:
			for i := range value {
				visit(fmt.Sprintf("%s[%d]", path, i), value[i], func(v any) { value[i] = v })
			}
		}
	}
	visit("", document, func(v any) { document = v })
	return all
}

var operations = []string{contract.ParticipantsAdd, contract.ParticipantsList, contract.GroupsLeave, contract.SocketsDisconnect}

// additions are members that a document may lack.
var additions = []string{
	"more", "id", "to", "except", "reconnect", "users", "all", "message", "job", "data", "conversationId", "next", "Event",
}

// replacements are values at the limits of what members may be.
var replacements = func() map[string]any {
	values := map[string]any{
		"null": nil, "true": true, "false": false, "an object": map[string]any{}, "an array": []any{},
		"a list of null": []any{nil}, "a list of a number": []any{json.Number("1")}, "a list of no id": []any{"a#b"}, "a list of an object": []any{map[string]any{}},
	}
	for _, n := range []string{"0", "-1", "1.5", "1.0", "1e3", "-0.0", "86400", "86401", "86400.0", "9007199254740991", "9007199254740992", "12345678901234567890"} {
		values[n] = json.Number(n)
	}
	for _, s := range slices.Concat(contract.ServerEvents, operations, []string{
		"", "x", "a#b", "a\n", "ä", "deleted", contract.ConversationsJoin, contract.PresenceHeartbeat, "ack", "$connect",
	}) {
		values[fmt.Sprintf("%q", s)] = s
	}
	return values
}()

// lengths are values as long as a limit allows, or longer, of the kind that a member has.
func lengths(value any) map[string]any {
	values := map[string]any{}
	switch value.(type) {
	case string:
		for _, n := range []int{128, contract.MaxPublishIDLength, contract.MaxReasonLength} {
			for _, n := range []int{n, n + 1} {
				values[fmt.Sprintf("%d characters", n)] = strings.Repeat("x", n)
				values[fmt.Sprintf("%d characters of two bytes", n)] = strings.Repeat("ä", n)
			}
		}
	case []any:
		for _, n := range []int{contract.MaxPresenceUsers, contract.MaxUsersPerRequest, contract.MaxAudience} {
			for _, n := range []int{n, n + 1} {
				values[fmt.Sprintf("%d ids", n)] = slices.Repeat([]any{"x"}, n)
			}
		}
	}
	return values
}

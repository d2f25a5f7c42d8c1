package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// reference is what infra/tools/parser prints: a packet, and what engine.io-parser and socket.io-parser make of it.
type reference struct {
	Packet    string
	Error     string // why they refuse it
	Type      PacketType
	Namespace string
	ID        string // a number as JavaScript writes it
	Payload   json.RawMessage
}

// golden is what infra/tools/parser prints without arguments.
const golden = "testdata/socketio.jsonl"

func TestReferenceParser(t *testing.T) {
	compareWithReference(t, golden)
}

func TestReferenceParserCorpus(t *testing.T) {
	file := os.Getenv("SOCKET_IO_CORPUS")
	if file == "" {
		t.Skip("SOCKET_IO_CORPUS names no file; infra/tools/parser, which needs Node, makes one")
	}
	compareWithReference(t, file)
}

func readReferences(tb testing.TB, name string) (refs []reference) {
	file, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(file)); d.More(); {
		var ref reference
		if err := d.Decode(&ref); err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		refs = append(refs, ref)
	}
	return refs
}

func compareWithReference(t *testing.T, name string) {
	outcomes := map[string]int{}
	for _, ref := range readReferences(t, name) {
		got, err := DecodePacket([]byte(ref.Packet))
		reason := difference(ref)
		switch {
		case ref.Error != "" && err != nil:
			outcomes["refused by both"]++
		case ref.Error != "":
			t.Errorf("%q: accepted as %+v; the reference: %s", ref.Packet, got, ref.Error)
		case err != nil && reason == "":
			t.Errorf("%q: refused, %v; the reference: %+v", ref.Packet, err, ref)
		case err != nil:
			outcomes["refused here only: "+reason]++
		case reason != "":
			t.Errorf("%q: accepted as %+v in spite of: %s", ref.Packet, got, reason)
		default:
			outcomes["accepted by both"]++
			if diff := cmp.Diff(ref.reading(t), readingOf(t, got)); diff != "" {
				t.Errorf("%q (-reference +here):\n%s", ref.Packet, diff)
			}
		}
	}
	if outcomes["accepted by both"] == 0 || outcomes["refused by both"] == 0 {
		t.Error("the corpus is too small to say anything")
	}
	for outcome, n := range outcomes {
		t.Logf("%7d %s", n, outcome)
	}
}

// difference is why a packet that the reference parsers accept is refused here; these are all the differences.
func difference(ref reference) string {
	message, _ := strings.CutPrefix(ref.Packet, "4")
	switch ref.Type {
	case "45", "46":
		return "binary"
	case PacketConnectError:
		return "CONNECT_ERROR from a client, which the server behind the reference parser refuses"
	case PacketConnect, PacketDisconnect, PacketEvent, PacketAck:
		if message[0] != ref.Type[1] {
			return "white space as a packet type: JavaScript reads it as 0"
		}
		id := message[1:]
		if strings.HasPrefix(id, "/") {
			_, id, _ = strings.Cut(id, ",")
		}
		if end := strings.IndexAny(id, "{["); end >= 0 {
			id = id[:end]
		}
		if strings.ContainsFunc(id, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' }) {
			return "white space in an ack id: JavaScript reads it as 0 or NaN"
		}
		if len(id) > maxID {
			return "ack id of more than 20 digits"
		}
	}
	return ""
}

// reading is what a packet says, in values that compare.
type reading struct {
	Type      PacketType
	Namespace string
	ID        *float64
	Payload   any
	Event     any // string or float64
	Data      any
	HasData   bool
}

func (ref reference) reading(t *testing.T) reading {
	r := reading{Type: ref.Type, Namespace: ref.Namespace, ID: number(t, ref.ID)}
	r.Payload = value(t, ref.Payload)
	if args, _ := r.Payload.([]any); r.Type == PacketEvent && len(args) > 0 {
		r.Event = args[0]
		if r.HasData = len(args) > 1; r.HasData {
			r.Data = args[1]
		}
	}
	return r
}

func readingOf(t *testing.T, p Packet) reading {
	r := reading{Type: p.Type, Namespace: p.Namespace, ID: number(t, string(p.ID)), Data: value(t, p.Data), HasData: p.Data != nil}
	if p.Namespace == "" && p.Payload != nil { // a packet of Engine.IO itself
		r.Payload = string(p.Payload)
		return r
	}
	r.Payload = value(t, p.Payload)
	if args, _ := r.Payload.([]any); p.Type == PacketEvent && p.Payload != nil {
		r.Event = p.Event
		if _, isName := args[0].(string); !isName {
			r.Event = value(t, json.RawMessage(p.Event))
		}
	}
	return r
}

func number(t *testing.T, id string) *float64 {
	if id == "" {
		return nil
	}
	n, err := strconv.ParseFloat(id, 64)
	if err != nil {
		t.Fatal(err)
	}
	return &n
}

// value is JSON as JavaScript has it after JSON.parse and JSON.stringify, which writes a number that is too large as null.
func value(t *testing.T, raw json.RawMessage) any {
	if raw == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return floats(v)
}

func floats(v any) any {
	switch v := v.(type) {
	case json.Number:
		n, _ := strconv.ParseFloat(string(v), 64)
		if math.IsInf(n, 0) {
			return nil
		}
		return n
	case []any:
		for i := range v {
			v[i] = floats(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = floats(v[key])
		}
	}
	return v
}

package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

func TestDecodePacket(t *testing.T) {
	for _, tt := range []struct {
		body                   string
		kind                   PacketType
		namespace, id, payload string
		event, data            string
		encoded                string // "" if as body
	}{
		{body: `40`, kind: PacketConnect, namespace: "/"},
		{body: `40{}`, kind: PacketConnect, namespace: "/", payload: `{}`},
		{body: `40/,`, kind: PacketConnect, namespace: "/", encoded: `40`},
		{body: `40/ws/app`, kind: PacketConnect, namespace: "/ws/app", encoded: `40/ws/app,`},
		{body: `40/ws/app,`, kind: PacketConnect, namespace: "/ws/app"},
		{body: `40/ws/app,{"token": "a.b.c"}`, kind: PacketConnect, namespace: "/ws/app", payload: `{"token": "a.b.c"}`},
		{body: `40/ws/app?a=1&b=/,{}`, kind: PacketConnect, namespace: "/ws/app?a=1&b=/", payload: `{}`},
		{body: `41`, kind: PacketDisconnect, namespace: "/"},
		{body: `41/ws/app,`, kind: PacketDisconnect, namespace: "/ws/app"},
		{body: `41/ws/app,7`, kind: PacketDisconnect, namespace: "/ws/app", id: "7"},
		{body: `42`, kind: PacketEvent, namespace: "/"},
		{body: `42/ws/app,7`, kind: PacketEvent, namespace: "/ws/app", id: "7"},
		{body: `42["x"]`, kind: PacketEvent, namespace: "/", payload: `["x"]`, event: "x"},
		{body: `42/ws/app["x"]`, kind: PacketEvent, namespace: `/ws/app["x"]`, encoded: `42/ws/app["x"],`},
		{body: `42/ws/app,["presence:heartbeat"]`, kind: PacketEvent, namespace: "/ws/app", payload: `["presence:heartbeat"]`, event: "presence:heartbeat"},
		{
			body: `42/ws/app,12["conversations:join",{"conversationId": "c1"},"more"]`, kind: PacketEvent, namespace: "/ws/app", id: "12",
			payload: `["conversations:join",{"conversationId": "c1"},"more"]`, event: "conversations:join", data: `{"conversationId": "c1"}`,
		},
		{body: "42[ \"x\" ,\t[1, [2]] , 3 ]\n", kind: PacketEvent, namespace: "/", payload: "[ \"x\" ,\t[1, [2]] , 3 ]\n", event: "x", data: `[1, [2]]`},
		{body: `42["]\"[,\\",{"]":"}\\"}]`, kind: PacketEvent, namespace: "/", payload: `["]\"[,\\",{"]":"}\\"}]`, event: `]"[,\`, data: `{"]":"}\\"}`},
		{body: `42["\u0078\ud83d\ude00",null]`, kind: PacketEvent, namespace: "/", payload: `["\u0078\ud83d\ude00",null]`, event: "x😀", data: "null"},
		{body: `42["é"]`, kind: PacketEvent, namespace: "/", payload: `["é"]`, event: "é"},
		{body: `42["",""]`, kind: PacketEvent, namespace: "/", payload: `["",""]`, data: `""`},
		{body: `42["error",1]`, kind: PacketEvent, namespace: "/", payload: `["error",1]`, event: "error", data: "1"},
		{body: `42["Connect"]`, kind: PacketEvent, namespace: "/", payload: `["Connect"]`, event: "Connect"},
		{body: `42/ws/app,[7]`, kind: PacketEvent, namespace: "/ws/app", payload: `[7]`, event: "7"},
		{body: `427[-1.5e9,{}]`, kind: PacketEvent, namespace: "/", id: "7", payload: `[-1.5e9,{}]`, event: "-1.5e9", data: "{}"},
		{body: `420["x"]`, kind: PacketEvent, namespace: "/", id: "0", payload: `["x"]`, event: "x"},
		{body: `42000["x"]`, kind: PacketEvent, namespace: "/", id: "0", payload: `["x"]`, event: "x", encoded: `420["x"]`},
		{body: `420070["x"]`, kind: PacketEvent, namespace: "/", id: "70", payload: `["x"]`, event: "x", encoded: `4270["x"]`},
		{body: `4218446744073709551615["x"]`, kind: PacketEvent, namespace: "/", id: "18446744073709551615", payload: `["x"]`, event: "x"},
		{body: `43/ws/app,12[]`, kind: PacketAck, namespace: "/ws/app", id: "12", payload: `[]`},
		{body: `43/ws/app,12["connect",7]`, kind: PacketAck, namespace: "/ws/app", id: "12", payload: `["connect",7]`},
		{body: `43[]`, kind: PacketAck, namespace: "/", payload: `[]`},
	} {
		want := Packet{tt.kind, tt.namespace, raw(tt.id), raw(tt.payload), tt.event, raw(tt.data)}
		got, err := DecodePacket([]byte(tt.body))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", tt.body, err, diff)
		}
		if tt.encoded == "" {
			tt.encoded = tt.body
		}
		if encoded := string(got.Encode()); encoded != tt.encoded {
			t.Errorf("%s: encoded as %s", tt.body, encoded)
		}
	}
}

func TestDecodeMessageRefuses(t *testing.T) {
	const deepest = 10000 // encoding/json's limit; the array around it is one more
	for _, tt := range []struct {
		body string
		want error
	}{
		{`4`, errMessageType},
		{`4abc`, errMessageType},
		{`4 `, errMessageType},
		{`47`, errMessageType},
		{`4/`, errMessageType},
		{`44`, errFromClient},
		{`44/ws/app,{"message":"x"}`, errFromClient},
		{`45`, errBinary},
		{`451-/ws/app,["x",{"_placeholder":true,"num":0}]`, errBinary},
		{`461-7[{"_placeholder":true,"num":0}]`, errBinary},
		{`40/ws/app,"x"`, errConnect},
		{`40/ws/app,[]`, errConnect},
		{`40/ws/app,null`, errConnect},
		{`40/ws/app,{`, errConnect},
		{`40/ws/app,{}{}`, errConnect},
		{`40/ws/app, {}`, errConnect},
		{`40ws/app,{}`, errConnect},
		{`41/ws/app,{}`, errDisconnect},
		{`41/ws/app, `, errDisconnect},
		{`42{}`, errEvent},
		{`42/ws/app,{}`, errEvent},
		{`42/ws/app,[]`, errEvent},
		{`42/ws/app,[ ]`, errEvent},
		{`42/ws/app,abc["x"]`, errEvent},
		{`42/ws/app,-1["x"]`, errEvent},
		{`42/ws/app,1.5["x"]`, errEvent},
		{`42/ws/app,1 ["x"]`, errEvent},
		{`42/ws/app, ["x"]`, errEvent},
		{`42/ws/app,["x"`, errEvent},
		{`42/ws/app,["x",]`, errEvent},
		{`42/ws/app,["x"]]`, errEvent},
		{`42/ws/app,[null]`, errEvent},
		{`42/ws/app,[true,"x"]`, errEvent},
		{`42/ws/app,[["x"]]`, errEvent},
		{`42/ws/app,[{"x":1}]`, errEvent},
		{"42/ws/app,[\"a\nb\"]", errEvent},
		{`42/ws/app,["connect"]`, errReserved},
		{`42/ws/app,["connect_error"]`, errReserved},
		{`42/ws/app,["disconnect"]`, errReserved},
		{`42/ws/app,["disconnecting"]`, errReserved},
		{`42/ws/app,["newListener"]`, errReserved},
		{`42/ws/app,["removeListener"]`, errReserved},
		{`42/ws/app,["\u0063onnect"]`, errReserved},
		{`42/ws/app,123456789012345678901["x"]`, errID},
		{`42/ws/app,000000000000000000000["x"]`, errID},
		{`43/ws/app,12{}`, errAck},
		{`43/ws/app,12[`, errAck},
		{`43/ws/app,12 []`, errAck},
		{`42["x",` + strings.Repeat("[", deepest) + strings.Repeat("]", deepest) + `]`, errEvent},
		{"42[\"\xc3\"]", errUTF8},
		{"42/\xff,[\"x\"]", errUTF8},
	} {
		if _, err := DecodePacket([]byte(tt.body)); !errors.Is(err, tt.want) {
			t.Errorf("%.60q: got %v, want %v", tt.body, err, tt.want)
		}
	}
}

func TestRefusedPacketKeepsItsSender(t *testing.T) {
	got, err := DecodePacket([]byte(`42/ws/app,7{}`))
	if err == nil || got.Namespace != "/ws/app" || string(got.ID) != "7" {
		t.Errorf("got %+v, %v: the refusal could not be acked", got, err)
	}
}

func TestEncodeMessages(t *testing.T) {
	const payload = `{"html": "<b>&</b>", "n":1.0}`
	for _, tt := range []struct {
		got  []byte
		want string
	}{
		{EncodeConnect("/ws/app", "L0SM9cOFvHcCIhg="), `40/ws/app,{"sid":"L0SM9cOFvHcCIhg="}`},
		{EncodeConnect("/", "a"), `40{"sid":"a"}`},
		{EncodeConnect("", "a"), `40{"sid":"a"}`},
		{EncodeConnectError("/other", "Invalid namespace", nil), `44/other,{"message":"Invalid namespace"}`},
		{EncodeConnectError("/ws/app", `not "this"`, raw(payload)), `44/ws/app,{"message":"not \"this\"","data":` + payload + `}`},
		{EncodeDisconnect("/ws/app"), `41/ws/app,`},
		{EncodeDisconnect("/"), `41`},
		{EncodeEvent("/ws/app", "messages:new", raw(payload)), `42/ws/app,["messages:new",` + payload + `]`},
		{EncodeEvent("/", "a\x7f\\é\n", raw("1")), `42["a` + "\x7f" + `\\é\n",1]`},
		{EncodeEvent("/", "a\nb", raw("1")), `42["a\nb",1]`},
		{EncodeAck("/ws/app", raw("12"), raw(`{"success": true}`)), `43/ws/app,12[{"success": true}]`},
		{Packet{Type: PacketPing}.Encode(), `2`},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

func TestAllocations(t *testing.T) {
	const runs = 1000 // the mean is rounded down: encoding/json's pool forgets a scanner now and then, above all with -race
	payload := raw(`{"conversationId":"c1","message":{"text":"hello"}}`)
	event := []byte(`42/ws/app,12["conversations:join",{"conversationId":"c1"}]`)
	pong := []byte("3")
	for _, tt := range []struct {
		what string
		want float64
		f    func()
	}{
		{"encode an event: the frame", 1, func() { EncodeEvent("/ws/app", "messages:new", payload) }},
		{"encode an ack: the frame", 1, func() { EncodeAck("/ws/app", event[10:12], payload) }},
		{"encode a CONNECT answer: the frame", 1, func() { EncodeConnect("/ws/app", "L0SM9cOFvHcCIhg=") }},
		{"decode a pong", 0, func() { _, _ = DecodePacket(pong) }},
		{"decode an event: its namespace and its name", 2, func() { _, _ = DecodePacket(event) }},
	} {
		if got := testing.AllocsPerRun(runs, tt.f); got != tt.want {
			t.Errorf("%s: %v allocations, want %v", tt.what, got, tt.want)
		}
	}
}

// FuzzDecodePacket: no input panics, what was read says the same when it travels again, and an event is read as
// encoding/json reads it.
func FuzzDecodePacket(f *testing.F) {
	for _, ref := range readReferences(f, golden) {
		f.Add([]byte(ref.Packet))
	}
	f.Add([]byte("42[\"\xff\"]"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := DecodePacket(body)
		if err != nil {
			return
		}
		encoded := p.Encode()
		again, err := DecodePacket(encoded)
		if err != nil {
			t.Fatalf("%q: %v", encoded, err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("%q says something else:\n%s", encoded, diff)
		}
		if twice := again.Encode(); string(twice) != string(encoded) {
			t.Errorf("%q becomes %q", encoded, twice)
		}
		if p.Type != PacketEvent || p.Payload == nil {
			return
		}
		var elements []json.RawMessage
		if err := json.Unmarshal(p.Payload, &elements); err != nil {
			t.Fatal(err)
		}
		want := string(elements[0])
		if want[0] == '"' {
			if err := json.Unmarshal(elements[0], &want); err != nil {
				t.Fatal(err)
			}
		}
		var data json.RawMessage
		if len(elements) > 1 {
			data = elements[1]
		}
		if p.Event != want || string(p.Data) != string(data) || (p.Data == nil) != (data == nil) {
			t.Errorf("%s: event %q, data %s", p.Payload, p.Event, p.Data)
		}
	})
}

// FuzzEncodeEvent: whatever the name, the client reads the name and the payload that were given.
func FuzzEncodeEvent(f *testing.F) {
	f.Add("messages:new", []byte(`{"a": [1.0]}`))
	f.Add("\"\\\x7f\u2028<😀", []byte(`"]"`))
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		trimmed := strings.Trim(string(payload), whiteSpace)
		if !json.Valid(payload) || !utf8.Valid(payload) || !utf8.ValidString(name) {
			return
		}
		got, err := DecodePacket(EncodeEvent("/ws/app", name, payload))
		if errors.Is(err, errReserved) {
			return
		}
		if err != nil || got.Event != name || string(got.Data) != trimmed {
			t.Errorf("%q %q: got %+v, %v", name, payload, got, err)
		}
	})
}

func BenchmarkDecodePacket(b *testing.B) {
	for _, size := range []int{64, 5 << 10, 128 << 10} {
		event := []byte(`42/ws/app,12["conversations:join",["` + strings.Repeat(`a","`, size/4) + `"]]`)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodePacket(event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

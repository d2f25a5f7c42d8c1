package wire

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeEnginePacket(t *testing.T) {
	for _, tt := range []struct {
		body string
		want Packet
	}{
		{"0", Packet{Type: PacketOpen}},
		{"1", Packet{Type: PacketClose}},
		{"2", Packet{Type: PacketPing}},
		{"3", Packet{Type: PacketPong}},
		{"5", Packet{Type: PacketUpgrade}},
		{"6", Packet{Type: PacketNoop}},
		{"2probe", Packet{Type: PacketPing, Payload: json.RawMessage("probe")}},
	} {
		got, err := DecodePacket([]byte(tt.body))
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", tt.body, err, diff)
		}
	}
}

func TestDecodePacketRefuses(t *testing.T) {
	for _, tt := range []struct {
		body string
		want error
	}{
		{"", errEngineType},
		{"/", errEngineType},
		{"7", errEngineType},
		{"9", errEngineType},
		{" 2", errEngineType},
		{`{"event":"presence:heartbeat"}`, errEngineType},
		{"bAQID", errBinary},
		{"3\xff", errUTF8},
		{"\xed\xa0\x80", errUTF8}, // half of a surrogate pair
	} {
		if _, err := DecodePacket([]byte(tt.body)); !errors.Is(err, tt.want) {
			t.Errorf("%q: got %v, want %v", tt.body, err, tt.want)
		}
	}
}

func TestEncodeOpen(t *testing.T) {
	const want = `0{"sid":"L0SM9cOFvHcCIhg=","upgrades":[],"pingInterval":300000,"pingTimeout":20500,"maxPayload":5120}`
	if got := string(EncodeOpen("L0SM9cOFvHcCIhg=", 5*time.Minute, 20500*time.Millisecond, 5120)); got != want {
		t.Errorf("got %s", got)
	}
}

package socketio

import (
	"cmp"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// sample is a packet of packets.json, and what becomes of the connection of a client that sends it: "open" or "closed".
type sample struct {
	Packet string
	outcomes
	Here    outcomes // where this service is not as the reference server, which reference.js asks
	Because string   // why not
}

type outcomes struct {
	Lobby  string // before CONNECT; "" is not tried: inside says what there is to say
	Inside string // in the namespace
}

// Packets close the connection that close it in the reference server, after an error event where one can be read.
func TestPackets(t *testing.T) {
	file, err := os.ReadFile("packets.json")
	if err != nil {
		t.Fatal(err)
	}
	var samples []sample
	if err := json.Unmarshal(file, &samples); err != nil {
		t.Fatal(err)
	}
	s := suite(t)
	var inside, lobby *raw
	for _, sample := range samples {
		if (sample.Here != outcomes{}) != (sample.Because != "") {
			t.Errorf("%q: a difference and its reason belong together", sample.Packet)
		}
		if inside == nil {
			inside = s.enter(t, "alice")
		}
		inside = s.try(inside, sample.Packet, cmp.Or(sample.Here.Inside, sample.Inside))
		if sample.Lobby == "" {
			continue
		}
		if lobby == nil {
			lobby = s.dial(t, engine)
		}
		lobby = s.try(lobby, sample.Packet, cmp.Or(sample.Here.Lobby, sample.Lobby))
	}
}

// try sends a packet and holds what becomes of the connection to what should. It returns the connection if it is as it was.
func (s *system) try(r *raw, packet, want string) *raw {
	r.Helper()
	before := s.meter.answered(r.id)
	r.send(packet)
	eventually(r.T, "the end of the invocation for "+packet, func() bool { return s.meter.answered(r.id) > before })
	got := "closed"
	if _, open := s.Gateway.Connection(r.id); open {
		got = "open"
	}
	if got != want {
		r.Errorf("%q, inside %t: %s, want %s", packet, r.inside, got, want)
	}
	if got == "open" && packet != "41/ws/app," {
		return r
	}
	for _, packet := range r.leave() {
		if !r.inside && strings.HasPrefix(packet, "42") {
			r.Errorf("an event to who is not in the namespace: %s", packet)
		}
	}
	return nil
}

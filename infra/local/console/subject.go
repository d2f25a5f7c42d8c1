package console

import (
	"encoding/json"
	"regexp"
	"strings"

	"example.org/realtime/shared/wire"
)

// Subject finds in the event of a function the connection it is about, and what is to be done: names, never the data.
func Subject(payload []byte) (connection, subject string) {
	var e struct {
		RequestContext struct {
			ConnectionID string `json:"connectionId"`
			RouteKey     string `json:"routeKey"`
		} `json:"requestContext"`
		Body  string                     `json:"body"`
		Event string                     `json:"event"`
		Op    string                     `json:"op"`
		Job   map[string]json.RawMessage `json:"job"`
	}
	if json.Unmarshal(payload, &e) != nil {
		return "", ""
	}
	connection = e.RequestContext.ConnectionID
	for name, raw := range e.Job {
		subject = name
		var job struct{ Connection, User string }
		if json.Unmarshal(raw, &job) == nil && job.Connection != "" {
			connection = job.Connection
		} else if job.User != "" {
			subject += " of " + job.User
		}
	}
	switch {
	case subject != "":
	case e.RequestContext.RouteKey == "$default":
		subject = message(e.Body)
	default:
		subject = e.Event + e.Op
	}
	return connection, clip(subject)
}

// packets of Socket.IO that are not events.
var packets = map[wire.PacketType]string{
	wire.PacketConnect: "CONNECT", wire.PacketDisconnect: "DISCONNECT", wire.PacketAck: "ack",
	wire.PacketPong: "pong", wire.PacketPing: "ping", wire.PacketClose: "close",
}

// message is the name of what a client sent: an event, or a packet of Socket.IO; "" when it is neither.
func message(body string) string {
	var envelope struct {
		Event string `json:"event"`
	}
	if strings.HasPrefix(body, "{") {
		if json.Unmarshal([]byte(body), &envelope) != nil {
			return ""
		}
		return envelope.Event
	}
	p, err := wire.DecodePacket([]byte(body))
	if err != nil {
		return ""
	}
	if p.Type == wire.PacketEvent {
		return p.Event
	}
	return packets[p.Type]
}

// tokens in a name, where one does not belong: of each, what it begins with is kept.
var tokens = regexp.MustCompile(`\b(eyJ[\w-]{5})[\w-]*\.[\w-]+(\.[\w-]*)?`)

// clip keeps a name that a client or a backend chose from filling the page, and from showing a token.
func clip(name string) string {
	const most = 160
	if strings.Contains(name, "eyJ") {
		name = tokens.ReplaceAllString(name, "$1…")
	}
	if len(name) > most {
		return strings.ToValidUTF8(name[:most], "") + "…"
	}
	return name
}

package socketio

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"example.org/realtime/infra/contract/schemas"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// frames holds whatever is posted to a client, be it in Go, JavaScript or Python, to the contract.
type frames struct {
	mu    sync.Mutex
	wrong []string
}

// documented is the schema of all that a JSON client gets. Its events and acks are those of a Socket.IO client.
var documented = sync.OnceValues(func() (*schemas.Schema, error) { return schemas.Strict(root, "server-to-client") })

func (f *frames) gateway(e gateway.Event) {
	if e.Kind != gateway.PostToConnection {
		return
	}
	if err := check(e.Body); err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.wrong = append(f.wrong, fmt.Sprintf("%s: %v", e.Body, err))
	}
}

// take is what was wrong since it was taken last.
func (f *frames) take() (wrong []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wrong, f.wrong = f.wrong, nil
	return wrong
}

// check takes the envelope of a JSON client, and the event or the ack of a Socket.IO client as if it came in one. What only makes a
// Socket.IO connection is no event.
func check(message []byte) error {
	schema, err := documented()
	if err != nil {
		return err
	}
	if strings.HasPrefix(string(message), "{") {
		return schema.Check(message)
	}
	if refusal, ok := strings.CutPrefix(string(message), "44"); ok { // CONNECT_ERROR, which a client does not send
		object, ours := strings.CutPrefix(refusal, contract.Namespace+",")
		if !ours { // a namespace that is none
			_, object, _ = strings.Cut(refusal, ",")
		}
		var reason struct{ Data json.RawMessage }
		if err := json.Unmarshal([]byte(object), &reason); err != nil || !ours && reason.Data == nil {
			return err
		}
		return schema.Check(fmt.Appendf(nil, `{"event":"error","data":%s}`, reason.Data))
	}
	packet, err := wire.DecodePacket(message)
	if err != nil || packet.Type != wire.PacketEvent && packet.Type != wire.PacketAck {
		return err
	}
	if packet.Namespace != contract.Namespace {
		return fmt.Errorf("is of the namespace %q", packet.Namespace)
	}
	var arguments []json.RawMessage
	if err := json.Unmarshal(packet.Payload, &arguments); err != nil {
		return err
	}
	if packet.Type == wire.PacketAck {
		if len(arguments) != 1 {
			return fmt.Errorf("an ack has one argument, this has %d", len(arguments))
		}
		return schema.Check(fmt.Appendf(nil, `{"event":"ack","id":%s,"data":%s}`, packet.ID, arguments[0]))
	}
	if len(arguments) != 2 {
		return fmt.Errorf("an event has a name and a payload, this has %d arguments", len(arguments))
	}
	return schema.Check(fmt.Appendf(nil, `{"event":%s,"data":%s}`, arguments[0], arguments[1]))
}

// TestFramesAreHeldToTheContract shows what check lets pass, and that it can fail.
func TestFramesAreHeldToTheContract(t *testing.T) {
	for _, message := range []string{
		`0{"sid":"x","upgrades":[],"pingInterval":300000,"pingTimeout":120000,"maxPayload":5120}`, `2`,
		`40/ws/app,{"sid":"x"}`, `41/ws/app,`, `44/ws/app,{"message":"no","data":{"code":"socket_error:unauthorized","message":"no"}}`,
		`44/other,{"message":"Invalid namespace"}`,
		`42/ws/app,["notifications:ready",{"message":"hi","userId":"alice"}]`,
		`42/ws/app,["messages:new",{"conversationId":"c1","message":{},"senderId":"alice","recipients":["bob"],"more":1}]`,
		`43/ws/app,1[{"success":true}]`,
		`{"event":"notifications:ready","data":{"message":"hi","userId":"alice"}}`,
	} {
		if err := check([]byte(message)); err != nil {
			t.Errorf("%s: %v", message, err)
		}
	}
	for _, message := range []string{
		``, `9`,
		`44/ws/app,{"message":"no","data":{"code":"socket_error:unauthorized"}}`, `44/ws/app,{"message":"no"}`,
		`42["notifications:ready",{"message":"hi","userId":"alice"}]`,
		`42/ws/app,["notifications:ready"]`,
		`42/ws/app,["notifications:ready",{"message":"hi","userId":"alice"},1]`,
		`42/ws/app,["notifications:ready",{"message":"hi","userId":"alice","more":1}]`,
		`42/ws/app,["messages:created",{}]`,
		`43/ws/app,1[{"success":true,"message":"done"}]`,
		`43/ws/app,1[]`,
		`{"event":"notifications:ready","data":{}}`,
	} {
		if check([]byte(message)) == nil {
			t.Errorf("%s: passes", message)
		}
	}
	f := &frames{}
	f.gateway(gateway.Event{Kind: gateway.PostToConnection, Body: []byte(`42/ws/app,["error",{"code":"","message":"m"}]`)})
	f.gateway(gateway.Event{Kind: gateway.KindMessage})
	if wrong := f.take(); len(wrong) != 1 || len(f.take()) != 0 {
		t.Errorf("taken: %q", wrong)
	}
}

package realtime

import (
	"encoding/json"
	"fmt"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// eventFrame frames an event for clients of protocol p. The payload is copied as it is.
func eventFrame(p wire.Protocol, name string, payload json.RawMessage) []byte {
	if p == wire.SocketIO {
		return wire.EncodeEvent(contract.Namespace, name, payload)
	}
	return wire.EncodeJSONEvent(name, payload)
}

// eventFrames frames an event once per protocol.
func eventFrames(name string, payload json.RawMessage) map[wire.Protocol][]byte {
	frames := make(map[wire.Protocol][]byte, len(wire.Protocols))
	for _, protocol := range wire.Protocols {
		frames[protocol] = eventFrame(protocol, name, payload)
	}
	return frames
}

func ackFrame(p wire.Protocol, id json.RawMessage, ack contract.Ack) []byte {
	if p == wire.SocketIO {
		return wire.EncodeAck(contract.Namespace, id, encode(ack))
	}
	return wire.EncodeJSONAck(id, encode(ack))
}

func errorFrame(p wire.Protocol, code contract.Code, message string) []byte {
	return eventFrame(p, contract.ErrorEvent, encode(contract.SocketError{Code: code, Message: message}))
}

func readyFrame(p wire.Protocol, user string) []byte {
	return eventFrame(p, contract.NotificationsReady, encode(contract.Ready{
		Message: "You are connected: notifications for this user arrive here.", UserID: user,
	}))
}

// encode marshals one of the contract's own payloads, which cannot fail.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}

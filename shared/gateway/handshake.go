package gateway

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"example.org/realtime/shared/wire"
)

// bearer is the subprotocol that announces a token: a browser, which cannot set headers, offers "bearer" and its token.
const bearer = "bearer"

// Token finds the token of a handshake: the header Authorization: Bearer, then the query parameter token, then what follows
// the subprotocol bearer. "" when there is none.
func Token(e Event) string {
	header := header(e)
	for _, value := range header.Values("Authorization") {
		scheme, token, _ := strings.Cut(strings.TrimSpace(value), " ")
		if token = strings.TrimSpace(token); token != "" && strings.EqualFold(scheme, "Bearer") {
			return token
		}
	}
	for _, token := range slices.Concat(e.MultiValueQueryStringParameters["token"], []string{e.QueryStringParameters["token"]}) {
		if token != "" {
			return token
		}
	}
	offered := subprotocols(header)
	if i := slices.Index(offered, bearer); i >= 0 && i+1 < len(offered) {
		return offered[i+1]
	}
	return ""
}

// Protocol is what the client of a handshake speaks: Socket.IO if it says a version of Engine.IO, whichever.
func Protocol(e Event) wire.Protocol {
	if query(e, "EIO") != "" {
		return wire.SocketIO
	}
	return wire.JSON
}

// CheckTransport refuses a Socket.IO client that we cannot serve: of another version of Engine.IO than 4, or on another
// transport than a WebSocket from its beginning.
func CheckTransport(e Event) error {
	switch {
	case Protocol(e) != wire.SocketIO:
		return nil
	case query(e, "EIO") != "4":
		return errors.New("EIO: only version 4 is served, which is socket.io-client 3 and 4")
	case query(e, "transport") != "websocket" || query(e, "sid") != "":
		return errors.New(`transport: only WebSockets are served; set transports: ["websocket"]`)
	}
	return nil
}

// query is a parameter of the handshake; of several the last, "" when there is none.
func query(e Event, name string) string {
	if values := e.MultiValueQueryStringParameters[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return e.QueryStringParameters[name]
}

// Subprotocol is the header that accepts the subprotocol bearer, nil when the client does not offer it. A client that offers
// subprotocols and gets none gives up, so it is accepted with a token that is refused, too (RFC 6455, section 4.1).
func Subprotocol(e Event) map[string]string {
	if !slices.Contains(subprotocols(header(e)), bearer) {
		return nil
	}
	return map[string]string{"Sec-WebSocket-Protocol": bearer}
}

// header is the headers of a handshake by their canonical names: API Gateway passes them as the client wrote them, or in
// lower case behind a custom domain with mappings of several levels.
func header(e Event) http.Header {
	header := http.Header{}
	for name, values := range e.MultiValueHeaders {
		for _, value := range values {
			header.Add(name, value)
		}
	}
	for name, value := range e.Headers {
		if len(header.Values(name)) == 0 {
			header.Set(name, value)
		}
	}
	return header
}

// subprotocols lists what the client offers, in its order; several headers count as one (RFC 6455, section 11.3.4).
func subprotocols(header http.Header) (list []string) {
	for _, value := range header.Values("Sec-Websocket-Protocol") {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				list = append(list, name)
			}
		}
	}
	return list
}

// Package auth turns a token into an identity: it finds the token in a handshake and verifies it (JSON Web Tokens, RFC 7519).
package auth

import (
	"net/http"
	"net/url"
	"strings"
)

// Subprotocol announces a token: a browser, which cannot set headers, offers the subprotocols "bearer" and its token.
const Subprotocol = "bearer"

// Token finds the token of a handshake: the header Authorization: Bearer, then the query parameter token, then what follows
// the subprotocol bearer. "" when there is none.
func Token(header http.Header, query url.Values) string {
	for _, value := range header.Values("Authorization") {
		scheme, token, _ := strings.Cut(strings.TrimSpace(value), " ")
		if token = strings.TrimSpace(token); token != "" && strings.EqualFold(scheme, "Bearer") {
			return token
		}
	}
	for _, token := range query["token"] {
		if token != "" {
			return token
		}
	}
	offered := Subprotocols(header)
	for i, name := range offered {
		if name == Subprotocol && i+1 < len(offered) {
			return offered[i+1]
		}
	}
	return ""
}

// Subprotocols lists what the client offers, in its order (RFC 6455, section 11.3.4: several headers count as one).
func Subprotocols(header http.Header) (list []string) {
	for _, value := range header.Values("Sec-Websocket-Protocol") {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				list = append(list, name)
			}
		}
	}
	return list
}

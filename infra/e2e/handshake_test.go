package e2e

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.org/realtime/infra/local/stack"
)

// A refused client is told why by the documented event, then its connection is closed: a browser cannot read the status of a
// handshake.
func TestRefusedTokens(t *testing.T) {
	s := suite(t)
	alice := unique("alice-")
	hour := time.Now().Add(time.Hour).Unix()
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": alice, "exp": hour}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	other := *s
	other.secret = strings.Repeat("another key ", 4)
	good := s.token(alice)
	tests := []struct{ name, token, code string }{
		{"none", "", "unauthorized"},
		{"garbage", "garbage", "unauthorized"},
		{"three parts of garbage", "a.b.c", "unauthorized"},
		{"alg none", unsigned, "unauthorized"},
		{"alg none, with a signature", unsigned + good[strings.LastIndex(good, ".")+1:], "unauthorized"},
		{"another key", other.token(alice), "unauthorized"},
		{"cut off", good[:len(good)-2], "unauthorized"},
		{"expired", s.sign(jwt.MapClaims{"sub": alice, "exp": time.Now().Add(-time.Hour).Unix()}), "token_expired"},
		{"expired, with another key", other.sign(jwt.MapClaims{"sub": alice, "exp": time.Now().Add(-time.Hour).Unix()}), "unauthorized"},
		{"not yet valid", s.sign(jwt.MapClaims{"sub": alice, "exp": hour, "nbf": hour - 60}), "unauthorized"},
		{"without exp", s.sign(jwt.MapClaims{"sub": alice}), "unauthorized"},
		{"without user", s.sign(jwt.MapClaims{"exp": hour}), "unauthorized"},
		{"empty user", s.sign(jwt.MapClaims{"sub": "", "exp": hour}), "unauthorized"},
		{"user with a #", s.sign(jwt.MapClaims{"sub": "alice#1", "exp": hour}), "unauthorized"},
		{"user with a /", s.sign(jwt.MapClaims{"sub": "team/alice", "exp": hour}), "unauthorized"},
		{"user of 129 characters", s.sign(jwt.MapClaims{"sub": strings.Repeat("a", 129), "exp": hour}), "unauthorized"},
		{"user that is an object", s.sign(jwt.MapClaims{"sub": map[string]string{"id": alice}, "exp": hour}), "unauthorized"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := s.dial(t, tt.token)
			if err != nil {
				t.Fatal(err)
			}
			c.awaitRefusal("socket_error:" + tt.code)
		})
	}
}

// What a refused client sends meanwhile is refused as well.
func TestRefusedClientSpeaks(t *testing.T) {
	s := suite(t)
	c, err := s.dial(t, "garbage")
	if err != nil {
		t.Fatal(err)
	}
	c.send(`{"event":"conversations:join","data":{"conversationId":"c1"},"id":1}`)
	c.awaitRefusal("socket_error:unauthorized")
}

func TestAcceptedUsers(t *testing.T) {
	s := suite(t)
	hour := time.Now().Add(time.Hour).Unix()
	suffix := unique("")
	tests := []struct {
		name   string
		claims jwt.MapClaims
		user   string
	}{
		{"a provider's", jwt.MapClaims{"sub": "auth0|" + suffix}, "auth0|" + suffix},
		{"an e-mail address", jwt.MapClaims{"sub": suffix + "+tag@example.com"}, suffix + "+tag@example.com"},
		{"region and UUID", jwt.MapClaims{"sub": "eu-west-1:" + suffix}, "eu-west-1:" + suffix},
		{"a number", jwt.MapClaims{"sub": 9007199254740993}, "9007199254740993"},
		{"in id", jwt.MapClaims{"id": suffix}, suffix},
		{"sub before id", jwt.MapClaims{"sub": suffix, "id": "other"}, suffix},
		{"128 characters", jwt.MapClaims{"sub": strings.Repeat("a", 118) + suffix[:10]}, strings.Repeat("a", 118) + suffix[:10]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.claims["exp"] = hour
			c, err := s.dial(t, s.sign(tt.claims))
			if err != nil {
				t.Fatal(err)
			}
			c.user = tt.user
			c.presence("the user's own", tt.user, online(1))
			s.delivers(t, 1, "notifications:new", notice("you"), to(tt.user))
			c.exactly("notifications:new", notice("you"))
		})
	}
}

// With AUTH_FAILURE=reject the handshake fails; issuer and audience count once they are set.
func TestRejectedHandshakes(t *testing.T) {
	s := own(t, settings(map[string]string{"AUTH_FAILURE": "reject", "JWT_ISSUER": "https://issuer.example", "JWT_AUDIENCE": "realtime"}))
	hour := time.Now().Add(time.Hour).Unix()
	tests := []struct {
		name   string
		token  string
		status int // 0: accepted
	}{
		{"good", s.token("alice"), 0},
		{"one of its audiences", s.sign(jwt.MapClaims{"sub": "bob", "exp": hour, "aud": []string{"other", "realtime"}}), 0},
		{"none", "", http.StatusUnauthorized},
		{"garbage", "garbage", http.StatusUnauthorized},
		{"expired", s.sign(jwt.MapClaims{"sub": "alice", "exp": hour - 7200}), http.StatusUnauthorized},
		{"another issuer", s.sign(jwt.MapClaims{"sub": "alice", "exp": hour, "iss": "https://other.example"}), http.StatusUnauthorized},
		{"another audience", s.sign(jwt.MapClaims{"sub": "alice", "exp": hour, "aud": "other"}), http.StatusUnauthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := s.dial(t, tt.token)
			refused, ok := errors.AsType[*refusedHandshake](err)
			switch {
			case tt.status == 0 && err == nil:
				c.await("notifications:ready", is("notifications:ready"))
			case tt.status == 0, !ok, refused.status != tt.status:
				t.Errorf("handshake: %v, want status %d", err, tt.status)
			}
		})
	}
}

// A path that is not the stage's is no place to connect.
func TestUnknownPaths(t *testing.T) {
	s := suite(t)
	s.onThisMachine(t)
	for _, url := range []string{s.url + "/socket.io/", strings.TrimSuffix(s.url, stack.Stage) + "other", strings.TrimSuffix(s.url, "/"+stack.Stage)} {
		_, err := dial(t, url, http.Header{"Authorization": {"Bearer " + s.token(unique("alice-"))}})
		if refused, ok := errors.AsType[*refusedHandshake](err); !ok || refused.status != http.StatusForbidden {
			t.Errorf("%s: %v, want status 403", url, err)
		}
	}
}

// A token that expires while its connection is open ends the connection.
func TestTokenExpiresMeanwhile(t *testing.T) {
	s := suite(t)
	alice, bob := unique("alice-"), unique("bob-")
	observer := s.connect(t, bob)
	life := time.Hour
	if s.local == nil {
		life = 10 * time.Second
	}
	c, err := s.dial(t, s.sign(jwt.MapClaims{"sub": alice, "exp": time.Now().Add(life).Unix()}))
	if err != nil {
		t.Fatal(err)
	}
	c.user = alice
	c.await("notifications:ready", is("notifications:ready"))
	c.id = c.presence("I am here", alice, online(1)).socketOf(c).SocketID
	if s.local != nil { // not to wait
		s.sweep(t)
		c.none("an error before its time", is("error"))
		s.local.set(t, connectionKey(c.id), time.Now().Unix(), "tokenExpiry")
	}
	s.sweepUntil(t, "the connection ends", c.hasEnded)
	c.awaitRefusal("socket_error:token_expired")
	observer.presence("the token has expired", alice, offline)
}

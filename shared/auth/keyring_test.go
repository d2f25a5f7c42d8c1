package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/golang-jwt/jwt/v5"

	"example.org/realtime/shared/contract"
)

const arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:jwt-AbCdEf"

type secrets func(id string) (string, error)

func (f secrets) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	value, err := f(aws.ToString(in.SecretId))
	return &secretsmanager.GetSecretValueOutput{SecretString: &value}, err
}

// source is a key source whose clock, contents and reads a test controls.
type source struct {
	now   time.Time
	value string
	err   error
	reads int
}

func (s *source) verifier(t *testing.T, o Options) *Verifier {
	t.Helper()
	v, err := New(t.Context(), o, secrets(func(id string) (string, error) {
		if id != arn {
			t.Errorf("asked for %s", id)
		}
		s.reads++
		return s.value, s.err
	}), func() time.Time { return s.now }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func code(err error) contract.Code {
	if err == nil {
		return ""
	}
	return contract.ErrorOf(err).Code
}

func TestSecretIsCachedAndRotated(t *testing.T) {
	const rotated = "fedcba9876543210fedcba9876543210"
	o := bySecret()
	o.Secret = arn
	s := &source{now: at, value: secret}
	v := s.verifier(t, o)
	long := jwt.MapClaims{"sub": "alice", "exp": at.Add(time.Hour).Unix()}
	before, after := sign(jwt.SigningMethodHS256, []byte(secret), long), sign(jwt.SigningMethodHS256, []byte(rotated), long)
	steps := []struct {
		name  string
		then  func()
		token string
		code  contract.Code
		reads int // in all, after this step
	}{
		{"not read before it is needed", func() {}, "", contract.Unauthorized, 0},
		{"read once", func() {}, before, "", 1},
		{"cached", func() { s.now = s.now.Add(keepFor - time.Second) }, before, "", 1},
		{"read again after five minutes", func() { s.now = s.now.Add(time.Second) }, before, "", 2},
		{"a stranger's token costs no read so soon after", func() { s.now = s.now.Add(readEvery - time.Second) }, after, contract.Unauthorized, 2},
		{"rotated: read again once the signature fails", func() { s.now, s.value = s.now.Add(time.Second), rotated }, after, "", 3},
		{"the old one is refused", func() {}, before, contract.Unauthorized, 3},
		{"out of reach: what fits is accepted", func() { s.now, s.err = s.now.Add(keepFor), errors.New("timeout") }, after, "", 4},
		{"out of reach: what does not fit is not judged", func() {}, before, contract.Internal, 4},
		{"back, but not asked for 30 s", func() { s.err = nil }, before, contract.Internal, 4},
		{"back", func() { s.now = s.now.Add(readEvery) }, before, contract.Unauthorized, 5},
	}
	for _, step := range steps {
		step.then()
		_, err := v.Verify(t.Context(), step.token)
		if code(err) != step.code || s.reads != step.reads {
			t.Fatalf("%s: code %q (%v), %d reads; want %q, %d", step.name, code(err), err, s.reads, step.code, step.reads)
		}
	}
}

func TestSecretOutOfReach(t *testing.T) {
	o := bySecret()
	o.Secret = arn
	token := sign(jwt.SigningMethodHS256, []byte(secret), alice())
	s := &source{now: at, err: errors.New("access denied")}
	v := s.verifier(t, o)
	if _, err := v.Verify(t.Context(), token); code(err) != contract.Internal {
		t.Errorf("got %v", err)
	}
	s.err, s.value = nil, "too short"
	if _, err := v.Verify(t.Context(), token); code(err) != contract.Internal {
		t.Errorf("unusable secret: %v", err)
	}
	s.value = `{"JWT_SECRET":"` + secret + `"}` // as the console stores it unless told otherwise
	if _, err := v.Verify(t.Context(), token); code(err) != contract.Internal {
		t.Errorf("a JSON object: %v", err)
	}
	s.value = secret
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("the first read is tried until it succeeds: %v", err)
	}
}

func TestPublicKeyInSecretsManager(t *testing.T) {
	o := byKey(&rsaKey.PublicKey)
	o.PublicKey = arn
	s := &source{now: at, value: publicPEM(&rsaKey.PublicKey)}
	v := s.verifier(t, o)
	if _, err := v.Verify(t.Context(), sign(jwt.SigningMethodRS256, rsaKey, alice())); err != nil {
		t.Fatal(err)
	}
	s.now, s.value = s.now.Add(readEvery), publicPEM(&p256.PublicKey)
	if _, err := v.Verify(t.Context(), sign(jwt.SigningMethodES256, p256, alice())); err != nil {
		t.Errorf("rotated to another kind: %v", err)
	}
}

// jwk is a public key as a JWK; extra is a list of names and values.
func jwk(public any, extra ...string) map[string]string {
	b64 := base64.RawURLEncoding.EncodeToString
	m := map[string]string{}
	switch k := public.(type) {
	case interface{ Bytes() ([]byte, error) }: // *ecdsa.PublicKey: 0x04, X, Y
		point := must(k.Bytes())
		half := len(point) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", map[int]string{32: "P-256", 48: "P-384", 66: "P-521"}[half], b64(point[1:1+half]), b64(point[1+half:])
	default:
		m["kty"], m["n"], m["e"] = "RSA", b64(rsaKey.N.Bytes()), "AQAB"
	}
	for i := 0; i+1 < len(extra); i += 2 {
		m[extra[i]] = extra[i+1]
	}
	return m
}

func keySet(keys ...any) string {
	return string(must(json.Marshal(map[string]any{"keys": keys})))
}

func TestKeySet(t *testing.T) {
	set := keySet(
		jwk(&rsaKey.PublicKey, "kid", "rsa"),
		jwk(&rsaKey.PublicKey, "kid", "rs256 only", "alg", "RS256"),
		jwk(&rsaKey.PublicKey, "kid", "for encryption", "use", "enc"),
		jwk(&p256.PublicKey, "kid", "p256", "use", "sig"),
		map[string]string{"kty": "oct", "kid": "published secret", "k": base64.RawURLEncoding.EncodeToString([]byte(secret))},
		map[string]string{"kty": "AKP", "kid": "of the future"},
		"not even an object",
	)
	tests := []struct {
		name, token string
		code        contract.Code
	}{
		{"RSA", sign(jwt.SigningMethodRS256, rsaKey, alice(), "kid", "rsa"), ""},
		{"RSA-PSS", sign(jwt.SigningMethodPS512, rsaKey, alice(), "kid", "rsa"), ""},
		{"EC", sign(jwt.SigningMethodES256, p256, alice(), "kid", "p256"), ""},
		{"no kid", sign(jwt.SigningMethodES256, p256, alice()), ""},
		{"the key's own algorithm", sign(jwt.SigningMethodRS256, rsaKey, alice(), "kid", "rs256 only"), ""},
		{"another than the key's own", sign(jwt.SigningMethodRS384, rsaKey, alice(), "kid", "rs256 only"), contract.Unauthorized},
		{"a key for encryption", sign(jwt.SigningMethodRS256, rsaKey, alice(), "kid", "for encryption"), contract.Unauthorized},
		{"a published secret", sign(jwt.SigningMethodHS256, []byte(secret), alice(), "kid", "published secret"), contract.Unauthorized},
		{"the kid of another key", sign(jwt.SigningMethodES256, p256, alice(), "kid", "rsa"), contract.Unauthorized},
		{"an unknown kid", sign(jwt.SigningMethodES256, p256, alice(), "kid", "p384"), contract.Unauthorized},
		{"another issuer's key", sign(jwt.SigningMethodRS256, otherRSAKey, alice(), "kid", "rsa"), contract.Unauthorized},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, set) }))
	defer server.Close()
	v := verifier(t, Options{JWKSURL: server.URL, RequireExp: true, UserIDClaims: []string{"sub"}})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := v.Verify(t.Context(), test.token); code(err) != test.code {
				t.Errorf("got %v, want %q", err, test.code)
			}
		})
	}
}

func TestKeySetIsReadAgain(t *testing.T) {
	var reads atomic.Int32
	var answer atomic.Pointer[http.HandlerFunc]
	serve := func(h http.HandlerFunc) { answer.Store(&h) }
	serve(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, keySet(jwk(&rsaKey.PublicKey, "kid", "k1")))
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads.Add(1)
		(*answer.Load())(w, r)
	}))
	defer server.Close()

	s := &source{now: at, value: server.URL}
	v := s.verifier(t, Options{JWKSURL: arn, RequireExp: true, UserIDClaims: []string{"sub"}}) // a URL in Secrets Manager, for once
	k1 := sign(jwt.SigningMethodRS256, rsaKey, alice(), "kid", "k1")
	k2 := sign(jwt.SigningMethodES256, p256, alice(), "kid", "k2")
	forged := sign(jwt.SigningMethodRS256, otherRSAKey, alice(), "kid", "k1")
	steps := []struct {
		name  string
		then  func()
		token string
		code  contract.Code
		reads int32
	}{
		{"first", func() {}, k1, "", 1},
		{"unknown kid, just read", func() {}, k2, contract.Unauthorized, 1},
		{"unknown kid after 30 s", func() { s.now = s.now.Add(readEvery) }, k2, contract.Unauthorized, 2},
		{"a key is added, and not found yet", func() {
			serve(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, keySet(jwk(&rsaKey.PublicKey, "kid", "k1"), jwk(&p256.PublicKey, "kid", "k2")))
			})
		}, k2, contract.Unauthorized, 2},
		{"found after 30 s", func() { s.now = s.now.Add(readEvery) }, k2, "", 3},
		{"a forged signature of a known kid costs no read", func() { s.now = s.now.Add(readEvery) }, forged, contract.Unauthorized, 3},
		{"the issuer is down: known kids are judged", func() {
			s.now = s.now.Add(keepFor)
			serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		}, k1, "", 4},
		{"the issuer is down: forged is forged", func() {}, forged, contract.Unauthorized, 4},
		{"the issuer is down: unknown kids are not judged", func() {}, sign(jwt.SigningMethodES256, p256, alice(), "kid", "k3"), contract.Internal, 4},
		{"the key is revoked", func() {
			s.now = s.now.Add(keepFor)
			serve(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, keySet(jwk(&p256.PublicKey, "kid", "k2"))) })
		}, k1, contract.Unauthorized, 5},
	}
	for _, step := range steps {
		step.then()
		_, err := v.Verify(t.Context(), step.token)
		if code(err) != step.code || reads.Load() != step.reads {
			t.Fatalf("%s: code %q (%v), %d reads; want %q, %d", step.name, code(err), err, reads.Load(), step.code, step.reads)
		}
	}
}

func TestKeySetThatDoesNotAnswer(t *testing.T) {
	hang := make(chan struct{})
	tests := map[string]http.HandlerFunc{
		"error":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"not JSON":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no keys":       func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) },
		"unusable keys": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[{"kty":"oct","k":"AA"}]}`) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{`)
		},
		"silence": func(_ http.ResponseWriter, _ *http.Request) { <-hang },
	}
	for name, handler := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			ctx := t.Context()
			if name == "silence" {
				defer close(hang)
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond) // the fetch's own limit of 2 s is not waited for
				defer cancel()
			}
			v := verifier(t, Options{JWKSURL: server.URL, UserIDClaims: []string{"sub"}})
			if _, err := v.Verify(ctx, sign(jwt.SigningMethodRS256, rsaKey, alice())); code(err) != contract.Internal {
				t.Errorf("got %v", err)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for name, test := range map[string]struct {
		options Options
		token   string
	}{
		"HS256": {bySecret(), sign(jwt.SigningMethodHS256, []byte(secret), alice())},
		"RS256": {byKey(&rsaKey.PublicKey), sign(jwt.SigningMethodRS256, rsaKey, alice())},
		"ES256": {byKey(&p256.PublicKey), sign(jwt.SigningMethodES256, p256, alice())},
	} {
		b.Run(name, func(b *testing.B) {
			v := verifier(b, test.options)
			for b.Loop() {
				if _, err := v.Verify(b.Context(), test.token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

const secret = "0123456789abcdef0123456789abcdef"

var (
	at          = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rsaKey      = must(rsa.GenerateKey(rand.Reader, 2048))
	otherRSAKey = must(rsa.GenerateKey(rand.Reader, 2048))
	p256        = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p384        = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521        = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	_, ed, _    = ed25519.GenerateKey(rand.Reader)
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func publicPEM(public crypto.PublicKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(public))}))
}

// sign makes a token. header is a list of names and values.
func sign(method jwt.SigningMethod, key any, claims jwt.MapClaims, header ...string) string {
	token := jwt.NewWithClaims(method, claims)
	for i := 0; i+1 < len(header); i += 2 {
		token.Header[header[i]] = header[i+1]
	}
	return must(token.SignedString(key))
}

func alice() jwt.MapClaims { return jwt.MapClaims{"sub": "alice", "exp": at.Add(time.Hour).Unix()} }

func claims(change func(jwt.MapClaims)) jwt.MapClaims {
	c := alice()
	change(c)
	return c
}

func bySecret() Options {
	return Options{Secret: secret, RequireExp: true, UserIDClaims: []string{"sub", "id"}}
}

func byKey(public crypto.PublicKey) Options {
	return Options{PublicKey: publicPEM(public), RequireExp: true, UserIDClaims: []string{"sub", "id"}}
}

func verifier(t testing.TB, o Options) *Verifier {
	t.Helper()
	v, err := New(t.Context(), o, nil, func() time.Time { return at }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerifyAccepts(t *testing.T) {
	withOptions := func(change func(*Options)) Options {
		o := bySecret()
		change(&o)
		return o
	}
	user := func(claim string, value any) string {
		return sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{claim: value, "exp": at.Add(time.Hour).Unix()})
	}
	tests := []struct {
		name    string
		options Options
		token   string
		want    string // user id
	}{
		{"HS256", bySecret(), sign(jwt.SigningMethodHS256, []byte(secret), alice()), "alice"},
		{"HS384", bySecret(), sign(jwt.SigningMethodHS384, []byte(secret), alice()), "alice"},
		{"HS512", bySecret(), sign(jwt.SigningMethodHS512, []byte(secret), alice()), "alice"},
		{"RS256", byKey(&rsaKey.PublicKey), sign(jwt.SigningMethodRS256, rsaKey, alice()), "alice"},
		{"RS384", byKey(&rsaKey.PublicKey), sign(jwt.SigningMethodRS384, rsaKey, alice()), "alice"},
		{"RS512", byKey(&rsaKey.PublicKey), sign(jwt.SigningMethodRS512, rsaKey, alice()), "alice"},
		{"PS256", byKey(&rsaKey.PublicKey), sign(jwt.SigningMethodPS256, rsaKey, alice()), "alice"},
		{"PS384", byKey(&rsaKey.PublicKey), sign(jwt.SigningMethodPS384, rsaKey, alice()), "alice"},
		{"PS512", byKey(&rsaKey.PublicKey), sign(jwt.SigningMethodPS512, rsaKey, alice()), "alice"},
		{"ES256", byKey(&p256.PublicKey), sign(jwt.SigningMethodES256, p256, alice()), "alice"},
		{"ES384", byKey(&p384.PublicKey), sign(jwt.SigningMethodES384, p384, alice()), "alice"},
		{"ES512", byKey(&p521.PublicKey), sign(jwt.SigningMethodES512, p521, alice()), "alice"},
		{"EdDSA", byKey(ed.Public()), sign(jwt.SigningMethodEdDSA, ed, alice()), "alice"},
		{"a kid that the key does not have", bySecret(), sign(jwt.SigningMethodHS256, []byte(secret), alice(), "kid", "k1"), "alice"},
		{"an Auth0 id", bySecret(), user("sub", "auth0|5f7c8ec7c33c6c004bbafe82"), "auth0|5f7c8ec7c33c6c004bbafe82"},
		{"an e-mail address", bySecret(), user("sub", "alice+test@example.com"), "alice+test@example.com"},
		{"a Cognito identity", bySecret(), user("sub", "eu-west-1:9a1b2c3d"), "eu-west-1:9a1b2c3d"},
		{"an id of 128 characters", bySecret(), user("sub", strings.Repeat("x", 128)), strings.Repeat("x", 128)},
		{"a number", bySecret(), user("id", 42), "42"},
		{"zero", bySecret(), user("id", 0), "0"},
		{"a number above 2^53", bySecret(), user("id", int64(9007199254740993)), "9007199254740993"},
		{"sub before id", bySecret(), sign(jwt.SigningMethodHS256, []byte(secret), claims(func(c jwt.MapClaims) { c["id"] = "bob" })), "alice"},
		{"id when sub is null", bySecret(), sign(jwt.SigningMethodHS256, []byte(secret), claims(func(c jwt.MapClaims) { c["sub"], c["id"] = nil, "bob" })), "bob"},
		{"another claim", withOptions(func(o *Options) { o.UserIDClaims = []string{"https://example.com/user"} }), user("https://example.com/user", "carol"), "carol"},
		{"iss and aud as configured", withOptions(func(o *Options) { o.Issuer, o.Audience = "https://issuer.example/", "realtime" }), sign(jwt.SigningMethodHS256, []byte(secret), claims(func(c jwt.MapClaims) {
			c["iss"], c["aud"] = "https://issuer.example/", []string{"other", "realtime"}
		})), "alice"},
		{"any iss and aud when none is configured", bySecret(), sign(jwt.SigningMethodHS256, []byte(secret), claims(func(c jwt.MapClaims) { c["iss"], c["aud"] = "x", "y" })), "alice"},
		{"nbf now", bySecret(), sign(jwt.SigningMethodHS256, []byte(secret), claims(func(c jwt.MapClaims) { c["nbf"] = at.Unix() })), "alice"},
		{"issued by a clock ahead of ours", bySecret(), sign(jwt.SigningMethodHS256, []byte(secret), claims(func(c jwt.MapClaims) { c["iat"] = at.Add(time.Minute).Unix() })), "alice"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := verifier(t, test.options).Verify(t.Context(), test.token)
			if err != nil {
				t.Fatal(err)
			}
			want := realtime.Identity{UserID: test.want, ExpiresAt: at.Add(time.Hour)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// An instant that later arithmetic in milliseconds cannot hold, of an issuer who counts nanoseconds, is as good as never.
func TestVerifyExpiresInTheFarFuture(t *testing.T) {
	last := time.UnixMilli(contract.MaxInstant).Truncate(time.Second)
	for exp, want := range map[int64]time.Time{
		last.Unix():                   last,
		last.Unix() + 1:               {},
		at.UnixNano():                 {},
		at.Add(time.Hour).UnixMilli(): time.Unix(at.Add(time.Hour).UnixMilli(), 0),
	} {
		token := sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": "alice", "exp": exp})
		got, err := verifier(t, bySecret()).Verify(t.Context(), token)
		if err != nil || !got.ExpiresAt.Equal(want) {
			t.Errorf("exp %d: %v, %v", exp, got.ExpiresAt, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	hs := func(c jwt.MapClaims, header ...string) string {
		return sign(jwt.SigningMethodHS256, []byte(secret), c, header...)
	}
	withOptions := func(change func(*Options)) Options {
		o := bySecret()
		change(&o)
		return o
	}
	segment := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	good := hs(alice())
	const notSigned = "the token is not signed with a key and an algorithm that this server accepts"
	const notJWT = "the token is not a JSON Web Token"
	const noID = "cannot be a user id: it must be an integer or a string of " + contract.IDShape
	tests := []struct {
		name    string
		options Options
		token   string
		code    contract.Code
		message string
	}{
		{"no token", bySecret(), "", contract.Unauthorized, "no token: send the header Authorization: Bearer, the query parameter token, or the subprotocols bearer and the token"},
		{"garbage", bySecret(), "garbage", contract.Unauthorized, notJWT},
		{"two dots and no JSON", bySecret(), "a.b.c", contract.Unauthorized, notJWT},
		{"four segments", bySecret(), good + ".x", contract.Unauthorized, notJWT},
		{"claims that are no object", bySecret(), segment(`{"alg":"HS256"}`) + "." + segment(`[1]`) + ".AA", contract.Unauthorized, notJWT},
		{"alg none", bySecret(), must(jwt.NewWithClaims(jwt.SigningMethodNone, alice()).SignedString(jwt.UnsafeAllowNoneSignatureType)), contract.Unauthorized, notSigned},
		{"alg none against a public key", byKey(&rsaKey.PublicKey), must(jwt.NewWithClaims(jwt.SigningMethodNone, alice()).SignedString(jwt.UnsafeAllowNoneSignatureType)), contract.Unauthorized, notSigned},
		{"an unknown alg", bySecret(), segment(`{"alg":"XX"}`) + "." + segment(`{"sub":"alice"}`) + ".AA", contract.Unauthorized, notSigned},
		{"no alg", bySecret(), segment(`{}`) + "." + segment(`{"sub":"alice"}`) + ".AA", contract.Unauthorized, notSigned},
		{"HS256 with the RSA public key as its secret", byKey(&rsaKey.PublicKey), sign(jwt.SigningMethodHS256, []byte(publicPEM(&rsaKey.PublicKey)), alice()), contract.Unauthorized, notSigned},
		{"RS256 against a secret", bySecret(), sign(jwt.SigningMethodRS256, rsaKey, alice()), contract.Unauthorized, notSigned},
		{"another secret", bySecret(), sign(jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), alice()), contract.Unauthorized, notSigned},
		{"another RSA key", byKey(&rsaKey.PublicKey), sign(jwt.SigningMethodRS256, otherRSAKey, alice()), contract.Unauthorized, notSigned},
		{"another kind of key", byKey(&rsaKey.PublicKey), sign(jwt.SigningMethodES256, p256, alice()), contract.Unauthorized, notSigned},
		{"ES256 against a P-384 key", byKey(&p384.PublicKey), sign(jwt.SigningMethodES256, p256, alice()), contract.Unauthorized, notSigned},
		{"no signature", bySecret(), good[:strings.LastIndex(good, ".")+1], contract.Unauthorized, notSigned},
		{"a changed claim", bySecret(), swapClaims(good, segment(`{"sub":"mallory","exp":4102444800}`)), contract.Unauthorized, notSigned},
		{"a critical header", bySecret(), hs(alice(), "crit", "exp"), contract.Unauthorized, notSigned},
		{"another issuer", withOptions(func(o *Options) { o.Issuer = "https://issuer.example/" }), hs(claims(func(c jwt.MapClaims) { c["iss"] = "https://issuer.example" })), contract.Unauthorized, "the token has another issuer than this server accepts (claim iss)"},
		{"no issuer", withOptions(func(o *Options) { o.Issuer = "https://issuer.example/" }), good, contract.Unauthorized, "the token lacks the claim iss or aud"},
		{"another audience", withOptions(func(o *Options) { o.Audience = "realtime" }), hs(claims(func(c jwt.MapClaims) { c["aud"] = []string{"a", "b"} })), contract.Unauthorized, "the token is for another audience (claim aud)"},
		{"no audience", withOptions(func(o *Options) { o.Audience = "realtime" }), good, contract.Unauthorized, "the token lacks the claim iss or aud"},
		{"not yet valid", bySecret(), hs(claims(func(c jwt.MapClaims) { c["nbf"] = at.Add(time.Second).Unix() })), contract.Unauthorized, "the token is not valid yet (claim nbf)"},
		{"nbf of the wrong type", bySecret(), hs(claims(func(c jwt.MapClaims) { c["nbf"] = "soon" })), contract.Unauthorized, "a registered claim of the token has the wrong type"},
		{"no exp", bySecret(), hs(jwt.MapClaims{"sub": "alice"}), contract.Unauthorized, "the token has no claim exp"},
		{"exp of the wrong type", bySecret(), hs(jwt.MapClaims{"sub": "alice", "exp": "tomorrow"}), contract.Unauthorized, "the claim exp is not a number"},
		{"no user id", bySecret(), hs(jwt.MapClaims{"exp": at.Add(time.Hour).Unix()}), contract.Unauthorized, "the token has no user id: the claim sub or id is needed"},
		{"an empty user id", bySecret(), hs(claims(func(c jwt.MapClaims) { c["sub"], c["id"] = "", "bob" })), contract.Unauthorized, "the claim sub " + noID},
		{"a user id with #", bySecret(), hs(claims(func(c jwt.MapClaims) { c["sub"] = "a#b" })), contract.Unauthorized, "the claim sub " + noID},
		{"a user id with /", bySecret(), hs(claims(func(c jwt.MapClaims) { c["sub"] = "a/b" })), contract.Unauthorized, "the claim sub " + noID},
		{"a user id of 129 characters", bySecret(), hs(claims(func(c jwt.MapClaims) { c["sub"] = strings.Repeat("x", 129) })), contract.Unauthorized, "the claim sub " + noID},
		{"a fraction", bySecret(), hs(claims(func(c jwt.MapClaims) { c["sub"] = 4.5 })), contract.Unauthorized, "the claim sub " + noID},
		{"a number with an exponent", bySecret(), signRaw(`{"sub":4e2,"exp":4102444800}`), contract.Unauthorized, "the claim sub " + noID},
		{"a boolean", bySecret(), hs(claims(func(c jwt.MapClaims) { c["sub"] = true })), contract.Unauthorized, "the claim sub " + noID},
		{"an object", bySecret(), hs(claims(func(c jwt.MapClaims) { c["sub"] = map[string]any{"id": "alice"} })), contract.Unauthorized, "the claim sub " + noID},
		{"expired this second", bySecret(), hs(claims(func(c jwt.MapClaims) { c["exp"] = at.Unix() })), contract.TokenExpired, "the token expired at 2026-03-01T12:00:00Z"},
		{"expired an hour ago", bySecret(), hs(claims(func(c jwt.MapClaims) { c["exp"] = at.Add(-time.Hour).Unix() })), contract.TokenExpired, "the token expired at 2026-03-01T11:00:00Z"},
		{"expired although exp is not required", withOptions(func(o *Options) { o.RequireExp = false }), hs(claims(func(c jwt.MapClaims) { c["exp"] = at.Add(-time.Hour).Unix() })), contract.TokenExpired, "the token expired at 2026-03-01T11:00:00Z"},
		{"expired and of another key", bySecret(), sign(jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), claims(func(c jwt.MapClaims) { c["exp"] = 1 })), contract.Unauthorized, notSigned},
		{"expired and for another audience", withOptions(func(o *Options) { o.Audience = "realtime" }), hs(claims(func(c jwt.MapClaims) { c["exp"], c["aud"] = 1, "x" })), contract.Unauthorized, "the token is for another audience (claim aud)"},
		{"expired and without a user id", bySecret(), hs(jwt.MapClaims{"exp": 1}), contract.Unauthorized, "the token has no user id: the claim sub or id is needed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := verifier(t, test.options).Verify(t.Context(), test.token)
			got, ok := errors.AsType[*contract.Error](err)
			if !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			if diff := cmp.Diff(&contract.Error{Code: test.code, Message: test.message}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func swapClaims(token, claims string) string {
	parts := strings.Split(token, ".")
	return parts[0] + "." + claims + "." + parts[2]
}

func signRaw(claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	return text + "." + base64.RawURLEncoding.EncodeToString(must(jwt.SigningMethodHS256.Sign(text, []byte(secret))))
}

func TestVerifyWithoutExp(t *testing.T) {
	o := bySecret()
	o.RequireExp = false
	got, err := verifier(t, o).Verify(t.Context(), sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": "alice"}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(realtime.Identity{UserID: "alice"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNewRefusesKeys(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"short secret":  {Options{Secret: secret[1:]}, "JWT_SECRET: the secret has 31 bytes, at least 32 are needed (RFC 7518, section 3.2)"},
		"no PEM":        {Options{PublicKey: "key"}, "JWT_PUBLIC_KEY: the public key is not PEM"},
		"RSA-1024":      {byKey(&small.PublicKey), "JWT_PUBLIC_KEY: the public key is none of RSA (at least 2048 bits), EC (P-256, P-384, P-521) and Ed25519"},
		"a small curve": {byKey(&p224.PublicKey), "JWT_PUBLIC_KEY: the public key is none of RSA (at least 2048 bits), EC (P-256, P-384, P-521) and Ed25519"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(t.Context(), test.options, nil, time.Now, slog.New(slog.DiscardHandler))
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// Whatever a client sends as a token, the outcome is an identity with a valid user id or a refusal.
func FuzzVerify(f *testing.F) {
	good := sign(jwt.SigningMethodHS256, []byte(secret), alice())
	for _, seed := range []string{
		"", ".", "..", "a.b.c", good, good[:len(good)-1], swapClaims(good, "e30"), "eyJhbGciOiJub25lIn0.e30.",
		signRaw(`null`), signRaw(`{"sub":1e999,"exp":1e999}`), signRaw(`{"sub":"a","exp":-1}`), signRaw(`{"sub":"a","exp":1e300,"nbf":[],"aud":{}}`),
	} {
		f.Add(seed, seed)
	}
	v := verifier(f, bySecret())
	f.Fuzz(func(t *testing.T, token, claims string) {
		for _, token := range []string{token, signRaw(claims)} {
			id, err := v.Verify(context.Background(), token)
			if _, refused := errors.AsType[*contract.Error](err); err != nil && !refused {
				t.Fatalf("%q: %v is no refusal", token, err)
			}
			if err == nil && !contract.ValidID(id.UserID) {
				t.Fatalf("%q: user %q", token, id.UserID)
			}
		}
	})
}

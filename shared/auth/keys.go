package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"
)

// key is one that tokens may be signed with, and the algorithms that it takes. The kind of the key decides them, never the
// token: a public key that a token could declare to be an HMAC secret would let anybody sign.
type key struct {
	id         string // kid; "" fits any token
	value      any    // what golang-jwt's Verify takes
	algorithms []string
}

var (
	hmacAlgorithms   = []string{"HS256", "HS384", "HS512"}
	rsaAlgorithms    = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	publicAlgorithms = append([]string{"ES256", "ES384", "ES512", "EdDSA"}, rsaAlgorithms...)
)

// Least sizes: an HMAC key as long as the hash of HS256, an RSA key of 2048 bits (RFC 7518, sections 3.2 and 3.3).
const (
	minSecretBytes = 32
	minRSABits     = 2048
)

// algorithmsOf are those of a public key; none when it cannot verify tokens.
func algorithmsOf(public any) []string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSABits {
			return rsaAlgorithms
		}
	case *ecdsa.PublicKey:
		switch k.Curve.Params().Name {
		case "P-256":
			return []string{"ES256"}
		case "P-384":
			return []string{"ES384"}
		case "P-521":
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

func secretKey(_ context.Context, secret string) ([]key, error) {
	if len(secret) < minSecretBytes {
		return nil, fmt.Errorf("the secret has %d bytes, at least %d are needed (RFC 7518, section 3.2)", len(secret), minSecretBytes)
	}
	return []key{{value: []byte(secret), algorithms: hmacAlgorithms}}, nil
}

func publicKey(_ context.Context, text string) ([]key, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the public key is not PEM")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the PEM block is not a public key: %w", err)
	}
	algorithms := algorithmsOf(public)
	if algorithms == nil {
		return nil, errors.New("the public key is none of RSA (at least 2048 bits), EC (P-256, P-384, P-521) and Ed25519")
	}
	return []key{{value: public, algorithms: algorithms}}, nil
}

// maxKeySet, in bytes, is far above what issuers serve.
const maxKeySet = 1 << 20

func fetchKeySet(ctx context.Context, url string) ([]key, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("key set: %s answered %s", url, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet))
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	keys, err := parseKeySet(body)
	if err != nil {
		return nil, fmt.Errorf("key set: %s: %w", url, err)
	}
	return keys, nil
}

// parseKeySet reads a JWK set. Keys that cannot verify tokens are passed over (RFC 7517, section 5), symmetric ones too: a
// published secret is none.
func parseKeySet(body []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("the answer is not a JWK set")
	}
	var keys []key
	for _, raw := range set.Keys {
		jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil || jwk.Marshal().USE == jwkset.UseEnc {
			continue
		}
		algorithms := algorithmsOf(jwk.Key())
		if alg := jwk.Marshal().ALG.String(); alg != "" {
			algorithms = slices.DeleteFunc(slices.Clone(algorithms), func(a string) bool { return a != alg })
		}
		if len(algorithms) > 0 {
			keys = append(keys, key{id: jwk.Marshal().KID, value: jwk.Key(), algorithms: algorithms})
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the set has no key that tokens can be verified with")
	}
	return keys, nil
}

// isARN tells whether a setting names a secret of Secrets Manager instead of having it.
func isARN(setting string) bool { return strings.HasPrefix(setting, "arn:") }

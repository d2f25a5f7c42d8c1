package config

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	tableName    = name{3, 255, alphanumeric + "_.-"}  // DynamoDB, naming rules
	functionName = name{1, 170, alphanumeric + ":_$-"} // Lambda, Invoke: name, partial or whole ARN
	functionARN  = regexp.MustCompile(`^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[a-zA-Z0-9_-]+(:[a-zA-Z0-9_$-]+)?$`)
	secretARN    = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:\S+$`)
)

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// name is the shape of a resource's name. A regular expression that counts to 255 takes half a millisecond of a function's start.
type name struct {
	least, most int
	alphabet    string
}

func (n name) fits(v string) bool {
	return len(v) >= n.least && len(v) <= n.most && strings.Trim(v, n.alphabet) == ""
}

// localSecret signs the tokens of the local stack (make token). Everybody knows it, so it is refused when deployed.
const localSecret = "local-secret-do-not-deploy-0123456789"

// minSecret, in bytes: a key of HMAC SHA-256 must have at least 256 bits (RFC 7518, section 3.2).
const minSecret = 32

func isSecretARN(v string) bool { return secretARN.MatchString(v) }

func (r *reader) err() error { return errors.Join(r.problems...) }

// matching is a required setting.
func (r *reader) matching(name string, shape name, what string) string {
	if !slices.Contains(r.names, name) {
		return ""
	}
	v := r.text(name, "")
	switch {
	case v == "":
		r.problem(name, "missing: set %s", what)
	case !shape.fits(v):
		r.problem(name, "%q cannot be %s", v, what)
	}
	return v
}

func (r *reader) endpoint(name string) string {
	if !slices.Contains(r.names, name) {
		return ""
	}
	v := r.text(name, "")
	if v == "" {
		r.problem(name, "missing: set the URL of the @connections API, as https://abc123.execute-api.eu-west-1.amazonaws.com/live")
	} else if !isURL(v, "https", "http") {
		r.problem(name, "%q is not a URL without query and fragment: set one as https://abc123.execute-api.eu-west-1.amazonaws.com/live", v)
	}
	return strings.TrimRight(v, "/")
}

func isURL(v string, schemes ...string) bool {
	u, err := url.Parse(v)
	return err == nil && slices.Contains(schemes, u.Scheme) && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

func (r *reader) level(name string) slog.Level {
	var level slog.Level
	if v := r.choice(name, "info", "debug", "warn", "error"); v != "" {
		_ = level.UnmarshalText([]byte(v)) // choice reports anything else
	}
	return level
}

func (r *reader) membership(name string) string {
	v := r.text(name, "table")
	if v == "table" {
		return ""
	}
	if v != "" && !functionARN.MatchString(v) {
		r.problem(name, "%q is neither table nor the ARN of a Lambda function", v)
	}
	return v
}

func (r *reader) jwt() JWT {
	if !slices.Contains(r.names, "JWT_SECRET") {
		return JWT{}
	}
	j := JWT{
		Secret:     r.getenv("JWT_SECRET"),                                       // to the byte: spaces count
		PublicKey:  strings.ReplaceAll(r.text("JWT_PUBLIC_KEY", ""), `\n`, "\n"), // as .env files and shells carry it
		JWKSURL:    r.text("JWT_JWKS_URL", ""),
		RequireExp: r.choice("JWT_REQUIRE_EXP", "true", "false") == "true",
		Issuer:     r.text("JWT_ISSUER", ""),
		Audience:   r.text("JWT_AUDIENCE", ""),
	}
	for name := range strings.SplitSeq(r.text("JWT_USER_ID_CLAIM", "sub,id"), ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			r.problem("JWT_USER_ID_CLAIM", "has an empty name: set claim names with commas between them, as sub,id")
		}
		j.UserIDClaims = append(j.UserIDClaims, name)
	}
	r.oneKey(j)
	r.checkSecret(j.Secret)
	r.checkPublicKey(j.PublicKey)
	r.checkJWKSURL(j.JWKSURL)
	return j
}

func (r *reader) oneKey(j JWT) {
	var set []string
	for _, key := range []struct{ name, value string }{
		{"JWT_SECRET", j.Secret}, {"JWT_PUBLIC_KEY", j.PublicKey}, {"JWT_JWKS_URL", j.JWKSURL},
	} {
		if key.value != "" {
			set = append(set, key.name)
		}
	}
	switch {
	case len(set) == 0:
		r.problem("JWT_SECRET", "missing, and nobody could connect: set one of JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL")
	case len(set) > 1:
		r.problem(set[0], "set together with %s: set only one of them", strings.Join(set[1:], " and "))
	}
}

func (r *reader) checkSecret(v string) {
	switch {
	case v == "" || isSecretARN(v):
	case strings.HasPrefix(v, "arn:"):
		r.problem("JWT_SECRET", "not the ARN of a Secrets Manager secret: set the whole ARN, or the secret itself")
	case v == localSecret && r.deployed():
		r.problem("JWT_SECRET", "the local stack's secret, which everybody knows: set a secret of your own")
	case len(v) < minSecret:
		r.problem("JWT_SECRET", "has %d bytes: set at least %d (RFC 7518, section 3.2)", len(v), minSecret)
	}
}

func (r *reader) checkPublicKey(v string) {
	if v == "" || isSecretARN(v) {
		return
	}
	block, _ := pem.Decode([]byte(v))
	if block == nil {
		r.problem("JWT_PUBLIC_KEY", "not PEM: set the whole key, from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----")
		return
	}
	if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		r.problem("JWT_PUBLIC_KEY", "not a public key: make one with openssl x509 -pubkey -noout from a certificate, or openssl pkey -pubout from a private key")
	}
}

func (r *reader) checkJWKSURL(v string) {
	if v == "" || isSecretARN(v) {
		return
	}
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		r.problem("JWT_JWKS_URL", "not an https URL: set the jwks_uri of the tokens' issuer")
	case u.Scheme == "http" && r.deployed():
		r.problem("JWT_JWKS_URL", "not https, so that anybody on the way could put keys in: set an https URL")
	}
}

// deployed tells whether this is Lambda itself: SAM CLI and the local stack set AWS_SAM_LOCAL.
func (r *reader) deployed() bool {
	return (r.getenv("LAMBDA_TASK_ROOT") != "" || r.getenv("AWS_EXECUTION_ENV") != "") && r.getenv("AWS_SAM_LOCAL") != "true"
}

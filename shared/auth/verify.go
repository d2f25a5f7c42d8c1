// Package auth turns a token into an identity (JSON Web Tokens, RFC 7519).
package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/golang-jwt/jwt/v5"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

// Options says which tokens are accepted. One of Secret, PublicKey and JWKSURL is set: the value, or the ARN of a Secrets
// Manager secret that has it.
type Options struct {
	Secret       string // HS256, HS384, HS512
	PublicKey    string // PEM; RS* and PS*, ES* of its curve, or EdDSA
	JWKSURL      string // URL of a JWK set
	RequireExp   bool
	Issuer       string   // "" takes any
	Audience     string   // "" takes any
	UserIDClaims []string // the first that is present has the user's id
}

// Secrets is the part of Secrets Manager that is used.
type Secrets interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Verifier verifies tokens. It may be used concurrently.
type Verifier struct {
	options   Options
	keys      *keyring
	parser    *jwt.Parser
	validator *jwt.Validator
	now       func() time.Time
}

// New makes a Verifier. Keys from a secret or a URL are read when the first token comes; a key in the options that cannot
// verify tokens is an error. secrets may be nil when no option is an ARN.
func New(ctx context.Context, o Options, secrets Secrets, now func() time.Time, log *slog.Logger) (*Verifier, error) {
	v := &Verifier{options: o, now: now, keys: &keyring{now: now, log: log}}
	name, setting, parse, algorithms := "JWT_JWKS_URL", o.JWKSURL, fetchKeySet, publicAlgorithms
	switch {
	case o.Secret != "":
		name, setting, parse, algorithms = "JWT_SECRET", o.Secret, secretKey, hmacAlgorithms
	case o.PublicKey != "":
		name, setting, parse = "JWT_PUBLIC_KEY", o.PublicKey, publicKey
	}
	v.keys.fixed = !isARN(setting) && name != "JWT_JWKS_URL"
	v.keys.read = func(ctx context.Context) ([]key, error) {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		value, err := resolve(ctx, secrets, setting)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		keys, err := parse(ctx, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return keys, nil
	}
	if v.keys.fixed {
		if _, err := v.keys.current(ctx); err != nil {
			return nil, err
		}
	}
	v.parser = jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithJSONNumber(), jwt.WithoutClaimsValidation())
	claims := []jwt.ParserOption{jwt.WithTimeFunc(now)}
	if o.Issuer != "" {
		claims = append(claims, jwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		claims = append(claims, jwt.WithAudience(o.Audience))
	}
	v.validator = jwt.NewValidator(claims...)
	return v, nil
}

// resolve reads the secret when the setting is the ARN of one.
func resolve(ctx context.Context, secrets Secrets, setting string) (string, error) {
	if !isARN(setting) {
		return setting, nil
	}
	out, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(setting)})
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	value := aws.ToString(out.SecretString)
	if strings.HasPrefix(value, "{") && json.Valid([]byte(value)) {
		return "", errors.New("the secret is a JSON object: store the value alone, as plain text")
	}
	return value, nil
}

// Verify returns who the token belongs to: UserID and ExpiresAt. A refusal is a *contract.Error: TokenExpired when the token
// is right in everything but its age, else Unauthorized. Any other error says that the keys could not be read, and nothing
// about the token.
func (v *Verifier) Verify(ctx context.Context, token string) (realtime.Identity, error) {
	if token == "" {
		return realtime.Identity{}, unauthorized("no token: send the header Authorization: Bearer, the query parameter token, or the subprotocols bearer and the token")
	}
	keys, err := v.keys.current(ctx)
	if err != nil {
		return realtime.Identity{}, fmt.Errorf("verify token: %w", err)
	}
	claims, err := v.parse(token, keys)
	if errors.Is(err, errNoKeyFits) {
		newer, ok, rerr := v.keys.again(ctx)
		if rerr != nil {
			return realtime.Identity{}, fmt.Errorf("verify token: %w", rerr)
		}
		if ok {
			claims, err = v.parse(token, newer)
		}
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return realtime.Identity{}, unauthorized("the token is not a JSON Web Token")
	case err != nil:
		return realtime.Identity{}, unauthorized("the token is not signed with a key and an algorithm that this server accepts")
	}
	return v.identity(claims)
}

// errNoKeyFits refuses a token that a newer key may fit.
var errNoKeyFits = errors.New("no key fits")

// parse checks the signature and nothing else.
func (v *Verifier) parse(token string, keys []key) (jwt.MapClaims, error) {
	tried, named := false, false // there was a look at the keys; one of them is the one that the token names
	claims := jwt.MapClaims{}
	_, err := v.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		if t.Header["crit"] != nil {
			return nil, errors.New("critical header parameters are not understood") // RFC 7515, section 4.1.11
		}
		tried = true
		kid, _ := t.Header["kid"].(string)
		var fit jwt.VerificationKeySet
		for _, k := range keys {
			if kid != "" && k.id != "" && k.id != kid {
				continue
			}
			named = named || kid != "" && k.id == kid
			if slices.Contains(k.algorithms, t.Method.Alg()) {
				fit.Keys = append(fit.Keys, k.value)
			}
		}
		return fit, nil
	})
	if err != nil && tried && !named {
		err = errNoKeyFits
	}
	return claims, err
}

// lastExpiry is the latest that is kept, in some 285 000 years: a token that is valid for longer never expires. Issuers who count
// milliseconds or nanoseconds write such times, and milliseconds of them would not fit into 64 bits.
var lastExpiry = time.UnixMilli(contract.MaxInstant)

// identity checks the claims of a token that is signed as it should be. Its age comes last: a token is expired when nothing
// else is wrong with it.
func (v *Verifier) identity(claims jwt.MapClaims) (realtime.Identity, error) {
	exp, err := claims.GetExpirationTime()
	switch {
	case err != nil:
		return realtime.Identity{}, unauthorized("the claim exp is not a number")
	case exp == nil && v.options.RequireExp:
		return realtime.Identity{}, unauthorized("the token has no claim exp")
	}
	delete(claims, "exp")
	if err := v.validator.Validate(claims); err != nil {
		return realtime.Identity{}, unauthorized(reason(err))
	}
	user, err := userID(claims, v.options.UserIDClaims)
	if err != nil {
		return realtime.Identity{}, err
	}
	id := realtime.Identity{UserID: user}
	if exp != nil && !exp.After(lastExpiry) {
		id.ExpiresAt = exp.Time
		if !v.now().Before(exp.Time) {
			return realtime.Identity{}, &contract.Error{Code: contract.TokenExpired, Message: "the token expired at " + id.ExpiresAt.UTC().Format(time.RFC3339)}
		}
	}
	return id, nil
}

// reason says what is wrong with the claims, without quoting them.
func reason(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return "the token is not valid yet (claim nbf)"
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return "the token has another issuer than this server accepts (claim iss)"
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return "the token is for another audience (claim aud)"
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return "the token lacks the claim iss or aud"
	}
	return "a registered claim of the token has the wrong type"
}

// userID is the first of the claims that is there: a string, or an integer as its decimal digits.
func userID(claims jwt.MapClaims, names []string) (string, error) {
	for _, name := range names {
		var id string
		switch value := claims[name].(type) {
		case nil:
			continue
		case string:
			id = value
		case json.Number:
			if !strings.ContainsAny(value.String(), ".eE") {
				id = value.String()
			}
		}
		if !contract.ValidID(id) {
			return "", unauthorized(fmt.Sprintf("the claim %s cannot be a user id: it must be an integer or a string of %s", name, contract.IDShape))
		}
		return id, nil
	}
	return "", unauthorized("the token has no user id: the claim " + strings.Join(names, " or ") + " is needed")
}

func unauthorized(message string) error {
	return &contract.Error{Code: contract.Unauthorized, Message: message}
}

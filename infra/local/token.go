package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.org/realtime/infra/local/stack"
	"example.org/realtime/shared/contract"
)

// token prints a token alone on a line. It needs no running stack.
func (c *command) token(_ context.Context, args []string) error {
	flags := flag.NewFlagSet("token", flag.ContinueOnError)
	user := flags.String("user", "", "who the token is for")
	ttl := flags.String("ttl", "1h", "how long it is valid; negative makes an expired one")
	if err := c.parse(flags, args); err != nil {
		return err
	}
	lasting, err := time.ParseDuration(*ttl)
	if err != nil {
		return fmt.Errorf("TTL: %q is no duration: give one as 30m or 24h, or a negative one, as -1m, for an expired token", *ttl)
	}
	signed, err := c.sign(*user, lasting)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.stdout, signed)
	return err
}

// sign makes a token that a local stack with these settings accepts: with their secret or, where they have none, the local one. There is
// no such token where they say that somebody else makes them.
func (c *command) sign(user string, ttl time.Duration) (string, error) {
	for _, name := range []string{"JWT_PUBLIC_KEY", "JwtPublicKey", "JwtPublicKeyArn", "JWT_JWKS_URL", "JwtJwksUrl", "JwtSecretArn"} {
		if c.getenv(name) != "" {
			return "", fmt.Errorf("%s says whose tokens are taken: use one of that issuer", name)
		}
	}
	if !contract.ValidID(user) {
		return "", fmt.Errorf("user: %q cannot be a user id: use %s", user, contract.IDShape)
	}
	now := c.now()
	claims := jwt.MapClaims{"iat": now.Unix(), "exp": now.Add(ttl).Unix()}
	if issuer := c.either("JWT_ISSUER", "JwtIssuer"); issuer != "" {
		claims["iss"] = issuer
	}
	if audience := c.either("JWT_AUDIENCE", "JwtAudience"); audience != "" {
		claims["aud"] = audience
	}
	id, _, _ := strings.Cut(cmp.Or(c.either("JWT_USER_ID_CLAIM", "JwtUserIdClaim"), "sub"), ",")
	claims[strings.TrimSpace(id)] = user
	secret := cmp.Or(c.either("JWT_SECRET", "JwtSecret"), stack.LocalSecret)
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
}

package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.org/realtime/infra/local/stack"
	"example.org/realtime/shared/contract"
)

// token prints a token alone on a line. It needs no running stack.
func (c *command) token(_ context.Context, args []string) error {
	flags := flag.NewFlagSet("token", flag.ContinueOnError)
	user := flags.String("user", "", "who the token is for")
	ttl := flags.Duration("ttl", time.Hour, "how long it is valid; negative makes an expired one")
	if err := c.parse(flags, args); err != nil {
		return err
	}
	signed, err := c.sign(*user, *ttl)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.stdout, signed)
	return err
}

// mint makes a token for the console's clients, unless this stack takes only those of somebody else.
func (c *command) mint(user string, ttl time.Duration) (string, error) {
	for _, name := range []string{"JWT_PUBLIC_KEY", "JwtPublicKey", "JwtPublicKeyArn", "JWT_JWKS_URL", "JwtJwksUrl", "JwtSecretArn"} {
		if c.getenv(name) != "" {
			return "", fmt.Errorf("%s says whose tokens are taken: paste one of that issuer as a token of your own", name)
		}
	}
	return c.sign(user, ttl)
}

// sign makes a token that the local stack accepts: with JWT_SECRET, if that is set for both, else with the local secret.
func (c *command) sign(user string, ttl time.Duration) (string, error) {
	if !contract.ValidID(user) {
		return "", fmt.Errorf("user: %q cannot be a user id: use %s", user, contract.IDShape)
	}
	secret := c.getenv("JWT_SECRET")
	if secret == "" {
		secret = stack.LocalSecret
	}
	now := c.now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user,
		"iat": now.Unix(),
		"exp": now.Add(ttl).Unix(),
	}).SignedString([]byte(secret))
}

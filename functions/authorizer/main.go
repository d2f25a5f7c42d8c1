// Command authorizer is the function that API Gateway asks once per handshake: a token becomes an identity, which comes with
// every later event of the connection.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"example.org/realtime/shared/auth"
	"example.org/realtime/shared/config"
	"example.org/realtime/shared/gateway"
	"example.org/realtime/shared/logs"
)

const function = "authorizer"

func main() { logs.Start(function, build) }

func build(ctx context.Context, getenv func(string) string) (func(context.Context, gateway.AuthorizerEvent) (answer, error), error) {
	cfg, err := config.Load(function, getenv)
	if err != nil {
		return nil, err
	}
	var secrets auth.Secrets
	if cfg.JWT.FromSecretsManager() {
		aws, err := config.AWS(ctx)
		if err != nil {
			return nil, err
		}
		secrets = secretsmanager.NewFromConfig(aws)
	}
	log := logs.New(os.Stdout, function, cfg.LogLevel)
	verifier, err := auth.New(ctx, auth.Options(cfg.JWT), secrets, time.Now, log)
	if err != nil {
		return nil, err
	}
	a := &authorizer{tokens: verifier, reject: cfg.AuthFailureReject}
	return logs.Invocation(log, a.handle, describe), nil
}

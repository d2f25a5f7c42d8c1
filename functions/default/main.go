// Command default serves $default: the packets of Socket.IO clients, and every event that has no route of its own, by the
// same rule.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	lambdaapi "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"example.org/realtime/shared/auth"
	"example.org/realtime/shared/config"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/gateway"
	"example.org/realtime/shared/invoke"
	"example.org/realtime/shared/logs"
	"example.org/realtime/shared/metrics"
	"example.org/realtime/shared/push"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
)

const function = "default"

func main() { logs.Start(function, build) }

func build(ctx context.Context, getenv func(string) string) (func(context.Context, gateway.Event) (gateway.Response, error), error) {
	cfg, err := config.Load(function, getenv)
	if err != nil {
		return nil, err
	}
	aws, err := config.AWS(ctx)
	if err != nil {
		return nil, err
	}
	poster, err := push.New(aws, cfg.ConnectionsEndpoint, time.Now)
	if err != nil {
		return nil, err
	}
	log := logs.New(os.Stdout, function, cfg.LogLevel)
	table := store.New(dynamodb.NewFromConfig(aws), cfg.TableName, time.Now)
	functions := lambdaapi.NewFromConfig(aws)
	var members realtime.Members = table.Participants
	if cfg.MembershipFunction != "" {
		members = invoke.NewMembership(functions, cfg.MembershipFunction)
	}
	var secrets auth.Secrets
	if cfg.JWT.FromSecretsManager() {
		secrets = secretsmanager.NewFromConfig(aws)
	}
	tokens, err := auth.New(ctx, auth.Options(cfg.JWT), secrets, time.Now, log)
	if err != nil {
		return nil, err
	}
	receiver := &realtime.Receiver{
		Connections:       table.Connections,
		Sessions:          table.Connections,
		Tokens:            tokens,
		Recorded:          table.Connections,
		Presences:         table.Presences,
		Rooms:             table.Rooms,
		Members:           members,
		Timers:            table.Timers,
		Poster:            poster,
		Asker:             invoke.NewPublish(functions, cfg.PublishFunction),
		Metrics:           metrics.New(os.Stdout, lambdacontext.FunctionName, time.Now),
		Log:               log,
		Now:               time.Now,
		Events:            []string{contract.PresenceHeartbeat, contract.ConversationsJoin, contract.ConversationsLeave},
		MaxPayload:        cfg.MaxPayload,
		HeartbeatMin:      cfg.HeartbeatMin,
		SocketsPerUser:    cfg.SocketsPerUser,
		RoomsPerSocket:    cfg.RoomsPerSocket,
		PresenceGlobalMax: cfg.PresenceGlobalMax,
	}
	return logs.Invocation(log, gateway.Serve(gateway.Message, receiver.Message), gateway.Describe), nil
}

// Command heartbeat serves presence:heartbeat.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	lambdaapi "github.com/aws/aws-sdk-go-v2/service/lambda"

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

const function = "heartbeat"

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
	receiver := &realtime.Receiver{
		Presences:    table.Presences,
		Poster:       poster,
		Asker:        invoke.NewPublish(lambdaapi.NewFromConfig(aws), cfg.PublishFunction),
		Metrics:      metrics.New(os.Stdout, lambdacontext.FunctionName, time.Now),
		Log:          log,
		Now:          time.Now,
		Events:       []string{contract.PresenceHeartbeat},
		MaxPayload:   cfg.MaxPayload,
		HeartbeatMin: cfg.HeartbeatMin,
	}
	return logs.Invocation(log, gateway.Serve(gateway.Message, receiver.Message), gateway.Describe), nil
}

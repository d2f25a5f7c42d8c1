// Command sweep is the server's own timer, invoked every minute.
package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	lambdaapi "github.com/aws/aws-sdk-go-v2/service/lambda"

	"example.org/realtime/shared/config"
	"example.org/realtime/shared/invoke"
	"example.org/realtime/shared/logs"
	"example.org/realtime/shared/metrics"
	"example.org/realtime/shared/push"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
)

const function = "sweep"

func main() { logs.Start(function, build) }

func build(ctx context.Context, getenv func(string) string) (func(context.Context, json.RawMessage) (struct{}, error), error) {
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
	api := lambdaapi.NewFromConfig(aws)
	s := &sweep{&realtime.Sweeper{
		Walker:       table.Connections,
		Connections:  table.Connections,
		Presences:    table.Presences,
		Rooms:        table.Rooms,
		Timers:       table.Timers,
		Workers:      invoke.NewSweep(api, lambdacontext.FunctionName),
		Poster:       poster,
		Asker:        invoke.NewPublish(api, cfg.PublishFunction),
		Metrics:      metrics.New(os.Stdout, lambdacontext.FunctionName, time.Now),
		Log:          log,
		Now:          time.Now,
		PresenceTTL:  cfg.PresenceTTL,
		RPS:          cfg.SweepRPS,
		PerWorker:    realtime.SweepPerWorker,
		CloseExpired: !cfg.TokenExpiryIgnore,
		Snapshot:     !cfg.Production,
		PingInterval: cfg.PingInterval,
		PingTimeout:  cfg.PingTimeout,
	}}
	return logs.Invocation(log, s.handle, describe), nil
}

// Command control keeps who takes part in a conversation. Backends invoke it.
package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"example.org/realtime/shared/config"
	"example.org/realtime/shared/logs"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
)

const function = "control"

func main() {
	handle, err := build(context.Background(), os.Getenv)
	if err != nil {
		logs.Problems(os.Stdout, function, err)
		os.Exit(1)
	}
	lambda.Start(handle)
}

func build(ctx context.Context, getenv func(string) string) (func(context.Context, json.RawMessage) (answer, error), error) {
	cfg, err := config.Load(function, getenv)
	if err != nil {
		return nil, err
	}
	aws, err := config.AWS(ctx)
	if err != nil {
		return nil, err
	}
	table := store.New(dynamodb.NewFromConfig(aws), cfg.TableName, time.Now)
	c := &control{&realtime.Roster{
		Participants: table.Participants,
		Members:      table.Participants,
		Presences:    table.Presences,
		Rooms:        table.Rooms,
		Now:          time.Now,
	}}
	return logs.Invocation(logs.New(os.Stdout, function, cfg.LogLevel), c.handle, describe), nil
}

// Command echo answers a message with its environment, and notes every event in the table.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	table := dynamodb.NewFromConfig(cfg)
	connections := apigatewaymanagementapi.NewFromConfig(cfg, func(o *apigatewaymanagementapi.Options) {
		o.BaseEndpoint = aws.String(os.Getenv("CONNECTIONS_ENDPOINT"))
	})
	lambda.Start(func(ctx context.Context, event struct {
		events.APIGatewayWebsocketProxyRequest
		Source string `json:"source"`
	},
	) (events.APIGatewayProxyResponse, error) {
		kind := event.RequestContext.EventType + event.Source
		_, err := table.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(os.Getenv("TABLE_NAME")), Item: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: kind}, "sk": &types.AttributeValueMemberS{Value: "#"},
		}})
		if err == nil && kind == "MESSAGE" {
			var environment []byte
			if environment, err = json.Marshal(os.Environ()); err == nil {
				_, err = connections.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{
					ConnectionId: &event.RequestContext.ConnectionID, Data: environment,
				})
			}
		}
		fmt.Println("noted", kind)
		return events.APIGatewayProxyResponse{StatusCode: 200}, err
	})
}

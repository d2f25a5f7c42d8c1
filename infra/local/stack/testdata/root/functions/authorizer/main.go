// Command authorizer lets everybody in who knows the key of its environment.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(_ context.Context, in events.APIGatewayCustomAuthorizerRequestTypeRequest) (events.APIGatewayCustomAuthorizerResponse, error) {
		if in.QueryStringParameters["key"] != os.Getenv("JWT_SECRET") {
			return events.APIGatewayCustomAuthorizerResponse{}, errors.New("Unauthorized") //nolint:staticcheck // API Gateway's own word
		}
		return events.APIGatewayCustomAuthorizerResponse{PrincipalID: "anybody", PolicyDocument: events.APIGatewayCustomAuthorizerPolicy{
			Version:   "2012-10-17",
			Statement: []events.IAMPolicyStatement{{Effect: "Allow", Action: []string{"execute-api:Invoke"}, Resource: []string{in.MethodArn}}},
		}}, nil
	})
}

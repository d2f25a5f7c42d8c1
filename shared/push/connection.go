package push

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
)

// Close closes the connection.
func (c *Client) Close(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, id, func(ctx context.Context) error {
		_, err := c.management().DeleteConnection(ctx, &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id})
		return translated(err)
	})
}

// LastActive is when a message last went either way.
func (c *Client) LastActive(ctx context.Context, id string) (at time.Time, err error) {
	err = c.call(ctx, http.MethodGet, id, func(ctx context.Context) error {
		connection, err := c.management().GetConnection(ctx, &apigatewaymanagementapi.GetConnectionInput{ConnectionId: &id})
		if err != nil {
			return translated(err)
		}
		if connection.LastActiveAt == nil {
			return errors.New("the answer has no lastActiveAt")
		}
		at = *connection.LastActiveAt
		return nil
	})
	return at, err
}

// management makes the SDK's client, for what is not done by the thousand: a function that only posts never has one. It shares the
// poster's connections, and leaves trying again to the rules.
func management(cfg aws.Config, endpoint string, client *http.Client) *apigatewaymanagementapi.Client {
	return apigatewaymanagementapi.NewFromConfig(cfg, func(o *apigatewaymanagementapi.Options) {
		o.BaseEndpoint = &endpoint
		o.HTTPClient = client
		o.Retryer = aws.NopRetryer{}
	})
}

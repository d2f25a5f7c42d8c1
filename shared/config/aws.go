package config

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
)

// attemptTimeout is how long the SDK waits for an answer before it tries again, over another connection: one that was open
// when Lambda froze the function may be dead without anybody telling. The SDK's own is none.
const attemptTimeout = 2 * time.Second

// AWS is the SDK's configuration: region, credentials and endpoints from the environment.
func AWS(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attemptTimeout)))
	if err != nil {
		return aws.Config{}, fmt.Errorf("AWS configuration: %w", err)
	}
	return cfg, nil
}

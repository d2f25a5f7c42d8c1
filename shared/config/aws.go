package config

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
)

// attemptTimeout is how long the SDK waits for an answer before it tries again, over another connection: one that was open
// when Lambda froze the function may be dead without anybody telling. The SDK's own is none.
const attemptTimeout = 2 * time.Second

// A call that fails in a way that may pass, a throttled one among them, is tried again after about firstPause, then after twice as long, and
// so on: the SDK's own pauses begin with up to two seconds, for which a client would wait. All attempts at a table that does not answer
// fit into the time of the functions that have to say so.
const (
	attempts   = 4
	firstPause = 100 * time.Millisecond
)

// pause is the time before the attempt after that one, from 1: at least half of the whole, so that those who failed together do not come
// back together.
func pause(attempt int, _ error) (time.Duration, error) {
	whole := firstPause << (attempt - 1)
	return whole/2 + rand.N(whole/2), nil //nolint:gosec // G404: spreads load
}

// AWS is the SDK's configuration: region, credentials and endpoints from the environment.
func AWS(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attemptTimeout)),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.Backoff = attempts, retry.BackoffDelayerFunc(pause)
			})
		}))
	if err != nil {
		return aws.Config{}, fmt.Errorf("AWS configuration: %w", err)
	}
	return cfg, nil
}

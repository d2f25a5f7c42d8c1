package config

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// A connection that never answers costs one attempt and not the call.
func TestAWSTriesAgain(t *testing.T) {
	var calls atomic.Int32
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			<-hang
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	defer close(hang)
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_ENDPOINT_URL_LAMBDA": server.URL,
	} {
		t.Setenv(name, value)
	}
	cfg, err := AWS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok || client.GetTimeout() != attemptTimeout {
		t.Fatalf("the client is %T", cfg.HTTPClient)
	}
	cfg.HTTPClient = client.WithTimeout(20 * time.Millisecond) // not to wait for it here
	if _, err := lambda.NewFromConfig(cfg).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("f")}); err != nil || calls.Load() != 2 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

// Pauses double, and never are so long that a client would notice the first.
func TestPause(t *testing.T) {
	for attempt := 1; attempt < attempts; attempt++ {
		for range 100 {
			got, err := pause(attempt, nil)
			if most := firstPause << (attempt - 1); err != nil || got < most/2 || got >= most {
				t.Fatalf("%v after attempt %d, %v", got, attempt, err)
			}
		}
	}
}

// A call that stays throttled is given up after some attempts.
func TestAWSGivesUp(t *testing.T) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("X-Amzn-Errortype", "TooManyRequestsException")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_ENDPOINT_URL_LAMBDA": server.URL,
	} {
		t.Setenv(name, value)
	}
	cfg, err := AWS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lambda.NewFromConfig(cfg).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("f")}); err == nil || calls.Load() != attempts {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

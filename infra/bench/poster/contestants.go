package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"

	"example.org/realtime/shared/push"
)

const (
	region    = "us-east-1"
	stage     = "/live"
	bodySize  = 500 // bytes of a message
	keyID     = "AKIDEXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" //nolint:gosec // G101: the example of AWS's documentation
)

// sessionToken is as long as that of a Lambda function's role, and no token.
var sessionToken = strings.Repeat("IQoJb3JpZ2luX2Vj", 60)

// post posts a message to a connection.
type post func(ctx context.Context, id string, message []byte) error

// contestant is a way to post.
type contestant struct {
	name string
	make func(s *stub, inFlight int) (post, error)
}

// contestants, the plain one first, which the others are compared with. push-session has a session token, as a function has: a
// kilobyte more to sign and to send, which net/http looks at twice. What the sending takes tells nethttp-session, which signs
// nothing. The others have no token. The last two tell what HTTP/2 would change: they differ in nothing else, and TLS is what
// HTTP/2 wants.
var contestants = []contestant{
	{"nethttp", func(s *stub, n int) (post, error) { return plain(s.http, transport(n), ""), nil }},
	{"nethttp-session", func(s *stub, n int) (post, error) { return plain(s.http, transport(n), sessionToken), nil }},
	{"push", func(s *stub, _ int) (post, error) { return ours(s.http, "") }},
	{"push-session", func(s *stub, _ int) (post, error) { return ours(s.http, sessionToken) }},
	{"sdk", func(s *stub, n int) (post, error) {
		client := apigatewaymanagementapi.NewFromConfig(configuration(s.http, "", transport(n)))
		return func(ctx context.Context, id string, message []byte) error {
			_, err := client.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: message})
			return err
		}, nil
	}},
	{"tls-http1", func(s *stub, n int) (post, error) {
		return plain(s.https, secure(transport(n), s.roots, false), ""), nil
	}},
	{"tls-http2", func(s *stub, n int) (post, error) {
		return plain(s.https, secure(transport(n), s.roots, true), ""), nil
	}},
}

func transport(inFlight int) *http.Transport {
	return &http.Transport{MaxIdleConns: inFlight, MaxIdleConnsPerHost: inFlight}
}

func secure(t *http.Transport, roots *x509.CertPool, http2 bool) *http.Transport {
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(!http2)
	t.Protocols.SetHTTP2(http2)
	return t
}

// plain posts as anybody would who does not have to sign, with a session token unless it is empty.
func plain(url string, t *http.Transport, token string) post {
	client := &http.Client{Transport: t}
	return func(ctx context.Context, id string, message []byte) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+stage+"/@connections/"+id, bytes.NewReader(message))
		if err != nil {
			return err
		}
		if token != "" {
			req.Header.Set("X-Amz-Security-Token", token)
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	}
}

func ours(url, token string) (post, error) {
	client, err := push.New(configuration(url, token, nil), url+stage, time.Now)
	if err != nil {
		return nil, err
	}
	return client.Post, nil
}

func configuration(url, token string, t *http.Transport) aws.Config {
	cfg := aws.Config{
		Region:       region,
		BaseEndpoint: aws.String(url + stage),
		Credentials: aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secretKey, SessionToken: token}, nil
		})),
	}
	if t != nil {
		cfg.HTTPClient = &http.Client{Transport: t}
	}
	return cfg
}

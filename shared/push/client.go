// Package push posts to connections through API Gateway's connection management API (@connections).
package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"

	"example.org/realtime/shared/realtime"
)

const (
	callTimeout = 5 * time.Second // of a call, with what it waits for a connection
	dialTimeout = 3 * time.Second
	idleConns   = 128              // kept open: at least as many as calls are made at once
	maxIdle     = 20 * time.Second // of a connection that is used again
	maxAnswer   = 64 << 10         // bytes read of an answer; they have a few hundred
)

// Client is a realtime.Poster. It builds, signs and sends posts itself, because a publish is little more than many of them, and
// the SDK's client spends several times as long on each. The rest is the SDK's.
type Client struct {
	base        *http.Request // what every post has
	scheme      string
	prefix      string // path that a connection's escaped id completes
	credentials aws.CredentialsProvider
	signer      signer
	transport   *http.Transport
	window      atomic.Pointer[window]
	management  func() *apigatewaymanagementapi.Client
	now         func() time.Time
	last        atomic.Int64 // when the last call began, epoch milliseconds
}

// New makes a Client of the API at endpoint, a URL that ends with the stage.
func New(cfg aws.Config, endpoint string, now func() time.Time) (*Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("connections endpoint %q is not a URL", endpoint)
	}
	if cfg.Credentials == nil || cfg.Region == "" {
		return nil, errors.New("connections: no AWS credentials or no region")
	}
	transport := &http.Transport{
		// A post goes to the endpoint and nowhere else: no proxy.
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConns:        idleConns,
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     maxIdle,
		DisableCompression:  true, // of answers that have nothing in them
		Protocols:           new(http.Protocols),
	}
	// HTTP/2 takes more of a processor for a post, and posts that begin at once each open a connection with either
	// (infra/bench/poster: tls-http1, tls-http2). One of HTTP/2 that is dead, but not closed, would fail many posts.
	transport.Protocols.SetHTTP1(true)
	host := strings.TrimSuffix(u.Host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	return &Client{
		base:        &http.Request{Method: http.MethodPost, Host: host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1},
		scheme:      u.Scheme,
		prefix:      "/" + strings.TrimPrefix(u.JoinPath("@connections").EscapedPath(), "/") + "/",
		credentials: cfg.Credentials,
		signer:      signer{host: host, region: cfg.Region},
		transport:   transport,
		management: sync.OnceValue(func() *apigatewaymanagementapi.Client {
			return management(cfg, endpoint, &http.Client{
				Transport:     transport,
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			})
		}),
		now: now,
	}, nil
}

// Post sends one text message, once: net/http tries a second connection only where it could not write anything to the first.
func (c *Client) Post(ctx context.Context, id string, message []byte) error {
	return c.call(ctx, http.MethodPost, id, func(ctx context.Context) error { return c.post(ctx, id, message) })
}

// call makes one call in time. realtime.ErrNotSent is of one that API Gateway cannot have heard of: there was no connection to
// write to. No error has the message in it.
func (c *Client) call(ctx context.Context, method, id string, do func(context.Context) error) error {
	if id == "" || id == "." || id == ".." { // the path of such an id is that of something else
		return fmt.Errorf("%s connection %q: %w", method, id, realtime.ErrGone)
	}
	c.dropIdle()
	a := c.begin(ctx)
	defer a.end()
	err := do(a.ctx) //nolint:contextcheck // it is ctx's, or ends with it
	switch {
	case err == nil:
		return nil
	case !a.connected:
		return fmt.Errorf("%s connection %s: %w: %w", method, id, realtime.ErrNotSent, err)
	}
	return fmt.Errorf("%s connection %s: %w", method, id, err)
}

func (c *Client) post(ctx context.Context, id string, message []byte) error {
	credentials, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	resp, err := c.transport.RoundTrip(c.request(ctx, id, message, credentials))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.ContentLength == 0 && resp.StatusCode/100 == 2 {
		return nil
	}
	answer := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode/100 == 2 { // it is posted, whatever becomes of the answer
		_, _ = io.Copy(io.Discard, answer) // so that the connection is used again
		return nil
	}
	body, _ := io.ReadAll(answer) // the status says enough
	return answered(resp, body)
}

// request is a signed post, made without parsing what is known. It has no Content-Type, as botocore's has none: to net/http, a
// header is a tenth of the work of a post, and a session token more.
func (c *Client) request(ctx context.Context, id string, message []byte, credentials aws.Credentials) *http.Request {
	path := string(appendEscaped(append(make([]byte, 0, 128), c.prefix...), id, unreserved))
	date, authorization := c.signer.sign(path, message, credentials, c.now())
	req := c.base.WithContext(ctx)
	parts := &struct { // one allocation for all: what is allocated is a good part of what a post takes
		url    url.URL
		values [4]string
	}{
		url:    url.URL{Scheme: c.scheme, Host: c.base.Host, Opaque: path},
		values: [...]string{date, authorization, credentials.SessionToken, traceID()},
	}
	req.URL = &parts.url
	values := parts.values[:]
	req.Header = http.Header{
		"X-Amz-Date":    values[0:1:1],
		"Authorization": values[1:2:2],
	}
	if values[2] != "" {
		req.Header["X-Amz-Security-Token"] = values[2:3:3]
	}
	if values[3] != "" {
		req.Header["X-Amzn-Trace-Id"] = values[3:]
	}
	req.ContentLength = int64(len(message))
	req.GetBody = func() (io.ReadCloser, error) {
		if len(message) == 0 {
			return http.NoBody, nil
		}
		return io.NopCloser(bytes.NewReader(message)), nil // which net/http knows, and so sends with the headers in one write
	}
	req.Body, _ = req.GetBody()
	return req
}

// dropIdle closes connections that nothing went over for a while. Lambda freezes a function between invocations, and timers
// with it: when it goes on, they may have been dead for hours, and a post over them would fail.
func (c *Client) dropIdle() {
	now := c.now().UnixMilli()
	if now-c.last.Swap(now) > maxIdle.Milliseconds() {
		c.transport.CloseIdleConnections()
	}
}

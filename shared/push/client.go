// Package push posts to connections through API Gateway's connection management API (@connections).
package push

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/restjson"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"example.org/realtime/shared/realtime"
)

const (
	callTimeout = 5 * time.Second
	dialTimeout = 3 * time.Second
	idleConns   = 128              // kept open: at least as many as calls are made at once
	maxIdle     = 20 * time.Second // of a connection that is used again
	maxAnswer   = 64 << 10         // bytes read of an answer; they have a few hundred
	signingName = "execute-api"
)

// Client is a realtime.Poster. It signs its requests and sends them over net/http itself, because a publish is little more
// than many of them, and the SDK's client spends several times as long on each.
type Client struct {
	prefix      string // URL that a connection's escaped id completes
	region      string
	credentials aws.CredentialsProvider
	signer      *v4.Signer
	http        *http.Client
	timeout     time.Duration // of one call, connecting included
	now         func() time.Time
	last        atomic.Int64 // when the last call began, epoch milliseconds
}

// New makes a Client of the API at endpoint, a URL that ends with the stage.
func New(cfg aws.Config, endpoint string, now func() time.Time) (*Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("connections endpoint %q is not a URL", endpoint)
	}
	if cfg.Credentials == nil || cfg.Region == "" {
		return nil, errors.New("connections: no AWS credentials or no region")
	}
	return &Client{
		prefix:      u.JoinPath("@connections").String() + "/",
		region:      cfg.Region,
		credentials: cfg.Credentials,
		signer:      v4.NewSigner(),
		http: &http.Client{
			// A post goes to the endpoint and nowhere else: no proxy, no redirect.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
				TLSHandshakeTimeout: dialTimeout,
				MaxIdleConns:        idleConns,
				MaxIdleConnsPerHost: idleConns,
				IdleConnTimeout:     maxIdle,
				ForceAttemptHTTP2:   true,
			},
		},
		timeout: callTimeout,
		now:     now,
	}, nil
}

// Post sends one text message, once: net/http tries a second connection only where it could not write anything to the first.
func (c *Client) Post(ctx context.Context, id string, message []byte) error {
	_, err := c.do(ctx, http.MethodPost, id, message)
	return err
}

// Close closes the connection.
func (c *Client) Close(ctx context.Context, id string) error {
	_, err := c.do(ctx, http.MethodDelete, id, nil)
	return err
}

// LastActive is when a message last went either way.
func (c *Client) LastActive(ctx context.Context, id string) (time.Time, error) {
	body, err := c.do(ctx, http.MethodGet, id, nil)
	if err != nil {
		return time.Time{}, err
	}
	var connection struct {
		LastActiveAt time.Time `json:"lastActiveAt"`
	}
	if err := json.Unmarshal(body, &connection); err != nil || connection.LastActiveAt.IsZero() {
		return time.Time{}, fmt.Errorf("GET connection %s: the answer has no lastActiveAt", id)
	}
	return connection.LastActiveAt, nil
}

// emptyHash is the SHA-256 of a request without a body.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// do makes one call and returns the body of its answer. Its errors never have the message.
func (c *Client) do(ctx context.Context, method, id string, message []byte) ([]byte, error) {
	c.dropIdle()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.request(ctx, method, id, message)
	if err != nil {
		return nil, fmt.Errorf("%s connection %s: %w", method, id, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the URL
		}
		return nil, fmt.Errorf("%s connection %s: %w", method, id, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode/100 != 2 {
		err = failure(resp, body)
	}
	if err != nil {
		return nil, fmt.Errorf("%s connection %s: %w", method, id, err)
	}
	return body, nil
}

// dropIdle closes connections that nothing went over for a while. Lambda freezes a function between invocations, and timers
// with it: when it goes on, they may have been dead for hours, and a post over them would fail.
func (c *Client) dropIdle() {
	now := c.now().UnixMilli()
	if now-c.last.Swap(now) > maxIdle.Milliseconds() {
		c.http.CloseIdleConnections()
	}
}

func (c *Client) request(ctx context.Context, method, id string, message []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.prefix+escape(id), bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	hash := emptyHash
	if len(message) > 0 {
		req.Header.Set("Content-Type", "application/octet-stream")
		sum := sha256.Sum256(message)
		hash = hex.EncodeToString(sum[:])
	}
	credentials, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	return req, c.signer.SignHTTP(ctx, credentials, req, hash, signingName, c.region, c.now())
}

// escape encodes an id for a path as AWS does: everything but letters, digits and -._~, and = above all, with which every
// connection id ends.
func escape(id string) string {
	return strings.ReplaceAll(url.QueryEscape(id), "+", "%20")
}

// failure is what an answer other than 2xx means.
func failure(resp *http.Response, body []byte) error {
	code, message := resp.Header.Get("X-Amzn-Errortype"), ""
	if bodyCode, bodyMessage, err := restjson.GetErrorInfo(json.NewDecoder(bytes.NewReader(body))); err == nil {
		message = bodyMessage
		if code == "" {
			code = bodyCode
		}
	}
	code = restjson.SanitizeErrorCode(code)
	switch {
	case resp.StatusCode == http.StatusGone, strings.EqualFold(code, "GoneException"):
		return realtime.ErrGone
	case strings.EqualFold(code, "BadRequestException") && message == "Invalid connectionId": // it cannot have been here
		return realtime.ErrGone
	case resp.StatusCode == http.StatusTooManyRequests, strings.EqualFold(code, "LimitExceededException"):
		return realtime.ErrThrottled
	}
	return fmt.Errorf("%s", strings.TrimSpace(fmt.Sprintf("status %d %s %s", resp.StatusCode, code, message)))
}

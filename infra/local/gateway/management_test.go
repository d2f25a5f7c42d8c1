package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/aws/smithy-go"
	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// sdk is a management client as a function has it; it signs for the region.
func (a *api) sdk(region string) *apigatewaymanagementapi.Client {
	return apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		BaseEndpoint: aws.String(a.url + "/local"),
		Region:       region,
		Retryer:      aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		}),
	})
}

func TestManagement(t *testing.T) {
	t.Run("row 11: nobody is there before the 101", func(t *testing.T) {
		var a *api
		a = start(t, Config{}, map[string]function{"$connect": func(_ context.Context, payload []byte) (Result, error) {
			var e proxyEvent
			if err := json.Unmarshal(payload, &e); err != nil {
				return Result{}, err
			}
			for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
				if r, _ := a.manage(method, "/local/@connections/"+e.RequestContext.ConnectionID, nil); r.StatusCode != http.StatusGone {
					t.Errorf("%s during $connect: %s", method, r.Status)
				}
			}
			return Result{Payload: []byte(`{"statusCode":200}`)}, nil
		}})
		// The 101 itself is the line: whoever saw it can be reached.
		c := a.dial()
		if status := a.post(c.id, "welcome"); status != http.StatusOK || c.message() != "welcome" {
			t.Errorf("post after the 101: %d", status)
		}
	})

	t.Run("row 27: GET", func(t *testing.T) {
		clock := newClock()
		a := start(t, Config{Now: clock.Now}, map[string]function{"$default": ok})
		get := func(id string) string {
			response, body := a.manage(http.MethodGet, "/local/@connections/"+id, nil)
			if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json" {
				t.Errorf("GET: %s %v", response.Status, response.Header)
			}
			return body
		}
		_, _ = a.handshake("/local", http.Header{"User-Agent": {"golden/1"}})
		id := a.await(KindConnect, 1).ConnectionID
		if got, want := get(id), `{"connectedAt":"2023-11-29T08:04:01.796Z","identity":{"userAgent":"golden/1","sourceIp":"127.0.0.1"},"lastActiveAt":"2023-11-29T08:04:01.796Z"}`; got != want {
			t.Errorf("GET %s, want %s", got, want)
		}

		c := a.dial()
		const inactive = `{"connectedAt":"2023-11-29T08:04:01.796Z","identity":{"sourceIp":"127.0.0.1"},"lastActiveAt":"2023-11-29T08:04:%s.796Z"}`
		for _, step := range []struct {
			name string
			do   func()
			want string
		}{
			{"a ping", func() { c.alive() }, "01"},
			{"a message", func() { c.text("hello"); a.await(KindMessage, 1) }, "03"},
			{"a GET", func() { get(c.id) }, "03"},
			{"a post", func() { a.post(c.id, "hello") }, "05"},
		} {
			clock.advance(time.Second)
			step.do()
			if got, want := get(c.id), fmt.Sprintf(inactive, step.want); got != want {
				t.Errorf("after %s: %s, want %s", step.name, got, want)
			}
		}
	})

	t.Run("row 28: POST", func(t *testing.T) {
		a := start(t, Config{}, nil)
		c := a.dial()
		for _, tt := range []struct {
			size   int
			frames []int
		}{
			{0, []int{0}},
			{1, []int{1}},
			{125, []int{125}},
			{126, []int{126}},
			{maxFrame, []int{maxFrame}},
			{maxFrame + 1, []int{maxFrame, 1}},
			{2 * maxFrame, []int{maxFrame, maxFrame}},
			{maxMessage - 1, []int{maxFrame, maxFrame, maxFrame, maxFrame - 1}},
			{maxMessage, []int{maxFrame, maxFrame, maxFrame, maxFrame}},
		} {
			body := strings.Repeat("0123456789", tt.size/10+1)[:tt.size]
			response, answer := a.manage(http.MethodPost, "/local/@connections/"+c.id, []byte(body))
			if response.StatusCode != http.StatusOK || answer != "" || response.Header.Get("x-amzn-ErrorType") != "" {
				t.Fatalf("post of %d bytes: %s %q", tt.size, response.Status, answer)
			}
			var got strings.Builder
			for i, size := range tt.frames {
				f := c.read()
				want := ws.Header{Fin: i == len(tt.frames)-1, OpCode: ws.OpText, Length: int64(size)}
				if i > 0 {
					want.OpCode = ws.OpContinuation
				}
				if f.Header != want {
					t.Fatalf("post of %d bytes: frame %+v, want %+v", tt.size, f.Header, want)
				}
				got.Write(f.Payload)
			}
			if got.String() != body {
				t.Errorf("post of %d bytes: another message arrived", tt.size)
			}
		}
		for _, size := range []int{maxMessage + 1, 2 * maxMessage} {
			response, answer := a.manage(http.MethodPost, "/local/@connections/"+c.id, make([]byte, size))
			if response.StatusCode != http.StatusRequestEntityTooLarge || response.Header.Get("x-amzn-ErrorType") != "PayloadTooLargeException" ||
				answer != `{"message":"the payload has more than 131072 bytes"}` {
				t.Errorf("post of %d bytes: %s %q %v", size, response.Status, answer, response.Header)
			}
		}
		c.alive()
	})

	t.Run("row 29: gone, and never there", func(t *testing.T) {
		a := start(t, Config{}, nil)
		c := a.dial()
		c.frame(ws.OpClose, true, "")
		a.await(KindClose, 1)
		for _, id := range []string{c.id, "L0SM9cOFvHcCIhw="} {
			for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
				response, body := a.manage(method, "/local/@connections/"+id, nil)
				want := http.Header{"X-Amzn-Errortype": {"GoneException"}, "Content-Type": {"application/json"}, "Content-Length": {"0"}}
				got := response.Header.Clone()
				if !validID(got.Get("x-amzn-RequestId")) {
					t.Errorf("x-amzn-RequestId: %q", got.Get("x-amzn-RequestId"))
				}
				got.Del("x-amzn-RequestId")
				got.Del("Date")
				if diff := cmp.Diff(want, got); response.StatusCode != http.StatusGone || body != "" || diff != "" {
					t.Errorf("%s %s: %s %q (-want +got):\n%s", method, id, response.Status, body, diff)
				}
			}
		}
	})

	t.Run("row 30: a malformed id", func(t *testing.T) {
		a := start(t, Config{}, nil)
		for _, id := range []string{"x", "", "L0SM9cOFvHcCIhw", "L0SM9cOFvHcCIhw%3D%3D", "L0SM9cOFvHcCIhw=/", "..%2F..", "%E2%82%AC"} {
			response, body := a.manage(http.MethodPost, "/local/@connections/"+id, []byte("hello"))
			if response.StatusCode != http.StatusBadRequest || response.Header.Get("x-amzn-ErrorType") != "BadRequestException" || body != `{"message":"Invalid connectionId"}` {
				t.Errorf("%q: %s %s", id, response.Status, body)
			}
		}
		if e := a.await(PostToConnection, 1); e.ConnectionID != "" || e.Status != http.StatusBadRequest {
			t.Errorf("event %+v", e)
		}
	})

	t.Run("row 31: percent-encoded paths", func(t *testing.T) {
		a := start(t, Config{}, nil)
		c := a.dial()
		encoded := strings.Replace(c.id, "=", "%3D", 1)
		for _, path := range []string{
			"/local/@connections/" + c.id, "/local/@connections/" + encoded, "/local/%40connections/" + c.id, "/local/%40connections/" + encoded,
		} {
			if response, body := a.manage(http.MethodPost, path, []byte(path)); response.StatusCode != http.StatusOK || c.message() != path {
				t.Errorf("%s: %s %s", path, response.Status, body)
			}
		}
		for _, path := range []string{"/prod/@connections/", "/@connections/", "/local/connections/", "/local/@connections"} {
			response, body := a.manage(http.MethodPost, path+strings.TrimPrefix(c.id, "@"), nil)
			if response.StatusCode != http.StatusForbidden || response.Header.Get("x-amzn-ErrorType") != "ForbiddenException" {
				t.Errorf("%s: %s %s", path, response.Status, body)
			}
		}
		if response, _ := a.manage(http.MethodPut, "/local/@connections/"+c.id, nil); response.StatusCode != http.StatusForbidden {
			t.Errorf("PUT: %s", response.Status)
		}
	})

	t.Run("row 32: the rate", func(t *testing.T) {
		clock := newClock()
		a := start(t, Config{Throttle: Throttle{Rate: 2, Burst: 3}, Now: clock.Now}, nil)
		c := a.dial()
		methods := []string{http.MethodPost, http.MethodGet, http.MethodPost, http.MethodGet, http.MethodDelete}
		for i, want := range []int{200, 200, 200, 429, 429} {
			response, body := a.manage(methods[i], "/local/@connections/"+c.id, nil)
			if response.StatusCode != want || want == 429 && (body != "" || response.Header.Get("x-amzn-ErrorType") != "LimitExceededException") {
				t.Errorf("request %d: %s %s, want %d", i, response.Status, body, want)
			}
		}
		clock.advance(500 * time.Millisecond)
		for _, want := range []int{200, 429} {
			if status := a.post(c.id, ""); status != want {
				t.Errorf("post half a second later: %d, want %d", status, want)
			}
		}
	})

	t.Run("row 32: a client that does not read", func(t *testing.T) {
		a := start(t, Config{Buffer: 3 * maxFrame, Timers: Timers{Post: time.Millisecond}}, nil)
		slow, other := a.dial(), a.dial()
		const size = 32_000
		var sent []string
		for status := http.StatusOK; status == http.StatusOK; {
			message := strings.Repeat(fmt.Sprintf("%08d", len(sent)), size/8)
			switch status = a.post(slow.id, message); status {
			case http.StatusOK:
				sent = append(sent, message)
			case http.StatusTooManyRequests:
			default:
				t.Fatalf("post %d: %d", len(sent), status)
			}
		}
		if info, ok := a.Connection(slow.id); !ok || info.Queued == 0 || info.Queued > 3*maxFrame {
			t.Errorf("info %+v", info)
		}
		if status := a.post(other.id, "not held up"); status != http.StatusOK || other.message() != "not held up" {
			t.Errorf("post to another client: %d", status)
		}
		for i, want := range sent {
			if got := slow.message(); got != want {
				t.Fatalf("message %d of %d is %.8s... of %d bytes", i, len(sent), got, len(got))
			}
		}
		slow.alive()
		if status := a.post(slow.id, "again"); status != http.StatusOK || slow.message() != "again" {
			t.Errorf("post to a client that reads again: %d", status)
		}
	})

	t.Run("row 33: signatures", func(t *testing.T) {
		a := start(t, Config{RequireSignature: true, Region: "eu-west-1"}, nil)
		c := a.dial()
		post := func(client *apigatewaymanagementapi.Client) error {
			_, err := client.PostToConnection(t.Context(), &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &c.id, Data: []byte("signed")})
			return err
		}
		if err := post(a.sdk("eu-west-1")); err != nil || c.message() != "signed" {
			t.Errorf("signed: %v", err)
		}
		var forbidden *types.ForbiddenException
		if err := post(a.sdk("us-east-1")); !errors.As(err, &forbidden) {
			t.Errorf("signed for another region: %v", err)
		}
		const tail = ", SignedHeaders=host, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		for authorization, want := range map[string]string{
			"":             "Missing Authentication Token",
			"Bearer token": "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' of AWS4-HMAC-SHA256",
			"AWS4-HMAC-SHA256 Credential=AKID/20230720/eu-west-1/execute-api/aws4_request":        "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' of AWS4-HMAC-SHA256",
			"AWS4-HMAC-SHA256 Credential=AKID/20230720/us-east-1/execute-api/aws4_request" + tail: "Credential should be scoped to a valid region, here eu-west-1",
			"AWS4-HMAC-SHA256 Credential=AKID/20230720/eu-west-1/lambda/aws4_request" + tail:      "Credential should be scoped to correct service: 'execute-api'",
			"AWS4-HMAC-SHA256 Credential=AKID/20230720/eu-west-1/execute-api/aws4_request" + tail: "",
		} {
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, a.url+"/local/@connections/L0SM9cOFvHcCIhw=", http.NoBody)
			request.Header.Set("Authorization", authorization)
			recorder := record(a, request)
			if want == "" {
				if recorder.Code != http.StatusGone {
					t.Errorf("%s: %d", authorization, recorder.Code)
				}
				continue
			}
			if recorder.Code != http.StatusForbidden || recorder.Header().Get("x-amzn-ErrorType") != "ForbiddenException" || recorder.Body.String() != `{"message":"`+want+`"}` {
				t.Errorf("%s: %d %s", authorization, recorder.Code, recorder.Body)
			}
		}
	})
}

// The SDK sees what it would see on AWS.
func TestManagementWithTheSDK(t *testing.T) {
	a := start(t, Config{}, nil)
	c := a.dial()
	client := a.sdk("us-east-1")
	post := func(id string, data []byte) error {
		_, err := client.PostToConnection(t.Context(), &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: data})
		return err
	}
	if err := post(c.id, []byte("hello")); err != nil || c.message() != "hello" {
		t.Error(err)
	}
	var tooLarge *types.PayloadTooLargeException
	if err := post(c.id, make([]byte, maxMessage+1)); !errors.As(err, &tooLarge) || tooLarge.ErrorMessage() == "" {
		t.Error(err)
	}
	var malformed smithy.APIError
	if err := post("x", []byte("hello")); !errors.As(err, &malformed) || malformed.ErrorCode() != "BadRequestException" || malformed.ErrorMessage() != "Invalid connectionId" {
		t.Error(err)
	}
	got, err := client.GetConnection(t.Context(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: &c.id})
	if err != nil || *got.Identity.SourceIp != "127.0.0.1" || got.LastActiveAt.Before(*got.ConnectedAt) {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := client.DeleteConnection(t.Context(), &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &c.id}); err != nil {
		t.Error(err)
	}
	var gone *types.GoneException
	if err := post(c.id, []byte("hello")); !errors.As(err, &gone) {
		t.Error(err)
	}
}

// Posts of many callers arrive whole.
func TestPostsDoNotInterleave(t *testing.T) {
	a := start(t, Config{Buffer: 8 << 20}, nil)
	c := a.dial()
	const callers, size = 26, 100_000
	var posting sync.WaitGroup
	for i := range callers {
		posting.Go(func() {
			if status := a.post(c.id, strings.Repeat(string(rune('a'+i)), size)); status != http.StatusOK {
				t.Errorf("post: %d", status)
			}
		})
	}
	seen := map[byte]bool{}
	for range callers {
		message := c.message()
		if len(message) != size || strings.Trim(message, message[:1]) != "" || seen[message[0]] {
			t.Fatalf("a message of %d bytes that begins %.20q", len(message), message)
		}
		seen[message[0]] = true
	}
	posting.Wait()
}

func TestFaults(t *testing.T) {
	var mu sync.Mutex
	var next Fault
	var asked []string
	a := start(t, Config{Fault: func(op, id string) Fault {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, op+" "+id)
		return next
	}}, map[string]function{"$connect": ok, "$disconnect": ok})
	inject := func(f Fault) {
		mu.Lock()
		defer mu.Unlock()
		next = f
	}
	c := a.dial()
	for _, status := range []int{403, 410, 413, 429, 500} {
		inject(Fault{Status: status})
		if got := a.post(c.id, "lost"); got != status {
			t.Errorf("post: %d, want %d", got, status)
		}
	}
	c.alive() // the 410 was a lie, and no message came

	inject(Fault{Status: 500, After: true})
	if got := a.post(c.id, "delivered all the same"); got != 500 || c.message() != "delivered all the same" {
		t.Errorf("post: %d", got)
	}

	for _, after := range []bool{false, true} { // the request gets lost, or the answer
		inject(Fault{Delay: time.Hour, After: after})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		request, _ := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/local/@connections/"+c.id, strings.NewReader("timed out"))
		if response, err := http.DefaultClient.Do(request); !errors.Is(err, context.DeadlineExceeded) {
			_ = response.Body.Close()
			t.Errorf("post: %v", err)
		}
		cancel()
		if after {
			if got := c.message(); got != "timed out" {
				t.Errorf("message %q", got)
			}
		}
		a.await(PostToConnection, 7+map[bool]int{true: 1}[after])
	}
	c.alive()

	inject(Fault{Cut: true})
	if got := a.post(c.id, "cut"); got != http.StatusGone {
		t.Errorf("post to a cut connection: %d", got)
	}
	if e := a.await(KindClose, 1); e.Cause != CauseDrop || e.Code != 1006 || e.ConnectionID != c.id {
		t.Errorf("event %+v", e)
	}
	a.await(KindInvoke, 2) // after $connect
	if ctx := a.event("$disconnect", 1).RequestContext; ctx.DisconnectStatusCode != 1006 {
		t.Errorf("$disconnect: %+v", ctx)
	}

	inject(Fault{})
	for op, method := range map[string]string{GetConnection: http.MethodGet, DeleteConnection: http.MethodDelete} {
		_, _ = a.manage(method, "/local/@connections/"+c.id, nil)
		mu.Lock()
		if got, want := asked[len(asked)-1], op+" "+c.id; got != want {
			t.Errorf("asked about %s, want %s", got, want)
		}
		mu.Unlock()
	}
}

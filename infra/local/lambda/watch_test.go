package lambda

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// watched serves what functions call, and counts the calls that are carried out.
func (s *service) watched(t *testing.T) (url string, calls *atomic.Int32) {
	t.Helper()
	calls = &atomic.Int32{}
	server := httptest.NewServer(s.Watch(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) })))
	t.Cleanup(server.Close)
	return server.URL, calls
}

// An invocation that makes two calls is killed with the first, with the second, with its answer, or with its answer because it makes no
// more calls.
func TestKill(t *testing.T) {
	for kill, want := range map[int]int32{0: 2, 1: 0, 2: 1, 3: 2, 9: 2} {
		var next atomic.Int32
		s := start(t, Config{Processes: 1, Kill: func(function string) int {
			if function != "echo" {
				t.Errorf("asked about %s", function)
			}
			return int(next.Swap(0))
		}})
		url, calls := s.watched(t)
		next.Store(int32(kill))
		out := s.call(t, order{Do: "get twice", URL: url})
		if got := calls.Load(); got != want {
			t.Errorf("%d: %d calls, want %d", kill, got, want)
		}
		if kill == 0 {
			reported(t, out)
			continue
		}
		if out.StatusCode != 200 || out.FunctionError == nil || *out.FunctionError != "Unhandled" ||
			!strings.Contains(string(out.Payload), `"errorType":"Runtime.ExitError"`) || !strings.Contains(string(out.Payload), "signal: killed") {
			t.Errorf("%d: %s", kill, out.Payload)
		}
		reported(t, s.call(t, order{Do: "get twice", URL: url})) // by a new process
		if got := calls.Load(); got != want+2 {
			t.Errorf("%d: %d calls after the second event, want %d", kill, got, want+2)
		}
	}
}

// An asynchronous event whose process is killed runs again.
func TestKilledEventIsRetried(t *testing.T) {
	var begun atomic.Int32
	s := start(t, Config{Scale: quick, Kill: func(string) int {
		if begun.Add(1) == 1 {
			return 1
		}
		return 0
	}})
	url, calls := s.watched(t)
	s.callInput(t, order{Do: "get", URL: url}, &lambda.InvokeInput{InvocationType: types.InvocationTypeEvent})
	attempts := s.observed(t, 2)
	if attempts[0].Error == "" || attempts[1].Error != "" || attempts[1].Attempt != 2 || attempts[1].RequestID != attempts[0].RequestID {
		t.Errorf("%+v", attempts)
	}
	if got := calls.Load(); got != 1 {
		t.Errorf("%d calls", got)
	}
}

// Calls that no running process makes are nobody's.
func TestWatchLetsOthersPass(t *testing.T) {
	s := start(t, Config{Kill: func(string) int { return 1 }})
	url, calls := s.watched(t)
	for _, token := range []string{"", "local", rand.Text()} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Amz-Security-Token", token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	if got := calls.Load(); got != 3 {
		t.Errorf("%d calls of 3", got)
	}
}

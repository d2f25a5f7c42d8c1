package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLambdaInvoke(t *testing.T) {
	type answer struct {
		status  int
		header  string // X-Amz-Function-Error
		payload string
	}
	for name, tt := range map[string]struct {
		answer answer
		want   Result
		is     error  // of Result.err
		says   string // and its text
	}{
		"success":          {answer{200, "", `{"statusCode":200}`}, Result{Payload: []byte(`{"statusCode":200}`), Status: 200}, nil, ""},
		"null":             {answer{200, "", `null`}, Result{Payload: []byte(`null`), Status: 200}, nil, ""},
		"an error":         {answer{200, "Unhandled", `{"errorMessage":"boom","errorType":"errorString"}`}, Result{Payload: []byte(`{"errorMessage":"boom","errorType":"errorString"}`), FunctionError: "Unhandled", Status: 200}, errFunction, "function error (Unhandled): errorString: boom"},
		"throttled":        {answer{429, "", `{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}`}, Result{Payload: []byte(`{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}`), Status: 429}, errRefused, "the Invoke API refused with status 429: Rate Exceeded."},
		"unknown":          {answer{404, "", `{"Type":"User","Message":"Function not found"}`}, Result{Payload: []byte(`{"Type":"User","Message":"Function not found"}`), Status: 404}, errRefused, "the Invoke API refused with status 404: Function not found"},
		"text of a proxy":  {answer{502, "", `Bad Gateway`}, Result{Payload: []byte(`Bad Gateway`), Status: 502}, errRefused, "the Invoke API refused with status 502: Bad Gateway"},
		"the emulator":     {answer{200, "", `Task timed out after 3.00 seconds`}, Result{Payload: []byte(`Task timed out after 3.00 seconds`), FunctionError: "Unhandled", Status: 200}, errFunction, "function error (Unhandled): Task timed out after 3.00 seconds"},
		"nothing":          {answer{200, "", ``}, Result{Payload: []byte{}, FunctionError: "Unhandled", Status: 200}, errFunction, "function error (Unhandled): "},
		"JSON not to show": {answer{200, "Unhandled", `["secret"]`}, Result{Payload: []byte(`["secret"]`), FunctionError: "Unhandled", Status: 200}, errFunction, "function error (Unhandled): no error document"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != http.MethodPost || r.URL.EscapedPath() != "/2015-03-31/functions/arn:aws:lambda:x:1:function:join%2F1/invocations" ||
					r.Header.Get("X-Amz-Invocation-Type") != "RequestResponse" || r.Header.Get("Authorization") != "" || string(body) != `{"a":1}` {
					t.Errorf("%s %s %v %s", r.Method, r.URL.EscapedPath(), r.Header, body)
				}
				if tt.answer.header != "" {
					w.Header().Set("X-Amz-Function-Error", tt.answer.header)
				}
				w.WriteHeader(tt.answer.status)
				_, _ = io.WriteString(w, tt.answer.payload)
			}))
			defer server.Close()
			got, err := LambdaInvoke(server.URL+"/", nil)(t.Context(), "arn:aws:lambda:x:1:function:join/1", []byte(`{"a":1}`))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if err := got.err(); !errors.Is(err, tt.is) || err != nil && err.Error() != tt.says {
				t.Errorf("error %q, want %q", err, tt.says)
			}
		})
	}

	t.Run("a response of 6 MB, and one byte more", func(t *testing.T) {
		size := maxResponse
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `"`+strings.Repeat("x", size-2)+`"`)
		}))
		defer server.Close()
		invoke := LambdaInvoke(server.URL, server.Client())
		if got, err := invoke(t.Context(), "f", nil); err != nil || len(got.Payload) != size {
			t.Errorf("%d bytes, %v", len(got.Payload), err)
		}
		size++
		if _, err := invoke(t.Context(), "f", nil); err == nil || !strings.Contains(err.Error(), "larger than 6291456 bytes") {
			t.Error(err)
		}
	})

	t.Run("nobody there", func(t *testing.T) {
		if _, err := LambdaInvoke("http://127.0.0.1:1", nil)(t.Context(), "f", nil); err == nil || !strings.HasPrefix(err.Error(), "invoke f: ") {
			t.Error(err)
		}
	})

	t.Run("cancelled", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}))
		defer server.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := LambdaInvoke(server.URL, nil)(ctx, "f", nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

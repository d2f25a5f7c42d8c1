package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.org/realtime/infra/local/trace"
)

// Each event of a client begins a trace, which every function that it invokes gets; a management request names the trace that it is
// part of.
func TestTraces(t *testing.T) {
	var a *api
	roots := make(chan string, 8)
	invoked := func(ctx context.Context, _ []byte) (Result, error) {
		roots <- trace.FromContext(ctx).Root
		return Result{Payload: []byte(`{"statusCode":200}`)}, nil
	}
	a = start(t, Config{}, map[string]function{routeConnect: invoked, routeDefault: invoked, routeDisconnect: invoked})
	c := a.dial()
	c.text("one")
	c.text("two")
	a.await(KindInvoke, 3)

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url+"/local/@connections/"+a.await(KindConnect, 1).ConnectionID, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(trace.Name, "Root=1-6566f1d0-0123456789abcdef01234567;Parent=00f067aa0ba902b7;Sampled=0;Lineage=a:1%7Cb:1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if e := a.await(PostToConnection, 1); e.TraceID != "1-6566f1d0-0123456789abcdef01234567" || e.Segment != "00f067aa0ba902b7" {
		t.Errorf("post: trace %q, segment %q", e.TraceID, e.Segment)
	}
	a.close()
	close(roots)

	begun := []string{
		a.await(KindHandshake, 1).TraceID, a.await(KindMessage, 1).TraceID, a.await(KindMessage, 2).TraceID, a.await(KindClose, 1).TraceID,
	}
	if a.await(KindConnect, 1).TraceID != begun[0] {
		t.Error("the handshake has two traces")
	}
	for root := range roots {
		if !slices.Contains(begun, root) {
			t.Errorf("a function got %q, none of %q", root, begun)
		}
	}
	slices.Sort(begun)
	if len(slices.Compact(begun)) != 4 || begun[0] == "" {
		t.Errorf("traces %q", begun)
	}
	if got := len(only(a.seen, KindInvoke)); got != 4 {
		t.Errorf("%d invocations", got)
	}
	for _, e := range only(a.seen, KindInvoke) {
		if !slices.Contains(begun, e.TraceID) {
			t.Errorf("invocation of %s: trace %q", e.RouteKey, e.TraceID)
		}
	}
}

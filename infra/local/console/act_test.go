package console

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMint(t *testing.T) {
	f := attachedFixture(t, http.NotFoundHandler())
	for request, want := range map[string]string{
		`{"user":"alice"}`:                    "token of alice for 10m0s",
		`{"user":"alice","seconds":30}`:       "token of alice for 30s",
		`{"user":"alice","seconds":-60}`:      "token of alice for -1m0s",
		`{"user":"alice","seconds":99999999}`: "token of alice for 24h0m0s",
		// More than a time.Duration has.
		`{"user":"alice","seconds":10000000000}`:  "token of alice for 24h0m0s",
		`{"user":"alice","seconds":-10000000000}`: "token of alice for -24h0m0s",
	} {
		var got minted
		if r := f.do(t, http.MethodPost, "/token", request, &got); r.Message != "" || got.Token != want {
			t.Errorf("%s: %+v, %+v", request, got, r)
		}
	}
	if r := f.do(t, http.MethodPost, "/token", `{"user":""}`, nil); r != (refusal{"user", `"" cannot be a user id`}) {
		t.Errorf("%+v", r)
	}
	for _, request := range []string{`{"user":"a","admin":true}`, `[]`, `{`, strings.Repeat(" ", 70<<10)} {
		if r := f.do(t, http.MethodPost, "/token", request, nil); !strings.HasPrefix(r.Message, "the request: ") {
			t.Errorf("%.20s: %+v", request, r)
		}
	}
}

// A request goes to the function as it is, in a trace of its own, and what comes of it is told as the function told it.
func TestInvoke(t *testing.T) {
	var got, header, path string
	answer := func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"delivered":1}`) }
	f := attachedFixture(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got, header, path = string(body), r.Header.Get("X-Amzn-Trace-Id"), r.URL.Path
		answer(w)
	}))
	const request = `{"event" : "messages:new", "data": {"a": 1.0} }`
	var out invoked
	f.do(t, http.MethodPost, "/invoke/publish", request, &out)
	if got != request || path != "/2015-03-31/functions/PublishFunction/invocations" || header != "Root="+out.TraceID || string(out.Answer) != `{"delivered":1}` || out.Error != nil {
		t.Errorf("%s got %q in %s: %+v", path, got, header, out)
	}
	if page, ok := f.traces.page(out.TraceID); !ok || page.Kind != "publish" || page.Title != "messages:new" {
		t.Errorf("trace %+v", page.Trace)
	}

	fails := func(status int, functionError, body string) {
		answer = func(w http.ResponseWriter) {
			if functionError != "" {
				w.Header().Set("X-Amz-Function-Error", functionError)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := []struct {
		status              int
		functionError, body string
		want                functionError
	}{
		{200, "Unhandled", `{"errorType":"ValidationError","errorMessage":"data.recipients[2]: must be: an id"}`, functionError{"ValidationError", "data.recipients[2]", "must be: an id"}},
		{200, "Unhandled", `{"errorType":"PublishInProgress","errorMessage":"id: try again"}`, functionError{"PublishInProgress", "", "id: try again"}},
		{200, "Unhandled", `no JSON`, functionError{"Unhandled", "", "no JSON"}},
		{404, "", `{"Message":"Function not found"}`, functionError{"", "", "Function not found"}},
	}
	for _, test := range tests {
		fails(test.status, test.functionError, test.body)
		var out invoked
		f.do(t, http.MethodPost, "/invoke/control", `{}`, &out)
		if diff := cmp.Diff(&test.want, out.Error); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.body, diff)
		}
	}
	if r := f.do(t, http.MethodPost, "/invoke/authorizer", `{}`, nil); r.Field != "function" {
		t.Errorf("another function: %+v", r)
	}
	got = ""
	out = invoked{}
	f.do(t, http.MethodPost, "/invoke/publish", "{\n  \"ü😀\": tru\n}", &out)
	if want := (syntaxError{14, 2, 12, "invalid character '\\n' in literal true (expecting 'e')"}); out.Syntax == nil || *out.Syntax != want || got != "" {
		t.Errorf("%+v, want %+v; the function got %q", out.Syntax, want, got)
	}
}

func TestSyntax(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:          "",
		` [1, 2] `:    "",
		``:            "0 1:1",
		`{`:           "1 1:2",
		`{"a": 1,}`:   "8 1:9",
		"{\n\n x}":    "4 3:2",
		"[1,\n2":      "5 2:2",
		`{} x`:        "3 1:4",
		`"é\q"`:       "3 1:4",
		"\"a\nb\"":    "2 1:3",
		"[\"😀\", 00]": "8 1:8",
	} {
		got := ""
		if e := syntax([]byte(text)); e != nil {
			got = fmt.Sprintf("%d %d:%d", e.Offset, e.Line, e.Column)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestSamples(t *testing.T) {
	f := attachedFixture(t, http.NotFoundHandler())
	var all []sampleFile
	f.get(t, "/samples", &all)
	found := map[string]string{}
	for _, s := range all {
		found[s.File] = s.Function
		if s.Text == "" {
			t.Errorf("%s is empty", s.File)
		}
	}
	for file, function := range map[string]string{
		"events/publish/messages-new.json": "publish", "events/publish/errors/wrong-type.json": "publish", "events/control/set.json": "control", "events/control/errors/bad-user.json": "control",
	} {
		if found[file] != function {
			t.Errorf("%s: %q", file, found[file])
		}
	}
	f.Root = t.TempDir()
	if f.get(t, "/samples", &all); len(all) != 0 {
		t.Errorf("%d samples where there are none", len(all))
	}
}

func TestFaults(t *testing.T) {
	f := attachedFixture(t, http.NotFoundHandler())
	var page faultsPage
	f.do(t, http.MethodPost, "/faults", `{"faults":"throttled=0.5,seed=7","shuffle":"20ms"}`, &page)
	if page.Faults != "seed=7,throttled=0.5" || page.Shuffle != "20ms" || f.stack.Faults.Get().Throttled != 0.5 || f.stack.Gateway.Shuffle() != 20*time.Millisecond {
		t.Errorf("%+v", page)
	}
	for request, field := range map[string]string{
		`{"faults":"throttled=2"}`: "faults", `{"faults":"nonsense"}`: "faults", `{"shuffle":"soon"}`: "shuffle", `{"shuffle":"-1s"}`: "shuffle",
	} {
		if r := f.do(t, http.MethodPost, "/faults", request, nil); r.Field != field {
			t.Errorf("%s: %+v", request, r)
		}
	}
	page = faultsPage{}
	if f.get(t, "/faults", &page); page.Faults != "seed=7,throttled=0.5" || page.Shuffle != "20ms" || len(page.Keys) < 10 {
		t.Errorf("what was refused has changed it: %+v", page)
	}
	page = faultsPage{}
	if f.do(t, http.MethodPost, "/faults", `{}`, &page); page.Faults != "" || page.Shuffle != "" || f.stack.Gateway.Shuffle() != 0 {
		t.Errorf("%+v", page)
	}
}

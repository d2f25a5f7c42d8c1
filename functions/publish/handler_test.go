package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

type fake struct {
	publish func(req *contract.Publish, raw json.RawMessage) (contract.Published, error)
	do      func(job realtime.Job) error
}

func (f fake) Publish(_ context.Context, req *contract.Publish, raw json.RawMessage) (contract.Published, error) {
	return f.publish(req, raw)
}

func (f fake) Do(_ context.Context, job realtime.Job) error { return f.do(job) }

func TestPublish(t *testing.T) {
	const request = `{"id":"p1","event":"notifications:new","data":{"eventKey":"k","notification":{"a" : 1.0}},"to":{"users":["alice"]}}`
	published := contract.Published{ID: "p1", Event: "notifications:new", Matched: 3, Delivered: 1, Gone: 1, Failed: 1}
	p := &publish{fake{publish: func(req *contract.Publish, raw json.RawMessage) (contract.Published, error) {
		if string(raw) != request {
			t.Errorf("request %s, want the very bytes", raw)
		}
		if !strings.HasPrefix(string(req.Data), `{"eventKey":"k","notification":{"a" : 1.`) {
			t.Errorf("data %s, want the very bytes", req.Data)
		}
		return published, nil
	}}}
	got, err := p.handle(t.Context(), json.RawMessage(request))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"p1","event":"notifications:new","matched":3,"delivered":1,"gone":1,"failed":1,"duplicate":false}`
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	published = contract.Published{ID: "p1", Event: "notifications:new", Matched: 50_000, Queued: 50_000}
	if got, err = p.handle(t.Context(), json.RawMessage(request)); err != nil {
		t.Fatal(err)
	}
	if raw, err = json.Marshal(got); err != nil {
		t.Fatal(err)
	}
	const queued = `{"id":"p1","event":"notifications:new","matched":50000,"delivered":0,"gone":0,"failed":0,"queued":50000,"duplicate":false}`
	if diff := cmp.Diff(queued, string(raw)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Every sample job arrives whole, and nothing of it is taken for an event.
func TestJobs(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "events", "publish", "jobs", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d samples, %v", len(paths), err)
	}
	failed := errors.New("the table does not answer")
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got realtime.Job
		p := &publish{fake{do: func(job realtime.Job) error {
			got = job
			return nil
		}}}
		answer, err := p.handle(t.Context(), raw)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if body, err := json.Marshal(answer); err != nil || string(body) != "{}" {
			t.Errorf("%s: answered %s, %v", path, body, err)
		}
		again, err := json.Marshal(map[string]any{"job": got})
		if err != nil {
			t.Fatal(err)
		}
		var want, have any
		if err := errors.Join(json.Unmarshal(raw, &want), json.Unmarshal(again, &have)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s: -sample +done:\n%s", path, diff)
		}
		if outcome, attrs := describe(nil, answer, nil); outcome != "ok" || len(attrs) != 1 || attrs[0].Value.String() == "" {
			t.Errorf("%s: described as %s %v", path, outcome, attrs)
		}
		p = &publish{fake{do: func(realtime.Job) error { return failed }}}
		if answer, err := p.handle(t.Context(), raw); !errors.Is(err, failed) {
			t.Errorf("%s: %v", path, err)
		} else if outcome, _ := describe(nil, answer, err); outcome != "failed" {
			t.Errorf("%s: outcome %s", path, outcome)
		}
	}
}

// Lambda tells the caller the error's type by the name of its Go type, which a wrapped error would not have.
func TestRefused(t *testing.T) {
	inProgress := &contract.PublishInProgress{ID: "p1"}
	const good = `{"event":"notifications:new","data":{"eventKey":"k","notification":{}},"to":{"all":true}}`
	tests := []struct {
		name, request string
		rule, want    error
		outcome       string
	}{
		{"not JSON", `{`, nil, &contract.ValidationError{Field: "request", Message: "must be a JSON object"}, "refused"},
		{"a list", `[]`, nil, &contract.ValidationError{Field: "request", Message: "must be a JSON object"}, "refused"},
		{"a job and an event", `{"job":{"verify":{"user":"a"}},"event":"error"}`, nil, &contract.ValidationError{Field: "job", Message: "comes alone: it is for this service's own functions"}, "refused"},
		{"a job that is none", `{"job":"verify"}`, nil, &contract.ValidationError{Field: "job", Message: "must be an object with one of open, welcome, refuse, presence, verify, fanout"}, "refused"},
		{"by the rules", good, &contract.ValidationError{Field: "data", Message: "too much"}, &contract.ValidationError{Field: "data", Message: "too much"}, "refused"},
		{"in progress", good, inProgress, inProgress, "in_progress"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := &publish{fake{publish: func(*contract.Publish, json.RawMessage) (contract.Published, error) {
				return contract.Published{}, test.rule
			}}}
			answer, err := p.handle(t.Context(), json.RawMessage(test.request))
			if diff := cmp.Diff(test.want, err); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if outcome, _ := describe(nil, answer, err); outcome != test.outcome {
				t.Errorf("outcome %s, want %s", outcome, test.outcome)
			}
		})
	}
}

// The samples of bad requests are refused by the field that they are named after, before any rule is asked.
func TestBadSamples(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "events", "publish", "errors", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d samples, %v", len(paths), err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = (&publish{}).handle(t.Context(), raw)
		if _, ok := err.(*contract.ValidationError); !ok { //nolint:errorlint // Lambda does not unwrap either
			t.Errorf("%s: %v", path, err)
		}
	}
}

package lambda

import (
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// quick makes the minute before the second attempt 6 ms.
const quick = 0.0001

func (s *service) event(t *testing.T, o order) {
	t.Helper()
	if out := s.callInput(t, o, &lambda.InvokeInput{InvocationType: types.InvocationTypeEvent}); out.StatusCode != 202 || len(out.Payload) != 0 {
		t.Errorf("status %d, payload %s", out.StatusCode, out.Payload)
	}
}

func TestEventIsRetriedTwice(t *testing.T) {
	s := start(t, Config{Scale: quick}, func(f *Function) { f.OnFailure = "arn:aws:sqs:us-east-1:000000000000:Failed" })
	s.event(t, order{Do: "fail"})
	attempts := s.observed(t, 3)
	for i, a := range attempts {
		if a.Type != "Event" || a.Attempt != i+1 || a.RequestID != attempts[0].RequestID || a.Error == "" {
			t.Errorf("%+v", a)
		}
		if pause := time.Duration(i) * 6 * time.Millisecond; i > 0 && a.Start.Sub(attempts[i-1].Start) < pause {
			t.Errorf("attempt %d came before %v were over", a.Attempt, pause)
		}
	}
	eventually(t, "the failure queue", func() bool { return len(s.Failures()) == 1 })
	f := s.Failures()[0]
	if f.Function != "echo" || f.RequestID != attempts[0].RequestID || f.Condition != RetriesExhausted || f.Attempts != 3 ||
		string(f.Payload) != `{"Do":"fail"}` || f.Destination != "arn:aws:sqs:us-east-1:000000000000:Failed" || len(f.Response) == 0 {
		t.Errorf("%+v", f)
	}
	if got := s.observed(t, 3); len(got) != 3 {
		t.Errorf("%d attempts", len(got))
	}
}

func TestEventIsNotRetriedAfterSuccess(t *testing.T) {
	s := start(t, Config{Scale: quick})
	s.event(t, order{})
	s.event(t, order{Do: "fail"})
	eventually(t, "the failing event's end", func() bool { return len(s.Failures()) == 1 })
	if got := s.observed(t, 4); len(got) != 4 {
		t.Errorf("%d attempts at two events", len(got))
	}
}

func TestRetryAttempts(t *testing.T) {
	for _, retries := range []int{0, 1} {
		t.Run(strconv.Itoa(retries), func(t *testing.T) {
			s := start(t, Config{Scale: quick}, func(f *Function) { f.RetryAttempts = retries })
			s.event(t, order{Do: "fail"})
			eventually(t, "the failure", func() bool { return len(s.Failures()) == 1 })
			if f := s.Failures()[0]; f.Attempts != retries+1 || len(s.observed(t, 0)) != retries+1 {
				t.Errorf("%+v", f)
			}
		})
	}
}

// An event that got too old between two attempts is given up without another.
func TestEventAge(t *testing.T) {
	s := start(t, Config{Scale: quick}, func(f *Function) { f.EventAge = time.Nanosecond })
	s.event(t, order{})
	eventually(t, "the failure", func() bool { return len(s.Failures()) == 1 })
	if f := s.Failures()[0]; f.Condition != EventAgeExceeded || f.Attempts != 0 || f.Response != nil {
		t.Errorf("%+v", f)
	}
	if got := s.observed(t, 0); len(got) != 0 {
		t.Errorf("ran: %+v", got)
	}
}

func TestEventMayRunTwice(t *testing.T) {
	s := start(t, Config{Duplicate: func(function string) bool { return function == "echo" }})
	s.event(t, order{})
	runs := s.observed(t, 2)
	if runs[0].RequestID != runs[1].RequestID {
		t.Errorf("%+v", runs)
	}
	reported(t, s.call(t, order{})) // what is not asynchronous runs once
	if got := s.observed(t, 3); len(got) != 3 {
		t.Errorf("%d runs", len(got))
	}
}

package lambda

import (
	"encoding/json"
	"time"

	"example.org/realtime/infra/local/trace"
)

// keptFailures is how many Failures are remembered.
const keptFailures = 100

// Why an asynchronous event was given up: the `condition` of Lambda's destination records.
const (
	RetriesExhausted = "RetriesExhausted"
	EventAgeExceeded = "EventAgeExceeded"
)

// Failure is an asynchronous event given up.
type Failure struct {
	Function    string
	RequestID   string
	Condition   string // RetriesExhausted or EventAgeExceeded
	Attempts    int
	Payload     json.RawMessage
	Response    json.RawMessage // the last attempt's error; nil when it never ran
	Destination string          // where Lambda would send it; "" drops it
	At          time.Time
}

// event is an asynchronous event until it is done with.
type event struct {
	f     *function
	first invocation // as it was accepted
	tries int
	last  []byte // the error of the last try
}

// acceptEvent takes an asynchronous event, or, when Config.Duplicate says so, the same one twice.
func (s *Service) acceptEvent(f *function, inv *invocation) bool {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return false
	}
	s.asked(f, inv)
	inv.expires = inv.accepted.Add(s.scaled(f.EventAge))
	s.try(&event{f: f, first: *inv})
	if s.config.Duplicate != nil && s.config.Duplicate(f.Name) {
		s.try(&event{f: f, first: *inv})
	}
	return true
}

func (s *Service) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * s.config.Scale)
}

// try queues the event once more. The request id is the same each time, as Lambda's is.
func (s *Service) try(e *event) {
	e.tries++
	inv := e.first
	inv.attempt, inv.accepted = e.tries, time.Now()
	inv.chain.segment = trace.NewSegment()
	inv.done = func(r result) { s.tried(e, r) }
	e.f.accept(&inv) // refused only when the service closes, which drops it
}

func (s *Service) tried(e *event, r result) {
	switch {
	case r.refused:
	case r.late:
		s.giveUp(e, EventAgeExceeded)
	case !r.failed:
	case e.tries > e.f.RetryAttempts:
		e.last = r.payload
		s.giveUp(e, RetriesExhausted)
	default:
		e.last = r.payload
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return
		}
		// One minute before the second attempt and two before the third (Lambda developer guide, asynchronous invocation).
		s.retries[e] = time.AfterFunc(s.scaled(time.Duration(e.tries)*time.Minute), func() {
			s.mu.Lock()
			_, due := s.retries[e]
			delete(s.retries, e)
			s.mu.Unlock()
			if due {
				s.try(e)
			}
		})
	}
}

func (s *Service) giveUp(e *event, condition string) {
	tries := e.tries
	if condition == EventAgeExceeded {
		tries-- // the last one never ran
	}
	f := Failure{
		Function: e.f.Name, RequestID: e.first.id, Condition: condition, Attempts: tries,
		Payload: e.first.payload, Response: e.last, Destination: e.f.OnFailure, At: time.Now(),
	}
	s.mu.Lock()
	s.failures = append(s.failures, f)
	s.failures = s.failures[max(0, len(s.failures)-keptFailures):]
	s.mu.Unlock()
	log := s.log.With("function", f.Function, "request_id", f.RequestID, "condition", condition, "attempts", tries)
	if f.Destination == "" {
		log.Warn("event dropped: its function has no failure destination")
	} else {
		log.Warn("event went to the failure queue")
	}
}

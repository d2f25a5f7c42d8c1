package lambda

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// invocation is one attempt at an event.
type invocation struct {
	id            string
	kind          string // requestResponse or asyncEvent
	attempt       int
	payload       []byte
	clientContext string
	chain         chain
	caller        chain // whose call this is
	accepted      time.Time
	expires       time.Time    // an asynchronous event is given up after it; zero: never
	done          func(result) // called once, without locks held

	// Guarded by function.mu once it is accepted.
	started time.Time
	init    time.Duration
	timer   *time.Timer
	nested  int    // synchronous invocations it waits for
	wantLog bool   // X-Amz-Log-Type: Tail
	log     []byte // the lines written meanwhile
}

// result of an attempt.
type result struct {
	payload []byte
	failed  bool // payload is the error's JSON
	late    bool // never ran: too old
	refused bool // never ran: the service closes
	log     []byte
}

// function is a queue and the processes that work on it.
type function struct {
	Function
	service *Service
	arn     string
	limit   int

	mu        sync.Mutex
	closed    bool
	waiting   []*invocation // first in, first out
	idle      []*process    // used longest ago first
	processes map[*process]bool
	ending    int // processes that were killed and have not ended
	starting  int // processes that have not asked for their first event
	blocked   int // processes whose event waits for a nested invocation
	launched  int // processes ever started
}

// accept queues an event. It refuses when the service closes or, for RequestResponse, when the queue is full.
func (f *function) accept(inv *invocation) (accepted, throttled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false, false
	}
	if inv.kind == requestResponse && (f.limit <= 0 || len(f.waiting) >= f.service.config.Queue) {
		return false, true
	}
	f.waiting = append(f.waiting, inv)
	f.dispatch()
	return true, false
}

// dispatch gives waiting events to idle processes, the one used last first, starts processes for the rest, and ends idle ones above
// the bound. mu is held.
func (f *function) dispatch() {
	for len(f.waiting) > 0 && len(f.idle) > 0 {
		p := f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		f.assign(p, f.pop())
	}
	for !f.closed && f.starting < len(f.waiting) && len(f.processes) < f.limit+f.blocked {
		p := newProcess(f, f.launched)
		f.launched++
		f.starting++
		f.processes[p] = true
		f.service.processes.Go(p.run)
	}
	for excess := len(f.processes) - f.ending - f.limit - f.blocked; excess > 0 && len(f.idle) > 0; excess-- {
		f.idle[0].kill()
		f.idle = f.idle[1:]
	}
}

func (f *function) pop() *invocation {
	inv := f.waiting[0]
	f.waiting[0] = nil
	f.waiting = f.waiting[1:]
	return inv
}

// assign hands an event to a process that asked for one, and starts the function's timeout. mu is held.
func (f *function) assign(p *process, inv *invocation) {
	p.current = inv
	inv.started = time.Now()
	inv.init, p.init = p.init, 0
	if kill := f.service.config.Kill; kill != nil {
		p.calls = kill(f.Name)
	}
	inv.timer = time.AfterFunc(f.Timeout, func() { f.expire(p, inv) })
	p.work <- inv // never blocks: a process has one event
}

// next waits for an event for a process; nil means that the process gets none any more. ok is false when it has one already.
func (f *function) next(ctx context.Context, p *process) (inv *invocation, ok bool) {
	f.mu.Lock()
	if !p.ready {
		p.ready = true
		p.initTimer.Stop()
		p.init = time.Since(p.launched)
		f.starting--
	}
	switch {
	case p.current != nil:
		f.mu.Unlock()
		return nil, false
	case f.closed:
		p.kill()
	default:
		f.idle = append(f.idle, p)
		f.dispatch()
	}
	f.mu.Unlock()

	select {
	case inv := <-p.work:
		f.service.begin(f, inv)
		return inv, true
	case <-ctx.Done(): // the process has gone
		f.mu.Lock()
		f.idle = slices.DeleteFunc(f.idle, func(other *process) bool { return other == p })
		f.mu.Unlock()
		return nil, true
	}
}

// settle takes the event id from a process and ends it with r. It reports whether the process had that event.
func (f *function) settle(p *process, id string, r result) bool {
	f.mu.Lock()
	inv := p.current
	if inv == nil || inv.id != id {
		f.mu.Unlock()
		return false
	}
	p.current = nil
	r.log = inv.log
	f.mu.Unlock()
	f.service.end(f, inv, r)
	return true
}

// expire ends an event that took longer than the function's timeout, and its process.
func (f *function) expire(p *process, inv *invocation) {
	p.out.drain()
	f.mu.Lock()
	overdue := p.current == inv
	r := timedOut(inv.id, f.Timeout)
	if overdue {
		p.current = nil
		r.log = inv.log
		p.kill()
	}
	f.mu.Unlock()
	if overdue {
		f.service.end(f, inv, r)
	}
}

// exited removes a process. An event it had fails; a process that never got ready fails the event that waits longest, so that a
// function that cannot start answers every event with its error.
func (f *function) exited(p *process, initError []byte, reason string) {
	f.service.tokens.Delete(p.token)
	f.mu.Lock()
	delete(f.processes, p)
	if p.doomed {
		f.ending--
	}
	f.idle = slices.DeleteFunc(f.idle, func(other *process) bool { return other == p })
	inv := p.current
	p.current = nil
	neverRan := !p.ready
	if neverRan {
		f.starting--
		if len(f.waiting) > 0 && !f.closed {
			inv = f.pop()
			inv.started = time.Now()
			inv.init = time.Since(p.launched)
		}
	}
	var log []byte
	if inv != nil {
		log = inv.log
	}
	f.dispatch()
	f.mu.Unlock()
	if inv == nil {
		return
	}
	r := failure(inv.id, "Runtime.ExitError", reason)
	if initError != nil {
		r.payload = initError
	}
	r.log = log
	f.service.end(f, inv, r)
}

// block notes that an event of this function waits for a nested invocation; the function it returns ends that.
func (f *function) block(inv *invocation) (unblock func()) {
	count := func(by int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		before := inv.nested
		inv.nested += by
		f.blocked += min(inv.nested, 1) - min(before, 1)
		f.dispatch()
	}
	count(1)
	return func() { count(-1) }
}

// close stops the queue and the processes without an event, and returns the events that waited.
func (f *function) close() []*invocation {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	waiting := f.waiting
	f.waiting = nil
	for p := range f.processes {
		if p.current == nil {
			p.kill()
		}
	}
	return waiting
}

func (f *function) killAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.processes {
		p.kill()
	}
}

// caller is an event that is running, and its function.
type caller struct {
	f   *function
	inv *invocation
}

// begin notes that an event runs.
func (s *Service) begin(f *function, inv *invocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active[inv.chain.segment] = caller{f, inv}
}

func (s *Service) running(segment string) (caller, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.active[segment]
	return c, ok
}

// asked tells that an event waits to run.
func (s *Service) asked(f *function, inv *invocation) {
	if s.config.Asked != nil {
		told := inv.told(f)
		told.Start = inv.accepted
		s.config.Asked(told)
	}
}

// told is what is known of an invocation before it runs.
func (inv *invocation) told(f *function) Invocation {
	return Invocation{
		Function: f.Name, RequestID: inv.id, Type: inv.kind, Attempt: inv.attempt, Payload: inv.payload, MemoryMB: f.MemoryMB,
		TraceID: inv.chain.root, Segment: inv.chain.segment, Parent: inv.caller.segment, Begins: inv.caller.root == "",
	}
}

// end tells all who wait for an event that it ended.
func (s *Service) end(f *function, inv *invocation, r result) {
	took := time.Since(inv.started)
	if inv.timer != nil {
		inv.timer.Stop()
	}
	s.mu.Lock()
	delete(s.active, inv.chain.segment)
	s.mu.Unlock()
	if s.config.Observe != nil && !r.late {
		told := inv.told(f)
		told.Start, told.Queued, told.Init, told.Duration, told.Error = inv.started, inv.started.Sub(inv.accepted), inv.init, took, r.functionError()
		s.config.Observe(told)
	}
	inv.done(r)
}

// functionError is "" for a success, else the error's type and message.
func (r result) functionError() string {
	if !r.failed {
		return ""
	}
	var e struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(r.payload, &e); err != nil {
		return "function error that is not JSON"
	}
	return e.ErrorType + ": " + e.ErrorMessage
}

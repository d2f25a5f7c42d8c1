package realtime

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"golang.org/x/time/rate"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// Publisher sends events to connections: what backends publish, and the jobs that the functions ask for.
type Publisher struct {
	Connections Connections
	Sessions    Sessions
	Everyone    Everyone
	Presences   Presences
	Rooms       Rooms
	Ledger      Ledger
	Parts       Parts
	Timers      Timers
	Budget      Budget // with PresenceRPS
	Poster      Poster
	Asker       Asker
	Metrics     Metrics
	Log         *slog.Logger
	Now         func() time.Time

	FanoutRPS         int  // posts per second of one publish, at least 1
	PresenceGlobalMax int  // 0: presence is global at any number of connections
	PresenceRPS       int  // posts a second of all presence jobs together; 0: as many as come
	ClientInfo        bool // user agents and ips reach everybody
	PingInterval      time.Duration
	PingTimeout       time.Duration
	MaxPayload        int // bytes of a whole message

	limitTold minutely // that there are more connections than PresenceGlobalMax
}

const (
	// endReserve is what a publish keeps of its time to store its answer and return it, a worker to hand over, and a disconnection to
	// return its answer.
	endReserve = 3 * time.Second
	// leaseReserve is how long after its deadline an invocation certainly does nothing more.
	leaseReserve = 5 * time.Second
	// maxInvocation is taken for the time left where the context has no deadline.
	maxInvocation = time.Minute
)

// Publish sends an event to its audience, each socket once, and says what became of it, or, where the audience is too large
// to wait for, that it is queued. raw is the request as it came: the same id with another is refused. Errors to return to the
// caller as they are: *contract.ValidationError and *contract.PublishInProgress. With any other, nothing was posted, unless
// the publish is split: then the same request goes on with what is left to do, if it has an id.
func (p *Publisher) Publish(ctx context.Context, req *contract.Publish, raw json.RawMessage) (contract.Published, error) {
	frames := eventFrames(req.Event, req.Data)
	for _, frame := range frames {
		if len(frame) > contract.MaxEventBytes {
			return contract.Published{}, &contract.ValidationError{
				Field:   "data",
				Message: fmt.Sprintf("%d bytes at most once encoded as an event, this has %d", contract.MaxEventBytes, len(frame)),
			}
		}
	}
	claim := p.claim(ctx, req, raw)
	if req.ID == "" {
		return p.send(ctx, claim, Record{}, req, raw, frames)
	}
	record, err := p.Ledger.Begin(ctx, claim)
	switch {
	case errors.Is(err, ErrBusy):
		return contract.Published{}, &contract.PublishInProgress{ID: req.ID}
	case errors.Is(err, ErrChanged):
		return contract.Published{}, &contract.ValidationError{Field: "id", Message: "was used for another request within 24 hours; choose another one"}
	case err != nil:
		return contract.Published{}, err
	case record.Done:
		answer, err := record.answer(claim.ID)
		answer.Duplicate = true
		return answer, err
	}
	answer, err := p.send(ctx, claim, record, req, raw, frames)
	if err == nil {
		return answer, nil
	}
	if released := p.Ledger.Release(ctx, claim.ID, claim.Owner); released != nil {
		p.Log.ErrorContext(ctx, "claim not given back, the id is in progress until its lease is over", "error", released)
	}
	return contract.Published{}, err // as it is: joined to another, Lambda would not tell the caller its type
}

func (p *Publisher) claim(ctx context.Context, req *contract.Publish, raw json.RawMessage) Claim {
	sum := sha256.Sum256(raw) // a repeated request is the same to the byte, its id included
	return Claim{
		ID: req.ID, Owner: rand.Text(), Hash: hex.EncodeToString(sum[:]), Event: req.Event, Lease: invocationEnd(ctx, p.Now).Add(leaseReserve),
	}
}

func (r Record) answer(id string) (answer contract.Published, err error) {
	if err := json.Unmarshal(r.Answer, &answer); err != nil {
		return contract.Published{}, fmt.Errorf("stored answer of publish %q: %w", id, err)
	}
	return answer, nil
}

// send posts an event to its audience, here, or by workers where it is large, and stores the answer where there is an id.
func (p *Publisher) send(ctx context.Context, claim Claim, record Record, req *contract.Publish, raw json.RawMessage, frames map[wire.Protocol][]byte) (contract.Published, error) {
	to, err := p.audience(ctx, req)
	if err != nil {
		return contract.Published{}, err
	}
	if record.Parts > 0 || len(to.sockets) > p.inlineMax() {
		return p.split(ctx, claim, record, raw, to)
	}
	d := p.delivery(req, frames)
	d.rate = rate.NewLimiter(rate.Limit(p.FanoutRPS), p.FanoutRPS)
	until, cancel := p.untilEnd(ctx)
	defer cancel()
	o := p.deliver(until, maps.Values(to.sockets), d)
	p.report(ctx, req.Event, o)
	answer := contract.Published{
		ID: req.ID, Event: req.Event, Matched: len(to.sockets), Delivered: o.delivered, Gone: len(o.gone), Failed: o.failed,
	}
	if claim.ID != "" {
		if err := p.Ledger.End(ctx, claim.ID, claim.Owner, encode(answer)); err != nil {
			p.Log.ErrorContext(ctx, "answer not stored, the id may be published again", "error", err)
		}
	}
	p.clean(until, o.gone)
	return answer, nil
}

// delivery is a request's event on its way; frames are the event's.
func (p *Publisher) delivery(req *contract.Publish, frames map[wire.Protocol][]byte) delivery {
	d := delivery{frame: func(s Socket) []byte { return frames[s.Protocol] }, retries: eventRetries(req.Event)}
	switch req.Event {
	case contract.PresenceUpdate:
		d.frame = p.snapshotFrames(*req.Presence, req.Data)
	case contract.SystemDisconnect:
		d.closing, d.final = true, !req.Reconnect
	}
	return d
}

// clean removes sockets that a publish found gone, in half of the time left at most: API Gateway may throttle their closes, while
// other sockets wait for the event, or a caller for the answer.
func (p *Publisher) clean(ctx context.Context, gone []target) {
	ctx, cancel := context.WithTimeout(ctx, (p.timeLeft(ctx)-endReserve)/2)
	defer cancel()
	if err := p.bury(ctx, gone, p.ask); err != nil {
		p.Log.WarnContext(ctx, "gone sockets not all removed, left to sweep", "error", err)
	}
}

// invocationEnd is when the invocation that ctx is of ends at the latest.
func invocationEnd(ctx context.Context, now func() time.Time) time.Time {
	if deadline, ok := ctx.Deadline(); ok {
		return deadline
	}
	return now().Add(maxInvocation)
}

func (p *Publisher) timeLeft(ctx context.Context) time.Duration {
	return invocationEnd(ctx, p.Now).Sub(p.Now())
}

// untilEnd is ctx without what is kept of its time for the answer.
func (p *Publisher) untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, p.timeLeft(ctx)-endReserve)
}

// report puts what became of an event into the metrics, and the failures into the log.
func (p *Publisher) report(ctx context.Context, event string, o outcome) {
	p.Metrics.Put(map[string]float64{"Delivered": float64(o.delivered), "Gone": float64(len(o.gone)), "Failed": float64(o.failed)})
	if o.failed > 0 {
		p.Log.WarnContext(ctx, "posts failed", "event", event, "failed", o.failed, "delivered", o.delivered, "first_error", o.firstError)
	}
}

// Do does a job that a function asked for. An error has Lambda try again; everything in a job may happen twice.
func (p *Publisher) Do(ctx context.Context, job Job) error {
	ctx, cancel := p.untilEnd(ctx)
	defer cancel()
	switch {
	case job.Open != nil:
		return p.open(ctx, *job.Open)
	case job.Welcome != nil:
		return p.welcome(ctx, *job.Welcome)
	case job.Refuse != nil:
		return p.refuse(ctx, *job.Refuse)
	case job.Presence != nil:
		return p.presence(ctx, *job.Presence)
	case job.Verify != nil:
		return p.verify(ctx, *job.Verify)
	case job.Fanout != nil:
		return p.fanout(ctx, *job.Fanout)
	}
	return &contract.ValidationError{Field: "job", Message: "must have one of open, welcome, refuse, presence, verify, fanout"}
}

// open posts the open packet, once: a second would break the client, so that one that may have been posted is not tried again.
func (p *Publisher) open(ctx context.Context, o Open) error {
	switch err := p.Sessions.Open(ctx, o.Connection); {
	case errors.Is(err, ErrExists), errors.Is(err, ErrGone):
		return nil
	case err != nil:
		return err
	}
	err := p.post(ctx, o.Connection, wire.EncodeOpen(o.Connection, p.PingInterval, p.PingTimeout, p.MaxPayload), openRetries)
	if err != nil && !errors.Is(err, ErrGone) {
		p.Log.WarnContext(ctx, "open packet not posted, the client will come back", "connection_id", o.Connection, "error", err)
		return p.close(ctx, o.Connection)
	}
	return nil
}

// welcome tells a connection that it is in its personal room, then everybody that its user is online.
func (p *Publisher) welcome(ctx context.Context, w Welcome) error {
	err := ignoreGone(p.post(ctx, w.Connection, readyFrame(cmp.Or(w.Protocol, wire.JSON), w.User), helloRetries))
	job := PresenceJob{User: w.User, Version: w.Version, AtMS: w.AtMS}
	told := p.presence(ctx, job)
	if err == nil && errors.Is(told, errDeferred) { // it has heard that it is ready: only the rest comes again
		told = p.Asker.Ask(ctx, Job{Presence: &job})
	}
	return errors.Join(err, told)
}

// refuse tells a connection why it may not stay, and closes it, told or not.
func (p *Publisher) refuse(ctx context.Context, r Refuse) error {
	err := p.post(ctx, r.Connection, errorFrame(wire.JSON, r.Error.Code, r.Error.Message), helloRetries)
	return errors.Join(ignoreGone(err), p.close(ctx, r.Connection))
}

// verify asks API Gateway for each of a user's sockets, and removes the dead ones.
func (p *Publisher) verify(ctx context.Context, v Verify) error {
	presence, err := p.Presences.Read(ctx, v.User)
	if err != nil {
		return err
	}
	var dead []target
	for _, s := range presence.Sockets {
		switch _, err := p.Poster.LastActive(ctx, s.ID); {
		case errors.Is(err, ErrGone):
			dead = append(dead, target{Socket: s.Socket, gone: p.Now()})
		case err != nil:
			return err
		}
	}
	return p.bury(ctx, dead, p.tellHere(dead))
}

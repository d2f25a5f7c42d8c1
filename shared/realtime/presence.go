package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"example.org/realtime/shared/contract"
)

const (
	// presenceRounds is how often a presence job posts again what moved while it was posting, before it asks for another.
	presenceRounds = 3
	// oldJob is the age above which a job is a retry, so that its version says nothing any more.
	oldJob = 30 * time.Second
)

// presence tells everybody who may see it of a user's presence, and goes on until what was told is true.
func (p *Publisher) presence(ctx context.Context, job PresenceJob) error {
	dead, err := p.tell(ctx, job, nil)
	if errors.Is(err, errDeferred) {
		err = p.again(ctx, job, err)
	}
	return errors.Join(err, p.bury(ctx, dead, p.tellHere(dead)))
}

// tell posts a user's presence, but not to the dead, and returns the sockets that were gone.
func (p *Publisher) tell(ctx context.Context, job PresenceJob, dead []target) (gone []target, err error) {
	who, err := p.observers(ctx, job)
	if err != nil {
		return nil, err
	}
	now, err := p.Presences.Read(ctx, job.User)
	if err != nil {
		return nil, err
	}
	retry := p.Now().Sub(time.UnixMilli(job.AtMS)) > oldJob
	ownRooms := who.limited && len(job.Rooms) > 0
	superseded := func() bool { // the newer write has its own job
		return job.Version != 0 && job.Version != now.Version && !retry && !ownRooms
	}
	if superseded() {
		return nil, nil
	}
	ended := map[string]bool{}
	for _, t := range dead {
		ended[t.ID] = !t.tooYoung()
	}
	for round := range presenceRounds {
		to := who.sockets.with(job.User, now.sockets(), ended)
		waited, err := p.awaitTurn(ctx, job.User, to)
		if err != nil {
			return gone, err
		}
		if waited {
			if now, err = p.Presences.Read(ctx, job.User); err != nil {
				return gone, err
			}
			if round == 0 && superseded() {
				return nil, nil
			}
			to = who.sockets.with(job.User, now.sockets(), ended)
		}
		snapshot := now.snapshot(job.User, who.timer)
		outcome, cut := p.deliverPresence(ctx, job.User, to, delivery{frame: p.snapshotFrames(snapshot, encode(snapshot)), retries: presenceRetries})
		p.report(ctx, contract.PresenceUpdate, outcome)
		for _, t := range outcome.gone {
			ended[t.ID] = true
		}
		gone = append(gone, outcome.gone...)
		if cut != nil {
			return gone, cut
		}
		told := now
		if now, err = p.Presences.Read(ctx, job.User); err != nil {
			return gone, err
		}
		if now.Version == told.Version && now.LastSeen.Equal(told.LastSeen) {
			return gone, p.tellMissed(ctx, job, outcome.missed)
		}
	}
	return gone, p.Asker.Ask(ctx, Job{Presence: &PresenceJob{User: job.User, Rooms: job.Rooms, Missed: job.Missed, AtMS: p.Now().UnixMilli()}})
}

// missedPerJob is how many of them one job is for: that stays below the megabyte that an asynchronous event may have (Lambda
// quotas).
const missedPerJob = 500

// errMissed ends a presence job that could not be posted to all whom it was for.
var errMissed = errors.New("presence is told later to those whose posts failed")

// tellMissed has those hear of a presence to whom its posts failed: at once by a job of their own, then by its error, as Lambda
// tries again after a minute and after two. After that they hear the user's next one.
func (p *Publisher) tellMissed(ctx context.Context, job PresenceJob, missed []Socket) error {
	now := p.Now()
	switch {
	case len(missed) == 0:
		return nil
	case len(job.Missed) == 0:
		var errs []error
		for part := range slices.Chunk(missed, missedPerJob) {
			errs = append(errs, p.Asker.Ask(ctx, Job{Presence: &PresenceJob{User: job.User, Missed: part, AtMS: now.UnixMilli()}}))
		}
		return errors.Join(errs...)
	case now.Sub(time.UnixMilli(job.AtMS)) < lastTry:
		return errMissed
	}
	return nil
}

// observers are the sockets that may hear of a presence.
type observers struct {
	sockets targets
	timer   Timer
	limited bool // above PRESENCE_GLOBAL_MAX: not everybody, only the rooms
}

// observers lists everybody, or above the limit the sockets of the job's rooms, besides the user's own; of a job for those whom
// another has missed, these.
func (p *Publisher) observers(ctx context.Context, job PresenceJob) (observers, error) {
	limit := p.PresenceGlobalMax
	timer, err := p.Timers.Read(ctx)
	if err != nil {
		return observers{}, err
	}
	who := observers{sockets: targets{}, timer: timer, limited: limit > 0 && timer.Active > limit}
	if len(job.Missed) > 0 {
		who.sockets.add(job.Missed, "")
		return who, nil
	}
	if !who.limited {
		everybody, err := p.Everyone.All(ctx, limit)
		if err != nil {
			return observers{}, err
		}
		if limit == 0 || len(everybody) <= limit {
			who.sockets.add(everybody, "")
			return who, nil
		}
		who.limited = true
	}
	if p.limitTold.first(p.Now()) {
		p.Log.WarnContext(ctx, "more connections than PRESENCE_GLOBAL_MAX, presence goes to rooms only", "limit", limit)
		p.Metrics.Put(map[string]float64{"PresenceLimited": 1})
	}
	for _, room := range job.Rooms {
		sockets, err := p.Rooms.Sockets(ctx, room, limit)
		if err != nil {
			return observers{}, err
		}
		if len(sockets) <= limit {
			who.sockets.add(sockets, room)
		}
	}
	return who, nil
}

// minutely has what lasts told once in each minute of the clock, the period of a metric.
type minutely struct{ minute atomic.Int64 }

// first tells whether this process has not told it yet in now's minute.
func (m *minutely) first(now time.Time) bool {
	minute := now.Unix() / 60
	return m.minute.Swap(minute) != minute
}

// with is the audience and a user's own sockets, but for those in without. Of the user's sockets in the audience none counts: it
// was listed earlier than own, and may still have one that has just ended.
func (t targets) with(user string, own []Socket, without map[string]bool) targets {
	all := maps.Clone(t)
	maps.DeleteFunc(all, func(_ string, t target) bool { return t.UserID == user })
	all.add(own, "")
	maps.DeleteFunc(all, func(id string, _ target) bool { return without[id] })
	return all
}

// snapshotFrames encodes a snapshot once per protocol and view: raw is the whole, which only the user's own sockets see
// unless ClientInfo.
func (p *Publisher) snapshotFrames(s contract.PresenceSnapshot, raw json.RawMessage) func(Socket) []byte {
	whole := eventFrames(contract.PresenceUpdate, raw)
	masked := whole
	if !p.ClientInfo {
		masked = eventFrames(contract.PresenceUpdate, encode(s.Masked()))
	}
	return func(to Socket) []byte {
		if to.UserID == s.UserID {
			return whole[to.Protocol]
		}
		return masked[to.Protocol]
	}
}

// snapshot is a presence as the contract shows it. A socket was last seen when it last spoke, or when sweep last verified
// its shard.
func (p Presence) snapshot(user string, t Timer) contract.PresenceSnapshot {
	s := contract.PresenceSnapshot{UserID: user, IsOnline: len(p.Sockets) > 0, Sockets: make([]contract.PresenceSocket, 0, len(p.Sockets))}
	last := p.LastSeen
	for _, socket := range p.Sockets {
		seen := socket.LastSeen
		if verified := t.Shards[Shard(socket.ID)].Verified; verified.After(seen) {
			seen = verified
		}
		if seen.After(last) {
			last = seen
		}
		s.Sockets = append(s.Sockets, contract.PresenceSocket{
			SocketID:    socket.ID,
			ConnectedAt: millis(socket.ConnectedAt),
			LastSeen:    millis(seen),
			UserAgent:   text(socket.UserAgent),
			IP:          text(socket.IP),
		})
	}
	s.LastSeen = millis(last)
	return s
}

func millis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

package realtime

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"
)

const (
	// freePosts is the number of posts from which a presence takes them out of the budget. A storm of smaller ones stays below
	// API Gateway's 10 000 requests a second without: its quota of 500 new connections a second times 9 posts.
	freePosts = 10
	// budgetAhead is how many seconds ahead posts are taken, budgetTries how many seconds are asked for.
	budgetAhead = 10
	budgetTries = 5
	// longestTelling is how many seconds a presence alone takes at most: an invocation has 50, and its retries begin anew.
	longestTelling = 10
	// postTime is what is kept for posting of an invocation's time.
	postTime = 5 * time.Second
	// lastTry is the age of a job above which Lambda does not try it again: it does after one minute, then after two.
	lastTry = 150 * time.Second
)

// errDeferred ends a presence job for which the budget has no room within the next seconds.
var errDeferred = errors.New("PRESENCE_RPS is used up: presence is told later")

// deliverPresence delivers a presence within PRESENCE_RPS, to a large audience a portion at a time; awaitTurn has taken the first
// out of the budget. After an error the rest has heard nothing.
func (p *Publisher) deliverPresence(ctx context.Context, user string, to targets, d delivery) (o outcome, err error) {
	rps := p.presenceRPS(to)
	portions := slices.Chunk(slices.Sorted(maps.Keys(to)), p.portion(to))
	first := true
	for ids := range portions {
		part := targets{}
		for _, id := range ids {
			part[id] = to[id]
		}
		if !first {
			if _, err := p.takePosts(ctx, user, len(part), rps); err != nil {
				return o, err
			}
		}
		first = false
		did := p.deliver(ctx, maps.Values(part), d)
		o.delivered += did.delivered
		o.gone = append(o.gone, did.gone...)
		o.failed += did.failed
		o.missed = append(o.missed, did.missed...)
		if o.firstError == nil {
			o.firstError = did.firstError
		}
	}
	return o, nil
}

// presenceRPS is PRESENCE_RPS, or what it takes to be through with a presence in time, if that is more.
func (p *Publisher) presenceRPS(to targets) int {
	return max(p.PresenceRPS, (len(to)+longestTelling-1)/longestTelling)
}

// portion is how many posts of a presence are taken out of the budget at once: all of a small audience, else at most a quarter of
// what a second has, so that a large one finds room beside others.
func (p *Publisher) portion(to targets) int {
	if p.PresenceRPS == 0 || len(to) < freePosts {
		return max(1, len(to))
	}
	return min(len(to), max(1, p.presenceRPS(to)/4))
}

// awaitTurn takes the first portion of a presence out of the budget, and tells whether that took a while.
func (p *Publisher) awaitTurn(ctx context.Context, user string, to targets) (waited bool, err error) {
	if p.PresenceRPS == 0 || len(to) < freePosts {
		return false, nil
	}
	rps := p.presenceRPS(to)
	if rps > p.PresenceRPS {
		p.Metrics.Put(map[string]float64{"PresenceOverBudget": 1})
		p.Log.WarnContext(ctx, "PRESENCE_RPS is less than a tenth of those who hear of a presence, so that more is posted: raise it, or lower PRESENCE_GLOBAL_MAX",
			"presence_rps", p.PresenceRPS, "needed_rps", rps)
	}
	return p.takePosts(ctx, user, p.portion(to), rps)
}

// takePosts takes posts out of the budget of this second or of one of the next, rps each, and waits for that second. errDeferred: all
// of those asked are full.
func (p *Publisher) takePosts(ctx context.Context, user string, posts, rps int) (waited bool, err error) {
	now := p.Now()
	for _, ahead := range secondsAhead(user, now) {
		second := time.Unix(now.Unix()+ahead, 0)
		wait := second.Sub(now)
		if deadline, ok := ctx.Deadline(); ok && wait > 0 && time.Until(deadline) < wait+postTime {
			continue
		}
		switch err := p.Budget.Take(ctx, second, posts, rps); {
		case errors.Is(err, ErrFull):
			continue
		case err != nil:
			return false, err
		case wait <= 0:
			return false, nil
		}
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-time.After(wait):
			return true, nil
		}
	}
	p.Metrics.Put(map[string]float64{"PresenceDeferred": 1})
	p.Log.WarnContext(ctx, "presence deferred: the posts of the next seconds are taken", "presence_rps", rps, "posts", posts)
	return false, errDeferred
}

// secondsAhead are the seconds to ask for, from now: this one, the next, then some that differ from user to user, so that those
// who wait do not all ask for the same.
func secondsAhead(user string, now time.Time) []int64 {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, now.Unix(), user) // never fails
	first := int64(h.Sum32())
	const rest = budgetAhead - 1 // 2 to 10; 4 has no divisor in common with it
	seconds := []int64{0, 1}
	for i := int64(0); len(seconds) < budgetTries; i++ {
		seconds = append(seconds, 2+(first+4*i)%rest)
	}
	return seconds
}

// again has a job that was deferred come back: by its error, as Lambda tries again after a minute and after two, and at the last
// of these tries by a new one, which tells whatever is newest.
func (p *Publisher) again(ctx context.Context, job PresenceJob, deferred error) error {
	now := p.Now()
	if now.Sub(time.UnixMilli(job.AtMS)) < lastTry {
		return deferred
	}
	job.Version, job.AtMS = 0, now.UnixMilli()
	return p.Asker.Ask(ctx, Job{Presence: &job})
}

package realtime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.org/realtime/shared/contract"
)

const (
	// inlineMax is up to how many sockets a publish posts to before it answers with what became of each. Measured both ways at the default
	// FANOUT_RPS (infra/bench/results.md): where a post takes 8 ms that is 0.3 s, workers are no quicker, and Lambda bills over three times
	// the time. Where it takes 30 ms workers are quicker from 500 sockets on, 0.4 s instead of 1.0 s here; more would keep the caller waiting.
	inlineMax = 2000
	// inlineTime is how long posting to them may take at FANOUT_RPS.
	inlineTime = 10 * time.Second
	// workerRPS is what one worker posts a second at most. There are few, because Lambda bills the time of each.
	workerRPS = 1250
	// maxJob is the size of a job that Lambda certainly takes, in bytes: an asynchronous invocation has at most 1 MB.
	maxJob = 1_000_000
)

func (p *Publisher) inlineMax() int {
	return min(inlineMax, int(inlineTime.Seconds())*p.FanoutRPS)
}

// split has workers post an event to its audience. The plan is stored before the first worker begins, so that whoever sends the
// request again after a crash goes on with the same parts: their checkpoints say what is left.
func (p *Publisher) split(ctx context.Context, claim Claim, record Record, raw []byte, to audience) (contract.Published, error) {
	named := claim.ID != ""
	if !named {
		claim.ID = rand.Text()
	}
	planned := record.Parts > 0
	if !planned {
		n := len(to.sockets)
		record = Record{
			Answer: encode(contract.Published{ID: claim.ID, Event: claim.Event, Matched: n, Queued: n}),
			Parts:  max(1, min((p.FanoutRPS+workerRPS-1)/workerRPS, Shards)),
			Begun:  p.Now(),
		}
	}
	jobs, size := fanouts(claim.ID, record, raw, to)
	if size > maxJob && !planned {
		record.Parts = Shards
		jobs, size = fanouts(claim.ID, record, raw, to)
	}
	if size > maxJob {
		return contract.Published{}, &contract.ValidationError{Field: "request", Message: fmt.Sprintf(
			"too large for an audience of more than %d sockets: %d bytes of %d, with the sockets of its users; name fewer users, or a room", p.inlineMax(), size, maxJob)}
	}
	if !named {
		if _, err := p.Ledger.Begin(ctx, claim); err != nil {
			return contract.Published{}, err
		}
	}
	if !planned {
		if err := p.Ledger.Split(ctx, claim.ID, claim.Owner, record); err != nil {
			return contract.Published{}, err
		}
	}
	if err := p.start(ctx, jobs); err != nil {
		return contract.Published{}, err
	}
	if err := p.Ledger.End(ctx, claim.ID, claim.Owner, record.Answer); err != nil {
		p.Log.ErrorContext(ctx, "answer not stored, the id may be published again", "error", err)
	}
	return record.answer(claim.ID)
}

// start has a worker begin with each part. A part that no worker can be asked for is done here.
func (p *Publisher) start(ctx context.Context, jobs []Fanout) error {
	var (
		mu   sync.Mutex
		left []Fanout
	)
	_ = each(jobs, func(f Fanout) error {
		if err := p.Asker.Ask(ctx, Job{Fanout: &f}); err != nil {
			p.Log.WarnContext(ctx, "no worker, the part is done here", "part", f.Part, "error", err)
			mu.Lock()
			defer mu.Unlock()
			left = append(left, f)
		}
		return nil
	})
	for _, f := range left {
		if err := p.Do(ctx, Job{Fanout: &f}); err != nil && !errors.Is(err, ErrBusy) { // busy: there is a worker after all
			return err
		}
	}
	return nil
}

// fanouts are the jobs of a split publish, and the bytes of the largest.
func fanouts(id string, record Record, raw []byte, to audience) (jobs []Fanout, size int) {
	of := map[int]int{} // the part of a shard
	for part := range record.Parts {
		jobs = append(jobs, Fanout{
			ID: id, Part: part, Parts: record.Parts, BegunMS: record.Begun.UnixMilli(), Request: raw, Rooms: to.rooms, All: to.all,
		})
		for _, shard := range partShards(part, record.Parts) {
			of[shard] = part
		}
	}
	for _, s := range to.direct {
		job := &jobs[of[Shard(s.ID)]]
		job.Sockets = append(job.Sockets, s)
	}
	for _, job := range jobs {
		size = max(size, len(encode(Job{Fanout: &job})))
	}
	return jobs, size
}

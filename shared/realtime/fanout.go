package realtime

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"example.org/realtime/shared/contract"
)

const (
	// fanoutPage is how many sockets a worker posts to between two checkpoints: at most so many hear an event twice after a crash,
	// or, while some of them are slow, pagesAtOnce times as many.
	fanoutPage = 1000
	// pagesAtOnce is how many pages a worker has under way while sockets of the oldest are slow: about as many as it begins in slowestPost
	// at workerRPS.
	pagesAtOnce = 16
	// pageTime is how long the posts of a page are at most spread over, where the rate is low.
	pageTime = 10 * time.Second
	// slowestPost is how long a page may take after its last post has begun: tries of one that is throttled, the last of them
	// without an answer.
	slowestPost = 15 * time.Second
	// maxDepth is how often a worker hands over. Lambda ends a chain of invocations after 16; a publish is before the first
	// worker, and presence of the sockets that the last one found gone after it.
	maxDepth = 10
)

// fanout posts a publish to a part of its audience, from where it was left. An error has Lambda try again: what was posted
// after the last checkpoint is posted again, and nobody is left out.
func (p *Publisher) fanout(ctx context.Context, f Fanout) error {
	begun := time.UnixMilli(f.BegunMS)
	if p.Now().Sub(begun) >= contract.PublishIDTTL {
		p.Log.ErrorContext(ctx, "a publish that is forgotten is not posted", "publish_id", f.ID, "part", f.Part, "begun", begun)
		return nil
	}
	req, err := contract.ParsePublish(f.Request)
	if err != nil {
		return err
	}
	w := &worker{p: p, job: f, key: PartKey{ID: f.ID, Part: f.Part}, owner: rand.Text(), req: req}
	lease := invocationEnd(ctx, p.Now).Add(endReserve + leaseReserve)
	switch w.part, err = p.Parts.Begin(ctx, w.key, w.owner, f.Depth, begun, lease); {
	case errors.Is(err, ErrExists): // this job was handed over, and is here once more
		return nil
	case err != nil:
		return fmt.Errorf("part %d of publish %q: %w", f.Part, f.ID, err)
	}
	if !w.part.Done {
		if err := w.work(ctx); err != nil {
			return fmt.Errorf("part %d of publish %q: %w", f.Part, f.ID, err)
		}
	}
	if !w.part.Done {
		f.Depth++
		return p.Asker.Ask(ctx, Job{Fanout: &f})
	}
	return p.finish(ctx, f, begun)
}

// finish ends a split publish with its last part.
func (p *Publisher) finish(ctx context.Context, f Fanout, begun time.Time) error {
	now := p.Now()
	status, err := p.Ledger.Finish(ctx, f.ID, now)
	switch {
	case errors.Is(err, ErrBusy), errors.Is(err, ErrExists), errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	p.Metrics.Put(map[string]float64{"PublishSeconds": now.Sub(begun).Seconds()})
	p.Log.InfoContext(ctx, "publish finished", "publish_id", f.ID, "event", status.Event, "parts", f.Parts, "seconds", now.Sub(begun).Seconds(),
		"matched", status.Matched, "delivered", status.Delivered, "gone", status.Gone, "failed", status.Failed)
	return nil
}

// worker is an invocation's work on a part.
type worker struct {
	p     *Publisher
	job   Fanout
	key   PartKey
	owner string
	req   *contract.Publish
	part  Part
	pages []page // under way, in order
}

// work goes on with the part until it is done or time runs out, and gives it back.
func (w *worker) work(ctx context.Context) error {
	rps := float64(w.p.FanoutRPS) / float64(w.job.Parts)
	d := w.p.delivery(w.req, eventFrames(w.req.Event, w.req.Data))
	turns := newTurns(rate.NewLimiter(rate.Limit(rps), max(1, int(rps/10))))
	calls := 1.0
	if d.closing {
		calls = 3 // the event, the end of the namespace, the close
	}
	size := max(1, min(fanoutPage, int(rps*pageTime.Seconds()/calls)))
	need := slowestPost + time.Duration(float64(size)*calls/rps*float64(time.Second))
	need = min(need, w.p.timeLeft(ctx)/2) // every invocation gets on

	posting, cancel := context.WithCancel(ctx)
	defer w.abandon()
	defer cancel()
	shards, after := partShards(w.job.Part, w.job.Parts), w.part.After
	for i := w.part.Shards; i < len(shards); i++ {
		sockets, err := w.list(ctx, shards[i], after)
		if err != nil {
			return errors.Join(err, w.settle(ctx, 0)) // so that what is under way is not posted again
		}
		after = ""
		for targets := range slices.Chunk(sockets, size) {
			wait := func() outcome { return outcome{failed: len(targets), firstError: errTooLong} }
			switch late := w.p.timeLeft(ctx) < need; {
			case !late:
				wait = w.p.begin(posting, turns, slices.Values(targets), d)
			case w.job.Depth < maxDepth:
				if err := w.settle(ctx, 0); err != nil {
					return err
				}
				return w.p.Parts.End(ctx, w.key, w.owner, w.part)
			}
			w.pages = append(w.pages, newPage(i, targets[len(targets)-1].ID, wait))
			if err := w.settle(ctx, pagesAtOnce-1); err != nil {
				return err
			}
		}
	}
	if err := w.settle(ctx, 0); err != nil {
		return err
	}
	w.part.Shards, w.part.After, w.part.Done = len(shards), "", true
	return w.p.Parts.End(ctx, w.key, w.owner, w.part)
}

// page is some sockets of a shard whose posts have begun.
type page struct {
	shard int    // through with those before, of the part's
	last  string // of its connections
	ended chan outcome
}

func newPage(shard int, last string, wait func() outcome) page {
	pg := page{shard, last, make(chan outcome, 1)}
	go func() { pg.ended <- wait() }() // settle and abandon wait for it
	return pg
}

// settle counts pages that have ended, in order, and stores a checkpoint for each. It waits until at most so many are under way, and
// then no longer than slowPost for each: where no socket is slow, a page has its checkpoint before the next one begins.
func (w *worker) settle(ctx context.Context, most int) error {
	for len(w.pages) > 0 {
		var o outcome
		var patience <-chan time.Time // for ever
		if len(w.pages) <= most {
			patience = time.After(slowPost)
		}
		select {
		case o = <-w.pages[0].ended:
		case <-patience:
			return nil
		}
		w.part.Shards, w.part.After = w.pages[0].shard, w.pages[0].last
		w.pages = w.pages[1:]
		w.p.report(ctx, w.req.Event, o)
		w.part.Delivered += o.delivered
		w.part.Gone += len(o.gone)
		w.part.Failed += o.failed
		if err := w.p.Parts.Save(ctx, w.key, w.owner, w.part); err != nil {
			return err
		}
		w.p.clean(ctx, o.gone)
	}
	return nil
}

// abandon waits for pages that nobody counts any more: their posts have been cancelled.
func (w *worker) abandon() {
	for _, pg := range w.pages {
		<-pg.ended
	}
}

// errTooLong is why the rest of a part has failed that was handed over as often as may be.
var errTooLong = errors.New("not posted in the time that one publish has: raise FANOUT_RPS")

// list is what the audience has in a shard past a connection, each socket once, in order of id.
func (w *worker) list(ctx context.Context, shard int, after string) ([]target, error) {
	union := targets{}
	for _, s := range w.job.Sockets {
		if Shard(s.ID) == shard {
			union.add([]Socket{s}, "")
		}
	}
	rooms := make([][]Socket, len(w.job.Rooms))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(rowsAtOnce)
	for i, room := range w.job.Rooms {
		g.Go(func() (err error) {
			rooms[i], err = w.p.Rooms.SocketsIn(gctx, room, shard)
			return err
		})
	}
	if w.job.All {
		everybody, err := w.p.Everyone.AllIn(ctx, shard)
		if err != nil {
			return nil, errors.Join(err, g.Wait())
		}
		union.add(everybody, "")
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, sockets := range rooms {
		union.add(sockets, w.job.Rooms[i])
	}
	union.except(w.req.Except)
	list := make([]target, 0, len(union))
	for id, t := range union {
		if id > after {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b target) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

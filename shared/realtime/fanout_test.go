package realtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
)

// The second half of a publish's promises: it can stop anywhere, and goes on from the last checkpoint.
func TestFanoutGoesOnAfterACrash(t *testing.T) {
	broken := errors.New("unreachable")
	for _, op := range []string{"part", "save", "end part", "finish"} {
		for nth := 1; nth <= 4; nth++ {
			t.Run(fmt.Sprintf("%s %d", op, nth), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, d, poster, asker, log := newSplitter(t, hall(3000), 1250)
					d.fail = func(o string) error {
						if o == op && d.calls[op] == nth {
							return broken
						}
						return nil
					}
					got, err := publishTo(t, p, toGroup)
					if err != nil {
						t.Fatal(err)
					}
					job := asker.jobs[0]
					failures := 0
					for range 3 { // Lambda tries twice more, also after the part is done
						if err := p.Do(t.Context(), job); err != nil {
							failures++
						}
					}
					if comes := map[string]int{"part": 3, "save": 16, "end part": 1, "finish": 3}[op]; (failures == 1) != (nth <= comes) || failures > 1 {
						t.Errorf("failed %d times", failures)
					}
					most := 1
					if op == "save" {
						most = 2 // of the page before the checkpoint
					}
					checkHeard(t, poster, 3000, 1, most)
					if s := d.sum(got.ID); s.State != contract.PublishDone || s.Delivered != 3000 || strings.Count(log.String(), "publish finished") != 1 {
						t.Errorf("%+v, log %s", s, log)
					}
				})
			})
		}
	}
}

// A listing that fails ends the worker with an error; nobody counts as done who was not listed, and what was posted before is not posted
// again, though a page of it was waiting for a slow socket.
func TestFanoutWithABrokenTable(t *testing.T) {
	for _, tt := range []struct {
		name         string
		sockets, rps int
		slow         time.Duration // for how long a socket of the first shards is throttled
	}{
		{"alone", 100, 5, 0},
		{"beside a slow socket", 3000, 1250, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hall(tt.sockets)
				p, d, poster, asker, _ := newSplitter(t, h, tt.rps)
				calls, in := 0, p.Rooms.(*fakeRooms).in
				p.Rooms.(*fakeRooms).in = func(room string, shard int) ([]Socket, error) {
					if calls++; calls == 5 {
						return nil, errors.New("throttled")
					}
					return in(room, shard)
				}
				slow, began := inShard(h.rooms["group:g1"], 1)[0], time.Now()
				poster.fail = func(_, id string) error {
					if id == slow.ID && time.Since(began) < tt.slow {
						return ErrThrottled
					}
					return nil
				}
				got, err := publishTo(t, p, toGroup)
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Do(t.Context(), asker.jobs[0]); err == nil || !strings.HasPrefix(err.Error(), "part 0 of publish") {
					t.Errorf("got %v", err)
				}
				work(t, p, asker)
				checkHeard(t, poster, tt.sockets, 1, 1)
				if s := d.sum(got.ID); s.Delivered != tt.sockets {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A worker whose time runs out hands over; one that may not hand over any more counts the rest as failed.
func TestFanoutHandsOver(t *testing.T) {
	for _, tt := range []struct {
		name              string
		rps, sockets      int
		workers           int
		delivered, failed int
	}{
		{"in one", 2, 40, 1, 40, 0},
		{"in two", 2, 100, 2, 100, 0},
		{"as often as may be", 1, 1000, maxDepth + 1, 330, 670},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, d, poster, asker, log := newSplitter(t, hall(tt.sockets), tt.rps)
				got, err := publishTo(t, p, toGroup)
				if err != nil {
					t.Fatal(err)
				}
				if n := work(t, p, asker); n != tt.workers {
					t.Errorf("%d workers, want %d", n, tt.workers)
				}
				s := d.sum(got.ID)
				if s.State != contract.PublishDone || s.Matched != tt.sockets || s.Delivered != len(poster.posted) ||
					s.Delivered < tt.delivered*3/4 || s.Delivered > tt.delivered*5/4 || (s.Failed > 0) != (tt.failed > 0) {
					t.Errorf("%+v, posted to %d, want %d delivered", s, len(poster.posted), tt.delivered)
				}
				if said := strings.Contains(log.String(), "raise FANOUT_RPS"); said != (tt.failed > 0) {
					t.Errorf("log %s", log)
				}
				checkHeard(t, poster, s.Delivered, 1, 1)
			})
		})
	}
}

// Jobs that come too late, twice or at the same time as their like do nothing, or are tried again.
func TestFanoutJobsThatAreOld(t *testing.T) {
	for _, tt := range []struct {
		name  string
		age   time.Duration
		begin error
		want  error
		posts int
	}{
		{"in time", 24*time.Hour - time.Millisecond, nil, nil, 20},
		{"of a publish that is forgotten", 24 * time.Hour, nil, nil, 0},
		{"another has the part", 0, ErrBusy, ErrBusy, 0},
		{"handed over", 0, ErrExists, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, d, poster, _, _ := newSplitter(t, hall(20), 1)
				d.fail = func(op string) error {
					if op == "part" {
						return tt.begin
					}
					return nil
				}
				err := p.Do(t.Context(), Job{Fanout: &Fanout{
					ID: "p1", Parts: 1, BegunMS: time.Now().Add(-tt.age).UnixMilli(), Request: []byte(toGroup), Rooms: []string{"group:g1"},
				}})
				if !errors.Is(err, tt.want) || len(poster.posted) != tt.posts {
					t.Errorf("%v, posted to %d", err, len(poster.posted))
				}
			})
		})
	}
}

// Sockets that a worker finds gone are removed, and their users' presence is asked for.
func TestFanoutBuriesTheGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d, poster, asker, _ := newSplitter(t, hall(20), 1)
		poster.fail = func(_, id string) error {
			return map[string]error{"s00003=": ErrGone, "s00004=": errors.New("status 500")}[id]
		}
		var erased []string
		p.Connections.(*fakeConnections).delete = func(c Connection) error { erased = append(erased, c.ID); return nil }
		got, err := publishTo(t, p, toGroup)
		if err != nil {
			t.Fatal(err)
		}
		job := asker.jobs[0]
		asker.jobs = nil
		do(t, p, job)
		if len(asker.jobs) != 1 || asker.jobs[0].Presence == nil || asker.jobs[0].Presence.User != "u3" {
			t.Errorf("asked for %+v", asker.jobs)
		}
		if diff := cmp.Diff([]string{"s00003="}, erased); diff != "" {
			t.Error(diff)
		}
		if s := d.sum(got.ID); s.Delivered != 18 || s.Gone != 1 || s.Failed != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A flood of dead sockets that API Gateway has no time to close keeps no worker from the sockets that live, nor from handing over:
// what cannot be removed soon is left to sweep.
func TestFanoutThroughAFloodOfDeadSockets(t *testing.T) {
	const sockets = 5000 // a tenth of them lives
	for _, tt := range []struct {
		name, slow string // the end of the ids that are throttled for ever, so that pages wait for them
		failed     int
	}{
		{"alone", "none", 0},
		{"beside slow sockets", "17=", sockets / 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, d, poster, asker, log := newSplitter(t, hall(sockets), 1250)
				d.fail = func(string) error {
					time.Sleep(20 * time.Millisecond)
					return nil
				}
				poster.fail = func(op, id string) error {
					switch {
					case op == "close", strings.HasSuffix(id, tt.slow):
						return ErrThrottled
					case strings.HasSuffix(id, "7="):
						return nil
					}
					return ErrGone
				}
				got, err := publishTo(t, p, toGroup)
				if err != nil {
					t.Fatal(err)
				}
				work(t, p, asker)
				checkHeard(t, poster, sockets/10-tt.failed, 1, 1)
				s := d.sum(got.ID)
				if s.State != contract.PublishDone || s.Delivered != sockets/10-tt.failed || s.Failed != tt.failed || s.Matched != sockets {
					t.Errorf("%+v", s)
				}
				if !strings.Contains(log.String(), "left to sweep") {
					t.Error("no word of those that are left")
				}
			})
		})
	}
}

// Sockets that do not answer, or whose clients do not read, hold up neither their page nor the pages after it.
func TestFanoutWithSlowSockets(t *testing.T) {
	for _, tt := range []struct {
		name string
		slow func() (time.Duration, error)
		ends time.Duration // at which a slow one is given up
	}{
		{"no answer", func() (time.Duration, error) { return 5 * time.Second, context.DeadlineExceeded }, 5 * time.Second},
		{"429", func() (time.Duration, error) { return 10 * time.Millisecond, ErrThrottled }, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const sockets, parts, slow = 20_000, 4, 200
				p, d, _, asker, _ := newSplitter(t, hall(sockets), contract.FanoutRPS)
				p.Poster = &gateway{answer: func(_, id string, _ int) (time.Duration, error) {
					if strings.HasSuffix(id, "77=") {
						return tt.slow()
					}
					return 10 * time.Millisecond, nil
				}}
				got, err := publishTo(t, p, toGroup)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if n := work(t, p, asker); n != parts { // one after the other
					t.Errorf("%d workers", n)
				}
				if s := d.sum(got.ID); s.Delivered != sockets-slow || s.Failed != slow {
					t.Errorf("%+v", s)
				}
				posting := sockets * time.Second / contract.FanoutRPS
				if took, most := time.Since(began)/parts, posting+tt.ends+2*time.Second; took > most {
					t.Errorf("a worker took %v, want %v at most", took, most)
				}
			})
		})
	}
}

// A worker that is stopped while a page waits for a slow socket begins again with that page, and leaves nobody out.
func TestFanoutIsStoppedBesideASlowSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sockets = 3000
		p, d, poster, asker, _ := newSplitter(t, hall(sockets), 1250)
		first := ""
		for _, s := range hall(sockets).rooms["group:g1"] {
			if Shard(s.ID) == 2 && (first == "" || s.ID < first) {
				first = s.ID
			}
		}
		poster.fail = func(_, id string) error {
			if id == first {
				return ErrThrottled
			}
			return nil
		}
		got, err := publishTo(t, p, toGroup)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, stop)
		if err := p.Do(ctx, asker.jobs[0]); err == nil {
			t.Fatal("it went on to the end")
		}
		if part := d.parts[PartKey{got.ID, 0}]; part.Shards != 1 || part.Done {
			t.Errorf("stopped at %+v, want the end of shard 1", part)
		}
		poster.fail = nil
		work(t, p, asker)
		checkHeard(t, poster, sockets, 1, 2)
		if s := d.sum(got.ID); s.State != contract.PublishDone || s.Delivered != sockets {
			t.Errorf("%+v", s)
		}
	})
}

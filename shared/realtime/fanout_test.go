package realtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
)

// desk is a Ledger and Parts in memory, whose calls may fail.
type desk struct {
	fail func(op string) error

	mu       sync.Mutex
	records  map[string]Record
	parts    map[PartKey]*deskPart
	finished map[string]int
	calls    map[string]int
}

type deskPart struct {
	Part
	owner string
	depth int
}

func newDesk() *desk {
	return &desk{records: map[string]Record{}, parts: map[PartKey]*deskPart{}, finished: map[string]int{}, calls: map[string]int{}}
}

func (d *desk) call(op string) error {
	d.calls[op]++
	if d.fail == nil {
		return nil
	}
	return d.fail(op)
}

// ledger and parts are the desk as the two ports.
type (
	deskLedger struct{ *desk }
	deskParts  struct{ *desk }
)

func (d deskLedger) Begin(_ context.Context, c Claim) (Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.records[c.ID], d.call("begin")
}

func (d deskLedger) Split(_ context.Context, id, _ string, r Record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call("split"); err != nil {
		return err
	}
	d.records[id] = r
	return nil
}

func (d deskLedger) End(_ context.Context, id, _ string, answer []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.records[id]
	r.Answer, r.Done = answer, true
	d.records[id] = r
	return d.call("end")
}

func (d deskLedger) Release(context.Context, string, string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.call("release")
}

func (d deskLedger) Finish(_ context.Context, id string, _ time.Time) (s contract.PublishStatus, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call("finish"); err != nil {
		return s, err
	}
	s = d.sum(id)
	if s.State != contract.PublishDone {
		return contract.PublishStatus{}, ErrBusy
	}
	if d.finished[id]++; d.finished[id] > 1 {
		return contract.PublishStatus{}, ErrExists
	}
	return s, nil
}

// sum is what all parts have done.
func (d *desk) sum(id string) contract.PublishStatus {
	s := contract.PublishStatus{ID: id, State: contract.PublishDone}
	for part := range d.records[id].Parts {
		p := d.parts[PartKey{id, part}]
		if p == nil || !p.Done {
			s.State = contract.PublishInFlight
			continue
		}
		s.Delivered += p.Delivered
		s.Gone += p.Gone
		s.Failed += p.Failed
	}
	s.Matched = s.Delivered + s.Gone + s.Failed
	return s
}

func (d deskParts) Begin(_ context.Context, key PartKey, owner string, depth int, _, _ time.Time) (Part, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call("part"); err != nil {
		return Part{}, err
	}
	if d.parts[key] == nil {
		d.parts[key] = &deskPart{}
	}
	p := d.parts[key]
	p.owner, p.depth = owner, depth
	return p.Part, nil
}

func (d deskParts) Save(_ context.Context, key PartKey, owner string, p Part) error {
	return d.store("save", key, owner, p)
}

func (d deskParts) End(_ context.Context, key PartKey, owner string, p Part) error {
	return d.store("end part", key, owner, p)
}

func (d deskParts) store(op string, key PartKey, owner string, p Part) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call(op); err != nil {
		return err
	}
	if d.parts[key].owner != owner {
		return ErrBusy
	}
	d.parts[key].Part = p
	return nil
}

// hall is a house with n sockets of n users in group:g1.
func hall(n int) house {
	h := house{users: map[string][]Socket{}, rooms: map[string][]Socket{}}
	for i := range n {
		s := old(fmt.Sprintf("s%05d=", i), fmt.Sprintf("u%d", i))
		s.ConnectedAt = time.UnixMilli(1) // before the time of a bubble, which begins in 2000
		h.users[s.UserID] = []Socket{s}
		h.rooms["group:g1"] = append(h.rooms["group:g1"], s)
	}
	return h
}

func inShard(list []Socket, shard int) (in []Socket) {
	for _, s := range list {
		if Shard(s.ID) == shard {
			in = append(in, s)
		}
	}
	return in
}

// newSplitter is a Publisher of that house with a desk, in a synctest bubble.
func newSplitter(t *testing.T, h house, rps int) (*Publisher, *desk, *fakePoster, *fakeAsker, *bytes.Buffer) {
	t.Helper()
	p, poster, asker, _ := newPublisher(t, h)
	d, log := newDesk(), &bytes.Buffer{}
	p.Ledger, p.Parts, p.FanoutRPS, p.Now = deskLedger{d}, deskParts{d}, rps, time.Now
	p.Log = slog.New(slog.NewTextHandler(log, nil))
	p.Rooms.(*fakeRooms).in = func(room string, shard int) ([]Socket, error) { return inShard(h.rooms[room], shard), nil }
	p.Everyone.(*fakeConnections).allIn = func(shard int) ([]Socket, error) { return inShard(h.everybody(), shard), nil }
	return p, d, poster, asker, log
}

// work does the fan-out jobs that were asked for, and those that they ask for, each in an invocation of 50 s.
func work(t *testing.T, p *Publisher, asker *fakeAsker) (invocations int) {
	t.Helper()
	for {
		asker.mu.Lock()
		jobs := asker.jobs
		asker.jobs = nil
		asker.mu.Unlock()
		if len(jobs) == 0 {
			return invocations
		}
		for _, job := range jobs {
			if job.Fanout != nil {
				invocations++
				do(t, p, job)
			}
		}
	}
}

func do(t *testing.T, p *Publisher, job Job) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	if err := p.Do(ctx, job); err != nil {
		t.Error(err)
	}
}

const toGroup = `{"event":"notifications:new","data":{"eventKey":"k","notification":` + dto + `},"to":{"groups":["g1"]}}`

func publishTo(t *testing.T, p *Publisher, raw string) (contract.Published, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	return p.Publish(ctx, request(t, raw), json.RawMessage(raw))
}

// checkHeard wants each of n sockets to have heard the event so often.
func checkHeard(t *testing.T, poster *fakePoster, n, least, most int) {
	t.Helper()
	if len(poster.posted) != n {
		t.Errorf("posted to %d sockets, want %d", len(poster.posted), n)
	}
	for id, posted := range poster.posted {
		if len(posted) < least || len(posted) > most || !strings.Contains(posted[0], dto) {
			t.Fatalf("%s heard %q, want it %d to %d times, byte for byte", id, posted, least, most)
		}
	}
}

func TestPartShards(t *testing.T) {
	for parts := 1; parts <= Shards; parts++ {
		var all []int
		for part := range parts {
			shards := partShards(part, parts)
			if len(shards) < Shards/parts || len(shards) > Shards/parts+1 {
				t.Errorf("part %d of %d has %d shards", part, parts, len(shards))
			}
			all = append(all, shards...)
		}
		if diff := cmp.Diff(partShards(0, 1), all); diff != "" {
			t.Errorf("%d parts: %s", parts, diff)
		}
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, partShards(0, 1)); diff != "" {
		t.Error(diff)
	}
}

// Up to inlineMax a publish answers with what became of it; above, with what is queued, and workers do it.
func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		name         string
		rps, sockets int
		parts        int // 0: inline
		within       time.Duration
	}{
		{"slowest, inline", 1, 10, 0, 9 * time.Second},
		{"slowest, split", 1, 11, 1, 12 * time.Second},
		{"slow, inline", 100, 1000, 0, 9 * time.Second},
		{"slow, split", 100, 1001, 1, 11 * time.Second},
		{"one worker", 1250, 2001, 1, 2 * time.Second},
		{"two workers", 1251, 2001, 2, 4 * time.Second}, // one after the other here
		{"default, inline", contract.FanoutRPS, 2000, 0, 0},
		{"default, split", contract.FanoutRPS, 2001, 4, 2 * time.Second},
		{"fastest", 10_000, 2001, 8, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, d, poster, asker, log := newSplitter(t, hall(tt.sockets), tt.rps)
				began := time.Now()
				got, err := publishTo(t, p, toGroup)
				want := contract.Published{ID: got.ID, Event: "notifications:new", Matched: tt.sockets, Delivered: tt.sockets}
				if tt.parts > 0 {
					want.Delivered, want.Queued = 0, tt.sockets
				}
				if err != nil || got != want || (got.ID != "") != (tt.parts > 0) {
					t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
				}
				if n := work(t, p, asker); n != tt.parts {
					t.Errorf("%d workers", n)
				}
				if took := time.Since(began).Truncate(time.Second); took > tt.within {
					t.Errorf("took %v, want %v", took, tt.within)
				}
				checkHeard(t, poster, tt.sockets, 1, 1)
				finished := strings.Count(log.String(), `msg="publish finished" publish_id=`+got.ID)
				if tt.parts == 0 {
					if len(d.calls) > 0 || finished != 0 {
						t.Errorf("called %v, log %s", d.calls, log)
					}
					return
				}
				if s := d.sum(got.ID); s.State != contract.PublishDone || s.Delivered != tt.sockets || s.Gone+s.Failed != 0 || finished != 1 {
					t.Errorf("in the end %+v, log %s", s, log)
				}
			})
		})
	}
}

// However a socket is addressed, it hears a split publish once, and an exception not at all.
func TestSplitAudiences(t *testing.T) {
	h := hall(30)
	h.rooms["conversation:c1"] = append(h.rooms["group:g1"][:5:5], old("x=", "x"))
	h.users["x"] = []Socket{old("x=", "x"), old("y=", "x")}
	for _, tt := range []struct {
		name, rest string
		n          int
		reads      int // of users and connections, in all
	}{
		{"all", `"to":{"all":true}`, 32, 0},
		{"overlapping", `"to":{"all":true,"users":["x","u1","u2"],"groups":["g1"],"conversations":["c1"],"connections":["s00001=","y="]}`, 32, 5},
		{"room and user", `"to":{"users":["x"],"groups":["g1"]}`, 32, 1},
		{"users alone", `"to":{"users":["u0","u1","u2","u3","u4","u5","u6","u7","u8","u9","x"]}`, 12, 11},
		{"except", `"to":{"all":true,"users":["u5","x"]},"except":{"users":["x"],"connections":["s00005="]}`, 29, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _, poster, asker, _ := newSplitter(t, h, 1)
				reads := 0
				var mu sync.Mutex
				read, get := p.Presences.(*fakePresences).read, p.Connections.(*fakeConnections).get
				p.Presences.(*fakePresences).read = func(user string) (Presence, error) {
					mu.Lock()
					defer mu.Unlock()
					reads++
					return read(user)
				}
				p.Connections.(*fakeConnections).get = func(id string) (Connection, error) {
					mu.Lock()
					defer mu.Unlock()
					reads++
					return get(id)
				}
				got, err := publishTo(t, p, `{"event":"notifications:new","data":{"eventKey":"k","notification":`+dto+`},`+tt.rest+`}`)
				if err != nil || got.Queued != tt.n {
					t.Fatalf("got %+v, %v", got, err)
				}
				work(t, p, asker)
				checkHeard(t, poster, tt.n, 1, 1)
				if poster.posted["y="] != nil && tt.name == "except" || reads != tt.reads {
					t.Errorf("%d reads, posted to %d", reads, len(poster.posted))
				}
			})
		})
	}
}

// A published presence goes to whom the service's own goes, and only its user's sockets see everything.
func TestSplitPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const data = `{"userId":"u1","isOnline":true,"lastSeen":1,"sockets":[{"socketId":"s00001=","connectedAt":1,"lastSeen":1,"userAgent":"ua","ip":"192.0.2.1"}]}`
		p, _, poster, asker, _ := newSplitter(t, hall(20), 1)
		if got, err := publishTo(t, p, `{"event":"presence:update","data":`+data+`}`); err != nil || got.Queued != 20 {
			t.Fatalf("got %+v, %v", got, err)
		}
		work(t, p, asker)
		for id, posted := range poster.posted {
			if whole := strings.Contains(posted[0], "192.0.2.1"); len(posted) != 1 || whole != (id == "s00001=") {
				t.Errorf("%s heard %q", id, posted)
			}
		}
		if len(poster.posted) != 20 {
			t.Errorf("posted to %d", len(poster.posted))
		}
	})
}

func TestSplitSystemDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d, poster, asker, _ := newSplitter(t, hall(20), 1)
		got, err := publishTo(t, p, `{"event":"system:disconnect","data":{"reason":"`+strings.ReplaceAll(dto, `"`, `\"`)+`"},"to":{"all":true}}`)
		if err != nil || got.Queued != 20 {
			t.Fatalf("got %+v, %v", got, err)
		}
		work(t, p, asker)
		if s := d.sum(got.ID); s.Delivered != 20 || len(poster.closed) != 20 {
			t.Errorf("%+v, closed %d", s, len(poster.closed))
		}
	})
}

// The job has what a worker needs: the request to the byte, and of the named users and connections the sockets of its shards.
func TestFanoutJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hall(40)
		p, _, _, asker, _ := newSplitter(t, h, 1)
		p.FanoutRPS = 5000
		p.Rooms.(*fakeRooms).sockets = func(string, int) ([]Socket, error) { return hall(2001).rooms["group:g1"], nil }
		raw := `{"event":"notifications:new",  "data":{"eventKey":"<&>","notification":` + dto + `},"to":{"groups":["g1"],"conversations":["c2"],"users":["u1","u2","u3","u1"]}}`
		got, err := publishTo(t, p, raw)
		if err != nil {
			t.Fatal(err)
		}
		sockets := map[string]bool{}
		for _, job := range asker.jobs {
			var f Fanout
			if err := json.Unmarshal(encode(job.Fanout), &f); err != nil {
				t.Fatal(err)
			}
			for _, s := range f.Sockets {
				sockets[s.ID] = true
				if shard := Shard(s.ID); shard*4/Shards != f.Part || !s.ConnectedAt.Equal(h.users[s.UserID][0].ConnectedAt) {
					t.Errorf("%+v in part %d", s, f.Part)
				}
			}
			f.Sockets, f.Part = nil, 0
			want := Fanout{ID: got.ID, Parts: 4, BegunMS: time.Now().UnixMilli(), Request: []byte(raw), Rooms: []string{"conversation:c2", "group:g1"}}
			if diff := cmp.Diff(want, f); diff != "" {
				t.Error(diff)
			}
		}
		if len(asker.jobs) != 4 || len(sockets) != 3 {
			t.Errorf("%d jobs with %d sockets", len(asker.jobs), len(sockets))
		}
	})
}

// A request that is too large for a few workers goes to more of them, and is refused if 16 are too few.
func TestLargeJobs(t *testing.T) {
	many := make([]string, contract.MaxAudience)
	for i := range many {
		many[i] = fmt.Sprintf("%0128d", i)
	}
	long := string(encode(many))
	for _, tt := range []struct {
		name           string
		to, except     string
		parts          int
		wantErr        string
		split, release int
	}{
		{"a few workers", `"groups":["g1"]`, `{}`, 4, "", 1, 0},
		{"more workers", `"conversations":` + long, `{"users":` + long + `,"connections":` + long + `}`, 16, "", 1, 0},
		{
			"too many for all", `"conversations":` + long + `,"groups":` + long, `{"users":` + long + `,"connections":` + long + `}`,
			0, "request: too large for an audience of more than 2000 sockets: ", 0, 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := house{users: map[string][]Socket{}}
				var names []string
				for i := range 250 {
					user := fmt.Sprintf("%s%d", strings.Repeat("u", 100), i)
					names = append(names, user)
					for n := range 32 {
						h.users[user] = append(h.users[user], old(fmt.Sprintf("s%d-%d=", i, n), user))
					}
				}
				p, d, _, asker, _ := newSplitter(t, h, contract.FanoutRPS)
				_, err := publishTo(t, p, `{"id":"p1","event":"notifications:new","data":{"eventKey":"k","notification":1},"to":{"users":`+string(encode(names))+`,`+tt.to+`},"except":`+tt.except+`}`)
				if (err == nil) != (tt.wantErr == "") || err != nil && !strings.HasPrefix(err.Error(), tt.wantErr) {
					t.Errorf("got %v, want %s", err, tt.wantErr)
				}
				if len(asker.jobs) != tt.parts || d.calls["split"] != tt.split || d.calls["release"] != tt.release {
					t.Errorf("%d jobs, calls %v", len(asker.jobs), d.calls)
				}
				for _, job := range asker.jobs {
					if size := len(encode(job)); size > maxJob {
						t.Errorf("a job of %d bytes", size)
					}
				}
			})
		})
	}
}

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

// A listing that fails ends the worker with an error; nobody counts as done who was not listed.
func TestFanoutWithABrokenTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d, poster, asker, _ := newSplitter(t, hall(100), 5)
		calls, in := 0, p.Rooms.(*fakeRooms).in
		p.Rooms.(*fakeRooms).in = func(room string, shard int) ([]Socket, error) {
			if calls++; calls == 5 {
				return nil, errors.New("throttled")
			}
			return in(room, shard)
		}
		got, err := publishTo(t, p, toGroup)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Do(t.Context(), asker.jobs[0]); err == nil || !strings.HasPrefix(err.Error(), "part 0 of publish") {
			t.Errorf("got %v", err)
		}
		work(t, p, asker)
		checkHeard(t, poster, 100, 1, 1)
		if s := d.sum(got.ID); s.Delivered != 100 {
			t.Errorf("%+v", s)
		}
	})
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

// A part that no worker can be asked for is done by the invocation that asked, unless a worker has it after all.
func TestPartsAreDoneHereWithoutWorkers(t *testing.T) {
	broken := errors.New("unreachable")
	for _, tt := range []struct {
		name    string
		part    error // of taking it
		want    int
		wantErr error
	}{
		{"no worker", nil, 3000, nil},
		{"a worker after all", ErrBusy, 0, nil},
		{"nor the table", broken, 0, broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, d, poster, asker, _ := newSplitter(t, hall(3000), 5000)
				asker.fail = errors.New("throttled")
				d.fail = func(op string) error {
					if op == "part" {
						return tt.part
					}
					return nil
				}
				got, err := publishTo(t, p, strings.Replace(toGroup, `{`, `{"id":"p1",`, 1))
				if !errors.Is(err, tt.wantErr) || err == nil && (got.Queued != 3000 || got.Delivered != 0) {
					t.Errorf("got %+v, %v", got, err)
				}
				checkHeard(t, poster, tt.want, 1, 1)
				if d.records["p1"].Done != (tt.wantErr == nil) {
					t.Errorf("record %+v", d.records["p1"])
				}
			})
		})
	}
}

// Whoever sends the request again after a crash goes on with the plan that is stored.
func TestSplitGoesOnWithItsPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d, poster, asker, _ := newSplitter(t, hall(30), contract.FanoutRPS)
		begun := time.Now().Add(-time.Minute)
		answer := contract.Published{ID: "p1", Event: "notifications:new", Matched: 3000, Queued: 3000}
		d.records["p1"] = Record{Answer: encode(answer), Parts: 3, Begun: begun}
		d.parts[PartKey{"p1", 1}] = &deskPart{Part: Part{Done: true, Delivered: 990}}
		got, err := publishTo(t, p, strings.Replace(toGroup, `{`, `{"id":"p1",`, 1))
		if err != nil || got != answer || d.calls["split"] != 0 {
			t.Errorf("got %+v, %v, calls %v", got, err, d.calls)
		}
		for part, job := range asker.jobs {
			if f := job.Fanout; f.Parts != 3 || f.BegunMS != begun.UnixMilli() || f.Depth != 0 {
				t.Errorf("part %d: %+v", part, f)
			}
		}
		work(t, p, asker)
		for id := range poster.posted {
			if Shard(id)*3/Shards == 1 {
				t.Errorf("%s is of the part that was done", id)
			}
		}
		if s := d.sum("p1"); s.State != contract.PublishDone || s.Delivered != 990+len(poster.posted) {
			t.Errorf("%+v", s)
		}
		again, err := publishTo(t, p, strings.Replace(toGroup, `{`, `{"id":"p1",`, 1))
		answer.Duplicate = true
		if err != nil || again != answer || len(asker.jobs) != 0 {
			t.Errorf("again %+v, %v", again, err)
		}
	})
}

// What cannot be planned is not begun.
func TestSplitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d, poster, asker, _ := newSplitter(t, hall(30), 1)
		d.fail = func(op string) error {
			if op == "split" {
				return errors.New("unreachable")
			}
			return nil
		}
		for _, raw := range []string{toGroup, strings.Replace(toGroup, `{`, `{"id":"p1",`, 1)} {
			if got, err := publishTo(t, p, raw); err == nil {
				t.Errorf("got %+v", got)
			}
		}
		if len(asker.jobs)+len(poster.posted) > 0 || d.calls["release"] != 1 {
			t.Errorf("asked %d, posted to %d, calls %v", len(asker.jobs), len(poster.posted), d.calls)
		}
	})
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

// One socket that does not answer costs a worker no more than its own time.
func TestFanoutWithASlowSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d, _, asker, _ := newSplitter(t, hall(2500), contract.FanoutRPS)
		p.Poster = &gateway{answer: func(_, id string, _ int) (time.Duration, error) {
			if strings.HasSuffix(id, "7=") {
				return 5 * time.Second, context.DeadlineExceeded
			}
			return 10 * time.Millisecond, nil
		}}
		got, err := publishTo(t, p, toGroup)
		if err != nil {
			t.Fatal(err)
		}
		work(t, p, asker)
		if s := d.sum(got.ID); s.Delivered != 2250 || s.Failed != 250 {
			t.Errorf("%+v", s)
		}
	})
}

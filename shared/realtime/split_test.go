package realtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
)

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
				d.fail = func(op string) error {
					if op == "release" {
						return errors.New("unreachable")
					}
					return nil
				}
				_, err := publishTo(t, p, `{"id":"p1","event":"notifications:new","data":{"eventKey":"k","notification":1},"to":{"users":`+string(encode(names))+`,`+tt.to+`},"except":`+tt.except+`}`)
				if (err == nil) != (tt.wantErr == "") || err != nil && !strings.HasPrefix(err.Error(), tt.wantErr) {
					t.Errorf("got %v, want %s", err, tt.wantErr)
				}
				if _, ok := err.(*contract.ValidationError); ok != (tt.wantErr != "") { //nolint:errorlint // Lambda names the type of the error itself
					t.Errorf("a caller is told of a %T", err)
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

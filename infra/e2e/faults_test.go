package e2e

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"example.org/realtime/infra/local/faults"
	"example.org/realtime/infra/local/stack"
)

var (
	faultSeed   = flag.Uint64("fault-seed", 1, "of the faults and of what the players do")
	faultRounds = flag.Int("fault-rounds", 2, "how often each player comes and goes")
)

// Whatever goes wrong in a while of coming, joining, leaving, publishing and going: what every publish answered is what happened, and once
// nothing goes wrong any more and sweep has run, everybody's last word on everybody is true.
func TestFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]faults.Config{
		"gone":              {Gone: 0.05},
		"false 410":         {FalseGone: 0.2},
		"throttled":         {Throttled: 0.3},
		"failed":            {Failed: 0.2},
		"lost":              {Lost: 0.2},
		"slow":              {Slow: 0.3, Latency: 300 * time.Millisecond},
		"disconnect lost":   {LoseDisconnect: 0.7},
		"killed":            {Kill: 0.2},
		"duplicate":         {Duplicate: 0.5},
		"table throttled":   {TableThrottled: 0.1},
		"table failed":      {TableFailed: 0.1},
		"table lost":        {TableLost: 0.1},
		"table unprocessed": {TableUnprocessed: 0.7},
		"table slow":        {TableSlow: 0.3, TableLatency: 200 * time.Millisecond},
		"all": {
			Gone: 0.02, FalseGone: 0.02, Throttled: 0.05, Failed: 0.02, Lost: 0.02, Slow: 0.05, Latency: 100 * time.Millisecond,
			LoseDisconnect: 0.2, Kill: 0.03, Duplicate: 0.1,
			TableThrottled: 0.02, TableFailed: 0.02, TableLost: 0.02, TableUnprocessed: 0.2, TableSlow: 0.05, TableLatency: 100 * time.Millisecond,
		},
	}
	turns := make(chan struct{}, 4) // systems at once: each has a few dozen processes
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "all" {
				t.Skip("all faults together are enough with -short")
			}
			t.Parallel()
			turns <- struct{}{}
			defer func() { <-turns }()
			c.Seed = *faultSeed
			t.Logf("replay: go test -count=1 -run 'TestFaults$/^%s$' ./infra/e2e -args -fault-seed %d -fault-rounds %d",
				strings.TrimPrefix(t.Name(), "TestFaults/"), c.Seed, *faultRounds)
			newTrial(t, c, nil).run()
		})
	}
}

// trial is one system, and what is done to it under faults.
type trial struct {
	*testing.T
	*system
	faults  faults.Config
	table   *dynamodb.Client
	begun   time.Time
	players []*player

	redriven int // events given up that were sent again

	mu        sync.Mutex
	publishes []*publishing
}

// The conversation of a trial, which all that is published goes to, and those that players visit.
const conversation = "c1"

var visits = []string{"v1", "v2", "v3"}

// publishing is a publish and all that became of it.
type publishing struct {
	mark       string // in its payload, and nowhere else
	to         audience
	begun, end time.Time
	crashed    int // times that it died, and was sent again
	answer     published
}

// audience is who ought to get a message.
type audience func(p *player, l *line) (since time.Time, in bool)

// newTrial makes a trial, in which kill, unless it is nil, decides who dies.
func newTrial(t *testing.T, c faults.Config, kill func(function string) int) *trial {
	if os.Getenv("DYNAMODB_ENDPOINT") != "" {
		t.Skip("needs the embedded table, and DYNAMODB_ENDPOINT names another")
	}
	t.Helper()
	s := own(t, func(o *stack.Options) {
		o.Settings["PRESENCE_HEARTBEAT_MIN_SECONDS"] = "0"
		o.Settings["ROOMS_PER_CONNECTION_MAX"] = "2" // who visits rooms has what it left looked up, in a batch
		o.Faults.Seed = c.Seed                       // ids of connections
		o.Lambda.Processes, o.Lambda.Kill = 4, kill
	})
	r := &trial{T: t, system: s, faults: c, table: s.local.Table.Client(), begun: time.Now()}
	for i := range 6 {
		r.players = append(r.players, &player{system: s, user: fmt.Sprint("user", i), socketIO: i%3 == 2})
	}
	t.Cleanup(func() {
		for _, p := range r.players {
			p.hangUp(true)
		}
	})
	return r
}

func (r *trial) run() {
	for _, room := range append(visits, conversation) {
		r.participants(r.T, "set", room, r.users()...)
	}
	watchers := r.players[1:3] // a JSON and a Socket.IO client, who stay
	for _, p := range watchers {
		p.connect()
		p.join(conversation)
	}
	if err := r.local.Faults.Set(r.faults); err != nil {
		r.Fatal(err)
	}
	var playing, rest sync.WaitGroup
	done := make(chan struct{})
	for i, p := range r.players {
		if p != watchers[0] && p != watchers[1] {
			playing.Go(func() { r.play(p, rand.New(rand.NewPCG(r.faults.Seed, uint64(i)))) })
		}
	}
	for publisher := range 2 {
		rest.Go(func() { r.publishUntil(done, publisher) })
	}
	playing.Wait()
	close(done)
	rest.Wait()
	if err := r.local.Faults.Set(faults.Config{Seed: r.faults.Seed}); err != nil {
		r.Fatal(err)
	}
	r.happened()
	r.settle()
	r.judge()
}

// play comes and goes, and ends as chance has it: here, gone, or cut off.
func (r *trial) play(p *player, chance *rand.Rand) {
	pause := func() { time.Sleep(time.Duration(chance.IntN(100)) * time.Millisecond) }
	for range *faultRounds {
		pause()
		if !p.here() && !p.connect() {
			return
		}
		p.join(conversation)
		for range 1 + chance.IntN(2) {
			pause()
			switch chance.IntN(3) {
			case 0:
				p.heartbeat()
			case 1:
				p.leave(conversation)
			case 2:
				p.leave(conversation)
				p.join(conversation)
			}
		}
		for _, room := range visits {
			p.join(room)
			p.leave(room)
		}
		pause()
		if end := chance.IntN(3); end < 2 {
			p.hangUp(end == 0)
		}
	}
}

// publishUntil publishes one after another, and sweeps now and then.
func (r *trial) publishUntil(done <-chan struct{}, publisher int) {
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		mark := fmt.Sprintf("mark-%d-%d.", publisher, i)
		if i%2 == 0 {
			r.message(mark)
		} else {
			r.notice(mark)
		}
		if i%10 == 9 {
			_, _ = r.invoke("SweepFunction", `{}`) // as the schedule does: nobody waits for it
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (r *trial) users() (all []string) {
	for _, p := range r.players {
		all = append(all, p.user)
	}
	return all
}

// message publishes to the conversation, and to the player who sends it.
func (r *trial) message(mark string) *publishing {
	joined := func(p *player, l *line) (time.Time, bool) {
		since, in := l.joined[conversation]
		if p.user == "user1" && (!in || l.ready.Before(since)) {
			since, in = l.ready, !l.ready.IsZero()
		}
		return since, in
	}
	return r.send(mark, joined, request("messages:new", message(conversation, "user1", nil, `{"id":"`+mark+`"}`), `"id":"`+mark+`"`))
}

// notice publishes to every user.
func (r *trial) notice(mark string) *publishing {
	ready := func(_ *player, l *line) (time.Time, bool) { return l.ready, !l.ready.IsZero() }
	return r.send(mark, ready, request("notifications:new", `{"eventKey":"k","notification":{"id":"`+mark+`"}}`, `"id":"`+mark+`",`+to(r.users()...)))
}

// send publishes until there is an answer, as a backend does that gave the publish an id.
func (r *trial) send(mark string, to audience, request string) *publishing {
	p := &publishing{mark: mark, to: to, begun: time.Now()}
	r.mu.Lock()
	r.publishes = append(r.publishes, p)
	r.mu.Unlock()
	var err error
	for range tries {
		p.answer, err = r.system.send(request)
		e, failed := errors.AsType[*functionError](err)
		switch {
		case err == nil:
			p.end = time.Now()
			return p
		case !failed || e.Type == "ValidationError":
			r.Errorf("%s: %v", mark, err)
			return p
		case e.Type == "Runtime.ExitError":
			p.crashed++
			r.expireLease("pub#" + mark)
		case e.Type == "PublishInProgress": // of a try before this, that did not get to give it back
			r.expireLease("pub#" + mark)
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.Errorf("%s never succeeds: %v", mark, err)
	return p
}

// happened wants something to have gone wrong.
func (r *trial) happened() {
	injected := r.local.Faults.Injected()
	if len(injected) == 0 {
		r.Errorf("nothing went wrong with %v", r.faults)
	}
	for key, n := range injected {
		r.Logf("%s happened %d times", key, n)
	}
}

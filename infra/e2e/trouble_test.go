package e2e

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.org/realtime/infra/local/stack"
	"example.org/realtime/infra/local/table"
)

const internal = `{"success":false,"code":"socket_error:internal","message":"internal error, please try again"}`

// A table that throttles, or does not answer, is told as an internal error without details, and never by silence.
func TestTableInTrouble(t *testing.T) {
	t.Parallel()
	s := apart(t)
	l := s.embedded(t)
	for trouble, fault := range map[string]func(context.Context, table.Op) error{"throttles": throttled, "does not answer": silence} {
		t.Run(trouble, func(t *testing.T) {
			t.Parallel()
			for event, partition := range map[string]func(user, conversation string) string{
				"presence:heartbeat":  func(user, _ string) string { return "user:" + user },
				"conversations:join":  func(_, conversation string) string { return "conversation:" + conversation },
				"conversations:leave": func(_, conversation string) string { return "conversation:" + conversation },
			} {
				t.Run(event, func(t *testing.T) {
					t.Parallel() // the SDK tries for a few seconds
					alice, conversation := unique("alice-"), unique("c-")
					s.participants(t, "set", conversation, alice)
					c := s.connect(t, alice)
					mended := l.failTable(t, partition(alice, conversation), fault)
					message := `{"event":"` + event + `","data":{"conversationId":"` + conversation + `"}`
					c.send(message + `}`)
					c.send(message + `,"id":1}`)
					if f := c.await("an ack", is("ack")); f.raw != `{"event":"ack","id":1,"data":`+internal+`}` {
						t.Errorf("got %v", f)
					}
					if got := c.awaitError(); got != "socket_error:internal" {
						t.Errorf("got error %s", got)
					}
					mended()
					c.succeed(event, `{"conversationId":"`+conversation+`"}`)
				})
			}
			t.Run("$connect", func(t *testing.T) {
				t.Parallel()
				alice := unique("alice-")
				mended := l.failTable(t, "user:"+alice, fault)
				_, err := s.dial(t, s.token(alice))
				refused, ok := errors.AsType[*refusedHandshake](err)
				if !ok || refused.status < http.StatusInternalServerError {
					t.Errorf("handshake: %v, want a status of 500 or more", err)
				}
				mended()
				c := s.connect(t, alice)
				s.delivers(t, 1, "notifications:new", notice("k"), to(alice))
				c.exactly("notifications:new", notice("k"))
			})
			t.Run("publish", func(t *testing.T) {
				t.Parallel()
				alice := unique("alice-")
				c := s.connect(t, alice)
				mended := l.failTable(t, "user:"+alice, fault)
				request := request("notifications:new", notice("k"), `"id":"`+unique("id-")+`",`+to(alice))
				_, err := s.send(request)
				if e, ok := errors.AsType[*functionError](err); !ok || e.Type == "ValidationError" || e.Type == "PublishInProgress" {
					t.Errorf("publish: %v", err)
				}
				mended()
				if p, err := s.send(request); err != nil || p.Delivered != 1 || p.Duplicate {
					t.Errorf("the same once more: %+v, %v", p, err)
				}
				c.exactly("notifications:new", notice("k"))
			})
			t.Run("control", func(t *testing.T) {
				t.Parallel()
				conversation := unique("c-")
				defer l.failTable(t, "conversation:"+conversation, fault)()
				_, err := s.invoke(s.controller, `{"op":"participants.add","conversationId":"`+conversation+`","users":["alice"]}`)
				if e, ok := errors.AsType[*functionError](err); !ok || e.Type == "ValidationError" {
					t.Errorf("control: %v", err)
				}
			})
		})
	}
}

// A $disconnect that the table does not take leaves the rest to sweep.
func TestDisconnectInTrouble(t *testing.T) {
	s := suite(t)
	l := s.embedded(t)
	alice, bob := unique("alice-"), unique("bob-")
	b := s.connect(t, bob)
	a := s.connect(t, alice)
	l.age(t, a, time.Minute)
	tried, ended := make(chan struct{}), l.meter.invoked()["disconnect"]
	trying := sync.OnceFunc(func() { close(tried) })
	mended := l.failTable(t, "user:"+alice, func(ctx context.Context, op table.Op) error {
		trying()
		return throttled(ctx, op)
	})
	a.close()
	<-tried
	eventually(t, "disconnect gives up", func() bool { return l.meter.invoked()["disconnect"] > ended })
	mended()
	if l.row(t, connectionKey(a.id)) == nil {
		t.Fatal("there is nothing left for sweep to find")
	}
	s.sweepUntil(t, "the row is deleted", func() bool { return l.row(t, connectionKey(a.id)) == nil })
	b.presence("swept", alice, offline)
}

// oneProcess of each function, so that kill finds the one that is meant.
func oneProcess(o *stack.Options) { o.Lambda.Processes = 1 }

// kill ends all processes of one function of this test's stacks.
func kill(t *testing.T, function string) {
	t.Helper()
	killed := 0
	for _, pid := range children(t, os.Getpid()) {
		exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
		if err != nil || filepath.Base(exe) != function {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		killed++
	}
	if killed == 0 {
		t.Fatalf("no process of %s", function)
	}
}

// children lists the processes that a process has started.
func children(t *testing.T, parent int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Skip("needs /proc to find child processes")
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid: the name may have anything in it, proc(5).
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if ppid, _ := strconv.Atoi(fields[1]); ppid == parent && fields[0] != "Z" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// A function that dies with an event of a client: API Gateway says so, in words of its own, and the next event is served.
func TestFunctionDies(t *testing.T) {
	s := own(t, oneProcess)
	l := s.embedded(t)
	alice, conversation := unique("alice-"), unique("c-")
	s.participants(t, "set", conversation, alice)
	c := s.connect(t, alice)
	c.refusals = 1
	reached, mended := l.hang(t, "conversation:"+conversation, "GetItem")
	c.send(`{"event":"conversations:join","data":{"conversationId":"` + conversation + `"},"id":1}`)
	<-reached
	kill(t, "join")
	f := c.await("API Gateway's own answer", func(f frame) bool { return f.event == "" })
	if want := `{"message": "Internal server error", "connectionId":"` + c.id + `"`; !strings.HasPrefix(f.raw, want) {
		t.Errorf("got %v, want %s", f, want)
	}
	mended()
	c.join(conversation)
}

// Publish dies with a job: Lambda has it done again.
func TestPublishDiesWithJob(t *testing.T) {
	s := own(t, oneProcess)
	l := s.embedded(t)
	alice, bob := unique("alice-"), unique("bob-")
	b := s.connect(t, bob)
	a := s.connect(t, alice)
	b.presence("alice is here", alice, online(1))
	reached, mended := l.hang(t, "user:"+alice, "GetItem")
	a.close()
	<-reached
	kill(t, "publish")
	mended()
	b.presence("told after all", alice, offline)
}

// Publish dies half-way through an audience: the same request once more leaves out nobody.
func TestPublishDiesHalfWay(t *testing.T) {
	s := own(t, oneProcess)
	l := s.embedded(t)
	one, two, id := unique("one-"), unique("two-"), unique("id-")
	c, d := s.connect(t, one), s.connect(t, two)
	reached, mended := l.hang(t, "pub#"+id, "UpdateItem") // all is posted, and the end is not stored
	request := request("notifications:new", notice("k"), `"id":"`+id+`",`+to(one, two))
	died := make(chan error)
	go func() {
		_, err := s.send(request)
		died <- err
	}()
	<-reached
	kill(t, "publish")
	if e, ok := errors.AsType[*functionError](<-died); !ok || e.Type != "Runtime.ExitError" {
		t.Errorf("%v, want Runtime.ExitError", e)
	}
	mended()
	_, err := s.send(request)
	if e, ok := errors.AsType[*functionError](err); !ok || e.Type != "PublishInProgress" {
		t.Errorf("%v, want PublishInProgress while the first might still be at it", err)
	}
	l.set(t, key("pub#"+id, "#"), 1, "lease") // its time is over
	if p, err := s.send(request); err != nil || p.Delivered != 2 || p.Duplicate {
		t.Errorf("once more: %+v, %v", p, err)
	}
	for _, c := range []*client{c, d} {
		if got := c.takeAll(is("notifications:new")); len(got) != 2 {
			t.Errorf("%s got it %d times, want twice: before the crash and after it", c.user, len(got))
		}
	}
	if p, err := s.send(request); err != nil || !p.Duplicate {
		t.Errorf("and again: %+v, %v", p, err)
	}
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"example.org/realtime/infra/bench/rig"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// swarmVariable in the environment makes this program a swarm: clients in a process of their own, so that their memory and their file
// descriptors are not those of the system under measurement.
const swarmVariable = "BENCH_SWARM"

// handshakeTime is how long a client may take until it is ready, and has joined.
const handshakeTime = time.Minute

// order is what a swarm is asked for: to connect, or to wait for events.
type order struct {
	URL      string        `json:"url,omitempty"` // with it: to connect users From to To
	Protocol wire.Protocol `json:"protocol,omitempty"`
	From     int           `json:"from,omitempty"`
	To       int           `json:"to,omitempty"`
	AtOnce   int           `json:"at_once,omitempty"`
	Room     int           `json:"room,omitempty"` // users that share a conversation, which they join; 0: none

	Expect int `json:"expect,omitempty"` // without URL: events since the last order, or as many as come in Patience
	// Patience is how long nothing may come before the rest counts as lost.
	Patience time.Duration `json:"patience,omitempty"`
}

// report is a swarm's answer.
type report struct {
	Count int `json:"count"` // clients that are ready, or events
	// Times are how long each took: a client from its first byte to ready, an event from being published.
	Times   []time.Duration `json:"times"`
	Seconds float64         `json:"seconds"`
	Error   string          `json:"error,omitempty"`
}

// swarm is the process, seen from outside.
type swarm struct {
	command *exec.Cmd
	orders  io.WriteCloser
	reports *bufio.Reader
}

func startSwarm(ctx context.Context) (*swarm, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	s := &swarm{command: exec.CommandContext(ctx, self)} //nolint:gosec // G204: this very program
	s.command.Env = append(os.Environ(), swarmVariable+"=1")
	s.command.Stderr = os.Stderr
	if s.orders, err = s.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	s.reports = bufio.NewReaderSize(out, 1<<20)
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	return s, nil
}

// do gives an order and waits for its report.
func (s *swarm) do(o order) (report, error) {
	var r report
	if err := json.NewEncoder(s.orders).Encode(o); err != nil {
		return r, fmt.Errorf("swarm: %w", err)
	}
	line, err := s.reports.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("swarm: %w", err)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("swarm: %w", err)
	}
	if r.Error != "" {
		return r, errors.New("swarm: " + r.Error)
	}
	return r, nil
}

// stop ends all clients, without a word.
func (s *swarm) stop() error {
	_ = s.orders.Close()
	return s.command.Wait()
}

// crowd is the process, seen from inside.
type crowd struct {
	mu      sync.Mutex
	times   []time.Duration // of events since the last order
	last    time.Time       // when an event came
	clients sync.WaitGroup
}

// runSwarm takes orders until there are no more.
func runSwarm(in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{}
	defer c.clients.Wait()
	defer cancel()
	orders, reports := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("order: %w", err)
		}
		r := report{}
		if o.URL == "" {
			r = c.collect(o)
		} else if err := c.connect(ctx, o, &r); err != nil {
			r.Error = err.Error()
		}
		if err := reports.Encode(r); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
}

// connect connects users, so many at once.
func (c *crowd) connect(ctx context.Context, o order, r *report) error {
	begun := time.Now()
	users := make(chan int)
	var mu sync.Mutex
	var failed error
	var work sync.WaitGroup
	for range max(1, o.AtOnce) {
		work.Go(func() {
			for n := range users {
				begun := time.Now()
				err := c.client(ctx, o, n)
				mu.Lock()
				if err == nil {
					r.Count++
					r.Times = append(r.Times, time.Since(begun))
				} else if failed == nil {
					failed = fmt.Errorf("user %d: %w", n, err)
				}
				mu.Unlock()
			}
		})
	}
	said := begun
	for n := o.From; n < o.To; n++ {
		users <- n
		if time.Since(said) > 2*time.Second {
			said = time.Now()
			fmt.Fprintf(os.Stderr, "  %d of %d clients\n", n, o.To)
		}
	}
	close(users)
	work.Wait()
	r.Seconds = time.Since(begun).Seconds()
	return failed
}

// client connects a user and returns when it is ready. It reads on until the end.
func (c *crowd) client(ctx context.Context, o order, n int) error {
	token, err := rig.Token(rig.User(n))
	if err != nil {
		return err
	}
	url := o.URL + "?token=" + token
	if o.Protocol == wire.SocketIO {
		url = o.URL + "?EIO=4&transport=websocket"
	}
	dialing, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, url, nil) //nolint:bodyclose // of a handshake
	if err != nil {
		return err
	}
	conn.SetReadLimit(1 << 20)
	p := &peer{conn: conn, token: token, protocol: o.Protocol, ready: make(chan struct{})}
	if o.Room > 0 {
		p.conversation = conversation(n / o.Room)
	}
	ended := make(chan error, 1)
	c.clients.Go(func() {
		defer conn.CloseNow() //nolint:errcheck // it has ended
		for {
			_, frame, err := conn.Read(ctx)
			if err == nil {
				err = p.take(ctx, frame, c)
			}
			if err != nil {
				ended <- err
				return
			}
		}
	})
	select {
	case <-p.ready:
		return nil
	case err := <-ended:
		return err
	case <-dialing.Done():
		return errors.New("not ready in time")
	}
}

func conversation(n int) string { return "c" + strconv.Itoa(n) }

// peer is a client and what it says when.
type peer struct {
	conn         *websocket.Conn
	token        string
	protocol     wire.Protocol
	conversation string // to join; "" for none
	ready        chan struct{}
}

const namespace = contract.Namespace

// The beginnings of frames that a client answers.
var (
	openPacket = []byte("0{")
	ping       = []byte("2")
	connected  = []byte("40" + namespace)
	joined     = []byte("43" + namespace)
	told       = []byte(`{"event":"notifications:ready"`)
	acked      = []byte(`{"event":"ack"`)
	published  = []byte(`"t":`)
)

// take handles a frame.
func (p *peer) take(ctx context.Context, frame []byte, c *crowd) error {
	switch {
	case bytes.Contains(frame, published):
		return c.heard(frame)
	case p.protocol == wire.SocketIO && bytes.HasPrefix(frame, openPacket):
		return p.say(ctx, "40"+namespace+`,{"token":"`+p.token+`"}`)
	case p.protocol == wire.SocketIO && bytes.Equal(frame, ping):
		return p.say(ctx, "3")
	case bytes.HasPrefix(frame, connected) && p.conversation != "":
		return p.say(ctx, "42"+namespace+`,1["conversations:join",{"conversationId":"`+p.conversation+`"}]`)
	case bytes.HasPrefix(frame, told) && p.conversation != "":
		return p.say(ctx, `{"event":"conversations:join","data":{"conversationId":"`+p.conversation+`"},"id":1}`)
	case (bytes.HasPrefix(frame, joined) || bytes.HasPrefix(frame, acked)) && !bytes.Contains(frame, []byte(`"success":true`)):
		return fmt.Errorf("join: %s", frame)
	case bytes.HasPrefix(frame, connected), bytes.HasPrefix(frame, told), bytes.HasPrefix(frame, joined), bytes.HasPrefix(frame, acked):
		close(p.ready) // each comes once
	}
	return nil
}

func (p *peer) say(ctx context.Context, message string) error {
	return p.conn.Write(ctx, websocket.MessageText, []byte(message))
}

// heard notes an event, which says when it was published.
func (c *crowd) heard(frame []byte) error {
	now := time.Now()
	_, rest, _ := bytes.Cut(frame, published)
	digits := bytes.TrimLeft(rest, `" `)
	end := bytes.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	nanos, err := strconv.ParseInt(string(digits[:max(end, 0)]), 10, 64)
	if err != nil {
		return fmt.Errorf("an event that does not say when it was published: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times, c.last = append(c.times, now.Sub(time.Unix(0, nanos))), now
	return nil
}

// collect waits for events and reports them.
func (c *crowd) collect(o order) report {
	begun := time.Now()
	for {
		c.mu.Lock()
		count, last := len(c.times), c.last
		c.mu.Unlock()
		if last.Before(begun) {
			last = begun
		}
		if count >= o.Expect || time.Since(last) > o.Patience {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := report{Count: len(c.times), Times: c.times, Seconds: time.Since(begun).Seconds()}
	c.times = nil
	return r
}

// Package gateway is API Gateway on one machine: one stage of a WebSocket API, its Lambda integrations and authorizer, and the
// @connections management API. It is as strict as AWS (sizes, paths, event shapes, error frames, close codes), so that what
// works here is not refused there, and can be stricter than AWS usually is: messages in any order, a lost $disconnect, injected
// faults.
//
// Sources: the API Gateway developer guide ("Working with WebSocket APIs", "Amazon API Gateway quotas"), the service models of
// the AWS SDKs, RFC 6455, and events captured from deployed APIs.
package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Gateway is an http.Handler that serves one stage: /{stage} and /{stage}/ for clients, /{stage}/@connections/{id} for backends.
type Gateway struct {
	cfg       Config
	selection selection
	sources   []identitySource
	limiter   *rate.Limiter            // nil without a throttle
	entrance  *rate.Limiter            // of new connections; nil without a throttle
	limiters  map[string]*rate.Limiter // by route key, nil for those without

	ctx     context.Context // of invocations; cancelled when Close gives up
	cancel  context.CancelFunc
	closing chan struct{}  // closed by Close
	running sync.WaitGroup // handshakes, connections, invocations

	mu     sync.Mutex // taken after a connection's own
	closed bool
	conns  map[string]*conn
	peak   int // of len(conns)

	randMu sync.Mutex // of cfg.Shuffle, and of
	rand   *rand.Rand
}

// New checks cfg and returns a gateway that serves it. The caller ends it with Close.
func New(cfg Config) (*Gateway, error) {
	selection, sources, err := cfg.check()
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	cfg.setDefaults()
	g := &Gateway{
		cfg:       cfg,
		selection: selection,
		sources:   sources,
		closing:   make(chan struct{}),
		conns:     make(map[string]*conn),
		rand:      rand.New(rand.NewPCG(cfg.Shuffle.Seed, 0)), //nolint:gosec // G404: a reproducible order, no secret
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.limiter, g.entrance, g.limiters = cfg.Throttle.limiter(), cfg.NewConnections.limiter(), map[string]*rate.Limiter{}
	for key, route := range cfg.Routes {
		g.limiters[key] = route.Throttle.limiter()
	}
	return g, nil
}

// ServeHTTP answers 403 to any path but those of the stage, as API Gateway does on its default domain.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	stage, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	id, managed := strings.CutPrefix(rest, "@connections/")
	switch {
	case stage != g.cfg.Stage, rest != "" && !managed:
		failure(http.StatusForbidden, "Forbidden").write(w, newID(g.cfg.Now()))
	case managed:
		g.manage(w, r, id)
	case !g.enter():
		http.Error(w, "the gateway is closing", http.StatusServiceUnavailable)
	default:
		defer g.running.Done()
		g.connect(w, r)
	}
}

// Close closes every connection with 1001, lets what runs finish ($disconnect included), and returns once nothing of the gateway
// runs any more. The management API answers to the end, for functions that post from $disconnect. When ctx ends first,
// invocations are cancelled, sockets are cut, and the error is ctx's.
func (g *Gateway) Close(ctx context.Context) error {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.closing)
	}
	open := slices.Collect(maps.Values(g.conns))
	g.mu.Unlock()
	for _, c := range open {
		c.shut(goingAway(CauseShutdown))
	}

	done := make(chan struct{})
	go func() {
		g.running.Wait()
		close(done)
	}()
	defer g.cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		for _, c := range open {
			c.cut()
		}
		g.cancel()
		<-done
		return fmt.Errorf("gateway: close: %w", ctx.Err())
	}
}

// Info is what the gateway knows of an open connection.
type Info struct {
	ID           string
	SourceIP     string
	UserAgent    string // "" when the client sent none
	ConnectedAt  time.Time
	LastActiveAt time.Time // the last message, either way
	Queued       int       // bytes that the client has not taken yet
}

// Open returns the number of open connections: those that a post would reach.
func (g *Gateway) Open() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}

// Peak is how many connections have been open at once, at most.
func (g *Gateway) Peak() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.peak
}

// Connections describes the open connections, oldest first.
func (g *Gateway) Connections() []Info {
	g.mu.Lock()
	open := slices.Collect(maps.Values(g.conns))
	g.mu.Unlock()
	infos := make([]Info, 0, len(open))
	for _, c := range open {
		infos = append(infos, c.info())
	}
	slices.SortFunc(infos, func(a, b Info) int { return a.ConnectedAt.Compare(b.ConnectedAt) })
	return infos
}

// Connection describes one open connection; false when there is none of that id.
func (g *Gateway) Connection(id string) (Info, bool) {
	c := g.find(id)
	if c == nil {
		return Info{}, false
	}
	return c.info(), true
}

// enter counts a handshake as running, unless the gateway is closing.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.running.Add(1)
	return true
}

// add makes c known, and reports whether the gateway is closing.
func (g *Gateway) add(c *conn) (closing bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conns[c.id] = c
	g.peak = max(g.peak, len(g.conns))
	return g.closed
}

func (g *Gateway) find(id string) *conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conns[id]
}

func (g *Gateway) forget(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c.id)
}

// allowed takes one request from the throttle that messages and management requests share.
func (g *Gateway) allowed() bool {
	return g.take(g.limiter)
}

// allowedOn takes one request from the route's own throttle.
func (g *Gateway) allowedOn(routeKey string) bool {
	return g.take(g.limiters[routeKey])
}

func (g *Gateway) take(l *rate.Limiter) bool {
	return l == nil || l.AllowN(g.cfg.Now(), 1)
}

// Shuffle is how long at most an invocation is held back at the moment.
func (g *Gateway) Shuffle() time.Duration {
	g.randMu.Lock()
	defer g.randMu.Unlock()
	return g.cfg.Shuffle.Jitter
}

// SetShuffle changes how long at most an invocation is held back from now on; 0 turns Config.Shuffle off.
func (g *Gateway) SetShuffle(jitter time.Duration) {
	g.randMu.Lock()
	defer g.randMu.Unlock()
	g.cfg.Shuffle.Jitter = jitter
}

// jitter draws how long the next invocation of a connection is held back.
func (g *Gateway) jitter() time.Duration {
	g.randMu.Lock()
	defer g.randMu.Unlock()
	if g.cfg.Shuffle.Jitter <= 0 {
		return 0
	}
	return time.Duration(g.rand.Int64N(int64(g.cfg.Shuffle.Jitter)))
}

// sleep returns after d, or as soon as one of the channels closes.
func (g *Gateway) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-g.closing:
	}
}

// marshal is json.Marshal without escaping <, > and &: API Gateway sends bodies as they came.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

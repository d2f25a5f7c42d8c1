package gateway

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// The route keys that API Gateway defines.
const (
	routeConnect    = "$connect"
	routeDisconnect = "$disconnect"
	routeDefault    = "$default"
)

// Integration timeouts, as CreateIntegration's TimeoutInMillis bounds them.
const (
	minTimeout = 50 * time.Millisecond
	maxTimeout = 29 * time.Second
)

// Config describes the API, its stage, and how strict or hostile the gateway is.
type Config struct {
	Stage   string // required; the first segment of every path
	Region  string // "" = us-east-1
	Account string // "" = 000000000000
	APIID   string // "" = local

	// DomainName goes into every event as domainName and Host; "" = the Host header of the handshake, with its port.
	DomainName string

	// RouteSelectionExpression picks the route of a message: text, $request.body.path, or text with ${request.body.path} in it.
	// Required when there are routes besides those that start with $.
	RouteSelectionExpression string

	// Routes by route key. Without $connect every handshake is accepted, without $disconnect nobody is told, without $default
	// a message that selects no route is answered Forbidden.
	Routes map[string]Route

	Authorizer *Authorizer // of $connect; nil = none

	Invoke Invoker // required; the only way to the functions

	Throttle Throttle // of messages and management requests together, as they share the account's; zero = off

	// NewConnections is of handshakes, which have a quota of their own in an account: one above it is answered 429, and asks nobody.
	// Zero = off.
	NewConnections Throttle

	Timers Timers // zero = API Gateway's own

	// Buffer, in bytes, bounds what one connection may have waiting while its client does not read: a post above it is answered
	// 429. 0 = 1 MiB. AWS documents the answer but no size.
	Buffer int

	Shuffle Shuffle // zero = off

	// LoseDisconnect decides per connection whether its $disconnect never happens; nil = none is lost.
	LoseDisconnect func(connectionID string) bool

	// NewConnectionID gives the next connection its id, 11 bytes in base64 (RFC 4648, URL safe) that none had before; nil, or "" from it,
	// = one by time and chance.
	NewConnectionID func() string

	// RequireSignature refuses management requests that carry no Signature Version 4 of the service execute-api and of Region
	// with 403. Only the presence and the credential scope are checked: the gateway knows no secret.
	RequireSignature bool

	// Fault is asked before every management operation (PostToConnection, GetConnection, DeleteConnection); nil = no faults.
	Fault func(op, connectionID string) Fault

	// Observe is told each thing that happens, before the effect of it can be seen from outside. It is called from many
	// goroutines at once, and must not block.
	Observe func(Event)

	Now func() time.Time // nil = time.Now
	Log *slog.Logger     // of what no Event tells; nil = nothing is logged
}

// Route is a Lambda proxy integration.
type Route struct {
	Function string // the name that Invoke gets; required

	// TwoWay sends the body that the function returns to the client, as a route with a route response does. Not for $connect and
	// $disconnect.
	TwoWay bool

	Timeout time.Duration // how long the gateway waits for the function, 50 ms to 29 s; 0 = 29 s

	// Throttle is the route's own, as the stage's route settings have it; zero = off. A handshake above that of $connect is answered 429,
	// and asks nobody. What AWS does with a $disconnect above it is not documented: here it always runs.
	Throttle Throttle
}

// Authorizer is a Lambda REQUEST authorizer.
type Authorizer struct {
	Function string // the name that Invoke gets; required

	// IdentitySources, such as route.request.header.Authorization and route.request.querystring.token, must all be in the
	// handshake, or it is answered 401 and the function is not invoked.
	IdentitySources []string
}

// Throttle is a token bucket.
type Throttle struct {
	Rate  float64 // requests a second; 0 = no throttle
	Burst int     // at least 1
}

const badThrottle = "Rate must not be negative, and Burst at least 1 with a Rate"

func (t Throttle) valid() bool { return t.Rate == 0 || t.Rate > 0 && t.Burst >= 1 }

// limiter is a full bucket; nil without a throttle.
func (t Throttle) limiter() *rate.Limiter {
	if t.Rate == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(t.Rate), t.Burst)
}

// Timers are the durations after which the gateway acts by itself; zero fields have the default.
type Timers struct {
	Idle  time.Duration // without a message either way: close 1001; 0 = 10 minutes
	Life  time.Duration // since the handshake began: close 1001; 0 = 2 hours
	Post  time.Duration // how long a post waits for the socket to take it before it is answered 200 while queued; 0 = 1 s
	Close time.Duration // how long the client may take for its part of the closing handshake; 0 = 2 s
}

// Shuffle lets messages of a connection, and its $disconnect, run in any order: each is held back for a random part of Jitter.
type Shuffle struct {
	Seed   uint64
	Jitter time.Duration // 0 = off
}

var (
	stageName   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	accountName = regexp.MustCompile(`^[0-9]{12}$`)
)

// check reports the first setting that API Gateway would refuse or that the gateway cannot serve, by name.
func (cfg *Config) check() (selection, []identitySource, error) {
	switch {
	case !stageName.MatchString(cfg.Stage):
		return nil, nil, invalid("Stage", "%q must be 1 to 128 letters, digits, - or _", cfg.Stage)
	case cfg.Account != "" && !accountName.MatchString(cfg.Account):
		return nil, nil, invalid("Account", "%q must be 12 digits", cfg.Account)
	case cfg.Invoke == nil:
		return nil, nil, invalid("Invoke", "required, for example LambdaInvoke(endpoint, client)")
	case !cfg.Throttle.valid():
		return nil, nil, invalid("Throttle", badThrottle)
	case !cfg.NewConnections.valid():
		return nil, nil, invalid("NewConnections", badThrottle)
	case min(cfg.Timers.Idle, cfg.Timers.Life, cfg.Timers.Post, cfg.Timers.Close) < 0:
		return nil, nil, invalid("Timers", "must not be negative")
	case cfg.Buffer < 0:
		return nil, nil, invalid("Buffer", "must not be negative")
	}
	selection, err := parseSelection(cfg.RouteSelectionExpression)
	if err != nil {
		return nil, nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(cfg.Routes)) {
		if err := cfg.Routes[key].check(key, cfg.RouteSelectionExpression); err != nil {
			return nil, nil, err
		}
	}
	if cfg.Authorizer == nil {
		return selection, nil, nil
	}
	if cfg.Authorizer.Function == "" {
		return nil, nil, invalid("Authorizer.Function", "required")
	}
	if _, ok := cfg.Routes[routeConnect]; !ok {
		return nil, nil, invalid("Authorizer", "needs a $connect route to belong to")
	}
	sources, err := parseIdentitySources(cfg.Authorizer.IdentitySources)
	return selection, sources, err
}

func (r Route) check(key, expression string) error {
	field := "Routes[" + key + "]"
	special := key == routeConnect || key == routeDisconnect || key == routeDefault
	switch {
	case !special && (key == "" || strings.HasPrefix(key, "$")):
		return invalid(field, "the route key must not be empty or start with $")
	case !special && expression == "":
		return invalid("RouteSelectionExpression", "required, for example $request.body.action")
	case r.Function == "":
		return invalid(field+".Function", "required")
	case r.Timeout != 0 && (r.Timeout < minTimeout || r.Timeout > maxTimeout):
		return invalid(field+".Timeout", "%s must be %s to %s", r.Timeout, minTimeout, maxTimeout)
	case !r.Throttle.valid():
		return invalid(field+".Throttle", badThrottle)
	case r.TwoWay && (key == routeConnect || key == routeDisconnect):
		return invalid(field+".TwoWay", "not for this route")
	}
	return nil
}

// invalid is an error that names the setting first.
func invalid(field, format string, args ...any) error {
	return fmt.Errorf(field+": "+format, args...)
}

func (cfg *Config) setDefaults() {
	cfg.Region = cmp.Or(cfg.Region, "us-east-1")
	cfg.Account = cmp.Or(cfg.Account, "000000000000")
	cfg.APIID = cmp.Or(cfg.APIID, "local")
	cfg.Timers.Idle = cmp.Or(cfg.Timers.Idle, 10*time.Minute)
	cfg.Timers.Life = cmp.Or(cfg.Timers.Life, 2*time.Hour)
	cfg.Timers.Post = cmp.Or(cfg.Timers.Post, time.Second)
	cfg.Timers.Close = cmp.Or(cfg.Timers.Close, 2*time.Second)
	cfg.Buffer = cmp.Or(cfg.Buffer, 1<<20)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
}

func (r Route) timeout() time.Duration {
	return cmp.Or(r.Timeout, maxTimeout)
}

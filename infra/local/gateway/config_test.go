package gateway

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestNewRefuses(t *testing.T) {
	valid := func() Config {
		return Config{
			Stage: "local", RouteSelectionExpression: "$request.body.event",
			Routes: map[string]Route{"$connect": {Function: "connect"}, "conversations:join": {Function: "join", Timeout: 29 * time.Second}},
			Invoke: func(context.Context, string, []byte) (Result, error) { return Result{}, nil },
		}
	}
	if _, err := New(valid()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		`Stage: "" must be`:                       func(c *Config) { c.Stage = "" },
		`Stage: "socket.io" must be`:              func(c *Config) { c.Stage = "socket.io" },
		`Stage: "` + strings.Repeat("x", 129):     func(c *Config) { c.Stage = strings.Repeat("x", 129) },
		`Account: "12" must be 12 digits`:         func(c *Config) { c.Account = "12" },
		`Invoke: required`:                        func(c *Config) { c.Invoke = nil },
		`Throttle: Rate`:                          func(c *Config) { c.Throttle = Throttle{Rate: 1} },
		`NewConnections: Rate`:                    func(c *Config) { c.NewConnections = Throttle{Rate: 1} },
		`Routes[$connect].Throttle: Rate`:         func(c *Config) { c.Routes["$connect"] = Route{Function: "f", Throttle: Throttle{Rate: -1}} },
		`Timers: must not be negative`:            func(c *Config) { c.Timers.Life = -1 },
		`Buffer: must not be negative`:            func(c *Config) { c.Buffer = -1 },
		`RouteSelectionExpression: required`:      func(c *Config) { c.RouteSelectionExpression = "" },
		`RouteSelectionExpression: "$context.x`:   func(c *Config) { c.RouteSelectionExpression = "$context.x" },
		`Routes[a].Function: required`:            func(c *Config) { c.Routes["a"] = Route{} },
		`Routes[$custom]: the route key`:          func(c *Config) { c.Routes["$custom"] = Route{Function: "f"} },
		`Routes[]: the route key`:                 func(c *Config) { c.Routes[""] = Route{Function: "f"} },
		`Routes[a].Timeout: 30s must be 50ms`:     func(c *Config) { c.Routes["a"] = Route{Function: "f", Timeout: 30 * time.Second} },
		`Routes[a].Timeout: 49ms must be`:         func(c *Config) { c.Routes["a"] = Route{Function: "f", Timeout: 49 * time.Millisecond} },
		`Routes[$connect].TwoWay: not for`:        func(c *Config) { c.Routes["$connect"] = Route{Function: "f", TwoWay: true} },
		`Authorizer.Function: required`:           func(c *Config) { c.Authorizer = &Authorizer{} },
		`Authorizer: needs a $connect route`:      func(c *Config) { c.Routes, c.Authorizer = nil, &Authorizer{Function: "f"} },
		`Authorizer.IdentitySources: "context.x"`: func(c *Config) { c.Authorizer = &Authorizer{Function: "f", IdentitySources: []string{"context.x"}} },
		`Authorizer.IdentitySources: "route.request.header.`: func(c *Config) {
			c.Authorizer = &Authorizer{Function: "f", IdentitySources: []string{"route.request.header."}}
		},
	} {
		cfg := valid()
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.HasPrefix(err.Error(), "gateway: "+want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Package config reads the settings of a function from its environment.
package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/realtime/shared/contract"
)

// Config has the settings of one function. Those that the function does not use are zero.
type Config struct {
	LogLevel slog.Level // LOG_LEVEL

	TableName           string // TABLE_NAME
	PublishFunction     string // PUBLISH_FUNCTION: name or ARN of the publish function
	ConnectionsEndpoint string // CONNECTIONS_ENDPOINT: URL of the @connections API, stage included, without a / at its end

	JWT               JWT  // JWT_*
	AuthFailureReject bool // AUTH_FAILURE=reject: a refused token fails the handshake

	MaxPayload     int           // SOCKET_MAX_PAYLOAD_BYTES: of a whole message
	PingInterval   time.Duration // SOCKET_PING_INTERVAL_MS: between two pings of a Socket.IO client
	PingTimeout    time.Duration // SOCKET_PING_TIMEOUT_MS: after which a ping without a pong ends it
	SocketsPerUser int           // SOCKETS_PER_USER_MAX
	RoomsPerSocket int           // ROOMS_PER_CONNECTION_MAX
	HeartbeatMin   time.Duration // PRESENCE_HEARTBEAT_MIN_SECONDS; 0 takes every heartbeat

	MembershipFunction string // MEMBERSHIP: ARN of the team's own function; "" is the table

	FanoutRPS int // FANOUT_RPS: posts per second of one publish

	PresenceTTL       time.Duration // PRESENCE_TTL_SECONDS
	PresenceGlobalMax int           // PRESENCE_GLOBAL_MAX: connections; 0 has no limit
	PresenceRPS       int           // PRESENCE_RPS: posts a second; 0 has no limit
	ClientInfoAll     bool          // PRESENCE_CLIENT_INFO=all: everybody sees ip and userAgent

	TokenExpiryIgnore bool // TOKEN_EXPIRY=ignore: a connection outlives its token
	SweepRPS          int  // SWEEP_RPS: GetConnection calls per second
	Production        bool // ENVIRONMENT=production
}

// JWT says which tokens are accepted. One of Secret, PublicKey and JWKSURL is set: the value, or the ARN of a Secrets
// Manager secret that has it.
type JWT struct {
	Secret       string   // JWT_SECRET
	PublicKey    string   // JWT_PUBLIC_KEY: PEM
	JWKSURL      string   // JWT_JWKS_URL
	RequireExp   bool     // JWT_REQUIRE_EXP
	Issuer       string   // JWT_ISSUER; "" takes any
	Audience     string   // JWT_AUDIENCE; "" takes any
	UserIDClaims []string // JWT_USER_ID_CLAIM: the first that is present counts
}

// FromSecretsManager tells whether the key has to be read from Secrets Manager.
func (j JWT) FromSecretsManager() bool {
	return slices.ContainsFunc([]string{j.Secret, j.PublicKey, j.JWKSURL}, isSecretARN)
}

// uses says which settings each function reads, besides LOG_LEVEL. template.yaml gives it these and no others.
var uses = map[string][]string{
	"authorizer": {
		"JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS_URL", "JWT_REQUIRE_EXP", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_USER_ID_CLAIM", "AUTH_FAILURE",
	},
	// The token of a Socket.IO client comes with its CONNECT, to default.
	"connect":    {"TABLE_NAME", "PUBLISH_FUNCTION", "SOCKETS_PER_USER_MAX"},
	"disconnect": {"TABLE_NAME", "PUBLISH_FUNCTION"},
	"heartbeat":  {"TABLE_NAME", "PUBLISH_FUNCTION", "CONNECTIONS_ENDPOINT", "SOCKET_MAX_PAYLOAD_BYTES", "PRESENCE_HEARTBEAT_MIN_SECONDS"},
	"join": {
		"TABLE_NAME", "PUBLISH_FUNCTION", "CONNECTIONS_ENDPOINT", "SOCKET_MAX_PAYLOAD_BYTES", "ROOMS_PER_CONNECTION_MAX", "MEMBERSHIP", "PRESENCE_GLOBAL_MAX",
	},
	"leave": {"TABLE_NAME", "CONNECTIONS_ENDPOINT", "SOCKET_MAX_PAYLOAD_BYTES"},
	"default": {
		"TABLE_NAME", "PUBLISH_FUNCTION", "CONNECTIONS_ENDPOINT", "SOCKET_MAX_PAYLOAD_BYTES", "PRESENCE_HEARTBEAT_MIN_SECONDS",
		"ROOMS_PER_CONNECTION_MAX", "MEMBERSHIP", "PRESENCE_GLOBAL_MAX", "SOCKETS_PER_USER_MAX",
		"JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS_URL", "JWT_REQUIRE_EXP", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_USER_ID_CLAIM",
	},
	"publish": {
		"TABLE_NAME", "PUBLISH_FUNCTION", "CONNECTIONS_ENDPOINT", "FANOUT_RPS", "PRESENCE_GLOBAL_MAX", "PRESENCE_RPS", "PRESENCE_CLIENT_INFO",
		"SOCKET_MAX_PAYLOAD_BYTES", "SOCKET_PING_INTERVAL_MS", "SOCKET_PING_TIMEOUT_MS",
	},
	"control": {"TABLE_NAME", "PUBLISH_FUNCTION", "ROOMS_PER_CONNECTION_MAX"},
	"sweep": {
		"TABLE_NAME", "PUBLISH_FUNCTION", "CONNECTIONS_ENDPOINT", "PRESENCE_TTL_SECONDS", "TOKEN_EXPIRY", "SWEEP_RPS", "ENVIRONMENT",
		"SOCKET_PING_INTERVAL_MS", "SOCKET_PING_TIMEOUT_MS",
	},
}

// Load reads the settings that the function uses, and no others. The error joins everything that is wrong with them, one
// error per problem; each starts with the setting's name and says the fix, and none has a secret in it.
func Load(function string, getenv func(string) string) (Config, error) {
	names, ok := uses[function]
	if !ok {
		return Config{}, fmt.Errorf("%s: not a function of this service", function)
	}
	r := &reader{getenv: getenv, names: append([]string{"LOG_LEVEL"}, names...)}
	c := Config{
		LogLevel: r.level("LOG_LEVEL"),

		TableName:           r.matching("TABLE_NAME", tableName, "the name of the DynamoDB table"),
		PublishFunction:     r.matching("PUBLISH_FUNCTION", functionName, "the name or ARN of the publish function"),
		ConnectionsEndpoint: r.endpoint("CONNECTIONS_ENDPOINT"),

		JWT:               r.jwt(),
		AuthFailureReject: r.choice("AUTH_FAILURE", "event", "reject") == "reject",

		MaxPayload:     r.number("SOCKET_MAX_PAYLOAD_BYTES", contract.MaxPayloadBytes, 1, contract.MaxMessageBytes),
		PingInterval:   r.milliseconds("SOCKET_PING_INTERVAL_MS", contract.PingInterval, r.least(sweepStep), maxPingInterval),
		PingTimeout:    r.milliseconds("SOCKET_PING_TIMEOUT_MS", contract.PingTimeout, r.least(minPingTimeout), maxPingTimeout),
		SocketsPerUser: r.number("SOCKETS_PER_USER_MAX", contract.SocketsPerUserMax, 1, maxSocketsPerUser),
		RoomsPerSocket: r.number("ROOMS_PER_CONNECTION_MAX", contract.RoomsPerConnectionMax, 1, maxRoomsPerSocket),
		HeartbeatMin:   r.seconds("PRESENCE_HEARTBEAT_MIN_SECONDS", contract.HeartbeatMin, 0, contract.MaxConnectionAge),

		MembershipFunction: r.membership("MEMBERSHIP"),

		FanoutRPS: r.number("FANOUT_RPS", contract.FanoutRPS, 1, maxRPS),

		PresenceTTL:       r.seconds("PRESENCE_TTL_SECONDS", contract.PresenceTTL, time.Second, contract.MaxConnectionAge),
		PresenceGlobalMax: r.number("PRESENCE_GLOBAL_MAX", contract.PresenceGlobalMax, 0, 1_000_000),
		PresenceRPS:       r.number("PRESENCE_RPS", contract.PresenceRPS, 0, maxRPS),
		ClientInfoAll:     r.choice("PRESENCE_CLIENT_INFO", "own", "all") == "all",

		TokenExpiryIgnore: r.choice("TOKEN_EXPIRY", "close", "ignore") == "ignore",
		SweepRPS:          r.number("SWEEP_RPS", 1000, 1, maxRPS),
		Production:        r.text("ENVIRONMENT", "development") == "production",
	}
	return c, r.err()
}

const (
	sweepStep       = time.Minute                                  // pings come from sweep, which runs once a minute
	minPingTimeout  = 90 * time.Second                             // a ping may come a step late, and its pong takes a moment
	maxPingInterval = 9 * time.Minute                              // API Gateway closes a connection after 10 idle minutes
	maxPingTimeout  = (1<<31-1)*time.Millisecond - maxPingInterval // the client's timer takes their sum, 2 147 483 647 ms at most

	maxSocketsPerUser = 256    // they share one DynamoDB item, which is written whole: 256 of them are about 80 KB
	maxRoomsPerSocket = 100    // they are looked up in one BatchGetItem, which takes 100 keys
	maxRPS            = 10_000 // API Gateway's quota of an account, shared by everything else
)

// reader reads settings and collects what is wrong with them. For a setting that is not in names, its methods return the
// zero value.
type reader struct {
	getenv   func(string) string
	names    []string
	problems []error
}

// text is a setting as it is; fallback stands in for an empty one.
func (r *reader) text(name, fallback string) string {
	if !slices.Contains(r.names, name) {
		return ""
	}
	if v := strings.TrimSpace(r.getenv(name)); v != "" {
		return v
	}
	return fallback
}

func (r *reader) number(name string, fallback, least, most int) int {
	v := r.text(name, strconv.Itoa(fallback))
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	switch {
	case err != nil:
		r.problem(name, "%q is not a whole number: set one from %d to %d", v, least, most)
	case n < least || n > most:
		r.problem(name, "%d is out of range: set a number from %d to %d", n, least, most)
	}
	return n
}

func (r *reader) seconds(name string, fallback, least, most time.Duration) time.Duration {
	return time.Duration(r.number(name, int(fallback.Seconds()), int(least.Seconds()), int(most.Seconds()))) * time.Second
}

func (r *reader) milliseconds(name string, fallback, least, most time.Duration) time.Duration {
	return time.Duration(r.number(name, int(fallback.Milliseconds()), int(least.Milliseconds()), int(most.Milliseconds()))) * time.Millisecond
}

// least is the least value of a time that goes by the schedule of sweep, which is shorter than AWS's on one machine.
func (r *reader) least(deployed time.Duration) time.Duration {
	if r.deployed() {
		return deployed
	}
	return min(deployed, time.Second)
}

// choice is one of the values; the first is the default.
func (r *reader) choice(name string, values ...string) string {
	v := r.text(name, values[0])
	if v != "" && !slices.Contains(values, v) {
		r.problem(name, "%q is not a choice: set %s", v, strings.Join(values, " or "))
	}
	return v
}

func (r *reader) problem(name, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
}

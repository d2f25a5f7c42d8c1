package config

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const goodSecret = "0123456789abcdef0123456789abcdef"

// required has what each function must be told.
var required = map[string]string{
	"TABLE_NAME":           "realtime",
	"PUBLISH_FUNCTION":     "realtime-PublishFunction-1ABC",
	"CONNECTIONS_ENDPOINT": "https://abc.execute-api.eu-west-1.amazonaws.com/live",
	"JWT_SECRET":           goodSecret,
}

func env(changes ...map[string]string) func(string) string {
	all := map[string]string{}
	for _, m := range append([]map[string]string{required}, changes...) {
		for k, v := range m {
			all[k] = v
		}
	}
	return func(name string) string { return all[name] }
}

func publicKeyPEM(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestLoadDefaults(t *testing.T) {
	const endpoint = "https://abc.execute-api.eu-west-1.amazonaws.com/live"
	tests := map[string]Config{
		"authorizer": {JWT: JWT{Secret: goodSecret, RequireExp: true, UserIDClaims: []string{"sub", "id"}}},
		"connect":    {TableName: "realtime", PublishFunction: "realtime-PublishFunction-1ABC", SocketsPerUser: 32},
		"disconnect": {TableName: "realtime", PublishFunction: "realtime-PublishFunction-1ABC"},
		"heartbeat": {
			TableName: "realtime", PublishFunction: "realtime-PublishFunction-1ABC", ConnectionsEndpoint: endpoint,
			MaxPayload: 5120, HeartbeatMin: 10 * time.Second,
		},
		"join": {
			TableName: "realtime", PublishFunction: "realtime-PublishFunction-1ABC", ConnectionsEndpoint: endpoint,
			MaxPayload: 5120, RoomsPerSocket: 100, PresenceGlobalMax: 200,
		},
		"leave": {TableName: "realtime", ConnectionsEndpoint: endpoint, MaxPayload: 5120},
		"default": {
			TableName: "realtime", PublishFunction: "realtime-PublishFunction-1ABC", ConnectionsEndpoint: endpoint,
			MaxPayload: 5120, HeartbeatMin: 10 * time.Second, RoomsPerSocket: 100, PresenceGlobalMax: 200, SocketsPerUser: 32,
			JWT: JWT{Secret: goodSecret, RequireExp: true, UserIDClaims: []string{"sub", "id"}},
		},
		"publish": {
			TableName: "realtime", PublishFunction: "realtime-PublishFunction-1ABC", ConnectionsEndpoint: endpoint, FanoutRPS: 5000, PresenceGlobalMax: 200, PresenceRPS: 2000,
			MaxPayload: 5120, PingInterval: 5 * time.Minute, PingTimeout: 2 * time.Minute,
		},
		"control": {TableName: "realtime", PublishFunction: "realtime-PublishFunction-1ABC", RoomsPerSocket: 100},
		"sweep": {
			TableName: "realtime", PublishFunction: "realtime-PublishFunction-1ABC", ConnectionsEndpoint: endpoint,
			PresenceTTL: time.Minute, SweepRPS: 1000, PingInterval: 5 * time.Minute, PingTimeout: 2 * time.Minute,
		},
	}
	if len(tests) != len(uses) {
		t.Errorf("%d functions tested, %d known", len(tests), len(uses))
	}
	for function, want := range tests {
		t.Run(function, func(t *testing.T) {
			got, err := Load(function, env())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A function's role and environment have what it needs; asking for more would make its start depend on strangers' settings.
func TestLoadReadsWhatTheFunctionUses(t *testing.T) {
	platform := []string{"LAMBDA_TASK_ROOT", "AWS_EXECUTION_ENV", "AWS_SAM_LOCAL"}
	for function, names := range uses {
		t.Run(function, func(t *testing.T) {
			asked := map[string]bool{}
			_, err := Load(function, func(name string) string {
				asked[name] = true
				return required[name]
			})
			if err != nil {
				t.Fatal(err)
			}
			for name := range asked {
				if name != "LOG_LEVEL" && !slices.Contains(names, name) && !slices.Contains(platform, name) {
					t.Errorf("asked for %s", name)
				}
			}
			for _, name := range names {
				if !asked[name] {
					t.Errorf("did not ask for %s", name)
				}
			}
		})
	}
}

func TestLoadValues(t *testing.T) {
	key := publicKeyPEM(t)
	const lambdaARN = "arn:aws:lambda:eu-west-1:123456789012:function:members:live"
	const secretARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:jwt-AbCdEf"
	tests := []struct {
		name, function string
		env            map[string]string
		got            func(Config) any
		want           any
	}{
		{"level", "control", map[string]string{"LOG_LEVEL": "debug"}, func(c Config) any { return c.LogLevel }, slog.LevelDebug},
		{"endpoint loses its last slash", "leave", map[string]string{"CONNECTIONS_ENDPOINT": "http://127.0.0.1:3001/local/"}, func(c Config) any { return c.ConnectionsEndpoint }, "http://127.0.0.1:3001/local"},
		{"reject", "authorizer", map[string]string{"AUTH_FAILURE": "reject"}, func(c Config) any { return c.AuthFailureReject }, true},
		{"payload, least", "leave", map[string]string{"SOCKET_MAX_PAYLOAD_BYTES": "1"}, func(c Config) any { return c.MaxPayload }, 1},
		{"payload, most", "leave", map[string]string{"SOCKET_MAX_PAYLOAD_BYTES": "131072"}, func(c Config) any { return c.MaxPayload }, 131072},
		{"every heartbeat", "heartbeat", map[string]string{"PRESENCE_HEARTBEAT_MIN_SECONDS": "0"}, func(c Config) any { return c.HeartbeatMin }, time.Duration(0)},
		{"presence always global", "publish", map[string]string{"PRESENCE_GLOBAL_MAX": "0"}, func(c Config) any { return c.PresenceGlobalMax }, 0},
		{"presence without a budget", "publish", map[string]string{"PRESENCE_RPS": "0"}, func(c Config) any { return c.PresenceRPS }, 0},
		{"client info", "publish", map[string]string{"PRESENCE_CLIENT_INFO": "all"}, func(c Config) any { return c.ClientInfoAll }, true},
		{"membership function", "join", map[string]string{"MEMBERSHIP": lambdaARN}, func(c Config) any { return c.MembershipFunction }, lambdaARN},
		{"token expiry", "sweep", map[string]string{"TOKEN_EXPIRY": "ignore"}, func(c Config) any { return c.TokenExpiryIgnore }, true},
		{"production", "sweep", map[string]string{"ENVIRONMENT": "production"}, func(c Config) any { return c.Production }, true},
		{"claims", "authorizer", map[string]string{"JWT_USER_ID_CLAIM": "uid, https://example.com/id"}, func(c Config) any { return c.JWT.UserIDClaims }, []string{"uid", "https://example.com/id"}},
		{"exp not required", "authorizer", map[string]string{"JWT_REQUIRE_EXP": "false"}, func(c Config) any { return c.JWT.RequireExp }, false},
		{"secret to the byte", "authorizer", map[string]string{"JWT_SECRET": " " + goodSecret + "\n"}, func(c Config) any { return c.JWT.Secret }, " " + goodSecret + "\n"},
		{"secret of 256 bits is enough", "authorizer", nil, func(c Config) any { return len(c.JWT.Secret) }, 32},
		{"secret in Secrets Manager", "authorizer", map[string]string{"JWT_SECRET": secretARN}, func(c Config) any { return c.JWT.FromSecretsManager() }, true},
		{"secret here", "authorizer", nil, func(c Config) any { return c.JWT.FromSecretsManager() }, false},
		{"public key", "authorizer", map[string]string{"JWT_SECRET": "", "JWT_PUBLIC_KEY": key}, func(c Config) any { return c.JWT.PublicKey }, strings.TrimSpace(key)},
		{"public key on one line", "authorizer", map[string]string{"JWT_SECRET": "", "JWT_PUBLIC_KEY": strings.ReplaceAll(key, "\n", `\n`)}, func(c Config) any { return c.JWT.PublicKey }, key},
		{"public key in Secrets Manager", "authorizer", map[string]string{"JWT_SECRET": "", "JWT_PUBLIC_KEY": secretARN}, func(c Config) any { return c.JWT.FromSecretsManager() }, true},
		{"key set", "authorizer", map[string]string{"JWT_SECRET": "", "JWT_JWKS_URL": "https://issuer.example/jwks"}, func(c Config) any { return c.JWT.JWKSURL }, "https://issuer.example/jwks"},
		{"key set of this machine", "authorizer", map[string]string{"JWT_SECRET": "", "JWT_JWKS_URL": "http://127.0.0.1:9/jwks"}, func(c Config) any { return c.JWT.JWKSURL }, "http://127.0.0.1:9/jwks"},
		{"the local secret, locally", "authorizer", map[string]string{"JWT_SECRET": localSecret}, func(c Config) any { return c.JWT.Secret }, localSecret},
		{"the local secret under SAM CLI", "authorizer", map[string]string{"JWT_SECRET": localSecret, "LAMBDA_TASK_ROOT": "/var/task", "AWS_SAM_LOCAL": "true"}, func(c Config) any { return c.JWT.Secret }, localSecret},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := Load(test.function, env(test.env))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, test.got(c)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestLoadProblems(t *testing.T) {
	tests := []struct {
		name, function string
		env            map[string]string
		want           []string
	}{
		{"nothing set", "join", map[string]string{"TABLE_NAME": "", "PUBLISH_FUNCTION": "", "CONNECTIONS_ENDPOINT": " "}, []string{
			"TABLE_NAME: missing: set the name of the DynamoDB table",
			"PUBLISH_FUNCTION: missing: set the name or ARN of the publish function",
			"CONNECTIONS_ENDPOINT: missing: set the URL of the @connections API, as https://abc123.execute-api.eu-west-1.amazonaws.com/live",
		}},
		{"everything wrong", "default", map[string]string{
			"LOG_LEVEL": "loud", "TABLE_NAME": "a b", "PUBLISH_FUNCTION": "x/y", "CONNECTIONS_ENDPOINT": "abc.example/live",
			"SOCKET_MAX_PAYLOAD_BYTES": "131073", "PRESENCE_HEARTBEAT_MIN_SECONDS": "10s", "ROOMS_PER_CONNECTION_MAX": "101",
			"MEMBERSHIP": "members", "PRESENCE_GLOBAL_MAX": "-1",
		}, []string{
			`LOG_LEVEL: "loud" is not a choice: set info or debug or warn or error`,
			`TABLE_NAME: "a b" cannot be the name of the DynamoDB table`,
			`PUBLISH_FUNCTION: "x/y" cannot be the name or ARN of the publish function`,
			`CONNECTIONS_ENDPOINT: "abc.example/live" is not a URL without query and fragment: set one as https://abc123.execute-api.eu-west-1.amazonaws.com/live`,
			`SOCKET_MAX_PAYLOAD_BYTES: 131073 is out of range: set a number from 1 to 131072`,
			`ROOMS_PER_CONNECTION_MAX: 101 is out of range: set a number from 1 to 100`,
			`PRESENCE_HEARTBEAT_MIN_SECONDS: "10s" is not a whole number: set one from 0 to 7200`,
			`MEMBERSHIP: "members" is neither table nor the ARN of a Lambda function`,
			`PRESENCE_GLOBAL_MAX: -1 is out of range: set a number from 0 to 1000000`,
		}},
		{"sweep", "sweep", map[string]string{"TOKEN_EXPIRY": "never", "SWEEP_RPS": "0", "PRESENCE_TTL_SECONDS": "0"}, []string{
			`PRESENCE_TTL_SECONDS: 0 is out of range: set a number from 1 to 7200`,
			`TOKEN_EXPIRY: "never" is not a choice: set close or ignore`,
			`SWEEP_RPS: 0 is out of range: set a number from 1 to 10000`,
		}},
		{"no posts at all", "publish", map[string]string{"FANOUT_RPS": "0"}, []string{"FANOUT_RPS: 0 is out of range: set a number from 1 to 10000"}},
		{"more posts than the account has", "publish", map[string]string{"FANOUT_RPS": "10001"}, []string{"FANOUT_RPS: 10001 is out of range: set a number from 1 to 10000"}},
		{"publish", "publish", map[string]string{"PRESENCE_CLIENT_INFO": "some", "PRESENCE_RPS": "10001"}, []string{`PRESENCE_RPS: 10001 is out of range: set a number from 0 to 10000`, `PRESENCE_CLIENT_INFO: "some" is not a choice: set own or all`}},
		{"payload of nothing", "leave", map[string]string{"SOCKET_MAX_PAYLOAD_BYTES": "0"}, []string{"SOCKET_MAX_PAYLOAD_BYTES: 0 is out of range: set a number from 1 to 131072"}},
		{"no socket at all", "connect", map[string]string{"SOCKETS_PER_USER_MAX": "0"}, []string{"SOCKETS_PER_USER_MAX: 0 is out of range: set a number from 1 to 256"}},
		{"endpoint with a query", "leave", map[string]string{"CONNECTIONS_ENDPOINT": "https://a.example/live?x=1"}, []string{
			`CONNECTIONS_ENDPOINT: "https://a.example/live?x=1" is not a URL without query and fragment: set one as https://abc123.execute-api.eu-west-1.amazonaws.com/live`,
		}},
		{"WebSocket endpoint", "leave", map[string]string{"CONNECTIONS_ENDPOINT": "wss://a.example/live"}, []string{
			`CONNECTIONS_ENDPOINT: "wss://a.example/live" is not a URL without query and fragment: set one as https://abc123.execute-api.eu-west-1.amazonaws.com/live`,
		}},
		{"no key", "authorizer", map[string]string{"JWT_SECRET": "", "AUTH_FAILURE": "ignore", "JWT_REQUIRE_EXP": "yes", "JWT_USER_ID_CLAIM": "sub,,id"}, []string{
			"JWT_REQUIRE_EXP: \"yes\" is not a choice: set true or false",
			"JWT_USER_ID_CLAIM: has an empty name: set claim names with commas between them, as sub,id",
			"JWT_SECRET: missing, and nobody could connect: set one of JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL",
			"AUTH_FAILURE: \"ignore\" is not a choice: set event or reject",
		}},
		{"three keys", "authorizer", map[string]string{"JWT_PUBLIC_KEY": "x", "JWT_JWKS_URL": "jwks"}, []string{
			"JWT_SECRET: set together with JWT_PUBLIC_KEY and JWT_JWKS_URL: set only one of them",
			"JWT_PUBLIC_KEY: not PEM: set the whole key, from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----",
			"JWT_JWKS_URL: not an https URL: set the jwks_uri of the tokens' issuer",
		}},
		{"two keys", "authorizer", map[string]string{"JWT_SECRET": "", "JWT_PUBLIC_KEY": publicKeyPEM(t), "JWT_JWKS_URL": "https://issuer.example/jwks"}, []string{
			"JWT_PUBLIC_KEY: set together with JWT_JWKS_URL: set only one of them",
		}},
		{"short secret", "authorizer", map[string]string{"JWT_SECRET": goodSecret[1:]}, []string{"JWT_SECRET: has 31 bytes: set at least 32 (RFC 7518, section 3.2)"}},
		{"some other ARN", "authorizer", map[string]string{"JWT_SECRET": "arn:aws:ssm:eu-west-1:123456789012:parameter/jwt"}, []string{
			"JWT_SECRET: not the ARN of a Secrets Manager secret: set the whole ARN, or the secret itself",
		}},
		{"the local secret on AWS", "authorizer", map[string]string{"JWT_SECRET": localSecret, "LAMBDA_TASK_ROOT": "/var/task"}, []string{
			"JWT_SECRET: the local stack's secret, which everybody knows: set a secret of your own",
		}},
		{"the local secret on a managed runtime", "authorizer", map[string]string{"JWT_SECRET": localSecret, "AWS_EXECUTION_ENV": "AWS_Lambda_go1.x"}, []string{
			"JWT_SECRET: the local stack's secret, which everybody knows: set a secret of your own",
		}},
		{"private key", "authorizer", map[string]string{"JWT_SECRET": "", "JWT_PUBLIC_KEY": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}, []string{
			"JWT_PUBLIC_KEY: not a public key: make one with openssl x509 -pubkey -noout from a certificate, or openssl pkey -pubout from a private key",
		}},
		{"key set in the clear", "authorizer", map[string]string{"JWT_SECRET": "", "JWT_JWKS_URL": "http://issuer.example/jwks", "LAMBDA_TASK_ROOT": "/var/task"}, []string{
			"JWT_JWKS_URL: not https, so that anybody on the way could put keys in: set an https URL",
		}},
		{"unknown function", "poll", nil, []string{"poll: not a function of this service"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(test.function, env(test.env))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

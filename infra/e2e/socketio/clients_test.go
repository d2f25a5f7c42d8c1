package socketio

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/stack"
	"example.org/realtime/infra/local/table"
)

// clients leaves a test out that needs clients in other languages.
func clients(t *testing.T) {
	t.Helper()
	if os.Getenv("SOCKETIO_CLIENTS") == "" {
		t.Skip("needs Node, Python and Chromium: set SOCKETIO_CLIENTS=1 where the package's documentation says what to install")
	}
}

// run runs a script against the system, which may be nil, and fails with it.
func run(t *testing.T, s *system, command ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = os.Environ()
	if s != nil {
		cmd.Env = append(cmd.Env, "REALTIME_URL="+strings.TrimSuffix(s.URL, "/"+stack.Stage), "INVOKE_URL="+s.LambdaEndpoint, "JWT_SECRET="+stack.LocalSecret)
	}
	output, err := cmd.CombinedOutput()
	t.Logf("%s\n%s", strings.Join(command, " "), output)
	if err != nil {
		t.Error(err)
	}
}

func node(t *testing.T, s *system, script string) {
	t.Helper()
	run(t, s, "node", "--test", "--test-reporter=spec", script)
}

func TestContract(t *testing.T) {
	clients(t)
	t.Parallel()
	node(t, start(t, nil, nil), "contract.js")
}

// With the longest timers that a client can take, and four sockets for a user.
func TestConnecting(t *testing.T) {
	clients(t)
	t.Parallel()
	for _, failure := range []string{"event", "reject"} {
		t.Run(failure, func(t *testing.T) {
			t.Parallel()
			settings := map[string]string{
				"AUTH_FAILURE": failure, "SOCKET_PING_INTERVAL_MS": "540000", "SOCKET_PING_TIMEOUT_MS": "2146943647", "SOCKETS_PER_USER_MAX": "4",
			}
			node(t, start(t, settings, nil), "connecting.js")
		})
	}
}

func TestLiveness(t *testing.T) {
	clients(t)
	t.Parallel()
	settings := map[string]string{"SOCKET_PING_INTERVAL_MS": "1000", "SOCKET_PING_TIMEOUT_MS": "6000"}
	node(t, start(t, settings, func(o *stack.Options) {
		o.ScheduleEvery = 250 * time.Millisecond
		o.Faults.LoseDisconnect = 1
	}), "liveness.js")
}

// Whatever may happen: a slow first post, messages in any order, every asynchronous event twice, and a table so slow that what a client
// emits from its connect handler is there before its CONNECT is done.
func TestHostile(t *testing.T) {
	clients(t)
	t.Parallel()
	var posted sync.Map // by connection
	node(t, start(t, nil, func(o *stack.Options) {
		o.Faults.Duplicate = 1
		o.Table.Hook = func(_ context.Context, op table.Op) error {
			if op.Name == "UpdateItem" {
				time.Sleep(200 * time.Millisecond)
			}
			return nil
		}
		o.Gateway.Shuffle = gateway.Shuffle{Seed: 1, Jitter: 100 * time.Millisecond}
		o.Gateway.Fault = func(op, connection string) (fault gateway.Fault) {
			if _, again := posted.LoadOrStore(connection, true); !again && op == gateway.PostToConnection {
				fault.Delay = 3 * time.Second
			}
			return fault
		}
	}), "hostile.js")
}

// The server that the clients were made for does with packets what packets.json says.
func TestReference(t *testing.T) {
	clients(t)
	t.Parallel()
	node(t, nil, "reference.js")
}

func TestBrowser(t *testing.T) {
	clients(t)
	t.Parallel()
	node(t, start(t, nil, nil), "browser.js")
}

func TestPython(t *testing.T) {
	clients(t)
	s := start(t, nil, nil)
	s.enter(t, "warm").leave() // the client gives the first answer of a function one second, its start included
	run(t, s, cmp.Or(os.Getenv("PYTHON_SOCKETIO"), root+"/.tools/python-socketio/bin/python"), "clients.py", "-v")
}

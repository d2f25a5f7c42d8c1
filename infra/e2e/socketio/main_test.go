package socketio

import (
	"context"
	"testing"
	"time"

	"example.org/realtime/infra/local/leaks"
)

// patience is how long a test waits for what has to happen, on a machine that has other things to do as well.
const patience = time.Minute

func TestMain(m *testing.M) {
	leaks.Main(m, func() error {
		if shared.system == nil {
			return nil
		}
		return shared.end()
	})
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// limited ends with patience.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

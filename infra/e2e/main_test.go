package e2e

import (
	"context"
	"flag"
	"sync"
	"testing"
	"time"

	"example.org/realtime/infra/local/leaks"
)

// patience is how long a test waits for what has to happen, on a machine that has other things to do as well.
const patience = time.Minute

var shared struct {
	once sync.Once
	*system
	err error
}

// suite is the system that the tests share. Users and conversations are the test's own, by name; other tests' sockets may be there.
func suite(t *testing.T) *system {
	t.Helper()
	shared.once.Do(func() { shared.system, shared.err = start(context.Background()) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	shared.explain(t)
	return shared.system
}

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "32") // those that run in parallel wait more than they work; the command line has the last word
	leaks.Main(m, func() error {
		if shared.system == nil {
			return nil
		}
		return shared.close()
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

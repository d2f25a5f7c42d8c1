package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
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
	code := m.Run()
	if shared.system != nil {
		if err := shared.close(); err != nil {
			fmt.Fprintln(os.Stderr, "the system did not end cleanly:", err)
			code = max(code, 1)
		}
	}
	if left := leaked(); left != "" && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+left)
		code = 1
	}
	os.Exit(code)
}

// leaked returns the stacks of goroutines of this repository that have outlived the tests, after a while for those about to end.
func leaked() string {
	all := make([]byte, 1<<20)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var left []string
		for stack := range strings.SplitSeq(string(all[:runtime.Stack(all, true)]), "\n\n") {
			if strings.Contains(stack, "example.org/realtime/infra") && !strings.Contains(stack, ".TestMain(") {
				left = append(left, stack)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return strings.Join(left, "\n\n")
		}
	}
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

// Package leaks ends the tests of a package, and fails those that leave something running.
package leaks

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Main runs the tests, then end, which closes what they share; nil: they share nothing. A package fails whose tests pass and leave
// goroutines of this repository behind.
func Main(m *testing.M, end func() error) {
	code := m.Run()
	if end != nil {
		if err := end(); err != nil {
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

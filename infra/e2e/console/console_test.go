package console

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// node runs a script, with what it needs in its environment, and fails with it.
func node(t *testing.T, environment []string, arguments ...string) {
	t.Helper()
	if os.Getenv("CONSOLE") == "" {
		t.Skip("needs Node and Chromium: set CONSOLE=1 where the package's documentation says what to install")
	}
	cmd := exec.CommandContext(t.Context(), "node", arguments...)
	cmd.Env = append(os.Environ(), environment...)
	output, err := cmd.CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Error(err)
	}
}

// program builds the program of the local stack, as make run does.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stack")
	build := exec.CommandContext(context.WithoutCancel(t.Context()), "go", "build", "-o", path, "../../local")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return path
}

func TestConsole(t *testing.T) {
	if os.Getenv("CONSOLE") == "" {
		t.Skip("needs Node and Chromium: set CONSOLE=1 where the package's documentation says what to install")
	}
	node(t, []string{"CONSOLE_STACK=" + program(t)}, "--test", "--test-reporter=spec", "console.js")
}

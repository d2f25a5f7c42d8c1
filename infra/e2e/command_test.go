package e2e

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.org/realtime/infra/local/stack"
)

// Ctrl-C ends the local stack: clients are sent away, the exit code is zero, and no process is left.
func TestInterrupt(t *testing.T) {
	if name := theirs(); name != "" {
		t.Skip("starts a system of its own, and " + name + " names another")
	}
	binary := filepath.Join(t.TempDir(), "local")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./infra/local")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "WS_PORT=0", "LAMBDA_PORT=0", "DYNAMODB_PORT=0", "DYNAMODB_ENDPOINT=", "JWT_SECRET="+stack.LocalSecret)
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errors strings.Builder
	cmd.Stderr = &errors
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url, read := make(chan string, 1), make(chan struct{})
	var said strings.Builder
	var mu sync.Mutex
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			mu.Lock()
			said.WriteString(lines.Text() + "\n")
			mu.Unlock()
			if address, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "WebSocket API"); ok {
				url <- strings.TrimSpace(address)
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // if it has not ended
		mu.Lock()
		defer mu.Unlock()
		if t.Failed() {
			t.Logf("it said:\n%s%s", &said, &errors)
		}
	})
	s := &system{secret: stack.LocalSecret}
	select {
	case s.url = <-url:
	case <-read:
		t.Fatal("it ended")
	case <-time.After(2 * patience):
		t.Fatal("it does not start")
	}
	c := s.connect(t, "alice")
	functions := children(t, cmd.Process.Pid)
	if len(functions) < 3 { // authorizer, connect and publish at least
		t.Errorf("%d processes of functions", len(functions))
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if got := c.awaitClose(); got.Code != websocket.StatusGoingAway {
		t.Errorf("the client was closed with %v", got)
	}
	<-read
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	for _, pid := range functions {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is left", pid)
		}
	}
	response, err := http.Get("http" + strings.TrimPrefix(s.url, "ws"))
	if err == nil {
		_ = response.Body.Close()
		t.Error("something still answers")
	}
}

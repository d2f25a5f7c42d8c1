package readme

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long something may take on a machine that has other things to do as well; a first build is the longest.
const patience = 5 * time.Minute

// terminal is a command that runs, with what it has printed.
type terminal struct {
	command string
	process *exec.Cmd
	typed   io.WriteCloser
	done    chan struct{}

	mu      sync.Mutex
	printed bytes.Buffer // stdout and stderr
	read    int          // bytes of it that expect is past
	err     error        // once done
}

// launch starts a command line in the repository. It is ended with the test, if it has not ended before.
func launch(t *testing.T, command string, env []string) *terminal {
	t.Helper()
	x := &terminal{command: command, done: make(chan struct{})}
	x.process = exec.Command("sh", "-c", command)
	x.process.Dir, x.process.Env = root, env
	x.process.Stdout, x.process.Stderr = x, x
	x.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if x.typed, err = x.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := x.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := x.process.Wait()
		x.mu.Lock()
		x.err = err
		x.mu.Unlock()
		close(x.done)
	}()
	t.Cleanup(func() {
		select {
		case <-x.done:
		default:
			_ = syscall.Kill(-x.process.Process.Pid, syscall.SIGKILL)
			<-x.done
		}
	})
	return x
}

// Write takes what the command prints.
func (x *terminal) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.printed.Write(b)
}

func (x *terminal) output() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.printed.String()
}

// next is the next whole line.
func (x *terminal) next() (line string, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	line, _, ok = strings.Cut(x.printed.String()[x.read:], "\n")
	if ok {
		x.read += len(line) + 1
	}
	return line, ok
}

// expect waits for a line. Others may come before it: presence, for one, comes when it comes.
func (x *terminal) expect(t *testing.T, want string, same func(string) string) {
	t.Helper()
	want = same(want)
	for deadline := time.Now().Add(patience); ; {
		line, ok := x.next()
		if ok && same(line) == want {
			return
		}
		if ok {
			continue
		}
		select {
		case <-x.done:
			if strings.HasSuffix(x.output(), "\n") && x.read < len(x.output()) {
				continue
			}
			t.Fatalf("%s ended without\n%s\nit printed\n%s", x.command, want, x.output())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not print\n%s\nbut\n%s", x.command, want, x.output())
		}
	}
}

// say types a line.
func (x *terminal) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(x.typed, line+"\n"); err != nil {
		t.Fatalf("%s: type %s: %v", x.command, line, err)
	}
}

// end waits for the end.
func (x *terminal) end(t *testing.T) error {
	t.Helper()
	_ = x.typed.Close()
	select {
	case <-x.done:
	case <-time.After(patience):
		t.Fatalf("%s does not end; it printed\n%s", x.command, x.output())
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}

// interrupt is Ctrl-C. A terminal sends it to all that runs there.
func (x *terminal) interrupt(t *testing.T) error {
	t.Helper()
	select {
	case <-x.done:
		return errors.New("it had ended by itself: " + x.output())
	default:
	}
	if err := syscall.Kill(-x.process.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := x.end(t)
	if err != nil && err.Error() == "signal: interrupt" && !strings.Contains(x.output(), "make: ***") {
		err = nil // make itself ends so, after what it ran has ended well
	}
	return err
}

// varying are the parts of an output that are never twice the same.
var varying = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\beyJ[\w-]*\.[\w-]*\.[\w-]*`), "<token>"},
	{regexp.MustCompile(`\b[\w-]{15}=`), "<connection>"},
	{regexp.MustCompile(`\b1[0-9]{12}\b`), "<ms>"},
	{regexp.MustCompile(`after [0-9.]+ s`), "after <some> s"},
}

// steady replaces them.
func steady(line string) string {
	line = strings.TrimSpace(line)
	for _, v := range varying {
		line = v.pattern.ReplaceAllString(line, v.instead)
	}
	return line
}

package lambda

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"example.org/realtime/infra/local/child"
)

// initGrace is how long a process may take, on top of its function's timeout, until it asks for its first event (Lambda: 10 s of
// init, then once more within the function's own timeout).
const initGrace = 10 * time.Second

// AccessKeyID is what functions get for an access key and a secret. Nothing here checks a signature, but DynamoDB Local keeps a database for
// each access key. The session token is each process's own, by which Watch knows whose call it is.
const AccessKeyID = "local"

// process is a child process with a Runtime API of its own.
type process struct {
	f     *function
	name  string // the log stream's
	token string // the session token's
	work  chan *invocation
	out   *output

	// Guarded by f.mu.
	launched  time.Time
	initTimer *time.Timer
	init      time.Duration // until it was ready; zero once told
	ready     bool          // has asked for an event
	current   *invocation
	calls     int // until it is killed; zero: it is not
	pid       int // zero before the start and after the end
	doomed    bool
	initError []byte
	timedOut  bool // killed for its init
}

func newProcess(f *function, number int) *process {
	p := &process{f: f, token: rand.Text(), work: make(chan *invocation, 1), launched: time.Now()}
	f.service.tokens.Store(p.token, p)
	p.name = p.launched.UTC().Format("2006/01/02") + "/[" + latest + "]" + strconv.Itoa(number)
	p.out = &output{line: p.wrote}
	p.initTimer = time.AfterFunc(initGrace+f.Timeout, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !p.ready {
			p.timedOut = true
			p.kill()
		}
	})
	return p
}

// run starts the process, waits for its end and cleans up after it.
func (p *process) run() {
	// On Linux the child is told to die with the thread that started it, so that nothing is left when this program is killed
	// outright. The thread must then outlive the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	reason := p.live()
	p.f.mu.Lock()
	p.initTimer.Stop()
	initError := p.initError
	if p.timedOut {
		reason = fmt.Sprintf("Init timed out after %.2f seconds", (initGrace + p.f.Timeout).Seconds())
	}
	p.f.mu.Unlock()
	p.f.exited(p, initError, reason)
}

// live runs the process until it ends, and says why it did.
func (p *process) live() string {
	// Before the Runtime API: whoever answers there reads what has been written up to then.
	write, err := p.out.open()
	if err != nil {
		return "output: " + err.Error()
	}
	defer p.out.close()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		_ = write.Close()
		return "Runtime API: " + err.Error()
	}
	server := &http.Server{Handler: p.runtimeAPI(), ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends with Close
	}()
	defer func() {
		_ = server.Close()
		<-served
	}()

	cmd := exec.Command(p.f.Binary, p.f.Args...) //nolint:gosec,noctx // the function's own binary; run ends it, not a context
	cmd.Dir = filepath.Dir(p.f.Binary)
	cmd.Env = p.environment(listener.Addr().String())
	cmd.Stdout, cmd.Stderr = write, write
	cmd.SysProcAttr = child.OwnGroup()
	err = cmd.Start()
	_ = write.Close()
	if err != nil {
		return err.Error()
	}
	p.f.mu.Lock()
	p.pid = cmd.Process.Pid
	if p.doomed {
		child.Kill(p.pid)
	}
	p.f.mu.Unlock()

	err = cmd.Wait()
	p.f.mu.Lock()
	child.Kill(p.pid) // what it may have started itself
	p.pid = 0
	p.f.mu.Unlock()
	if err == nil {
		return "Runtime exited without providing a reason"
	}
	return "Runtime exited with error: " + err.Error()
}

// kill ends the process and all it started. f.mu is held.
func (p *process) kill() {
	if !p.doomed {
		p.doomed = true
		p.f.ending++
	}
	if p.pid != 0 {
		child.Kill(p.pid)
	}
}

// wrote takes a line of the process's output.
func (p *process) wrote(line string) {
	p.f.mu.Lock()
	if inv := p.current; inv != nil && inv.wantLog {
		inv.log = append(append(inv.log, line...), '\n')
		if extra := len(inv.log) - maxLogTail; extra > 0 {
			inv.log = inv.log[extra:]
		}
	}
	p.f.mu.Unlock()
	if output := p.f.service.config.Output; output != nil {
		output(p.f.Name, line)
	}
}

// environment is the function's own and Lambda's (Lambda developer guide, "Defined runtime environment variables", for an OS-only
// runtime, which has no AWS_EXECUTION_ENV).
func (p *process) environment(runtimeAPI string) []string {
	env := maps.Clone(p.f.Environment)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, map[string]string{
		"_HANDLER":                        "bootstrap",
		"AWS_ACCESS_KEY_ID":               AccessKeyID,
		"AWS_DEFAULT_REGION":              p.f.service.config.Region,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(p.f.MemoryMB),
		"AWS_LAMBDA_FUNCTION_NAME":        p.f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     latest,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + p.f.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      p.name,
		"AWS_LAMBDA_RUNTIME_API":          runtimeAPI,
		"AWS_REGION":                      p.f.service.config.Region,
		"AWS_SECRET_ACCESS_KEY":           AccessKeyID,
		"AWS_SESSION_TOKEN":               p.token,
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LAMBDA_TASK_ROOT":                filepath.Dir(p.f.Binary),
		"LANG":                            "en_US.UTF-8",
		"PATH":                            os.Getenv("PATH"),
		"TZ":                              ":UTC",
	})
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

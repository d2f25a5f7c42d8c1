// Package dynamodblocal fetches DynamoDB Local, AWS's own emulator, with Maven and runs it with Java. The embedded table is held to it, and the local
// stack runs it in the table's place when asked to.
package dynamodblocal

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"example.org/realtime/infra/local/child"
)

// Dir is where the repository keeps DynamoDB Local, relative to its root; git ignores it.
const Dir = ".tools/dynamodb-local"

// EndpointVariable names a running DynamoDB Local to tests, for example http://127.0.0.1:8000.
const EndpointVariable = "DYNAMODB_ENDPOINT"

//go:embed pom.xml
var pom []byte

// Fetch downloads DynamoDB Local into dir, unless it is there. It says so to progress, where what Maven has to say goes as well.
func Fetch(ctx context.Context, dir string, progress io.Writer) error {
	lib := filepath.Join(dir, "lib")
	if _, err := os.Stat(lib); err == nil {
		return nil
	}
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("dynamodb local: mvn is not in PATH: install Maven, or set " + EndpointVariable + " to a DynamoDB Local that runs")
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("dynamodb local: fetch into %s: %w", dir, err)
	}
	partial := filepath.Join(dir, "partial")
	if err := os.RemoveAll(partial); err != nil { // of one that was cut short: Maven would keep what it finds
		return fmt.Errorf("dynamodb local: fetch: %w", err)
	}
	if err := os.MkdirAll(partial, 0o755); err != nil { //nolint:gosec // G301: nothing secret
		return fmt.Errorf("dynamodb local: fetch: %w", err)
	}
	project := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(project, pom, 0o644); err != nil { //nolint:gosec // G306: nothing secret
		return fmt.Errorf("dynamodb local: fetch: %w", err)
	}
	cmd := exec.CommandContext(ctx, maven, "-q", "-B", "-f", project, "dependency:copy-dependencies", "-DoutputDirectory="+partial) //nolint:gosec // G204: our own arguments
	cmd.Stdout, cmd.Stderr = progress, progress
	_, _ = fmt.Fprintln(progress, "fetching DynamoDB Local, 51 MB ...") // nobody to tell
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("dynamodb local: mvn dependency:copy-dependencies of %s: %w", project, err)
	}
	if err := os.Rename(partial, lib); err != nil {
		return fmt.Errorf("dynamodb local: fetch: %w", err)
	}
	return nil
}

// Start runs the DynamoDB Local of dir, in memory, on a port of 127.0.0.1; port 0 takes a free one. It returns when the endpoint answers, or when ctx
// ends. stop ends the process and waits for it. On Linux it also ends when this program is killed, so that the port is free for the next one.
func Start(ctx context.Context, dir string, port int) (endpoint string, stop func(), err error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return "", nil, errors.New("dynamodb local: java is not in PATH: install Java 17 or newer, or set " + EndpointVariable + " to a DynamoDB Local that runs")
	}
	if _, err := os.Stat(filepath.Join(dir, "lib")); err != nil {
		return "", nil, fmt.Errorf("dynamodb local: %s holds none, it has to be fetched first: %w", dir, err)
	}
	if port, err = free(ctx, port); err != nil {
		return "", nil, err
	}
	var output bytes.Buffer
	cmd := exec.Command(java, "-Dsqlite4java.library.path=lib", "-cp", "lib/*", "com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", strconv.Itoa(port)) //nolint:gosec,noctx // our own arguments; it outlives ctx, stop ends it
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = dir, &output, &output, child.OwnGroup()
	started, exited := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(exited)
		runtime.LockOSThread() // see OwnGroup
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // stop waits for this; a signal is how it ends
		}
	}()
	if err := <-started; err != nil {
		return "", nil, fmt.Errorf("dynamodb local: start: %w", err)
	}
	stop = func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-exited
	}
	endpoint = "http://127.0.0.1:" + strconv.Itoa(port)
	if err := answers(ctx, endpoint, exited); err != nil {
		stop()
		return "", nil, fmt.Errorf("dynamodb local: %s: %w: %s", endpoint, err, bytes.TrimSpace(output.Bytes()))
	}
	return endpoint, stop, nil
}

// free is the port, or for 0 one that is free; a port that is taken is an error. Java takes it seconds later, so one of those that the system gives
// to whoever asks for any could be somebody else's by then: it is below them (32768 on Linux, 49152 elsewhere).
func free(ctx context.Context, port int) (int, error) {
	const lowest, highest, tries = 10_000, 30_000, 100
	for try := 1; ; try++ {
		chosen := port
		if port == 0 {
			chosen = lowest + rand.IntN(highest-lowest) //nolint:gosec // G404: any will do
		}
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(chosen)))
		switch {
		case err == nil:
			return chosen, l.Close()
		case port != 0 || try == tries:
			return 0, fmt.Errorf("dynamodb local: port %d: %w", chosen, err)
		}
	}
}

// answers waits until the endpoint speaks HTTP; what it says does not matter.
func answers(ctx context.Context, endpoint string, exited <-chan struct{}) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			return response.Body.Close()
		}
		select {
		case <-exited:
			return errors.New("java ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

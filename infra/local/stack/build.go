package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// buildFolder, below the repository, is what git ignores of a build for this machine.
const buildFolder = ".build/local/functions"

// patience is how long something may take before it is worth a line.
const patience = 2 * time.Second

// lockPoll is how often one who waits for another's build looks whether it has ended.
const lockPoll = 100 * time.Millisecond

// build compiles every function for this machine and returns the folder of the binaries; each has the name of its folder under
// functions/. Of a deployment's flags it has the tag alone, so that what tests have compiled is used again.
func (s *Stack) build(ctx context.Context) (string, error) {
	for _, f := range s.template.Functions {
		folder := filepath.Join(s.options.Root, "functions", f.Folder)
		if _, err := os.Stat(folder); err != nil {
			return "", fmt.Errorf("template.yaml: %s is in %s: %w", f.LogicalID, folder, err)
		}
	}
	compiler, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("go is not in PATH: install Go (https://go.dev/dl), or run the functions elsewhere, with LAMBDA_ENDPOINT")
	}
	root, err := filepath.Abs(s.options.Root)
	if err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	binaries := filepath.Join(root, buildFolder)
	if err := os.MkdirAll(binaries, 0o755); err != nil { //nolint:gosec // G301: nothing secret
		return "", fmt.Errorf("build: %w", err)
	}
	defer s.progress("building the functions")()
	unlock, err := lock(ctx, filepath.Join(binaries, ".lock"))
	if err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	defer unlock()
	cmd := exec.CommandContext(ctx, compiler, "build", "-tags", "lambda.norpc", "-o", binaries+string(filepath.Separator), "./functions/...") //nolint:gosec // G204: our own arguments
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: go build ./functions/... failed:\n%s", strings.TrimSpace(string(output)))
	}
	return binaries, nil
}

// lock waits for whoever else builds into the same folder, unless ctx ends first: two stacks may start at once, as in tests of two packages.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G304: our own folder
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) // a call that waits would not hear of ctx
		switch {
		case err == nil:
			return func() { _ = file.Close() }, nil // closing unlocks
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return nil, errors.Join(err, file.Close())
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		}
	}
}

// progress tells of what takes longer than patience, and of its end. The function it returns ends it.
func (s *Stack) progress(what string) (done func()) {
	if s.options.Progress == nil {
		return func() {}
	}
	begun := time.Now()
	told := make(chan struct{})
	timer := time.AfterFunc(patience, func() {
		defer close(told)
		s.options.Progress(what + " ...")
	})
	return func() {
		if !timer.Stop() {
			<-told
			s.options.Progress(fmt.Sprintf("%s took %.1f s", what, time.Since(begun).Seconds()))
		}
	}
}

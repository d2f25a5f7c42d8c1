package dynamodblocal_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/realtime/infra/local/dynamodblocal"
)

// starterVariable makes the test's program, run again, one that starts the DynamoDB Local of that folder.
const starterVariable = "START_DYNAMODB_LOCAL_OF"

// Whoever is killed outright leaves no DynamoDB Local behind, which would keep its port from the next one.
func TestStarterIsKilled(t *testing.T) {
	if dir := os.Getenv(starterVariable); dir != "" {
		_, _, err := dynamodblocal.Start(context.Background(), dir, 0) // it never answers
		t.Fatal(err)
	}
	bin, dir := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	started := filepath.Join(dir, "pid")
	java := "#!/bin/sh\necho $$ >pid.new && mv pid.new pid && exec sleep 600\n"
	if err := os.WriteFile(filepath.Join(bin, "java"), []byte(java), 0o755); err != nil {
		t.Fatal(err)
	}
	starter := exec.Command(os.Args[0], "-test.run=^TestStarterIsKilled$")
	starter.Env = append(os.Environ(), starterVariable+"="+dir, "PATH="+bin+":"+os.Getenv("PATH"))
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = starter.Wait() }()
	defer func() { _ = starter.Process.Kill() }()

	pid := 0
	eventually(t, "java runs", func() bool {
		text, err := os.ReadFile(started)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if group, err := syscall.Getpgid(pid); group != pid {
		t.Errorf("in the process group %d, which a terminal's Ctrl-C reaches: %v", group, err)
	}
	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "java ends", func() bool {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		return err != nil || strings.Contains(string(stat), ") Z ") // nobody may be there to reap it
	})
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

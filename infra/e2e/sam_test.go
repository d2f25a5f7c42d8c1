package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"example.org/realtime/infra/local/stack"
)

// startBehindSAM starts SAM CLI's Invoke service, with the functions of .build/sam, and a system in front of it. The service holds each
// function to its role in the template: a call that AWS would refuse fails, and is told when the tests end.
func startBehindSAM(ctx context.Context, python string) (*system, error) {
	table, built := os.Getenv("DYNAMODB_ENDPOINT"), filepath.Join(root, ".build/sam/template.yaml")
	if table == "" {
		return nil, errors.New("SAM_CLI_PYTHON: DYNAMODB_ENDPOINT is wanted with it: go run ./infra/local/dynamodblocal/with go test ./infra/e2e")
	}
	if _, err := os.Stat(built); err != nil {
		return nil, errors.New("SAM_CLI_PYTHON: .build/sam is wanted with it: make .build/sam")
	}
	var ports [2]int
	for i := range ports {
		var err error
		if ports[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	name, endpoint := unique(tablePrefix), "http://127.0.0.1:"+strconv.Itoa(ports[1])
	service := &invokeService{ended: make(chan struct{})}
	service.cmd = exec.Command(python, "infra/tools/sam_invoke.py", "--port", strconv.Itoa(ports[1]), "--patience", "6")
	service.cmd.Dir, service.cmd.Stdout, service.cmd.Stderr = root, service, service
	service.cmd.Env = append(os.Environ(),
		"AWS_ENDPOINT_URL_DYNAMODB="+table, "CONNECTIONS_ENDPOINT=http://127.0.0.1:"+strconv.Itoa(ports[0])+"/"+stack.Stage,
		"TABLE_NAME="+name, "JWT_SECRET="+stack.LocalSecret, "PRESENCE_TTL_SECONDS=1",
	)
	if err := service.cmd.Start(); err != nil {
		return nil, fmt.Errorf("SAM_CLI_PYTHON: %w", err)
	}
	go func() {
		defer close(service.ended)
		service.err = service.cmd.Wait()
	}()
	if err := service.answers(endpoint); err != nil {
		return nil, errors.Join(err, service.stop(ctx))
	}
	s, err := startLocal(ctx, func(o *stack.Options) {
		o.WSPort, o.LambdaEndpoint, o.Settings["TABLE_NAME"] = ports[0], endpoint, name
	})
	if err != nil {
		return nil, errors.Join(err, service.stop(ctx))
	}
	s.local.stop = service.stop
	return s, nil
}

// invokeService is the program infra/tools/sam_invoke.py.
type invokeService struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // after ended

	mu   sync.Mutex
	said bytes.Buffer
}

func (s *invokeService) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.Write(b)
}

// answers waits until it listens.
func (s *invokeService) answers(endpoint string) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-s.ended:
			return errors.New("SAM CLI's Invoke service ended")
		default:
		}
		c, err := net.Dial("tcp", endpoint[len("http://"):])
		if err == nil {
			return c.Close()
		}
	}
	return errors.New("SAM CLI's Invoke service does not answer")
}

// stop ends it. Its exit code says whether a function did what its role does not allow.
func (s *invokeService) stop(ctx context.Context) error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.ended:
	case <-ctx.Done():
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	if s.err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var refused []byte
	for line := range bytes.Lines(s.said.Bytes()) {
		if bytes.HasPrefix(line, []byte("the role of")) && !bytes.Contains(refused, line) {
			refused = append(refused, line...)
		}
	}
	if refused == nil {
		refused = s.said.Bytes()
	}
	return fmt.Errorf("SAM CLI's Invoke service: %w\n%s", s.err, refused)
}

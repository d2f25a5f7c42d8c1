package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// nodeServer is a Socket.IO server in Node with the contract's namespace, join and rooms.
type nodeServer struct {
	url     string
	command *exec.Cmd
	input   io.Closer // the server ends when it is closed
}

func startNode(ctx context.Context, folder string) (*nodeServer, error) {
	n := &nodeServer{command: exec.CommandContext(ctx, "node", filepath.Join(folder, "server.js"))} //nolint:gosec // G204: this repository's
	n.command.Stderr = os.Stderr
	input, err := n.command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	n.input = input
	out, err := n.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if err := n.command.Start(); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("node: %w", err), n.stop())
	}
	n.url = strings.TrimSpace(line)
	return n, nil
}

func (n *nodeServer) stop() error {
	_ = n.input.Close()
	return n.command.Wait()
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"example.org/realtime/infra/bench/rig"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// A room, and how often somebody says something there.
const (
	roomSize = 6
	interval = 500 * time.Millisecond
)

// slow is the p99 from which on a machine has too many rooms, in milliseconds.
const slow = 250

// rooms measures how many rooms a machine carries, and a Socket.IO server in Node beside it.
func rooms(ctx context.Context, b *bench) (string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "Each room gets a message of 300 bytes every %s, for %s; latency from the publish to the frame at a client. There are more rooms each time, until the p99 is above "+
		"%d ms. The Node server is one process with everything in its memory and nothing to keep, verify or clean up: it shows what the clients and the machine can do, "+
		"not what this service should be.\n\n"+
		"| system | rooms | messages a second | deliveries a second | p50 ms | p99 ms | lost |\n|---|--:|--:|--:|--:|--:|--:|\n", interval, b.talk(), slow)
	for _, protocol := range []wire.Protocol{wire.JSON, wire.SocketIO} {
		lines, err := b.roomsHere(ctx, protocol)
		if err != nil {
			return "", err
		}
		text.WriteString(lines)
	}
	folder := filepath.Join("infra", "bench", "node")
	if installed, _ := filepath.Glob(filepath.Join(folder, "node_modules")); installed == nil { // the pattern is a path
		b.say("  without the Node server: it needs npm ci --prefix %s", folder)
		return text.String(), nil
	}
	lines, err := b.roomsOfNode(ctx, folder)
	text.WriteString(lines)
	return text.String(), err
}

// talk is how long each number of rooms is measured.
func (b *bench) talk() time.Duration { return of(b, 3*time.Second, time.Second) }

func (b *bench) roomsHere(ctx context.Context, protocol wire.Protocol) (lines string, err error) {
	r, s, err := b.system(ctx, settings)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.stop(), r.Close(ctx)) }()
	return b.more(ctx, "this service, "+string(protocol), s, func(from, to int) error {
		for n := from; n < to; n++ {
			if err := r.Invoke(ctx, "control", map[string]any{"op": contract.ParticipantsSet, "conversationId": conversation(n), "users": members(n)}, nil); err != nil {
				return err
			}
		}
		if _, err := s.do(order{URL: r.Stack.URL, Protocol: protocol, From: from * roomSize, To: to * roomSize, AtOnce: atOnce, Room: roomSize}); err != nil {
			return err
		}
		return sweepOnce(ctx, r)
	}, func(n int) error { return r.Invoke(ctx, "publish", message(n), nil) })
}

func (b *bench) roomsOfNode(ctx context.Context, folder string) (lines string, err error) {
	server, err := startNode(ctx, folder)
	if err != nil {
		return "", err
	}
	s, err := startSwarm(ctx)
	if err != nil {
		return "", errors.Join(err, server.stop())
	}
	defer func() { err = errors.Join(err, s.stop(), server.stop()) }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	defer client.CloseIdleConnections()
	return b.more(ctx, "Socket.IO 4.8 on Node", s, func(from, to int) error {
		_, err := s.do(order{URL: "ws" + strings.TrimPrefix(server.url, "http") + "/socket.io/", Protocol: wire.SocketIO, From: from * roomSize, To: to * roomSize, AtOnce: atOnce, Room: roomSize})
		return err
	}, func(n int) error { return post(ctx, client, server.url+"/publish", message(n)) })
}

// more takes more and more rooms until they are too many.
func (b *bench) more(ctx context.Context, name string, s *swarm, open func(from, to int) error, say func(room int) error) (string, error) {
	var lines strings.Builder
	from := 0
	for _, to := range of(b, []int{50, 100, 150, 200, 300, 400, 800, 1600}, []int{2, 4}) {
		if err := open(from, to); err != nil {
			return lines.String(), err
		}
		begun := time.Now()
		sent, err := conversations(ctx, to, b.talk(), say)
		took := time.Since(begun)
		if err != nil {
			return lines.String(), err
		}
		got, err := s.do(order{Expect: sent * roomSize, Patience: patience})
		if err != nil {
			return lines.String(), err
		}
		p99 := percentile(got.Times, 0.99)
		line := fmt.Sprintf("| %s | %d | %.0f | %.0f | %.1f | %.1f | %d |\n", name, to, float64(sent)/took.Seconds(), float64(got.Count)/took.Seconds(),
			percentile(got.Times, 0.5), p99, sent*roomSize-got.Count)
		b.say("  %s", strings.TrimSpace(line))
		lines.WriteString(line)
		if p99 > slow {
			break
		}
		from = to
	}
	return lines.String(), nil
}

// conversations has somebody say something in each room at its interval, the rooms spread over it, and counts what was said. Nobody waits for
// what was said before.
func conversations(ctx context.Context, rooms int, length time.Duration, say func(room int) error) (said int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	begun := time.Now()
	step := interval / time.Duration(rooms)
	for n := 0; time.Duration(n)*step < length && ctx.Err() == nil; n++ {
		time.Sleep(time.Until(begun.Add(time.Duration(n) * step)))
		said++
		all.Go(func() {
			if failed := say(n % rooms); failed != nil {
				mu.Lock()
				defer mu.Unlock()
				err = failed
				cancel()
			}
		})
	}
	all.Wait()
	return said, err
}

func members(room int) []string {
	users := make([]string, roomSize)
	for i := range users {
		users[i] = rig.User(room*roomSize + i)
	}
	return users
}

// message is a request that says when it was made.
func message(room int) map[string]any {
	users := members(room)
	return map[string]any{"event": contract.MessagesNew, "data": map[string]any{
		"conversationId": conversation(room), "senderId": users[0], "recipients": users[1:], "message": stamped(),
	}}
}

func post(ctx context.Context, client *http.Client, url string, request any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("publish: status %d", answer.StatusCode)
	}
	return nil
}

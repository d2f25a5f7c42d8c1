package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"example.org/realtime/shared/wire"
)

// connect measures how fast clients come, and what they take when they stay.
func connect(ctx context.Context, b *bench) (string, error) {
	count := of(b, 10_000, 20)
	var text strings.Builder
	fmt.Fprintf(&text, "%d clients, %d at once: handshake, authorizer, table, welcome, and for Socket.IO its CONNECT, until `notifications:ready`, or the namespace's answer. "+
		"Memory is that of the process with gateway, Invoke API and table, after a collection, per connection with its rows; functions and clients are other processes.\n\n"+
		"| protocol | connections | a second | p50 ms | p99 ms | KB per connection | after a minute's sweep |\n|---|--:|--:|--:|--:|--:|--:|\n", count, atOnce)
	for _, protocol := range []wire.Protocol{wire.JSON, wire.SocketIO} {
		line, err := b.connectAll(ctx, protocol, count)
		if err != nil {
			return "", err
		}
		text.WriteString(line)
	}
	return text.String(), nil
}

func (b *bench) connectAll(ctx context.Context, protocol wire.Protocol, count int) (line string, err error) {
	r, s, err := b.system(ctx, settings)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.stop(), r.Close(ctx)) }()
	const first = 10 // for whom the processes start
	if _, err := s.do(order{URL: r.Stack.URL, Protocol: protocol, From: count, To: count + first}); err != nil {
		return "", err
	}
	if err := sweepOnce(ctx, r); err != nil {
		return "", err
	}
	before, err := resident()
	if err != nil {
		return "", err
	}
	got, err := s.do(order{URL: r.Stack.URL, Protocol: protocol, To: count, AtOnce: atOnce})
	if err != nil {
		return "", err
	}
	if err := r.Settle(ctx); err != nil {
		return "", err
	}
	after, err := resident()
	if err != nil {
		return "", err
	}
	begun := time.Now()
	if err := r.Invoke(ctx, "sweep", struct{}{}, nil); err != nil {
		return "", err
	}
	swept := time.Since(begun)
	if open := r.Stack.Gateway.Open(); open != count+first {
		return "", fmt.Errorf("%d connections are open, not %d", open, count+first)
	}
	return fmt.Sprintf("| %s | %d | %.0f | %.1f | %.1f | %.1f | all there, in %.1f s |\n", protocol, count, float64(got.Count)/got.Seconds,
		percentile(got.Times, 0.5), percentile(got.Times, 0.99), float64(after-before)/float64(count)/1024, swept.Seconds()), nil
}

// resident is the memory of this process, in bytes, after a collection.
func resident() (int64, error) {
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("memory: %w", err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0, fmt.Errorf("memory: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

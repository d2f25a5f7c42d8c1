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
	var text strings.Builder
	fmt.Fprintf(&text, "Clients come, %d at once, until there are so many: handshake, authorizer, table, welcome, and for Socket.IO its CONNECT, until `notifications:ready`, or the namespace's answer. "+
		"Memory is that of the process with gateway, Invoke API and table, after a collection, per connection with its rows; functions and clients are other processes.\n\n"+
		"| protocol | came | connections | a second | p50 ms | p99 ms | KB per connection | after a minute's sweep |\n|---|--:|--:|--:|--:|--:|--:|--:|\n", atOnce)
	for _, protocol := range []wire.Protocol{wire.JSON, wire.SocketIO} {
		c, err := b.company(ctx, protocol)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "| %s | %d | %d | %.0f | %.1f | %.1f | %.1f | all there, in %.1f s |\n", protocol, c.came.Count, c.rows[len(c.rows)-1].sockets, float64(c.came.Count)/c.came.Seconds,
			percentile(c.came.Times, 0.5), percentile(c.came.Times, 0.99), float64(c.memory)/float64(c.came.Count)/1024, c.swept.Seconds())
	}
	return text.String(), nil
}

// company is a growing number of clients of a protocol: how publishes to all of them went, for each number, and how the last came.
type company struct {
	rows   []reached
	came   report
	memory int64         // that they took, in bytes
	swept  time.Duration // sweep of all
}

// company is measured once: two parts tell of it.
func (b *bench) company(ctx context.Context, protocol wire.Protocol) (c company, err error) {
	if known, ok := b.companies[protocol]; ok {
		return known, nil
	}
	r, s, err := b.system(ctx, settings)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, s.stop(), r.Close(ctx)) }()
	there := 0
	for _, size := range of(b, []int{1, 100, 1000, 10_000}, []int{1, 5}) {
		before, err := resident()
		if err != nil {
			return c, err
		}
		if c.came, err = s.do(order{URL: r.Stack.URL, Protocol: protocol, From: there, To: size, AtOnce: atOnce}); err != nil {
			return c, err
		}
		if err := r.Settle(ctx); err != nil {
			return c, err
		}
		after, err := resident()
		if err != nil {
			return c, err
		}
		begun := time.Now()
		if err := sweepOnce(ctx, r); err != nil {
			return c, err
		}
		there, c.memory, c.swept = size, after-before, time.Since(begun)
		if open := r.Stack.Gateway.Open(); open != there {
			return c, fmt.Errorf("%d connections are open, not %d", open, there)
		}
		b.say("  %s: %d connected", protocol, there)
		row, err := b.publishTo(ctx, r, s, size)
		if err != nil {
			return c, err
		}
		b.say("  %s: a publish to %d: p50 %.1f ms, p99 %.1f ms", protocol, size, row.p50, row.p99)
		c.rows = append(c.rows, row)
	}
	if b.companies == nil {
		b.companies = map[wire.Protocol]company{}
	}
	b.companies[protocol] = c
	return c, nil
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

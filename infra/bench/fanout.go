package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.org/realtime/infra/bench/rig"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// postLatency is how long the stand-in for API Gateway takes for a post.
const postLatency = 8 * time.Millisecond

// fanout measures publishes of both kinds, to find where splitting begins to pay.
func fanout(ctx context.Context, b *bench) (string, error) {
	sizes := of(b, []int{500, 1000, 2000, 2100, 4000, 8000}, []int{20})
	var text strings.Builder
	fmt.Fprintf(&text, "A publish to all, whose posts take %s each, as API Gateway's may, at the default `FANOUT_RPS`. Until the last post; billed: the time of all invocations of publish, "+
		"which Lambda bills. Medians of rounds; processes are warm.\n\n| sockets | how | until the last post, ms | posts a second | billed ms |\n|--:|---|--:|--:|--:|\n", postLatency)
	for _, size := range sizes {
		line, err := b.fanOut(ctx, size)
		if err != nil {
			return "", err
		}
		text.WriteString(line)
	}
	return text.String(), nil
}

func (b *bench) fanOut(ctx context.Context, size int) (line string, err error) {
	r, err := rig.Start(ctx, rig.Options{Everybody: true, Latency: postLatency, Processes: 16})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.Close(ctx)) }()
	if err := r.Seed(ctx, size, wire.JSON, time.Now().Add(-time.Minute)); err != nil {
		return "", err
	}
	var lasts, billed []float64
	how := "inline"
	for range of(b, 3, 1) + 1 {
		if err := r.Settle(ctx); err != nil {
			return "", err
		}
		before, begun := r.Read(), time.Now()
		var answer contract.Published
		if err := r.Invoke(ctx, "publish", notice(map[string]any{"all": true}), &answer); err != nil {
			return "", err
		}
		if err := r.Settle(ctx); err != nil {
			return "", err
		}
		took := r.Read().Minus(before)
		if took.Posts != size {
			return "", fmt.Errorf("%d posts for %d sockets: %+v", took.Posts, size, answer)
		}
		if workers := took.Invocations["publish"] - 1; workers > 0 {
			how = fmt.Sprintf("split over %d", workers)
		}
		lasts, billed = append(lasts, r.LastPost().Sub(begun).Seconds()*1e3), append(billed, took.Busy.Seconds()*1e3)
		time.Sleep(of(b, time.Second, 0)) // the token bucket is full again
	}
	last := middle(lasts[1:])
	b.say("  %d sockets, %s: %.0f ms", size, how, last)
	return fmt.Sprintf("| %d | %s | %.0f | %.0f | %.0f |\n", size, how, last, float64(size)/last*1e3, middle(billed[1:])), nil
}

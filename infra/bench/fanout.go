package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.org/realtime/infra/bench/rig"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// postLatency is how long the stand-in for API Gateway takes for a post.
const (
	postLatency = 8 * time.Millisecond
	slowLatency = 30 * time.Millisecond // where it takes its time
)

// defaultParts is over how many workers a publish is split at the default FANOUT_RPS.
const defaultParts = 4

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
	fmt.Fprintf(&text, "\nThe same room both ways, in turns. A room that would be posted to inline is split by a plan in the table, as a publish leaves it that dies before its "+
		"workers begin. Answered: how long whoever publishes waits, inline until all is posted.\n\n"+
		"| a post takes, ms | sockets | inline: last post and answered, ms | billed ms | split over %d: last post, ms | answered, ms | billed ms |\n|--:|--:|--:|--:|--:|--:|--:|\n", defaultParts)
	for _, latency := range of(b, []time.Duration{postLatency, slowLatency}, []time.Duration{0}) {
		lines, err := b.bothWays(ctx, latency, of(b, []int{250, 500, 1000, 2000}, []int{20}))
		if err != nil {
			return "", err
		}
		text.WriteString(lines)
	}
	return text.String(), nil
}

// bothWays measures publishes to rooms of some sizes, each inline and split.
func (b *bench) bothWays(ctx context.Context, latency time.Duration, sizes []int) (lines string, err error) {
	r, err := rig.Start(ctx, rig.Options{Everybody: true, Latency: latency, Processes: 16})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.Close(ctx)) }()
	since := time.Now().Add(-time.Minute)
	if err := r.Seed(ctx, slices.Max(sizes), wire.JSON, since); err != nil {
		return "", err
	}
	for _, size := range sizes {
		room := fmt.Sprint("room-of-", size)
		if err := r.Join(ctx, room, size, wire.JSON, since); err != nil {
			return "", err
		}
		var inline, split []turn
		for round := range of(b, 5, 1) + 1 {
			for _, parts := range []int{0, defaultParts} {
				did, err := b.turn(ctx, r, room, fmt.Sprintf("%s-%d-%d", room, round, parts), size, parts)
				if err != nil {
					return "", err
				}
				switch {
				case round == 0: // starts processes
				case parts == 0:
					inline = append(inline, did)
				default:
					split = append(split, did)
				}
			}
		}
		in, out := median(inline), median(split)
		b.say("  %d sockets, %v a post: inline %.0f ms, split %.0f ms", size, latency, in.last, out.last)
		lines += fmt.Sprintf("| %d | %d | %.0f | %.0f | %.0f | %.0f | %.0f |\n", latency.Milliseconds(), size, in.last, in.billed, out.last, out.answered, out.billed)
	}
	return lines, nil
}

// turn is what a publish took, in ms.
type turn struct{ last, answered, billed float64 }

// turn publishes to a room, split over so many parts, or inline (0).
func (b *bench) turn(ctx context.Context, r *rig.Rig, room, id string, size, parts int) (turn, error) {
	n := notice(map[string]any{"conversations": []string{room}})
	n["id"] = id
	request, err := json.Marshal(n)
	if err != nil {
		return turn{}, fmt.Errorf("publish %s: %w", id, err)
	}
	if parts > 0 {
		if err := r.Plan(ctx, request, id, size, parts); err != nil {
			return turn{}, err
		}
	}
	before, begun := r.Read(), time.Now()
	var answer contract.Published
	if err := r.Invoke(ctx, "publish", json.RawMessage(request), &answer); err != nil {
		return turn{}, err
	}
	answered := time.Since(begun)
	if err := r.Settle(ctx); err != nil {
		return turn{}, err
	}
	took := r.Read().Minus(before)
	if took.Posts != size || took.Invocations["publish"] != 1+parts || (answer.Queued == size) != (parts > 0) {
		return turn{}, fmt.Errorf("publish %s: %d posts for %d sockets, %d invocations, answered %+v", id, took.Posts, size, took.Invocations["publish"], answer)
	}
	return turn{r.LastPost().Sub(begun).Seconds() * 1e3, answered.Seconds() * 1e3, took.Busy.Seconds() * 1e3}, nil
}

// median is that of each.
func median(turns []turn) turn {
	of := func(value func(turn) float64) float64 {
		var values []float64
		for _, t := range turns {
			values = append(values, value(t))
		}
		return middle(values)
	}
	return turn{of(func(t turn) float64 { return t.last }), of(func(t turn) float64 { return t.answered }), of(func(t turn) float64 { return t.billed })}
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
	for round := range of(b, 3, 1) + 1 {
		if round > 0 {
			time.Sleep(of(b, time.Second, 0)) // the token bucket is full again
		}
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
	}
	last := middle(lasts[1:])
	b.say("  %d sockets, %s: %.0f ms", size, how, last)
	return fmt.Sprintf("| %d | %s | %.0f | %.0f | %.0f |\n", size, how, last, float64(size)/last*1e3, middle(billed[1:])), nil
}

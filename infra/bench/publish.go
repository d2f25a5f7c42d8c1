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

// settings of the system under measurement: presence stays above its line, so that connecting 10 000 users is no storm, and a publish may
// post as fast as API Gateway's quota allows.
var settings = map[string]string{"PRESENCE_GLOBAL_MAX": "1", "FANOUT_RPS": "10000"}

// patience is how long a swarm waits for the next event before the rest counts as lost.
const patience = 10 * time.Second

// atOnce is how many clients connect at the same time.
const atOnce = 32

// publish measures publishes to everybody, for more and more sockets.
func publish(ctx context.Context, b *bench) (string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "`notifications:new` of 200 bytes to all connections, through the Invoke API, the publish function, `@connections` and the gateway to each client, "+
		"which are in a process of their own. From the request to the frame at a client; medians of rounds. Per socket: what a socket more adds until the last has it. "+
		"Above 2 000 sockets a publish is split over workers.\n\n"+
		"| protocol | sockets | p50 ms | p99 ms | last ms | µs per socket | lost |\n|---|--:|--:|--:|--:|--:|--:|\n")
	var lines []series
	for _, protocol := range []wire.Protocol{wire.JSON, wire.SocketIO} {
		c, err := b.company(ctx, protocol)
		if err != nil {
			return "", err
		}
		half, most := series{name: string(protocol) + " p50"}, series{name: string(protocol) + " p99"}
		for _, r := range c.rows {
			perSocket := ""
			if r.sockets > 1 {
				perSocket = fmt.Sprintf("%.0f", (r.last-c.rows[0].last)*1e3/float64(r.sockets-1))
			}
			fmt.Fprintf(&text, "| %s | %d | %.1f | %.1f | %.1f | %s | %d |\n", protocol, r.sockets, r.p50, r.p99, r.last, perSocket, r.lost)
			half.points = append(half.points, [2]float64{float64(r.sockets), r.p50})
			most.points = append(most.points, [2]float64{float64(r.sockets), r.p99})
		}
		lines = append(lines, half, most)
	}
	text.WriteString("\n![from the request to the frame at a client](publish.svg)\n")
	return text.String(), b.plot("publish.svg", lineChart("From a publish to the frame at a client", "sockets", "ms", lines))
}

// reached is how a publish to so many sockets went, in milliseconds.
type reached struct {
	sockets        int
	p50, p99, last float64
	lost           int
}

// publishTo publishes to all of so many sockets, for some rounds.
func (b *bench) publishTo(ctx context.Context, r *rig.Rig, s *swarm, size int) (reached, error) {
	var p50s, p99s, lasts []float64
	lost := 0
	for range of(b, max(3, min(50, 5000/size)), 2) + 1 {
		if err := r.Invoke(ctx, "publish", notice(map[string]any{"all": true}), nil); err != nil {
			return reached{}, err
		}
		got, err := s.do(order{Expect: size, Patience: patience})
		if err != nil {
			return reached{}, err
		}
		p50s, p99s = append(p50s, percentile(got.Times, 0.5)), append(p99s, percentile(got.Times, 0.99))
		lasts, lost = append(lasts, percentile(got.Times, 1)), lost+size-got.Count
	}
	return reached{size, middle(p50s[1:]), middle(p99s[1:]), middle(lasts[1:]), lost}, nil // the first one starts processes
}

// sweepOnce tells the system how many connections there are, as it knows every minute: until then each presence looks for itself.
func sweepOnce(ctx context.Context, r *rig.Rig) error {
	if err := r.Settle(ctx); err != nil {
		return err
	}
	return r.Invoke(ctx, "sweep", struct{}{}, nil)
}

// notice is a request that says when it was made.
func notice(to map[string]any) map[string]any {
	return map[string]any{"event": contract.NotificationsNew, "to": to, "data": map[string]any{
		"eventKey": "bench", "notification": stamped(),
	}}
}

// stamped is a document of about 200 bytes that says when it was made.
func stamped() map[string]any {
	return map[string]any{"t": time.Now().UnixNano(), "body": strings.Repeat("a word or two ", 10)}
}

// system starts a system and clients for it.
func (b *bench) system(ctx context.Context, settings map[string]string) (*rig.Rig, *swarm, error) {
	r, err := rig.Start(ctx, rig.Options{Settings: settings})
	if err != nil {
		return nil, nil, err
	}
	s, err := startSwarm(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, r.Close(ctx))
	}
	return r, s, nil
}

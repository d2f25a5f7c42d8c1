package sim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"example.org/realtime/infra/local/table"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
)

// ports are the table as the rules see it; a test wraps one to break a rule.
type ports struct {
	client      *dynamodb.Client
	connections connections
	presences   realtime.Presences
	users       realtime.Users
	rooms       realtime.Rooms
	roster      realtime.Participants
	members     realtime.Members
	ledger      ledger
	parts       realtime.Parts
	timers      realtime.Timers
	budget      realtime.Budget
}

type connections interface {
	realtime.Connections
	realtime.Sessions
	realtime.ConnectionRooms
	realtime.Everyone
	realtime.Walker
}

type ledger interface {
	realtime.Ledger
	realtime.Publishes
}

const tableName = "realtime"

// newPorts is a fresh embedded table whose calls go through step.
func newPorts(t *testing.T, step func(ctx context.Context, what, key string) error) ports {
	t.Helper()
	client := table.New(table.Options{Hook: func(ctx context.Context, op table.Op) error {
		return step(ctx, op.Name, fmt.Sprint(op.Keys))
	}}).Client()
	_, err := client.CreateTable(t.Context(), store.Schema(tableName))
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(client, tableName, time.Now)
	return ports{
		client: client, connections: s.Connections, presences: s.Presences, users: s.Presences, rooms: s.Rooms,
		roster: s.Participants, members: s.Participants, ledger: s.Ledger, parts: s.Parts, timers: s.Timers, budget: s.Budget,
	}
}

// leftover is a row of the table, as far as checkLeftovers looks at it.
type leftover struct {
	PK      string `dynamodbav:"pk"`
	SK      string `dynamodbav:"sk"`
	Left    string `dynamodbav:"left"`
	Sockets int    `dynamodbav:"sockets"`
	Exp     int64  `dynamodbav:"exp"`
}

// checkLeftovers: when everybody has left, and sweep was here, nothing stays but what expires by itself: users who are
// offline, publishes, and the marks of rooms that were left. A join that died may leave the row of its room.
func (w *world) checkLeftovers() {
	out, err := w.ports.client.Scan(w.t.Context(), &dynamodb.ScanInput{TableName: aws.String(tableName)})
	if err != nil {
		w.fail("scan: %v", err)
		return
	}
	var rows []leftover
	if err := attributevalue.UnmarshalListOfMaps(out.Items, &rows); err != nil {
		w.fail("scan: %v", err)
	}
	for _, row := range rows {
		switch kind, _, _ := strings.Cut(row.PK, ":"); {
		case strings.HasPrefix(row.PK, "ns#"):
			w.fail("left in the table: the connection %s", row.SK)
		case kind == "user" && (row.Sockets != 0 || row.Exp == 0):
			w.fail("left in the table: %s with %d sockets, exp %d", row.PK, row.Sockets, row.Exp)
		case strings.HasPrefix(row.SK, "c#") && row.Left == "" && !w.unanswered(row.SK[len("c#0#"):], row.PK):
			w.fail("left in the table: %s in %s", row.SK, row.PK)
		case strings.HasPrefix(row.SK, "c#") && row.Exp == 0:
			w.fail("left in the table for ever: %s in %s", row.SK, row.PK)
		}
	}
}

// unanswered tells whether a join of that room by that connection was never answered. One of a group may have been cut short,
// and the connection have ended before it was asked for again.
func (w *world) unanswered(id, room string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.HasPrefix(room, contract.GroupRoom("")) {
		return w.cutShort[w.conns[id].user]
	}
	for _, word := range w.conns[id].words {
		if word.join && word.acked.IsZero() && strings.HasSuffix(room, ":"+word.room) {
			return true
		}
	}
	return false
}

package store_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
	"example.org/realtime/shared/wire"
)

// Every item that the ports write is decoded to what they were given, and what has expired, or is of another kind, to nothing.
func TestDecode(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		ctx, at := t.Context(), s.clock.Now()
		c := realtime.Connection{ID: "c1=", UserID: "alice", Protocol: wire.JSON, ConnectedAt: at, TokenExpiry: at.Add(time.Hour).Truncate(time.Second), Rooms: []string{"conversation:x"}}
		socket := realtime.Socket{ID: "c1=", UserID: "alice", Protocol: wire.JSON, ConnectedAt: at}
		entry := realtime.PresenceSocket{Socket: socket, LastSeen: at, UserAgent: "a", IP: "i"}
		presence, err := s.Presences.Add(ctx, "alice", entry, 32)
		if err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"connection":  s.Connections.Put(ctx, c),
			"room":        s.Rooms.Join(ctx, "conversation:x", socket, at),
			"group":       s.Rooms.Join(ctx, "group:g", socket, at),
			"left":        s.Rooms.Leave(ctx, "conversation:y", socket, realtime.TakenOut, at),
			"participant": second(s.Participants.Add(ctx, "x", "bob")),
			"publish":     second(s.Ledger.Begin(ctx, realtime.Claim{ID: "p", Owner: "me", Hash: "hash", Event: "e", Lease: at.Add(time.Minute)})),
		} {
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		out, err := s.client.Scan(ctx, &dynamodb.ScanInput{TableName: &s.name})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		for _, item := range out.Items {
			decoded, err := store.Decode(item, s.clock.Now)
			if err != nil {
				t.Error(err)
			}
			var pk string
			if err := attributevalue.Unmarshal(item[store.PartitionKey], &pk); err != nil {
				t.Fatal(err)
			}
			if _, participant := decoded.(store.Participant); participant {
				pk += " participant"
			}
			if pk[:3] == "ns#" {
				pk = "connection"
			}
			got[pk] = decoded
		}
		late := cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() <= time.Second })
		want := map[string]any{
			"connection": c, "user:alice": presence, "pub#p": nil, "conversation:x participant": store.Participant{Conversation: "x", User: "bob"},
			"conversation:x": store.RoomSocket{Room: "conversation:x", Socket: socket, At: at},
			"group:g":        store.RoomSocket{Room: "group:g", Socket: socket, At: at},
			"conversation:y": store.RoomSocket{Room: "conversation:y", Socket: socket, At: at, Left: realtime.TakenOut},
		}
		tombstone := cmpopts.IgnoreMapEntries(func(key string, _ any) bool { return key == "conversation:y" })
		if diff := cmp.Diff(want, got, late, tombstone); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if left, ok := got["conversation:y"].(store.RoomSocket); !ok || left.Left != realtime.TakenOut || left.Socket.ID != "c1=" {
			t.Errorf("who was taken out: %+v", got["conversation:y"])
		}
		for _, item := range out.Items {
			if item[store.TTL] == nil {
				continue
			}
			if decoded, err := store.Decode(item, func() time.Time { return at.Add(1000 * 24 * time.Hour) }); decoded != nil || err != nil {
				t.Errorf("long after: %+v, %v", decoded, err)
			}
		}
	})
	if _, err := store.Decode(map[string]types.AttributeValue{store.PartitionKey: &types.AttributeValueMemberM{}}, time.Now); err == nil {
		t.Error("an item that is none was decoded")
	}
}

func second[T any](_ T, err error) error { return err }

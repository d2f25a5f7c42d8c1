package stack

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/coder/websocket"

	"example.org/realtime/infra/local/faults"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/table"
)

// Echo writes to the table and posts: two calls, and its answer. Killed at each of them, it leaves what it had done.
func TestKilledAtEachCall(t *testing.T) {
	calls := make(chan int, 1)
	o := Options{}
	o.Lambda.Kill = func(function string) int {
		if function != "echo" {
			return 0
		}
		return <-calls
	}
	s := start(t, o)
	calls <- 0 // $connect
	socket, status := dial(t, s, LocalSecret)
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", status)
	}
	const died = "Internal server error"
	for i, want := range [][]string{{died}, {died}, {"TABLE_NAME=", died}} {
		calls <- i + 1
		if err := socket.Write(t.Context(), websocket.MessageText, []byte(`{"event":"x"}`)); err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			_, message, err := socket.Read(t.Context())
			if err != nil || !strings.Contains(string(message), text) {
				t.Errorf("killed at call %d: %.100s, %v", i+1, message, err)
			}
		}
		if did := noted(t, s, "MESSAGE"); did != (i > 0) {
			t.Errorf("killed at call %d: the first call was carried out: %v", i+1, did)
		}
	}
}

// Faults reach every hook, are switched while the stack runs, and leave to the options' own hooks what those decide.
func TestFaults(t *testing.T) {
	own := errors.New("our own")
	o := Options{Faults: faults.Config{Seed: 7, Failed: 1, TableThrottled: 1}}
	o.Table.Hook = func(_ context.Context, op table.Op) error {
		if len(op.Keys) > 0 && op.Keys[0].Partition == "ours" {
			return own
		}
		return nil
	}
	o.Gateway.Fault = func(_, connection string) (f gateway.Fault) {
		if connection == "ours" {
			f.Status = 413
		}
		return f
	}
	s := start(t, o)
	management, lose := s.options.Gateway.Fault, s.options.Gateway.LoseDisconnect
	if got := management(gateway.PostToConnection, "ours").Status; got != 413 {
		t.Errorf("our own fault is %d", got)
	}
	if got := management(gateway.PostToConnection, "other").Status; got != 500 {
		t.Errorf("the fault is %d", got)
	}
	get := func(partition string) error {
		_, err := s.DynamoDB().GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &s.TableName, Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: partition}, "sk": &types.AttributeValueMemberS{Value: "#"},
		}})
		return err
	}
	var throttled *types.ProvisionedThroughputExceededException
	if err := get("ours"); err == nil || !strings.Contains(err.Error(), own.Error()) {
		t.Errorf("our own hook: %v", err)
	}
	if err := get("other"); !errors.As(err, &throttled) {
		t.Errorf("the table: %v", err)
	}
	if err := s.Faults.Set(faults.Config{LoseDisconnect: 1, Kill: 1, Duplicate: 1}); err != nil {
		t.Fatal(err)
	}
	if err := get("other"); err != nil {
		t.Errorf("the table, mended: %v", err)
	}
	if !lose("c=") || s.options.Lambda.Kill("echo") == 0 || !s.options.Lambda.Duplicate("echo") {
		t.Error("nothing is lost, killed or doubled")
	}
	if err := s.Faults.Set(faults.Config{Seed: 7}); err != nil {
		t.Fatal(err)
	}
	same, err := faults.New(faults.Config{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	if _, status := dial(t, s, LocalSecret); status != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", status)
	}
	if id := s.Gateway.Connections()[0].ID; id != same.ConnectionID() {
		t.Errorf("the first connection is %s", id)
	}
	if _, err := Start(t.Context(), Options{Root: root, Faults: faults.Config{Kill: 2}}); err == nil || !strings.HasPrefix(err.Error(), "kill: ") {
		t.Errorf("kill=2: %v", err)
	}
}

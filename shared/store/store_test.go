package store_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/realtime/infra/local/table"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/store"
	"example.org/realtime/shared/wire"
)

// TestMain has the models run fewer sequences than rapid does by default: each step is a call or two to a table.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "40"); err != nil {
		panic(err)
	}
	m.Run()
}

// suite is one table that never collects garbage, and what the tests need besides.
type suite struct {
	*store.Table
	client *dynamodb.Client
	name   string
	clock  *clock
	meter  *meter
}

// onEngines runs a test on the embedded table and, when DYNAMODB_ENDPOINT is set, on the DynamoDB Local there.
func onEngines(t *testing.T, test func(t *testing.T, s *suite)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, newSuite(t, table.New(table.Options{}).Client())) })
	if endpoint := os.Getenv("DYNAMODB_ENDPOINT"); endpoint != "" {
		t.Run("DynamoDBLocal", func(t *testing.T) {
			test(t, newSuite(t, dynamodb.New(dynamodb.Options{
				BaseEndpoint: &endpoint,
				Region:       "us-east-1",
				Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
				}),
			})))
		})
	}
}

func newSuite(t *testing.T, client *dynamodb.Client) *suite {
	t.Helper()
	s := &suite{client: client, name: "store-" + rand.Text(), clock: &clock{now: start}, meter: &meter{API: client}}
	_, err := client.CreateTable(t.Context(), store.Schema(s.name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &s.name}); err != nil {
			t.Error(err)
		}
	})
	s.Table = store.New(s.meter, s.name, s.clock.Now)
	return s
}

// item reads an item as it is stored: numbers as float64. It is nil where there is none.
func (s *suite) item(t *testing.T, pk, sk string) map[string]any {
	t.Helper()
	out, err := s.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &s.name, ConsistentRead: new(true), Key: s.key(pk, sk)})
	if err != nil {
		t.Fatal(err)
	}
	if out.Item == nil {
		return nil
	}
	var item map[string]any
	if err := attributevalue.UnmarshalMap(out.Item, &item); err != nil {
		t.Fatal(err)
	}
	return item
}

func (s *suite) key(pk, sk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		store.PartitionKey: &types.AttributeValueMemberS{Value: pk},
		store.SortKey:      &types.AttributeValueMemberS{Value: sk},
	}
}

// start is when the tests begin: not a whole second.
var start = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// clock stands still until a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// newID is a connection id as API Gateway makes them.
func newID() string {
	b := make([]byte, 11)
	_, _ = rand.Read(b) // never fails
	return base64.URLEncoding.EncodeToString(b)
}

// newIDs are n connection ids of that shard.
func newIDs(n, shard int) []string {
	var ids []string
	for len(ids) < n {
		if id := newID(); realtime.Shard(id) == shard {
			ids = append(ids, id)
		}
	}
	return ids
}

func connection(user string) realtime.Connection {
	return realtime.Connection{ID: newID(), UserID: user, Protocol: wire.JSON, ConnectedAt: start}
}

func socketOf(c realtime.Connection) realtime.Socket {
	return realtime.Socket{ID: c.ID, UserID: c.UserID, Protocol: c.Protocol, ConnectedAt: c.ConnectedAt}
}

func presenceSocket(user string) realtime.PresenceSocket {
	return realtime.PresenceSocket{Socket: socketOf(connection(user)), LastSeen: start, UserAgent: "test/1.0", IP: "192.0.2.1"}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fails wants that answer of a port; a failure of the table is none.
func fails(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func equal(t *testing.T, got, want any, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, append(options, cmpopts.EquateEmpty())...); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
}

// inParallel runs them all at once and waits.
func inParallel(all ...func()) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for _, do := range all {
		wg.Go(func() {
			<-begin
			do()
		})
	}
	close(begin)
	wg.Wait()
}

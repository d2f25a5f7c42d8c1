package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/infra/local/dynamodblocal"
	"example.org/realtime/infra/local/table"
)

// answerTime is how long a service that should run already has to answer.
const answerTime = 3 * time.Second

// startTable starts the table's service, unless there is one, and creates the table of the template in it. The embedded one is served later.
func (s *Stack) startTable(ctx context.Context, l net.Listener) error {
	switch {
	case s.options.DynamoDBEndpoint != "":
		if err := reachable(ctx, "DYNAMODB_ENDPOINT", s.DynamoDBEndpoint, "leave it out for the embedded table"); err != nil {
			return err
		}
	case s.options.DynamoDBLocal:
		if err := s.startDynamoDBLocal(ctx, l); err != nil {
			return err
		}
	default:
		s.Table = table.New(s.options.Table)
	}
	return s.createTable(ctx)
}

// startDynamoDBLocal runs it on the port of l, which gives way to it.
func (s *Stack) startDynamoDBLocal(ctx context.Context, l net.Listener) error {
	directory := filepath.Join(s.options.Root, dynamodblocal.Dir)
	if err := dynamodblocal.Fetch(ctx, directory, progressWriter{s.options.Progress}); err != nil {
		return err
	}
	defer s.progress("starting DynamoDB Local")()
	if err := l.Close(); err != nil {
		return fmt.Errorf("DYNAMODB_PORT: %w", err)
	}
	endpoint, stop, err := dynamodblocal.Start(ctx, directory, l.Addr().(*net.TCPAddr).Port)
	if err != nil {
		return err
	}
	s.DynamoDBEndpoint = endpoint
	s.closers = append(s.closers, func(context.Context) error {
		stop()
		return nil
	})
	return nil
}

// createTable creates the table as the template has it. One that is there already is used as it is.
func (s *Stack) createTable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	definition := s.template.Tables[0]
	create := definition.Create
	create.TableName = &s.TableName
	client := s.DynamoDB()
	if s.Table != nil {
		client = s.Table.Client()
	}
	_, err := client.CreateTable(ctx, create)
	var there *types.ResourceInUseException
	if errors.As(err, &there) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create table %s at %s: %w", s.TableName, s.DynamoDBEndpoint, err)
	}
	if err := dynamodb.NewTableExistsWaiter(client).Wait(ctx, &dynamodb.DescribeTableInput{TableName: &s.TableName}, 10*time.Second); err != nil {
		return fmt.Errorf("create table %s: %w", s.TableName, err)
	}
	if definition.TTLAttribute == "" {
		return nil
	}
	_, err = client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               &s.TableName,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &definition.TTLAttribute, Enabled: new(true)},
	})
	if err != nil {
		return fmt.Errorf("time to live of table %s: %w", s.TableName, err)
	}
	return nil
}

// reachable tells whether something that should run already answers. What it says does not matter.
func reachable(ctx context.Context, setting, endpoint, otherwise string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil || request.URL.Host == "" {
		return fmt.Errorf("%s: %q is no URL: give one as http://127.0.0.1:8000", setting, endpoint)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%s: nothing answers at %s: start it, or %s", setting, endpoint, otherwise)
	}
	return response.Body.Close()
}

// progressWriter hands what a tool writes to Options.Progress, which may be nil.
type progressWriter struct{ tell func(string) }

func (w progressWriter) Write(b []byte) (int, error) {
	if w.tell != nil {
		w.tell(string(b))
	}
	return len(b), nil
}

package invoke

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

var (
	_ realtime.Asker   = (*Publish)(nil)
	_ realtime.Workers = (*Sweep)(nil)
	_ realtime.Members = (*Membership)(nil)
)

type client func(context.Context, *lambda.InvokeInput) (*lambda.InvokeOutput, error)

func (f client) Invoke(ctx context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	return f(ctx, in)
}

func TestAsk(t *testing.T) {
	tests := []struct {
		job  realtime.Job
		want string
	}{
		{
			realtime.Job{Welcome: &realtime.Welcome{Connection: "c=", User: "alice", Version: 3, AtMS: 1700000000000}},
			`{"job":{"welcome":{"connection":"c=","user":"alice","v":3,"at":1700000000000}}}`,
		},
		{
			realtime.Job{Refuse: &realtime.Refuse{Connection: "c=", Error: contract.SocketError{Code: contract.Unauthorized, Message: "no"}}},
			`{"job":{"refuse":{"connection":"c=","error":{"code":"socket_error:unauthorized","message":"no"}}}}`,
		},
		{
			realtime.Job{Presence: &realtime.PresenceJob{User: "alice", Rooms: []string{"conversation:c1"}, AtMS: 1}},
			`{"job":{"presence":{"user":"alice","rooms":["conversation:c1"],"at":1}}}`,
		},
		{realtime.Job{Verify: &realtime.Verify{User: "alice"}}, `{"job":{"verify":{"user":"alice"}}}`},
	}
	for _, test := range tests {
		publish := NewPublish(client(func(_ context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
			if *in.FunctionName != "rt-publish" || in.InvocationType != types.InvocationTypeEvent {
				t.Errorf("%s of %s", in.InvocationType, *in.FunctionName)
			}
			if diff := cmp.Diff(test.want, string(in.Payload)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			return &lambda.InvokeOutput{StatusCode: 202}, nil
		}), "rt-publish")
		if err := publish.Ask(t.Context(), test.job); err != nil {
			t.Error(err)
		}
	}
	failed := errors.New("throttled")
	publish := NewPublish(client(func(context.Context, *lambda.InvokeInput) (*lambda.InvokeOutput, error) { return nil, failed }), "rt-publish")
	if err := publish.Ask(t.Context(), realtime.Job{}); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
}

func TestStart(t *testing.T) {
	failed := errors.New("throttled")
	for _, want := range []error{nil, failed} {
		sweep := NewSweep(client(func(_ context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
			if *in.FunctionName != "rt-sweep" || in.InvocationType != types.InvocationTypeEvent || string(in.Payload) != `{"worker":{"shards":[8,9],"rps":62.5}}` {
				t.Errorf("%s of %s with %s", in.InvocationType, *in.FunctionName, in.Payload)
			}
			return &lambda.InvokeOutput{StatusCode: 202}, want
		}), "rt-sweep")
		if err := sweep.Start(t.Context(), realtime.Worker{Shards: []int{8, 9}, RPS: 62.5}); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestAllowed(t *testing.T) {
	const in = "membership of alice in c1: "
	const shape = in + `the answer is not {"allowed": true | false, "message": "..."}`
	tests := []struct {
		name, answer, failure, want string // want: the error, "" for a participant
		code                        contract.Code
	}{
		{"participant", `{"allowed":true}`, "", "", ""},
		{"participant with more", `{"allowed":true,"message":"hi","role":"owner"}`, "", "", ""},
		{"stranger", `{"allowed":false}`, "", "socket_error:forbidden: you do not take part in this conversation", contract.Forbidden},
		{"stranger with a reason", `{"allowed":false,"message":"the conversation is archived"}`, "", "socket_error:forbidden: the conversation is archived", contract.Forbidden},
		{"no verdict", `{}`, "", in + `the answer has no "allowed"`, contract.Internal},
		{"null", `null`, "", in + `the answer has no "allowed"`, contract.Internal},
		{"a word", `{"allowed":"yes"}`, "", shape, contract.Internal},
		{"a list", `[]`, "", shape, contract.Internal},
		{"nothing", ``, "", shape, contract.Internal},
		{"failed", `{"errorMessage":"secret","errorType":"Error"}`, "Unhandled", in + "the function failed: Unhandled", contract.Internal},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := NewMembership(client(func(_ context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
				if got, want := string(in.Payload), `{"userId":"alice","conversationId":"c1"}`; got != want || *in.FunctionName != "arn" || in.InvocationType != "" {
					t.Errorf("%s invoked with %s", *in.FunctionName, got)
				}
				out := &lambda.InvokeOutput{StatusCode: 200, Payload: []byte(test.answer)}
				if test.failure != "" {
					out.FunctionError = aws.String(test.failure)
				}
				return out, nil
			}), "arn")
			err := m.Allowed(t.Context(), "alice", "c1")
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || err.Error() != test.want || contract.ErrorOf(err).Code != test.code {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestMembershipInTime(t *testing.T) {
	m := NewMembership(client(func(ctx context.Context, _ *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}), "arn")
	if m.timeout != 2*time.Second {
		t.Errorf("waits for %v", m.timeout)
	}
	m.timeout = time.Millisecond
	if err := m.Allowed(t.Context(), "alice", "c1"); !errors.Is(err, context.DeadlineExceeded) || contract.ErrorOf(err).Code != contract.Internal {
		t.Errorf("got %v", err)
	}
}

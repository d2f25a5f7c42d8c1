package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"example.org/realtime/infra/contract/schemas"
)

var loaded sync.Map // schemas by name

// hold holds a document to a schema.
func hold(document []byte, name string) error {
	schema, ok := loaded.Load(name)
	if !ok {
		s, err := schemas.Strict(root, name)
		if err != nil {
			return err
		}
		schema, _ = loaded.LoadOrStore(name, s)
	}
	if err := schema.(*schemas.Schema).Check(document); err != nil {
		return fmt.Errorf("%s is not as documented: %w", document, err)
	}
	return nil
}

// functions is where backends invoke. An answer that is not as documented is an error.
type functions struct {
	*sdk.Client
	publisher, controller string
}

func (f functions) Invoke(ctx context.Context, in *sdk.InvokeInput, options ...func(*sdk.Options)) (*sdk.InvokeOutput, error) {
	out, err := f.Client.Invoke(ctx, in, options...)
	if err != nil || in.InvocationType == types.InvocationTypeEvent {
		return out, err
	}
	return out, f.check(in, out)
}

func (f functions) check(in *sdk.InvokeInput, out *sdk.InvokeOutput) error {
	function := *in.FunctionName
	if function != f.publisher && function != f.controller {
		return nil
	}
	if out.FunctionError != nil {
		return hold(out.Payload, "error")
	}
	var request struct{ Event, Op string }
	if err := json.Unmarshal(in.Payload, &request); err != nil {
		return err
	}
	switch {
	case request.Op != "":
		return hold(out.Payload, "control/"+strings.ReplaceAll(request.Op, ".", "-")+".answer")
	case request.Event != "":
		return hold(out.Payload, "publish/answer")
	}
	return nil // what functions ask of each other
}

func TestAnswersAreHeldToTheContract(t *testing.T) {
	f, failed := functions{publisher: "publish", controller: "control"}, "Unhandled"
	for _, tt := range []struct {
		function, request, answer string
		failed                    *string
		fits                      bool
	}{
		{"publish", `{"event":"messages:new"}`, `{"event":"messages:new","matched":1,"delivered":1,"gone":0,"failed":0,"duplicate":false}`, nil, true},
		{"publish", `{"event":"messages:new"}`, `{"event":"messages:new","matched":1,"delivered":1,"gone":0,"failed":0}`, nil, false},
		{"publish", `{"event":"messages:new"}`, `{"event":"messages:new","matched":1,"delivered":1,"gone":0,"failed":0,"duplicate":false,"lost":0}`, nil, false},
		{"publish", `{"event":"messages:new"}`, `{}`, nil, false},
		{"publish", `{"job":{}}`, `{}`, nil, true},
		{"publish", `{}`, `{"errorType":"ValidationError","errorMessage":"event: required"}`, &failed, true},
		{"publish", `{}`, `{"errorMessage":"event: required"}`, &failed, false},
		{"control", `{"op":"participants.add"}`, `{"added":1,"removed":0}`, nil, true},
		{"control", `{"op":"participants.add"}`, `{"users":[]}`, nil, false},
		{"control", `{"op":"rooms.list"}`, `null`, nil, true},
		{"control", `{"op":"presence.read"}`, `null`, nil, false},
		{"sweep", `{}`, `null`, nil, true},
	} {
		err := f.check(&sdk.InvokeInput{FunctionName: &tt.function, Payload: []byte(tt.request)}, &sdk.InvokeOutput{FunctionError: tt.failed, Payload: []byte(tt.answer)})
		if (err == nil) != tt.fits {
			t.Errorf("%s of %s to %s: %v", tt.answer, tt.function, tt.request, err)
		}
	}
}

// A frame that is not as documented fails the test of the client that got it: parse says what is wrong with each of these.
func TestFramesAreHeldToTheContract(t *testing.T) {
	const yes, no = `{"success":true}`, `{"code":"socket_error:forbidden","message":"no"}`
	for _, message := range []string{
		`{"event":"messages:new","data":{"conversationId":"c1","message":{},"senderId":"alice","recipients":["bob"],"more":1}}`,
		`{"event":"notifications:new","data":{"eventKey":"k","notification":7,"more":1}}`,
		`{"event":"presence:update","data":{"userId":"alice","isOnline":false,"lastSeen":null,"sockets":[]}}`,
		`{"event":"error","data":{"code":"app:maintenance","message":"soon"}}`,
		`{"event":"ack","id":7,"data":{"success":true}}`,
		`{"event":"ack","id":"a","data":{"success":false,"code":"socket_error:forbidden","message":"no"}}`,
	} {
		if _, err := parse([]byte(message)); err != nil {
			t.Errorf("%s: %v", message, err)
		}
	}
	for _, message := range []string{
		``, `7`, `{}`, `hello`,
		`{"event":"messages:created","data":{}}`,
		`{"event":"conversations:join","data":{"conversationId":"c1"}}`,
		`{"event":"notifications:ready","data":{"message":"hi","userId":"alice"},"id":1}`,
		`{"event":"notifications:ready","data":{"message":"hi","userId":"alice"},"trace":"1-2"}`,
		`{"event":"notifications:ready","data":{"message":"hi","userId":"alice","more":1}}`,
		`{"event":"notifications:ready","data":{"message":"hi"}}`,
		`{"event":"messages:new","data":{"conversationId":"c1","message":null,"senderId":"alice","recipients":[]}}`,
		`{"event":"messages:new","data":{"conversationId":"c1","message":{},"senderId":"alice","recipients":"bob"}}`,
		`{"event":"messages:deleted","data":{"conversationId":"c1","message":{"status":"sent"},"senderId":"alice","recipients":[]}}`,
		`{"event":"presence:update","data":{"userId":"alice","isOnline":true,"lastSeen":1.5,"sockets":[]}}`,
		`{"event":"presence:update","data":{"userId":"alice","isOnline":true,"lastSeen":1,"sockets":[{"socketId":"x"}]}}`,
		`{"event":"error","data":{"code":"socket_error:teapot","message":"short and stout"}}`,
		`{"event":"ack","data":{"success":true}}`,
		`{"event":"ack","id":7,"data":{"success":true,"message":"done"}}`,
		`{"event":"ack","id":7,"data":{"success":false}}`,
		`{"event":"ack","id":7,"data":{"success":false,"code":"app:maintenance","message":"soon"}}`,
	} {
		if _, err := parse([]byte(message)); err == nil {
			t.Errorf("%s: passes", message)
		}
	}
	for packet, event := range map[string]string{
		`0{"sid":"x"}`:                                 "0",
		`40/ws/app,{"sid":"x"}`:                        "40",
		`41/ws/app,`:                                   "41",
		`43/ws/app,7[` + yes + `]`:                     "ack",
		`42/ws/app,["error",` + no + `]`:               "error",
		`44/ws/app,{"message":"no","data":` + no + `}`: "44",
	} {
		if f, err := parsePacket(packet); err != nil || f.event != event {
			t.Errorf("%s: %q, %v", packet, f.event, err)
		}
	}
	for _, packet := range []string{
		``, `2`, `42/ws/app,["error"]`, `42/ws/app,["error",` + no + `,1]`, `42/ws/app,["error",` + yes + `]`, `42["error",` + no + `]`,
		`43/ws/app,7[]`, `43/ws/app,[` + yes + `]`, `44/ws/app,{"message":"no"}`, `44/ws/app,{"message":"no","data":` + yes + `}`, `45/ws/app,[]`,
	} {
		if _, err := parsePacket(packet); err == nil {
			t.Errorf("%s: passes", packet)
		}
	}
}

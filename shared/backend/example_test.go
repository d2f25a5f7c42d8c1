package backend_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"example.org/realtime/shared/backend"
	"example.org/realtime/shared/contract"
)

// functions stand in for a *lambda.Client, as lambda.NewFromConfig makes it: publish delivers to two sockets, and control
// refuses.
type functions struct{}

func (functions) Invoke(_ context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	if *in.FunctionName == "realtime-publish" {
		return &lambda.InvokeOutput{Payload: []byte(`{"id":"order-4711","event":"notifications:new","matched":2,"delivered":2,"gone":0,"failed":0,"duplicate":false}`)}, nil
	}
	failed := "Unhandled"
	return &lambda.InvokeOutput{FunctionError: &failed, Payload: []byte(`{"errorType":"ValidationError","errorMessage":"denySeconds: must be a whole number of seconds, 0 to 86400"}`)}, nil
}

func ExampleClient_Publish() {
	client := backend.New(functions{}, backend.Functions{Publish: "realtime-publish"})
	data, err := json.Marshal(contract.NewNotification{
		EventKey:     "order.shipped",
		Notification: json.RawMessage(`{"id": "n5", "title": "On its way"}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := client.Publish(context.Background(), contract.Publish{
		ID:    "order-4711", // makes it safe to repeat
		Event: contract.NotificationsNew,
		Data:  data,
		To:    &contract.Audience{Users: []string{"alice"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("delivered to %d of %d\n", answer.Delivered, answer.Matched)
	// Output: delivered to 2 of 2
}

func ExampleClient_DisconnectSockets() {
	client := backend.New(functions{}, backend.Functions{Control: "realtime-control"})
	week := 7 * 24 * 60 * 60
	_, err := client.DisconnectSockets(context.Background(), contract.DisconnectSockets{
		Users: []string{"alice"}, Reason: "banned", DenySeconds: &week,
	})
	if refused, ok := errors.AsType[*contract.ValidationError](err); ok {
		fmt.Println("mend", refused.Field)
	}
	// Output: mend denySeconds
}

package stack

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// A function has what its role has, and who is no function has everything.
func TestRoles(t *testing.T) {
	s := start(t, Options{Root: with(t, "template.yaml", "Resource: !Sub", "Condition: {'ForAllValues:StringLike': {'dynamodb:LeadingKeys': [CONNECT]}}, Resource: !Sub")})
	socket, status := dial(t, s, LocalSecret)
	if status != http.StatusSwitchingProtocols || !noted(t, s, "CONNECT") {
		t.Fatalf("status %d", status)
	}
	if refused := s.Refused(); refused != nil {
		t.Errorf("refused %q", refused)
	}
	for range 2 {
		if err := socket.Write(t.Context(), websocket.MessageText, []byte(`{"event":"x"}`)); err != nil {
			t.Fatal(err)
		}
		if _, answer, err := socket.Read(t.Context()); err != nil || !strings.Contains(string(answer), "Internal server error") {
			t.Errorf("%s, %v", answer, err)
		}
	}
	want := []string{`the role of EchoFunction in template.yaml does not allow dynamodb:PutItem on ["MESSAGE"]: add it to Policies`}
	if diff := cmp.Diff(want, s.Refused()); diff != "" {
		t.Errorf("refused -want +got:\n%s", diff)
	}
	if noted(t, s, "MESSAGE") || s.Refused() != nil {
		t.Error("it was noted, or refused for ever")
	}
}

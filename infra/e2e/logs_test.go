package e2e

import (
	"strings"
	"testing"
)

// No token and no payload reaches a log, whatever goes wrong. (The name of an event that a backend invents does, with the error.)
func TestLogsAreDiscreet(t *testing.T) {
	s := own(t, settings(map[string]string{"LOG_LEVEL": "debug"}))
	const secret = "do-not-tell"
	token := s.token("alice")
	c, err := s.dial(t, token)
	if err != nil {
		t.Fatal(err)
	}
	c.user = "alice"
	c.await("notifications:ready", is("notifications:ready"))
	refused, err := s.dial(t, token+secret)
	if err != nil {
		t.Fatal(err)
	}
	refused.awaitRefusal("socket_error:unauthorized")
	for _, message := range []string{
		`{"event":"conversations:join","data":{"conversationId":"` + secret + `#"}}`, `{"event":"` + secret + `"}`, `{"` + secret, `"` + secret + `"`,
	} {
		c.send(message)
		c.awaitError()
	}
	s.delivers(t, 1, "notifications:new", notice(secret), to("alice"))
	c.exactly("notifications:new", notice(secret))
	for _, request := range []string{
		request("notifications:new", `{"eventKey":7,"notification":"`+secret+`"}`, to("alice")), request("error", `"`+secret+`"`, to("alice")),
		`{"job":{"refuse":"` + secret + `"}}`,
	} {
		if _, err := s.send(request); err == nil {
			t.Errorf("%s was not refused", request)
		}
	}
	c.close()
	eventually(t, "disconnect has run", func() bool { return s.local.meter.invoked()["disconnect"] == 2 })
	said := s.local.since(0)
	if !strings.Contains(said, `"function":"disconnect"`) || !strings.Contains(said, `"function":"publish"`) {
		t.Fatal("the functions' logs are not here")
	}
	for line := range strings.Lines(said) {
		if strings.Contains(line, secret) || strings.Contains(line, token[:40]) {
			t.Errorf("in a log: %s", line)
		}
	}
}

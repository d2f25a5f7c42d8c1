package e2e

import (
	"strings"
	"testing"
)

// dtos are documents as backends write them. None of their bytes is the service's to change.
var dtos = []struct{ name, dto string }{
	{"whitespace", "{ \"id\" :\t\"m1\",\n  \"body\": [ 1 , 2 ]\r\n}"},
	{"numbers", `{"price":1.0,"tiny":1E-7,"huge":12345678901234567890123,"zero":-0}`},
	{"escapes", `{"a":"\u00e9\u0000\ud83d\ude00\/\u2028","b":"é 😀 ` + "\u2028" + `"}`},
	{"HTML", `{"body":"<b>&amp;</b> \u003c"}`},
	{"unknown members", `{"id":"m1","status":"sent","event":"error","data":{},"__proto__":null}`},
	{"a member twice", `{"id":1,"id":2}`},
	{"an empty object", `{}`},
	{"a string", `"m1"`},
	{"deep", strings.Repeat(`{"a":[`, 200) + "0" + strings.Repeat(`]}`, 200)},
}

func TestDocumentsByteForByte(t *testing.T) {
	s := suite(t)
	alice := unique("alice-")
	c := s.connect(t, alice)
	for _, tt := range dtos {
		t.Run(tt.name, func(t *testing.T) {
			data := `{ "eventKey":"task.assigned" ,"notification": ` + tt.dto + `, "more": 1.0 }`
			s.delivers(t, 1, "notifications:new", data, to(alice))
			c.exactly("notifications:new", data)
			data = "{\n\t\"recipients\": [], \"senderId\": \"" + alice + "\", \"message\": " + tt.dto + ", \"conversationId\": \"c\\u0031\"\n}"
			s.delivers(t, 1, "messages:new", data, "")
			c.exactly("messages:new", data)
		})
	}
}

// Each of the three events of a message goes to the conversation's room, to the personal rooms of the recipients and to the
// sender's, and to each socket once.
func TestMessages(t *testing.T) {
	s := suite(t)
	conversation, sender, recipient, guest, stranger := unique("c-"), unique("sender-"), unique("recipient-"), unique("guest-"), unique("stranger-")
	s.participants(t, "set", conversation, sender, recipient, guest)
	tab1 := s.connect(t, sender) // in the personal room, and in the conversation's
	tab1.join(conversation)
	tab2 := s.connect(t, sender) // in the personal room
	both := s.connect(t, recipient)
	both.join(conversation)
	joined := s.connect(t, guest) // in the conversation's room, and no recipient
	joined.join(conversation)
	nobody := s.connect(t, stranger)
	recipients := []string{recipient, recipient, sender, unique("away-")} // one twice, one that is the sender, one not connected
	for event, dto := range map[string]string{
		"messages:new":     `{"id":"m1","body":"See you at 5?","status":"sent"}`,
		"messages:updated": `{"id":"m1","body":"See you at 6?","status":"edited"}`,
		"messages:deleted": `{"id":"m1","body":null,"status":"deleted","deletedAt":"2023-11-29T08:06:00.000Z"}`,
	} {
		t.Run(event, func(t *testing.T) {
			data := message(conversation, sender, recipients, dto)
			s.delivers(t, 4, event, data, "")
			for _, c := range []*client{tab1, tab2, both, joined} {
				c.exactly(event, data)
			}
			nobody.none("somebody else's message", is(event))
		})
	}
}

// An event may have 128 KB, which is four frames of API Gateway's, and no more.
func TestLargeEvents(t *testing.T) {
	s := suite(t)
	alice := unique("alice-")
	c := s.connect(t, alice)
	document := func(size int) string {
		const frame, around = `{"event":"notifications:new","data":}`, `{"eventKey":"k","notification":""}`
		return `{"eventKey":"k","notification":"` + strings.Repeat("x", size-len(frame)-len(around)) + `"}`
	}
	for _, size := range []int{32 << 10, 32<<10 + 1, 128 << 10} {
		s.delivers(t, 1, "notifications:new", document(size), to(alice))
		c.exactly("notifications:new", document(size))
	}
	_, err := s.send(request("notifications:new", document(128<<10+1), to(alice)))
	refused(t, err, "data", "131072 bytes at most")
	c.none("an event that was refused", is("notifications:new"))
}

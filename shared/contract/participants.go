package contract

import (
	"encoding/json"
	"slices"
	"strings"
)

// Operations of the control function.
const (
	ParticipantsSet    = "participants.set"    // exactly these users take part
	ParticipantsAdd    = "participants.add"    // these too
	ParticipantsRemove = "participants.remove" // these no longer; their sockets leave the room at once
	ParticipantsList   = "participants.list"   // who takes part, in pages
)

var operations = []string{ParticipantsSet, ParticipantsAdd, ParticipantsRemove, ParticipantsList}

// Participants is a backend's request about who takes part in a conversation.
type Participants struct {
	Op             string
	ConversationID string
	Users          []string // set, add, remove: at most MaxUsersPerRequest; only set may name none
	After          string   // list: the answer's Next of the page before
}

// ParticipantsChanged answers set, add and remove with how many users it changed.
type ParticipantsChanged struct {
	Added   int `json:"added"`
	Removed int `json:"removed"`
}

// ParticipantsPage answers list. Next is there when there is more, and is the next request's next.
type ParticipantsPage struct {
	Users []string `json:"users"`
	Next  string   `json:"next,omitempty"`
}

// ParseParticipants validates a request to control. The error is a *ValidationError that names the field.
func ParseParticipants(raw json.RawMessage) (*Participants, error) {
	m := object("", raw, "op", "conversationId", "users", "next")
	p := &Participants{Op: m.text("op")}
	if m.err == nil && !slices.Contains(operations, p.Op) {
		m.fail("op", "%q is not an operation; expected one of %s", clip(p.Op), strings.Join(operations, ", "))
	}
	p.ConversationID = m.id("conversationId")
	if p.Op == ParticipantsList {
		if m.has("users") {
			m.fail("users", "%s does not take it", ParticipantsList)
		}
		if m.has("next") {
			p.After = m.id("next")
		}
	} else {
		if m.has("next") {
			m.fail("next", "only %s takes it", ParticipantsList)
		}
		p.Users = m.ids("users", MaxUsersPerRequest)
		if m.err == nil && len(p.Users) == 0 && p.Op != ParticipantsSet {
			m.fail("users", "must name at least one user")
		}
		slices.Sort(p.Users)
		p.Users = slices.Compact(p.Users)
	}
	if m.err != nil {
		return nil, m.err
	}
	return p, nil
}

// ParseRoom validates the data of conversations:join and conversations:leave. The error is an *Error with BadRequest.
func ParseRoom(data json.RawMessage) (Room, error) {
	m := object("data", data)
	room := Room{ConversationID: m.id("conversationId")}
	if m.err != nil {
		return Room{}, &Error{Code: BadRequest, Message: m.err.Error()}
	}
	return room, nil
}

package contract

import (
	"encoding/json"
	"slices"
)

// Participants is a backend's request about who takes part in a conversation.
type Participants struct {
	Op             string   `json:"op"` // one of participants.*
	ConversationID string   `json:"conversationId" schema:"id"`
	Users          []string `json:"users,omitzero" schema:"id,max=MaxUsersPerRequest"` // set, add, remove; only set may name none, with a list that is empty, not nil
	Next           string   `json:"next,omitempty" schema:"id"`                        // the next of the page before; without it, the first page
}

// ParticipantsChanged answers participants.set, participants.add and participants.remove: how many users that changed.
type ParticipantsChanged struct {
	Added   int `json:"added"`
	Removed int `json:"removed"`
}

// ParticipantsPage answers participants.list.
type ParticipantsPage struct {
	Users []string `json:"users" schema:"id"`
	Next  string   `json:"next,omitempty" schema:"id"` // there when there is more, for the next request's next
}

func parseParticipants(op string, raw json.RawMessage) (ControlRequest, error) {
	m := object("", raw, "op", "conversationId", "users")
	p := &Participants{Op: op, ConversationID: m.id("conversationId")}
	if op == ParticipantsSet {
		p.Users = m.ids("users", MaxUsersPerRequest)
		slices.Sort(p.Users)
		p.Users = slices.Compact(p.Users)
	} else {
		p.Users = m.someone("users", MaxUsersPerRequest)
	}
	return p, m.err
}

func parseParticipantsList(op string, raw json.RawMessage) (ControlRequest, error) {
	m := object("", raw, "op", "conversationId", "next")
	p := &Participants{Op: op, ConversationID: m.id("conversationId")}
	if m.has("next") {
		p.Next = m.id("next")
	}
	return p, m.err
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

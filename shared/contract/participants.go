package contract

import (
	"encoding/json"
	"slices"
)

// Participants is a backend's request about who takes part in a conversation.
type Participants struct {
	Op             string   `json:"op"` // ParticipantsSet, ParticipantsAdd, ParticipantsRemove or ParticipantsList
	ConversationID string   `json:"conversationId"`
	Users          []string `json:"users,omitzero"` // set, add, remove: at most MaxUsersPerRequest; only set may name none, with a list that is empty, not nil
	Next           string   `json:"next,omitempty"` // list: the next of the page before; "" is the first page
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

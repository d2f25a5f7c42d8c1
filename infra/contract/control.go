package main

import "example.org/realtime/shared/contract"

// operations are those of control.
func (b *builder) operations() (all []operation) {
	for _, o := range []struct {
		name     string
		request  any
		only     []string // of a struct that several operations share
		answer   any
		nullable bool // the answer is null when there is nothing
	}{
		{contract.ParticipantsSet, contract.Participants{}, []string{"op", "conversationId", "users"}, contract.ParticipantsChanged{}, false},
		{contract.ParticipantsAdd, contract.Participants{}, []string{"op", "conversationId", "users"}, contract.ParticipantsChanged{}, false},
		{contract.ParticipantsRemove, contract.Participants{}, []string{"op", "conversationId", "users"}, contract.ParticipantsChanged{}, false},
		{contract.ParticipantsList, contract.Participants{}, []string{"op", "conversationId", "next"}, contract.ParticipantsPage{}, false},
		{contract.GroupsJoin, contract.Group{}, nil, contract.GroupChanged{}, false},
		{contract.GroupsLeave, contract.Group{}, nil, contract.GroupChanged{}, false},
		{contract.SocketsDisconnect, contract.DisconnectSockets{}, nil, contract.SocketsDisconnected{}, false},
		{contract.PresenceRead, contract.ReadPresence{}, nil, contract.PresenceList{}, false},
		{contract.ConnectionsList, contract.ListConnections{}, nil, contract.UserConnections{}, false},
		{contract.RoomsList, contract.ListRooms{}, nil, contract.ConnectionRooms{}, true},
		{contract.PublishesRead, contract.ReadPublish{}, nil, contract.PublishStatus{}, true},
	} {
		s := b.object(o.request, request, o.only...)
		s.Title, s.Description = pascal(o.name)+"Request", b.source.comments[o.name]
		*s.Properties.get("op") = schema{Const: o.name}
		if _, ok := o.request.(contract.Participants); ok {
			needUsers(s, o.name)
		}
		answer := b.reference(b.object(o.answer, answered))
		if o.nullable {
			answer = orNull(answer)
		}
		b.reference(s)
		all = append(all, operation{o.name, s, answer})
	}
	return all
}

// needUsers makes the users of a participants request, which a list has none of, required; only set may name nobody.
func needUsers(s *schema, op string) {
	users := s.Properties.get("users")
	if users == nil {
		return
	}
	users.Type, users.Description = "array", ""
	if op != contract.ParticipantsSet {
		users.MinItems = 1
	}
	s.Required = append(s.Required, "users")
}

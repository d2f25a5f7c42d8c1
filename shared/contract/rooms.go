package contract

import "strings"

const (
	userPrefix         = "user:"
	conversationPrefix = "conversation:"
	groupPrefix        = "group:"
)

// UserRoom is the personal room, joined by every socket of the user.
func UserRoom(id string) string { return userPrefix + id }

// ConversationRoom is the room of a conversation's subscribed clients.
func ConversationRoom(id string) string { return conversationPrefix + id }

// GroupRoom is the room of a group, reserved in the contract.
func GroupRoom(id string) string { return groupPrefix + id }

// ConversationID is the conversation a room belongs to; ok is false for any other kind of room.
func ConversationID(room string) (id string, ok bool) {
	return strings.CutPrefix(room, conversationPrefix)
}

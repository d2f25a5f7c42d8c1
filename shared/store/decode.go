package store

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// RoomSocket is a ROOM row: a socket that is in a room, or was.
type RoomSocket struct {
	Room   string
	Socket realtime.Socket // ConnectedAt is up to a second late
	At     time.Time       // of the last join or leave
	Left   realtime.Left
}

// Participant is a PART row: a user who takes part in a conversation.
type Participant struct {
	Conversation, User string
}

// Decode makes of an item of the table what it says, for whoever looks at the table as a whole: a realtime.Connection, a
// realtime.Presence, a RoomSocket or a Participant; nil for the other kinds, and for an item that has expired by now.
func Decode(from map[string]types.AttributeValue, now func() time.Time) (any, error) {
	const op = "decode"
	var k struct {
		PK  string `dynamodbav:"pk"`
		SK  string `dynamodbav:"sk"`
		Exp int64  `dynamodbav:"exp"`
	}
	if err := decode(op, key{}, from, &k); err != nil {
		return nil, err
	}
	t := &table{now: now}
	of := key{k.PK, k.SK}
	switch user, isUser := strings.CutPrefix(k.PK, contract.UserRoom("")); {
	case t.expired(k.Exp):
		return nil, nil //nolint:nilnil // it is not there any more
	case strings.HasPrefix(k.PK, connectionPrefix):
		var row connectionRow
		err := decode(op, of, from, &row)
		return row.connection(), err
	case isUser:
		return (&Presences{t}).presence(op, user, from)
	case strings.HasPrefix(k.SK, roomPrefix):
		var row roomRow
		err := decode(op, of, from, &row)
		return RoomSocket{Room: k.PK, Socket: row.socket(), At: fromMillis(row.T), Left: realtime.Left(row.Left)}, err
	case strings.HasPrefix(k.SK, participantPrefix):
		conversation, _ := contract.ConversationID(k.PK)
		return Participant{Conversation: conversation, User: strings.TrimPrefix(k.SK, participantPrefix)}, nil
	}
	return nil, nil //nolint:nilnil // of another kind
}

// socket is the one that the row puts into its room.
func (r roomRow) socket() realtime.Socket {
	return realtime.Socket{
		ID:          roomConnection(r.SK),
		UserID:      r.User,
		Protocol:    wire.Protocol(r.Protocol),
		ConnectedAt: time.Unix(r.Exp, 0).Add(-membershipAge).UTC(),
	}
}

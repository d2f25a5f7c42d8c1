package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// Presences are the USER items: realtime.Presences. One item has all sockets of a user, each a top-level attribute, and
// their number, so that a single conditional write decides which socket is the first to come or the last to go. (An
// update in a nested map fails where the map is missing, and an expression cannot create it and write into it.)
type Presences struct{ *table }

// userAge, after the last socket left, is how long lastSeen is remembered.
const userAge = 90 * 24 * time.Hour

type userRow struct {
	Version  int64 `dynamodbav:"v"`
	LastSeen int64 `dynamodbav:"lastSeen"` // ms
	Exp      int64 `dynamodbav:"exp"`
}

// userSocket is a socket's attribute. It also has heartbeat, ms, once one was written: only conditions look at it.
type userSocket struct {
	ConnectedAt int64  `dynamodbav:"connectedAt"` // ms
	LastSeen    int64  `dynamodbav:"lastSeen"`    // ms
	UserAgent   string `dynamodbav:"userAgent,omitempty"`
	IP          string `dynamodbav:"ip,omitempty"`
	Protocol    string `dynamodbav:"protocol"`
}

// Add implements realtime.Presences.
func (p *Presences) Add(ctx context.Context, user string, s realtime.PresenceSocket, limit int) (realtime.Presence, error) {
	const op = "add socket"
	k := userKey(user)
	socket, err := attributevalue.Marshal(userSocket{
		ConnectedAt: millis(s.ConnectedAt),
		LastSeen:    millis(s.LastSeen),
		UserAgent:   s.UserAgent,
		IP:          s.IP,
		Protocol:    string(s.Protocol),
	})
	if err != nil {
		return realtime.Presence{}, failure(op, k, err)
	}
	found, err := p.update(ctx, op, k, &dynamodb.UpdateItemInput{
		UpdateExpression:         new("SET #c = :c, #lastSeen = :t REMOVE #exp ADD #sockets :one, #v :one"),
		ConditionExpression:      new("attribute_not_exists(#c) AND (attribute_not_exists(#sockets) OR #sockets < :limit)"),
		ExpressionAttributeNames: socketAlias(s.ID),
		ExpressionAttributeValues: values{
			":c":     socket,
			":t":     number(millis(s.LastSeen)),
			":one":   number(1),
			":limit": number(limit),
		},
		ReturnValues: types.ReturnValueAllNew,
	})
	switch {
	case errors.Is(err, errCondition) && found[socketPrefix+s.ID] == nil:
		return realtime.Presence{}, realtime.ErrFull
	case errors.Is(err, errCondition):
		presence, err := p.presence(op, user, found)
		return presence, cmp.Or(err, realtime.ErrExists)
	case err != nil:
		return realtime.Presence{}, err
	}
	return p.presence(op, user, found)
}

// Remove implements realtime.Presences.
func (p *Presences) Remove(ctx context.Context, user, id string, at, connectedBefore time.Time) (realtime.Presence, error) {
	const op = "remove socket"
	condition := "attribute_exists(#c)"
	v := values{
		":t":     number(millis(at)),
		":exp":   number(at.Add(userAge).Unix()),
		":minus": number(-1),
		":one":   number(1),
	}
	if !connectedBefore.IsZero() {
		condition += " AND #c.#connectedAt < :before"
		v[":before"] = number(millis(connectedBefore))
	}
	found, err := p.update(ctx, op, userKey(user), &dynamodb.UpdateItemInput{
		UpdateExpression:          new("REMOVE #c SET #lastSeen = :t, #exp = :exp ADD #sockets :minus, #v :one"),
		ConditionExpression:       &condition,
		ExpressionAttributeNames:  socketAlias(id),
		ExpressionAttributeValues: v,
		ReturnValues:              types.ReturnValueAllNew,
	})
	switch {
	case errors.Is(err, errCondition) && found[socketPrefix+id] == nil:
		return realtime.Presence{}, realtime.ErrNotFound
	case errors.Is(err, errCondition):
		return realtime.Presence{}, realtime.ErrTooYoung
	case err != nil:
		return realtime.Presence{}, err
	}
	return p.presence(op, user, found)
}

// Touch implements realtime.Presences.
func (p *Presences) Touch(ctx context.Context, user, id string, at time.Time, apart time.Duration) (realtime.Presence, error) {
	const op = "record heartbeat"
	found, err := p.update(ctx, op, userKey(user), &dynamodb.UpdateItemInput{
		UpdateExpression: new("SET #c.#lastSeen = :t, #c.#heartbeat = :t, #lastSeen = :t"),
		ConditionExpression: new("attribute_exists(#c) AND" +
			" (attribute_not_exists(#c.#heartbeat) OR #c.#heartbeat <= :before)"),
		ExpressionAttributeNames: socketAlias(id),
		ExpressionAttributeValues: values{
			":t":      number(millis(at)),
			":before": number(millis(at.Add(-apart))),
		},
		ReturnValues: types.ReturnValueAllNew,
	})
	switch {
	case errors.Is(err, errCondition) && found[socketPrefix+id] == nil:
		return realtime.Presence{}, realtime.ErrNotFound
	case errors.Is(err, errCondition):
		return realtime.Presence{}, realtime.ErrTooSoon
	case err != nil:
		return realtime.Presence{}, err
	}
	return p.presence(op, user, found)
}

// Read implements realtime.Presences.
func (p *Presences) Read(ctx context.Context, user string) (realtime.Presence, error) {
	const op = "read presence"
	found, err := p.get(ctx, op, userKey(user), true)
	if err != nil {
		return realtime.Presence{}, err
	}
	return p.presence(op, user, found)
}

func socketAlias(id string) map[string]string { return map[string]string{"#c": socketPrefix + id} }

// presence reads a USER item, nil for none. The sockets are in the order in which they connected.
func (p *Presences) presence(op, user string, from item) (realtime.Presence, error) {
	k := userKey(user)
	var row userRow
	if err := decode(op, k, from, &row); err != nil {
		return realtime.Presence{}, err
	}
	if from == nil || p.expired(row.Exp) {
		return realtime.Presence{}, nil
	}
	presence := realtime.Presence{UserID: user, Version: row.Version, LastSeen: fromMillis(row.LastSeen)}
	for name, value := range from {
		id, ok := strings.CutPrefix(name, socketPrefix)
		if !ok {
			continue
		}
		var socket userSocket
		if err := attributevalue.Unmarshal(value, &socket); err != nil {
			return realtime.Presence{}, failure(op, k, err)
		}
		presence.Sockets = append(presence.Sockets, realtime.PresenceSocket{
			Socket: realtime.Socket{
				ID:          id,
				UserID:      user,
				Protocol:    wire.Protocol(socket.Protocol),
				ConnectedAt: fromMillis(socket.ConnectedAt),
			},
			LastSeen:  fromMillis(socket.LastSeen),
			UserAgent: socket.UserAgent,
			IP:        socket.IP,
		})
	}
	slices.SortFunc(presence.Sockets, func(a, b realtime.PresenceSocket) int {
		return cmp.Or(a.ConnectedAt.Compare(b.ConnectedAt), strings.Compare(a.ID, b.ID))
	})
	return presence, nil
}

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
	Denied   int64 `dynamodbav:"denied"`   // s
	Exp      int64 `dynamodbav:"exp"`
}

// userSocket is a socket's attribute. It also has heartbeat, ms, once one was written: only conditions look at it.
type userSocket struct {
	ConnectedAt int64  `dynamodbav:"connectedAt"`       // ms
	Entered     int64  `dynamodbav:"entered,omitempty"` // ms
	LastSeen    int64  `dynamodbav:"lastSeen"`          // ms
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
		Entered:     millis(s.Entered),
		LastSeen:    millis(s.LastSeen),
		UserAgent:   s.UserAgent,
		IP:          s.IP,
		Protocol:    string(s.Protocol),
	})
	if err != nil {
		return realtime.Presence{}, failure(op, k, err)
	}
	found, err := p.update(ctx, op, k, &dynamodb.UpdateItemInput{
		UpdateExpression: new("SET #c = :c, #lastSeen = :t REMOVE #exp, #denied ADD #sockets :one, #v :one"),
		ConditionExpression: new("attribute_not_exists(#c) AND (attribute_not_exists(#sockets) OR #sockets < :limit)" +
			" AND (attribute_not_exists(#denied) OR #denied <= :now)"),
		ExpressionAttributeNames: socketAlias(s.ID),
		ExpressionAttributeValues: values{
			":c":     socket,
			":t":     number(millis(s.LastSeen)),
			":one":   number(1),
			":limit": number(limit),
			":now":   number(p.now().Unix()),
		},
		ReturnValues: types.ReturnValueAllNew,
	})
	if errors.Is(err, errCondition) {
		return p.notAdded(op, user, s.ID, found)
	}
	if err != nil {
		return realtime.Presence{}, err
	}
	return p.presence(op, user, found)
}

// notAdded says why the condition of Add did not hold, by the item.
func (p *Presences) notAdded(op, user, id string, found item) (realtime.Presence, error) {
	presence, err := p.presence(op, user, found)
	switch {
	case err != nil:
		return realtime.Presence{}, err
	case found[socketPrefix+id] != nil:
		return presence, realtime.ErrExists
	case presence.DeniedUntil.After(p.now()):
		return realtime.Presence{}, &realtime.Denied{Until: presence.DeniedUntil}
	}
	return realtime.Presence{}, realtime.ErrFull
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

// ReadAll implements realtime.Users: an item each, 100 in a request.
func (p *Presences) ReadAll(ctx context.Context, users []string) ([]realtime.Presence, error) {
	const op = "read presences"
	distinct := slices.Clone(users) // as BatchGetItem wants its keys
	slices.Sort(distinct)
	distinct = slices.Compact(distinct)
	keys := make([]key, len(distinct))
	for i, user := range distinct {
		keys[i] = userKey(user)
	}
	found, err := p.getAll(ctx, op, key{pk: userKey("").pk}, keys)
	if err != nil {
		return nil, err
	}
	items := make(map[string]item, len(found))
	for _, row := range found {
		if pk, ok := row[PartitionKey].(*types.AttributeValueMemberS); ok {
			items[pk.Value] = row
		}
	}
	presences := make([]realtime.Presence, len(users))
	for i, user := range users {
		if presences[i], err = p.presence(op, user, items[userKey(user).pk]); err != nil {
			return nil, err
		}
	}
	return presences, nil
}

// Deny implements realtime.Users. The item may be made by it, or be about to expire: it stays as long as after the end of a
// socket. One that has sockets may have exp as well, because no socket lives for so long.
func (p *Presences) Deny(ctx context.Context, user string, until time.Time) error {
	in := &dynamodb.UpdateItemInput{
		UpdateExpression: new("SET #denied = :until, #exp = :exp"),
		ExpressionAttributeValues: values{
			":until": number(until.Unix()),
			":exp":   number(p.now().Add(userAge).Unix()),
		},
	}
	if until.IsZero() {
		in = &dynamodb.UpdateItemInput{
			UpdateExpression:    new("REMOVE #denied"),
			ConditionExpression: new("attribute_exists(#denied)"),
		}
	}
	_, err := p.update(ctx, "deny user", userKey(user), in)
	if errors.Is(err, errCondition) {
		return nil // nobody was denied
	}
	return err
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
	presence := realtime.Presence{
		UserID: user, Version: row.Version, LastSeen: fromMillis(row.LastSeen), DeniedUntil: fromMillis(row.Denied * 1000),
	}
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
			Entered:   fromMillis(socket.Entered),
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

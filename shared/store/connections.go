package store

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"example.org/realtime/shared/realtime"
	"example.org/realtime/shared/wire"
)

// Connections are the CONN rows: realtime.Connections, ConnectionRooms, Everyone and Walker.
type Connections struct{ *table }

// connectionAge, after which TTL takes a row. Sweep has ended it long before.
const connectionAge = 24 * time.Hour

type connectionRow struct {
	ID          string   `dynamodbav:"sk"`
	User        string   `dynamodbav:"user,omitempty"`
	Protocol    string   `dynamodbav:"protocol"`
	ConnectedAt int64    `dynamodbav:"connectedAt"`           // ms
	TokenExpiry int64    `dynamodbav:"tokenExpiry,omitempty"` // s
	Rooms       []string `dynamodbav:"rooms,stringset,omitempty"`
	Gone        int64    `dynamodbav:"gone,omitempty"` // ms
	Was         string   `dynamodbav:"was,omitempty"`
	Entered     int64    `dynamodbav:"entered,omitempty"` // ms
	Idle        int64    `dynamodbav:"idle,omitempty"`    // ms
	Pong        int64    `dynamodbav:"pong,omitempty"`    // ms
	Exp         int64    `dynamodbav:"exp"`
}

func (r connectionRow) connection() realtime.Connection {
	return realtime.Connection{
		ID:          r.ID,
		UserID:      r.User,
		Protocol:    wire.Protocol(r.Protocol),
		ConnectedAt: fromMillis(r.ConnectedAt),
		TokenExpiry: fromMillis(r.TokenExpiry * 1000),
		Rooms:       r.Rooms,
		Gone:        fromMillis(r.Gone),
		Was:         r.Was,
		Entered:     fromMillis(r.Entered),
		Idle:        fromMillis(r.Idle),
		Pong:        fromMillis(r.Pong),
	}
}

func (r connectionRow) socket() realtime.Socket {
	return realtime.Socket{ID: r.ID, UserID: r.User, Protocol: wire.Protocol(r.Protocol), ConnectedAt: fromMillis(r.ConnectedAt)}
}

// Put implements realtime.Connections.
func (s *Connections) Put(ctx context.Context, c realtime.Connection) error {
	const op = "record connection"
	k := connectionKey(c.ID)
	row := connectionRow{
		ID:          c.ID,
		User:        c.UserID,
		Protocol:    string(c.Protocol),
		ConnectedAt: millis(c.ConnectedAt),
		TokenExpiry: millis(c.TokenExpiry) / 1000,
		Rooms:       c.Rooms,
		Gone:        millis(c.Gone),
		Exp:         c.ConnectedAt.Add(connectionAge).Unix(),
	}
	there, err := s.put(ctx, op, k, row, &dynamodb.PutItemInput{ConditionExpression: new("attribute_not_exists(#pk)")})
	switch {
	case errors.Is(err, errCondition) && there["gone"] != nil:
		return realtime.ErrGone
	case errors.Is(err, errCondition):
		return realtime.ErrExists
	}
	return err
}

// Get implements realtime.Connections.
func (s *Connections) Get(ctx context.Context, id string) (realtime.Connection, error) {
	const op = "read connection"
	k := connectionKey(id)
	found, err := s.get(ctx, op, k, true)
	if err != nil {
		return realtime.Connection{}, err
	}
	var row connectionRow
	if err := decode(op, k, found, &row); err != nil {
		return realtime.Connection{}, err
	}
	if found == nil || s.expired(row.Exp) {
		return realtime.Connection{}, realtime.ErrNotFound
	}
	return row.connection(), nil
}

// End implements realtime.Connections. What the row has already stays.
func (s *Connections) End(ctx context.Context, c realtime.Connection) error {
	set := "SET #gone = if_not_exists(#gone, :gone), #protocol = if_not_exists(#protocol, :protocol)," +
		" #connectedAt = if_not_exists(#connectedAt, :connectedAt), #exp = if_not_exists(#exp, :exp)"
	v := values{
		":gone":        number(millis(c.Gone)),
		":protocol":    text(string(c.Protocol)),
		":connectedAt": number(millis(c.ConnectedAt)),
		":exp":         number(c.ConnectedAt.Add(connectionAge).Unix()),
	}
	var condition *string
	if c.UserID != "" {
		set += ", #user = if_not_exists(#user, :user)"
		v[":user"] = text(c.UserID)
		condition = new("attribute_exists(#user) OR attribute_not_exists(#was)")
	}
	_, err := s.update(ctx, "end connection", connectionKey(c.ID), &dynamodb.UpdateItemInput{
		UpdateExpression:          &set,
		ConditionExpression:       condition,
		ExpressionAttributeValues: v,
	})
	if errors.Is(err, errCondition) {
		return realtime.ErrChanged
	}
	return err
}

// Delete implements realtime.Connections. A row that is not there is deleted already.
func (s *Connections) Delete(ctx context.Context, c realtime.Connection) error {
	same, v := unchanged(c)
	_, err := s.delete(ctx, "delete connection", connectionKey(c.ID), &dynamodb.DeleteItemInput{
		ConditionExpression:       new("attribute_not_exists(#pk) OR (" + same + ")"),
		ExpressionAttributeValues: v,
	})
	if errors.Is(err, errCondition) {
		return realtime.ErrChanged
	}
	return err
}

// unchanged is the condition that the row still has the user and the rooms of c; the values are nil where there are none.
func unchanged(c realtime.Connection) (condition string, v values) {
	user, rooms := "attribute_not_exists(#user)", "attribute_not_exists(#rooms)"
	if c.UserID != "" || len(c.Rooms) > 0 {
		v = make(values)
	}
	if c.UserID != "" {
		user, v[":user"] = "#user = :user", text(c.UserID)
	}
	if len(c.Rooms) > 0 {
		rooms, v[":rooms"] = "#rooms = :rooms", texts(c.Rooms)
	}
	return user + " AND " + rooms, v
}

// AddRoom implements realtime.ConnectionRooms.
func (s *Connections) AddRoom(ctx context.Context, id string, entered time.Time, room string, limit int) error {
	const op = "record room"
	k := connectionKey(id)
	v := values{
		":rooms": texts([]string{room}),
		":room":  text(room),
		":limit": number(limit),
	}
	session := "attribute_not_exists(#entered)"
	if !entered.IsZero() {
		session, v[":entered"] = "#entered = :entered", number(millis(entered))
	}
	there, err := s.update(ctx, op, k, &dynamodb.UpdateItemInput{
		UpdateExpression: new("ADD #rooms :rooms"),
		ConditionExpression: new("attribute_exists(#user) AND " + session +
			" AND (contains(#rooms, :room) OR attribute_not_exists(#rooms) OR size(#rooms) < :limit)"),
		ExpressionAttributeValues: v,
	})
	if !errors.Is(err, errCondition) {
		return err
	}
	var row connectionRow
	if err := decode(op, k, there, &row); err != nil {
		return err
	}
	if row.User == "" || row.Entered != millis(entered) {
		return realtime.ErrNotFound
	}
	return realtime.ErrFull
}

// DropRooms implements realtime.ConnectionRooms. It creates no row.
func (s *Connections) DropRooms(ctx context.Context, id string, rooms []string) error {
	if len(rooms) == 0 {
		return nil
	}
	_, err := s.update(ctx, "drop rooms", connectionKey(id), &dynamodb.UpdateItemInput{
		UpdateExpression:          new("DELETE #rooms :rooms"),
		ConditionExpression:       new("attribute_exists(#rooms)"),
		ExpressionAttributeValues: values{":rooms": texts(rooms)},
	})
	if errors.Is(err, errCondition) {
		return nil
	}
	return err
}

// queriesAtOnce stays below the 10 idle connections to a host that the SDK's HTTP client keeps.
const queriesAtOnce = 8

// All implements realtime.Everyone: a query for each shard. A list of at most limit is whole.
func (s *Connections) All(ctx context.Context, limit int) ([]realtime.Socket, error) {
	var (
		shards [realtime.Shards][]realtime.Socket
		found  atomic.Int64
	)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(queriesAtOnce)
	for shard := range shards {
		g.Go(func() (err error) {
			shards[shard], err = s.sockets(ctx, shard, limit, &found)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(shards[:]...), nil
}

// AllIn implements realtime.Everyone.
func (s *Connections) AllIn(ctx context.Context, shard int) ([]realtime.Socket, error) {
	return s.sockets(ctx, shard, 0, new(atomic.Int64))
}

// sockets lists a shard until all shards together have found more than limit.
func (s *Connections) sockets(ctx context.Context, shard, limit int, found *atomic.Int64) (sockets []realtime.Socket, err error) {
	for after := ""; limit == 0 || found.Load() <= int64(limit); {
		in := &dynamodb.QueryInput{
			ConsistentRead:       new(true),
			ProjectionExpression: new("#sk, #user, #protocol, #connectedAt, #gone, #exp"), // rooms may be large
		}
		if limit > 0 {
			in.Limit = pageOf(limit/realtime.Shards*2 + 16) // twice a shard's share, so that one page does
		}
		var rows []connectionRow
		next, err := s.query(ctx, "list connections", shardKey(shard), after, in, &rows)
		if err != nil {
			return nil, err
		}
		before := len(sockets)
		for _, row := range rows {
			if row.User != "" && row.Gone == 0 && !s.expired(row.Exp) {
				sockets = append(sockets, row.socket())
			}
		}
		found.Add(int64(len(sockets) - before))
		if next == "" {
			break
		}
		after = next
	}
	return sockets, nil
}

// walkPage is about a second of sweep's work.
const walkPage = 1000

// Page implements realtime.Walker: at most 1 000 connections, rooms included, expired rows included.
func (s *Connections) Page(ctx context.Context, shard int, after string) (page []realtime.Connection, next string, err error) {
	var rows []connectionRow
	next, err = s.query(ctx, "walk connections", shardKey(shard), after, &dynamodb.QueryInput{Limit: pageOf(walkPage)}, &rows)
	if err != nil {
		return nil, "", err
	}
	for _, row := range rows {
		page = append(page, row.connection())
	}
	return page, next, nil
}

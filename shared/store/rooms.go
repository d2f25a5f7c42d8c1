package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

// Rooms are the ROOM rows: realtime.Rooms. The latest operation has the row whatever order they come in; of a join and
// a leave at the same millisecond the leave has it.
type Rooms struct{ *table }

const (
	// membershipAge, after the socket connected, is when it cannot be in a room any more.
	membershipAge = contract.MaxConnectionAge + 10*time.Minute
	// tombstoneAge is how late a join may come and still lose to the leave that was later.
	tombstoneAge = 10 * time.Minute
)

type roomRow struct {
	SK       string `dynamodbav:"sk"`
	User     string `dynamodbav:"user"`
	Protocol string `dynamodbav:"protocol"`
	T        int64  `dynamodbav:"t"` // ms, of the last join or leave
	Left     string `dynamodbav:"left"`
	Exp      int64  `dynamodbav:"exp"`
}

// Join implements realtime.Rooms. The row has no connectedAt of its own: exp tells it, in whole seconds, rounded up,
// because a socket that seems younger than it is gets another try where one that seems older would not.
func (r *Rooms) Join(ctx context.Context, room string, s realtime.Socket, at time.Time) error {
	const op = "join"
	k := roomKey(room, s.ID)
	there, err := r.update(ctx, op, k, &dynamodb.UpdateItemInput{
		UpdateExpression:    new("SET #user = :user, #protocol = :protocol, #t = :t, #exp = :exp REMOVE #left"),
		ConditionExpression: new("attribute_not_exists(#t) OR #t < :t OR (#t = :t AND attribute_not_exists(#left))"),
		ExpressionAttributeValues: values{
			":user":     text(s.UserID),
			":protocol": text(string(s.Protocol)),
			":t":        number(millis(at)),
			":exp":      number(s.ConnectedAt.Add(membershipAge + time.Second - time.Millisecond).Unix()),
		},
	})
	return overtaken(op, k, there, err)
}

// Leave implements realtime.Rooms.
func (r *Rooms) Leave(ctx context.Context, room string, s realtime.Socket, why realtime.Left, at time.Time) error {
	const op = "leave"
	k := roomKey(room, s.ID)
	there, err := r.update(ctx, op, k, &dynamodb.UpdateItemInput{
		UpdateExpression:    new("SET #user = :user, #protocol = :protocol, #t = :t, #exp = :exp, #left = :left"),
		ConditionExpression: new("attribute_not_exists(#t) OR #t <= :t"),
		ExpressionAttributeValues: values{
			":user":     text(s.UserID),
			":protocol": text(string(s.Protocol)),
			":t":        number(millis(at)),
			":exp":      number(r.now().Add(tombstoneAge).Unix()),
			":left":     text(string(why)),
		},
	})
	return overtaken(op, k, there, err)
}

// overtaken makes a failed condition a *realtime.RoomConflict.
func overtaken(op string, k key, there item, err error) error {
	if !errors.Is(err, errCondition) {
		return err
	}
	var row roomRow
	if err := decode(op, k, there, &row); err != nil {
		return err
	}
	return &realtime.RoomConflict{At: fromMillis(row.T), Left: realtime.Left(row.Left)}
}

// Delete implements realtime.Rooms. A row that is not there, or that a later operation has, is no error.
func (r *Rooms) Delete(ctx context.Context, room, id string, at time.Time) error {
	in := &dynamodb.DeleteItemInput{}
	if !at.IsZero() {
		in.ConditionExpression = new("#t = :t AND attribute_not_exists(#left)")
		in.ExpressionAttributeValues = values{":t": number(millis(at))}
	}
	_, err := r.delete(ctx, "delete room row", roomKey(room, id), in)
	if errors.Is(err, errCondition) {
		return nil
	}
	return err
}

// Sockets implements realtime.Rooms. A list of at most limit is whole; a socket's ConnectedAt is up to a second late. A room
// that is more than a page, 1 MB or about 8 000 sockets, is read on in its shards side by side.
func (r *Rooms) Sockets(ctx context.Context, room string, limit int) (sockets []realtime.Socket, err error) {
	all := key{room, roomPrefix}
	for after := ""; ; {
		page, next, err := r.page(ctx, all, after, limit)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, page...)
		switch {
		case next == "" || limit > 0 && len(sockets) > limit:
			return sockets, nil
		case limit == 0:
			rest, err := r.rest(ctx, room, next)
			return append(sockets, rest...), err
		}
		after = next
	}
}

// SocketsIn implements realtime.Rooms.
func (r *Rooms) SocketsIn(ctx context.Context, room string, shard int) ([]realtime.Socket, error) {
	return r.sockets(ctx, key{room, roomShard(shard)}, "")
}

// rest lists a room past a sort key.
func (r *Rooms) rest(ctx context.Context, room, after string) ([]realtime.Socket, error) {
	var shards [realtime.Shards][]realtime.Socket
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(queriesAtOnce)
	for shard := realtime.Shard(roomConnection(after)); shard < realtime.Shards; shard++ {
		from := after
		after = ""
		g.Go(func() (err error) {
			shards[shard], err = r.sockets(ctx, key{room, roomShard(shard)}, from)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(shards[:]...), nil
}

// sockets lists the rows that begin with from, past the sort key after.
func (r *Rooms) sockets(ctx context.Context, from key, after string) (sockets []realtime.Socket, err error) {
	for {
		page, next, err := r.page(ctx, from, after, 0)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, page...)
		if next == "" {
			return sockets, nil
		}
		after = next
	}
}

// page lists some of the rows that begin with from: those in the room, of about limit if it is not 0.
func (r *Rooms) page(ctx context.Context, from key, after string, limit int) (sockets []realtime.Socket, next string, err error) {
	in := &dynamodb.QueryInput{ConsistentRead: new(true)}
	if limit > 0 {
		in.Limit = pageOf(limit + 1)
	}
	var rows []roomRow
	next, err = r.query(ctx, "list room", from, after, in, &rows)
	if err != nil {
		return nil, "", err
	}
	for _, row := range rows {
		if r.joined(row) {
			sockets = append(sockets, row.socket())
		}
	}
	return sockets, next, nil
}

// Without implements realtime.Rooms.
func (r *Rooms) Without(ctx context.Context, id string, rooms []string) ([]string, error) {
	const op = "look for rooms of connection"
	of := key{pk: id}
	keys := make([]key, len(rooms))
	for i, room := range rooms {
		keys[i] = roomKey(room, id)
	}
	found, err := r.getAll(ctx, op, of, keys)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		PK string `dynamodbav:"pk"`
		roomRow
	}
	if err := attributevalue.UnmarshalListOfMaps(found, &rows); err != nil {
		return nil, failure(op, of, err)
	}
	in := make(map[string]bool, len(rows))
	for _, row := range rows {
		in[row.PK] = r.joined(row.roomRow)
	}
	var without []string
	for _, room := range rooms {
		if !in[room] {
			without = append(without, room)
		}
	}
	return without, nil
}

// joined tells whether the socket is in the room.
func (r *Rooms) joined(row roomRow) bool {
	return realtime.Left(row.Left) == realtime.Joined && !r.expired(row.Exp)
}

package realtime

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"example.org/realtime/shared/contract"
)

// What the rules need from outside. The table (shared/store), the connection management API (shared/push) and Lambda
// (shared/invoke) satisfy these interfaces as they are. All of them may be called concurrently, and every write may
// happen twice. An error that is none of those below means that it is not known whether the call took effect.

// Answers of the ports that are not failures.
var (
	ErrNotFound  = errors.New("not found")         // there is no such row or entry, or no longer
	ErrExists    = errors.New("exists already")    // written before, by our own retry
	ErrGone      = errors.New("gone")              // the connection has ended
	ErrFull      = errors.New("full")              // at its limit
	ErrTooSoon   = errors.New("too soon")          // the last one is too young
	ErrTooYoung  = errors.New("too young")         // the socket may still be in its handshake
	ErrChanged   = errors.New("changed meanwhile") // read again
	ErrBusy      = errors.New("busy")              // another invocation is at work
	ErrThrottled = errors.New("throttled")         // 429: over the rate, or the client's buffer is full
	ErrNotSent   = errors.New("not sent")          // the post certainly did not reach API Gateway
	ErrRejected  = errors.New("rejected")          // any other 4xx: it will be answered so again
)

// RoomConflict answers a join or leave that a later operation has overtaken.
type RoomConflict struct {
	At   time.Time // of the operation that the row has
	Left Left      // its outcome
}

// Error implements error.
func (c *RoomConflict) Error() string {
	return fmt.Sprintf("overtaken by %q at %d", string(c.Left), c.At.UnixMilli())
}

// Denied answers the coming of a socket whose user a backend keeps out.
type Denied struct {
	Until time.Time // whole seconds
}

// Error implements error.
func (d *Denied) Error() string { return "denied until " + d.Until.UTC().Format(time.RFC3339) }

// Connections are the CONN rows.
type Connections interface {
	// Put records a new connection. ErrGone: its end came first. ErrExists: it is recorded already.
	Put(ctx context.Context, c Connection) error
	// Get reads it, consistent. ErrNotFound: there is none.
	Get(ctx context.Context, id string) (Connection, error)
	// End marks it as ended at c.Gone, and creates the row from c where there is none, for sweep to finish. ErrChanged: c has a user, and
	// it has left the namespace.
	End(ctx context.Context, c Connection) error
	// Delete deletes the row if it still has the user and the rooms of c. ErrChanged: it has others now.
	Delete(ctx context.Context, c Connection) error
}

// Sessions are what CONN rows know of a Socket.IO client beyond its transport.
type Sessions interface {
	// Open notes that the open packet is about to be posted. ErrExists: that was noted before. ErrGone: it has ended.
	Open(ctx context.Context, id string) error
	// Enter gives the connection its user at that time: it is in the namespace. ErrExists: it has one, or had another. ErrGone:
	// it has ended.
	Enter(ctx context.Context, id, user string, tokenExpiry, at time.Time) error
	// Exit takes the user, which c has, and the rooms of c from the row: it has left the namespace. ErrChanged: it has others now. ErrGone:
	// it has ended.
	Exit(ctx context.Context, c Connection, at time.Time) error
	// Pong notes a pong at that time. ErrGone: the connection has ended.
	Pong(ctx context.Context, id string, at time.Time) error
}

// Tokens verifies the authentication token of a client.
type Tokens interface {
	// Verify returns who the token belongs to. A *contract.Error says why it is refused; with any other, nobody knows.
	Verify(ctx context.Context, token string) (Identity, error)
}

// ConnectionRooms are the rooms recorded in a CONN row, so that its end finds them.
type ConnectionRooms interface {
	// AddRoom records a room. ErrNotFound: the connection has ended, has no user, or is one that came into the namespace at
	// another time than entered. ErrFull: limit rooms are there, and this is none of them.
	AddRoom(ctx context.Context, id string, entered time.Time, room string, limit int) error
	// DropRooms takes rooms out of the record.
	DropRooms(ctx context.Context, id string, rooms []string) error
}

// Everyone lists the connections that have a user and have not ended.
type Everyone interface {
	// All lists them, consistent, and stops soon after limit: a list of at most limit is whole. 0 lists them all.
	All(ctx context.Context, limit int) ([]Socket, error)
	// AllIn lists those of a shard, consistent.
	AllIn(ctx context.Context, shard int) ([]Socket, error)
}

// Presences are the USER items.
type Presences interface {
	// Add adds a socket and returns the presence after it. ErrExists: it is there already; the presence comes with it.
	// ErrFull: the user has limit sockets. A *Denied: the user is kept out.
	Add(ctx context.Context, user string, s PresenceSocket, limit int) (Presence, error)
	// Remove removes a socket and returns the presence after it. ErrNotFound: there is no such socket. ErrTooYoung: it
	// connected after connectedBefore; a zero connectedBefore removes any.
	Remove(ctx context.Context, user, id string, at, connectedBefore time.Time) (Presence, error)
	// Touch is a heartbeat at that time. ErrTooSoon: the last one was less than apart before. ErrNotFound: no such socket.
	Touch(ctx context.Context, user, id string, at time.Time, apart time.Duration) (Presence, error)
	// Read reads a user's presence, consistent. A user who was never seen has the zero Presence.
	Read(ctx context.Context, user string) (Presence, error)
}

// Users are the USER items as a backend reads and marks them.
type Users interface {
	// ReadAll reads the presences of users, consistent, in the order asked. One who was never seen has the zero Presence.
	ReadAll(ctx context.Context, users []string) ([]Presence, error)
	// Deny keeps the user's further sockets out until then; the zero time lets them in again.
	Deny(ctx context.Context, user string, until time.Time) error
}

// Rooms are the ROOM rows.
type Rooms interface {
	// Join puts the socket into the room as of at. A *RoomConflict: a later operation has the row.
	Join(ctx context.Context, room string, s Socket, at time.Time) error
	// Leave takes it out as of at and keeps a tombstone for 10 minutes, also where there was no row. A *RoomConflict: a
	// later operation has the row.
	Leave(ctx context.Context, room string, s Socket, why Left, at time.Time) error
	// Delete deletes the row. A non-zero at deletes it only if the join of that time is what it has.
	Delete(ctx context.Context, room, id string, at time.Time) error
	// Sockets lists who is in the room, consistent, and stops soon after limit: a list of at most limit is whole. 0 lists
	// them all.
	Sockets(ctx context.Context, room string, limit int) ([]Socket, error)
	// SocketsIn lists those of a shard, consistent.
	SocketsIn(ctx context.Context, room string, shard int) ([]Socket, error)
	// Without lists those of the rooms, at most 100, that the socket is not in.
	Without(ctx context.Context, id string, rooms []string) ([]string, error)
}

// Members knows who takes part in a conversation.
type Members interface {
	// Allowed returns nil for a participant and a *contract.Error with Forbidden for anybody else.
	Allowed(ctx context.Context, user, conversation string) error
}

// Participants are the PART rows.
type Participants interface {
	// Add tells whether the user was none before.
	Add(ctx context.Context, conversation, user string) (bool, error)
	// Remove tells whether the user was one before.
	Remove(ctx context.Context, conversation, user string) (bool, error)
	// List is a page in order of user id, after that user; next is "" on the last page.
	List(ctx context.Context, conversation, after string) (users []string, next string, err error)
}

// Ledger remembers publishes by their id.
type Ledger interface {
	// Begin claims a publish. A Record that is Done: there is nothing left to do. One with Parts: it was split, and whoever did, or
	// all who were at work on its parts, died; the claim goes on with that. ErrBusy: another invocation has it. ErrChanged: the id was used with another hash.
	Begin(ctx context.Context, c Claim) (Record, error)
	// Split stores how a claimed publish is split: Answer, Parts and Begun. ErrBusy: the claim was lost.
	Split(ctx context.Context, id, owner string, r Record) error
	// End stores the answer. ErrBusy: the claim was lost to another invocation.
	End(ctx context.Context, id, owner string, answer []byte) error
	// Release gives the claim back: nothing was posted. A publish that was split keeps its record.
	Release(ctx context.Context, id, owner string) error
	// Finish notes, once, that all parts of a split publish are done, and returns what they add up to. ErrBusy: some are not.
	// ErrExists: it was noted before. ErrNotFound: there is no such publish any more.
	Finish(ctx context.Context, id string, at time.Time) (contract.PublishStatus, error)
}

// Claim is a publish that an invocation is about to do.
type Claim struct {
	ID    string
	Owner string // the invocation
	Hash  string // identifies the request without its id
	Event string
	Lease time.Time // until when it is the owner's
}

// Record is what the Ledger has of a publish. The zero Record: it has just begun.
type Record struct {
	Answer []byte    // as it was given, or, of one that is split and not Done, will be
	Done   bool      // it was answered
	Parts  int       // workers that it is split over; 0: none
	Begun  time.Time // when it was split
}

// Parts are the checkpoints of the workers of split publishes.
type Parts interface {
	// Begin takes a part for owner until lease, and tells where it is; the zero Part is its beginning. One that is Done is not
	// taken. It is remembered for as long as a publish that was split at begun. ErrBusy: another invocation has it. ErrExists:
	// one of a greater depth has it.
	Begin(ctx context.Context, key PartKey, owner string, depth int, begun, lease time.Time) (Part, error)
	// Save stores how far the part is. ErrBusy: it was lost to another invocation.
	Save(ctx context.Context, key PartKey, owner string, p Part) error
	// End stores how far the part is and gives it back. ErrBusy: it was lost.
	End(ctx context.Context, key PartKey, owner string, p Part) error
}

// PartKey names a part of a publish, from 0.
type PartKey struct {
	ID   string
	Part int
}

// Part is how far a worker of a split publish has come.
type Part struct {
	Shards int    // of its shards that it is through with
	After  string // the connection in the next shard up to which, by id, it has posted; "": none yet
	Done   bool

	Delivered, Gone, Failed int // sockets so far
}

// Publishes reads what the Ledger has.
type Publishes interface {
	// Read tells what has become of a publish, consistent. ErrNotFound: there is none with that id, or none of the last
	// 24 hours.
	Read(ctx context.Context, id string) (contract.PublishStatus, error)
}

// Poster is the connection management API.
type Poster interface {
	// Post sends one text message. ErrGone: the connection has ended, or its handshake has not. ErrThrottled. ErrNotSent.
	// ErrRejected.
	Post(ctx context.Context, id string, message []byte) error
	// Close closes the connection. ErrGone: it has ended. ErrThrottled. ErrRejected.
	Close(ctx context.Context, id string) error
	// LastActive is when a message last went either way. ErrGone: the connection has ended. ErrThrottled. ErrRejected.
	LastActive(ctx context.Context, id string) (time.Time, error)
}

// Asker hands a job to publish, which does it at least once, soon.
type Asker interface {
	Ask(ctx context.Context, job Job) error
}

// Publishing is the publish function, whose answer is awaited.
type Publishing interface {
	Publish(ctx context.Context, req contract.Publish) (contract.Published, error)
}

// Shards is the number of parts that connections are listed and swept in.
const Shards = 16

// Shard tells the part that a connection is in, from its id.
func Shard(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return int(h.Sum32() & (Shards - 1))
}

// partShards are the shards of a part, from 0, in ascending order; those of all parts are all shards, each once.
func partShards(part, parts int) (shards []int) {
	for shard := range Shards {
		if shard*parts/Shards == part {
			shards = append(shards, shard)
		}
	}
	return shards
}

// Timer is the state of sweep, from which it goes on after a stop or a crash.
type Timer struct {
	Active int // connections, as last counted
	Peak   int // the most that ever were
	Shards [Shards]ShardTimer
}

// ShardTimer is what sweep knows of a shard.
type ShardTimer struct {
	Walked       time.Time // when its last whole walk began
	Verified     time.Time // when its last whole verification began: every connection was there at that time or later
	Count        int       // connections in it, at the last whole walk
	Walk         Walk
	Verification Verification
}

// Walk is how far a walk has come that its run had no time to end. The zero Walk: none is under way.
type Walk struct {
	Started time.Time
	After   string // the last connection that was looked at
	Count   int    // connections counted so far
}

// Verification is how far a verification has come that goes on in the next run. The zero Verification: none is under way.
type Verification struct {
	Began  time.Time
	After  string // every connection up to this one, of those that were there when it began
	Missed bool   // but for some that API Gateway did not answer for
}

// Lease is the right to sweep some shards: nobody else does meanwhile.
type Lease struct {
	Owner  string
	Shards []int // ascending
	Until  time.Time
}

// Timers is the SWEEP item.
type Timers interface {
	// Begin takes the lease, of all its shards or of none. ErrBusy: another has one of them; the timer comes with it.
	Begin(ctx context.Context, l Lease, now time.Time) (Timer, error)
	// Save stores what is known of one shard of the lease. ErrBusy: the lease was lost.
	Save(ctx context.Context, l Lease, shard int, t ShardTimer) error
	// End stores what is known of the shards of the lease, with all of them also the numbers of connections, and gives it
	// back. ErrBusy: it was lost.
	End(ctx context.Context, l Lease, t Timer) error
	// Read reads it, eventually consistent.
	Read(ctx context.Context) (Timer, error)
}

// Workers runs sweep for a part of the shards, soon, at most once.
type Workers interface {
	Start(ctx context.Context, w Worker) error
}

// Walker reads the connections of a shard for sweep.
type Walker interface {
	// Page reads some connections past after, eventually consistent, ended ones included; next is "" on the last page.
	Page(ctx context.Context, shard int, after string) (page []Connection, next string, err error)
}

// Budget is the posts that all presence jobs share, second by second.
type Budget interface {
	// Take takes so many posts out of what a second has, which is limit. ErrFull: it has no room for them.
	Take(ctx context.Context, second time.Time, posts, limit int) error
}

// Metrics takes figures worth a graph or an alarm, all of one moment.
type Metrics interface {
	Put(values map[string]float64)
}

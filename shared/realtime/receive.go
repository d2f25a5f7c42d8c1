package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// Receiver is what happens when a client connects, speaks or leaves. A function sets the ports that its events use; each
// field says who needs it.
type Receiver struct {
	Connections Connections     // connect, disconnect, join
	Recorded    ConnectionRooms // join
	Presences   Presences       // connect, disconnect, heartbeat
	Rooms       Rooms           // disconnect, join, leave
	Members     Members         // join
	Timers      Timers          // join, with PresenceGlobalMax
	Poster      Poster          // messages
	Asker       Asker           // connect, disconnect, heartbeat, join
	Metrics     Metrics
	Log         *slog.Logger
	Now         func() time.Time

	Events            []string // inbound events this function takes; others are unknown
	MaxPayload        int      // bytes of a whole message
	HeartbeatMin      time.Duration
	SocketsPerUser    int
	RoomsPerSocket    int
	PresenceGlobalMax int // 0: presence is global at any number of connections

	crowd crowd
}

// Connected is a connection whose handshake is under way.
type Connected struct {
	ConnectionID string
	Identity     Identity
	ConnectedAt  time.Time
	At           time.Time // of the event
	UserAgent    string
	IP           string
}

// Disconnected is a connection that has ended.
type Disconnected struct {
	ConnectionID string
	Identity     Identity
	ConnectedAt  time.Time
	At           time.Time // of the event
}

// Message is a WebSocket message of a client.
type Message struct {
	ConnectionID string
	Identity     Identity
	ConnectedAt  time.Time
	At           time.Time // API Gateway's, by which joins and leaves are ordered
	Body         []byte
}

// Connect records a connection and asks publish to welcome or refuse it; nothing can be posted to it before the handshake
// is done. An error fails the handshake, and leaves nothing that sweep does not end.
func (r *Receiver) Connect(ctx context.Context, e Connected) error {
	if code := e.Identity.Refused; code != "" {
		return r.refuse(ctx, e.ConnectionID, &contract.Error{Code: code, Message: refusal(code)})
	}
	c := Connection{
		ID:          e.ConnectionID,
		UserID:      e.Identity.UserID,
		Protocol:    e.Identity.Protocol,
		ConnectedAt: e.ConnectedAt,
		TokenExpiry: e.Identity.ExpiresAt,
	}
	if err := r.Connections.Put(ctx, c); err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("connect %s: %w", c.ID, err)
	}
	p, err := r.register(ctx, c, e)
	if errors.Is(err, ErrFull) {
		return r.refuseFull(ctx, c)
	}
	if err == nil {
		err = r.Asker.Ask(ctx, Job{Welcome: &Welcome{Connection: c.ID, User: c.UserID, Version: p.Version, AtMS: r.Now().UnixMilli()}})
	}
	if err != nil {
		return fmt.Errorf("connect %s: %w", c.ID, errors.Join(err, r.undo(ctx, c)))
	}
	return nil
}

// register adds the socket to its user's presence.
func (r *Receiver) register(ctx context.Context, c Connection, e Connected) (Presence, error) {
	p, err := r.Presences.Add(ctx, c.UserID, PresenceSocket{
		Socket:    Socket{ID: c.ID, UserID: c.UserID, Protocol: c.Protocol, ConnectedAt: c.ConnectedAt},
		LastSeen:  e.At,
		UserAgent: e.UserAgent,
		IP:        e.IP,
	}, r.SocketsPerUser)
	if errors.Is(err, ErrExists) {
		return p, nil
	}
	return p, err
}

// refuseFull turns away the socket of a user who has too many, and has them verified, so that the next try finds the dead
// ones gone.
func (r *Receiver) refuseFull(ctx context.Context, c Connection) error {
	if err := r.Connections.Delete(ctx, c); err != nil {
		return fmt.Errorf("refuse %s: %w", c.ID, err)
	}
	err := r.refuse(ctx, c.ID, &contract.Error{
		Code:    contract.TooManyConnections,
		Message: fmt.Sprintf("this user has %d open connections already; close one and try again", r.SocketsPerUser),
	})
	return errors.Join(err, r.Asker.Ask(ctx, Job{Verify: &Verify{User: c.UserID}}))
}

func (r *Receiver) refuse(ctx context.Context, id string, e *contract.Error) error {
	return r.Asker.Ask(ctx, Job{Refuse: &Refuse{Connection: id, Error: contract.SocketError{Code: e.Code, Message: e.Message}}})
}

func refusal(code contract.Code) string {
	if code == contract.TokenExpired {
		return "the authentication token has expired; connect again with a fresh one"
	}
	return "the authentication token is missing or invalid"
}

// undo takes back a connection whose handshake fails. The row stays, marked as ended: somebody may have been told of the
// socket meanwhile, and sweep tells them of its end.
func (r *Receiver) undo(ctx context.Context, c Connection) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	c.Gone = r.Now()
	_, err := r.Presences.Remove(ctx, c.UserID, c.ID, c.Gone, time.Time{})
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return errors.Join(err, r.Connections.End(ctx, c))
}

// Disconnect removes a connection. It may come twice, late, before Connect is done, or never. An error leaves the rest to
// sweep.
func (r *Receiver) Disconnect(ctx context.Context, e Disconnected) error {
	if e.Identity.Refused != "" {
		return nil // nothing of it is in the table
	}
	remover := &Remover{Connections: r.Connections, Presences: r.Presences, Rooms: r.Rooms, Now: r.Now}
	c, err := r.Connections.Get(ctx, e.ConnectionID)
	if errors.Is(err, ErrNotFound) {
		c, err = Connection{ID: e.ConnectionID, UserID: e.Identity.UserID, Protocol: e.Identity.Protocol, ConnectedAt: e.ConnectedAt}, nil
	}
	if err != nil {
		return fmt.Errorf("disconnect %s: %w", e.ConnectionID, err)
	}
	p, err := remover.presence(ctx, c.UserID, c.ID, e.At, time.Time{})
	if errors.Is(err, ErrNotFound) {
		c.Gone = r.Now() // its connect is not done yet, or another disconnect was here: sweep looks again
		if err := r.Connections.End(ctx, c); err != nil {
			return fmt.Errorf("disconnect %s: %w", c.ID, err)
		}
		return nil
	}
	if err == nil {
		err = r.Asker.Ask(ctx, Job{Presence: &PresenceJob{
			User: c.UserID, Version: p.Version, Rooms: conversations(c.Rooms), AtMS: r.Now().UnixMilli(),
		}})
	}
	if err == nil {
		err = remover.erase(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("disconnect %s: %w", c.ID, err)
	}
	return nil
}

// errDeaf closes a connection that the table does not know any more, so that its client comes back.
var errDeaf = errors.New("the table does not know this connection")

// Message takes one message of a client. With an id, the outcome is the ack and nothing else; without, success is silent
// and a failure is one error event. An error is one that the client could not be told of.
func (r *Receiver) Message(ctx context.Context, m Message) error {
	if code := m.Identity.Refused; code != "" {
		return r.end(ctx, m, &contract.Error{Code: code, Message: refusal(code)})
	}
	if len(m.Body) > r.MaxPayload {
		return r.end(ctx, m, &contract.Error{
			Code:    contract.PayloadTooLarge,
			Message: fmt.Sprintf("the message has %d bytes, %d at most", len(m.Body), r.MaxPayload),
		})
	}
	in, err := wire.Decode(m.Identity.Protocol, m.Body)
	if err != nil {
		err = &contract.Error{Code: contract.BadRequest, Message: err.Error()}
	} else {
		err = r.handle(ctx, m, in)
	}
	if errors.Is(err, errDeaf) {
		return ignoreGone(r.Poster.Close(ctx, m.ConnectionID))
	}
	return r.reply(ctx, m, in, err)
}

func (r *Receiver) handle(ctx context.Context, m Message, in wire.Inbound) error {
	if !slices.Contains(r.Events, in.Event) {
		return &contract.Error{Code: contract.UnknownEvent, Message: "not an event that clients send here"}
	}
	switch in.Event {
	case contract.PresenceHeartbeat:
		return r.heartbeat(ctx, m)
	case contract.ConversationsJoin:
		return r.join(ctx, m, in)
	case contract.ConversationsLeave:
		return r.leave(ctx, m, in)
	}
	return fmt.Errorf("no rule for event %q", in.Event)
}

// heartbeat refreshes the presence of the socket and tells it. Its data is never looked at.
func (r *Receiver) heartbeat(ctx context.Context, m Message) error {
	p, err := r.Presences.Touch(ctx, m.Identity.UserID, m.ConnectionID, m.At, r.HeartbeatMin)
	switch {
	case errors.Is(err, ErrTooSoon):
		return nil
	case errors.Is(err, ErrNotFound):
		return errDeaf
	case err != nil:
		return err
	}
	return r.Asker.Ask(ctx, Job{Presence: &PresenceJob{User: m.Identity.UserID, Version: p.Version, AtMS: r.Now().UnixMilli()}})
}

// reply tells the client the outcome of its event.
func (r *Receiver) reply(ctx context.Context, m Message, in wire.Inbound, err error) error {
	if err == nil && in.ID == nil {
		return nil
	}
	ack := contract.Ack{Success: err == nil}
	if err != nil {
		e := contract.ErrorOf(err)
		if e.Code == contract.Internal {
			r.Log.ErrorContext(ctx, "event failed", "event", in.Event, "connection_id", m.ConnectionID, "error", err)
			r.Metrics.Put(map[string]float64{"InternalErrors": 1})
		}
		ack.Code, ack.Message = e.Code, e.Message
	}
	var message []byte
	if in.ID != nil {
		message = wire.Ack(m.Identity.Protocol, in.ID, encode(ack))
	} else {
		message = errorEvent(m.Identity.Protocol, ack.Code, ack.Message)
	}
	return ignoreGone(r.Poster.Post(ctx, m.ConnectionID, message))
}

// end tells the client why, and closes the connection.
func (r *Receiver) end(ctx context.Context, m Message, e *contract.Error) error {
	err := r.Poster.Post(ctx, m.ConnectionID, errorEvent(m.Identity.Protocol, e.Code, e.Message))
	return errors.Join(ignoreGone(err), ignoreGone(r.Poster.Close(ctx, m.ConnectionID)))
}

func errorEvent(p wire.Protocol, code contract.Code, message string) []byte {
	return wire.Event(p, contract.ErrorEvent, encode(contract.SocketError{Code: code, Message: message}))
}

// ignoreGone drops what only says that the client has left.
func ignoreGone(err error) error {
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}

// encode marshals one of the contract's own payloads, which cannot fail.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}

package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

const (
	// patience is how long an event waits for the CONNECT before it: messages of a connection run side by side, and clients
	// emit from their connect handler. Its pauses are counted, not the clock's time: on a machine that stands still so does the CONNECT.
	patience = 2 * time.Second
	// patienceStep is the pause between two looks.
	patienceStep = 200 * time.Millisecond
	// enterAge is how long after a CONNECT its invocation may still be at work.
	enterAge = 15 * time.Second
)

// packet takes one message of a Socket.IO client, as the reference server does: what it does not understand ends the
// connection, and so does what comes for a namespace that the client is not in.
func (r *Receiver) packet(ctx context.Context, m Message) error {
	if r.Sessions == nil { // the function of one JSON event: what came here is an envelope, not a packet
		return r.close(ctx, m)
	}
	if err := r.checkSize(m); err != nil {
		return r.endSession(ctx, m, err)
	}
	p, err := wire.DecodePacket(m.Body)
	if err != nil {
		return r.endSession(ctx, m, &contract.Error{Code: contract.BadRequest, Message: err.Error()})
	}
	switch p.Type {
	case wire.PacketClose:
		return r.close(ctx, m)
	case wire.PacketPong:
		return r.pong(ctx, m)
	case wire.PacketOpen, wire.PacketPing, wire.PacketUpgrade, wire.PacketNoop:
		return nil // nothing that a client has to say
	}
	switch {
	case p.Namespace == contract.Namespace:
		return r.namespacePacket(ctx, m, p)
	case p.Namespace == "/" && p.Type == wire.PacketConnect: // some clients go through it on their way to another
		return r.post(ctx, m, wire.EncodeConnect(p.Namespace, m.ConnectionID))
	case p.Namespace == "/":
		return nil // nothing happens there
	case p.Type == wire.PacketConnect:
		return r.post(ctx, m, wire.EncodeConnectError(p.Namespace, "Invalid namespace", nil))
	}
	return r.close(ctx, m)
}

// pong notes that the client is alive. One that is not noted is the next one's work: the client has done nothing wrong.
func (r *Receiver) pong(ctx context.Context, m Message) error {
	switch err := r.Sessions.Pong(ctx, m.ConnectionID, m.At); {
	case errors.Is(err, ErrGone):
		return r.close(ctx, m)
	case err != nil:
		r.reportInternal(ctx, m, contract.ErrorOf(err), err)
	}
	return nil
}

func (r *Receiver) namespacePacket(ctx context.Context, m Message, p wire.Packet) error {
	switch p.Type {
	case wire.PacketConnect:
		return r.enterNamespace(ctx, m, p.Payload)
	case wire.PacketDisconnect:
		return r.exitNamespace(ctx, m)
	case wire.PacketAck:
		return nil // nothing here asks for one
	default:
		return r.event(ctx, m, wire.Inbound{Event: p.Event, Data: p.Data, ID: p.ID})
	}
}

func (r *Receiver) post(ctx context.Context, m Message, packet []byte) error {
	return ignoreGone(r.Poster.Post(ctx, m.ConnectionID, packet))
}

// endSession tells the client why, if it is in the namespace, and closes the connection.
func (r *Receiver) endSession(ctx context.Context, m Message, e *contract.Error) error {
	c, err := r.Connections.Get(ctx, m.ConnectionID)
	if err == nil && c.UserID != "" {
		return r.end(ctx, m, e)
	}
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return errors.Join(err, r.close(ctx, m))
}

// enterNamespace answers a CONNECT. Its answer is posted, and awaited, before anything else of the namespace can be. A failure
// after that closes the transport: its end takes back what was done, and the client tries again.
func (r *Receiver) enterNamespace(ctx context.Context, m Message, auth json.RawMessage) error {
	c, err := r.Connections.Get(ctx, m.ConnectionID)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && (c.UserID != "" || !c.Gone.IsZero()):
		return r.close(ctx, m) // it has ended, or is in the namespace already
	case err != nil:
		return errors.Join(err, r.close(ctx, m))
	}
	id, err := r.identify(ctx, m, auth)
	if err != nil {
		e := contract.ErrorOf(err)
		r.reportInternal(ctx, m, e, err)
		data := encode(contract.SocketError{Code: e.Code, Message: e.Message})
		return r.post(ctx, m, wire.EncodeConnectError(contract.Namespace, e.Message, data))
	}
	if c.Was != "" && c.Was != id.UserID {
		// What was asked of the socket as another user's may be at work still, and would have this one in its rooms: a connection
		// is one user's for life, and its client comes back by itself on another.
		return r.close(ctx, m)
	}
	err = r.Poster.Post(ctx, m.ConnectionID, wire.EncodeConnect(contract.Namespace, m.ConnectionID))
	if err != nil {
		return errors.Join(ignoreGone(err), r.close(ctx, m))
	}
	c.UserID, c.TokenExpiry, c.Entered = id.UserID, id.ExpiresAt, m.At
	if err := r.settle(ctx, m, c); err != nil {
		if errors.Is(err, ErrExists) || errors.Is(err, ErrGone) {
			err = nil // two CONNECTs at once, or the end of it
		}
		return errors.Join(err, r.close(ctx, m))
	}
	return nil
}

// settle registers a socket that is in the namespace and tells it so, then everybody.
func (r *Receiver) settle(ctx context.Context, m Message, c Connection) error {
	if err := r.Sessions.Enter(ctx, c.ID, c.UserID, c.TokenExpiry, c.Entered); err != nil {
		return err
	}
	p, err := r.register(ctx, c, m.At, m.UserAgent, m.IP)
	if e := r.turnedAway(err); e != nil {
		return r.expel(ctx, m, c, e)
	}
	if err != nil {
		return err
	}
	err = r.Poster.Post(ctx, c.ID, readyFrame(wire.SocketIO, c.UserID))
	if err == nil {
		return r.Asker.Ask(ctx, Job{Presence: &PresenceJob{User: c.UserID, Version: p.Version, AtMS: r.Now().UnixMilli()}})
	}
	if errors.Is(err, ErrGone) {
		if now, err := r.Connections.Get(ctx, c.ID); err == nil && !now.Gone.IsZero() {
			return r.depart(ctx, now, now.Gone) // its end came before it was in the presence
		}
	}
	// Its user is online by now, and a close may fail as well: publish has the time to try until both are told.
	r.Log.WarnContext(ctx, "ready not posted, left to publish", "connection_id", c.ID, "error", err)
	return r.Asker.Ask(ctx, Job{Welcome: &Welcome{Connection: c.ID, User: c.UserID, Protocol: wire.SocketIO, Version: p.Version, AtMS: r.Now().UnixMilli()}})
}

// expel takes a socket out of the namespace again that is turned away. Its client may try again.
func (r *Receiver) expel(ctx context.Context, m Message, c Connection, e *contract.Error) error {
	if err := r.Sessions.Exit(ctx, c, m.At); err != nil {
		return err
	}
	if err := r.post(ctx, m, errorFrame(wire.SocketIO, e.Code, e.Message)); err != nil {
		return err
	}
	return errors.Join(r.post(ctx, m, wire.EncodeDisconnect(contract.Namespace)), r.verifyFull(ctx, c.UserID, e))
}

// identify finds out whose CONNECT it is: by its auth first, so that a fresh token beats the one of the handshake.
func (r *Receiver) identify(ctx context.Context, m Message, auth json.RawMessage) (Identity, error) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(auth, &members) // an object or nothing: the codec has checked
	var token string
	if raw, ok := members["token"]; ok && json.Unmarshal(raw, &token) != nil {
		return Identity{}, &contract.Error{Code: contract.Unauthorized, Message: "auth.token must be a string"}
	}
	switch {
	case token != "":
		return r.Tokens.Verify(ctx, token)
	case m.Identity.UserID != "":
		if expiry := m.Identity.ExpiresAt; !expiry.IsZero() && !r.Now().Before(expiry) {
			return Identity{}, &contract.Error{Code: contract.TokenExpired, Message: refusal(contract.TokenExpired)}
		}
		return m.Identity, nil
	case m.Identity.Refused != "":
		return Identity{}, &contract.Error{Code: m.Identity.Refused, Message: refusal(m.Identity.Refused)}
	}
	return Identity{}, &contract.Error{Code: contract.Unauthorized, Message: refusal(contract.Unauthorized)}
}

// exitNamespace ends a socket as the end of its connection does, but for the transport: CONNECT may follow.
func (r *Receiver) exitNamespace(ctx context.Context, m Message) error {
	c, err := r.Connections.Get(ctx, m.ConnectionID)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && c.UserID == "":
		return r.close(ctx, m) // it has ended, or is not in the namespace: its CONNECT may be at work still
	case err != nil:
		return err
	}
	remover := r.remover()
	if m.At.Before(c.Entered) {
		return nil // it was the end of the time before
	}
	found, err := r.leavePresence(ctx, remover, c, m.At)
	if err == nil && !found { // its CONNECT is at work still, or another end is: one that ends it all leaves no doubt
		return r.close(ctx, m)
	}
	if err == nil {
		err = remover.clear(ctx, c, func(ctx context.Context, c Connection) error {
			err := r.Sessions.Exit(ctx, c, m.At)
			if errors.Is(err, ErrGone) { // a client that leaves closes the transport as well, and its end left the rest to this
				return r.Connections.Delete(ctx, c)
			}
			return err
		})
	}
	if err != nil {
		return errors.Join(err, r.close(ctx, m))
	}
	return nil
}

// event takes an event of a socket, which may have overtaken the CONNECT before it.
func (r *Receiver) event(ctx context.Context, m Message, in wire.Inbound) error {
	work, cancel := inTime(ctx)
	defer cancel()
	for waited := time.Duration(0); ; waited += patienceStep {
		c, err := r.Connections.Get(work, m.ConnectionID)
		switch {
		case errors.Is(err, ErrNotFound):
			return r.close(ctx, m)
		case err == nil:
			m.Identity.UserID, m.Entered = c.UserID, c.Entered
			err = r.eventOf(work, m, c, in)
		}
		if errors.Is(err, errLate) {
			return nil
		}
		if !errors.Is(err, errDeaf) {
			return r.reply(ctx, m, in, err)
		}
		if waited >= patience {
			return r.close(ctx, m)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(patienceStep):
		}
	}
}

// errLate is an event from before the socket left the namespace, and maybe came again: nobody waits for its answer.
var errLate = errors.New("sent before the last DISCONNECT or CONNECT")

// eventOf is handle for a socket in the namespace; errDeaf for one that is not, or not yet. A removal from a conversation finds
// the sockets of its user in the presence, so while a CONNECT may still be at work a join waits for it to be there.
func (r *Receiver) eventOf(ctx context.Context, m Message, c Connection, in wire.Inbound) error {
	if c.UserID == "" || !c.Gone.IsZero() {
		return errDeaf
	}
	if m.At.Before(c.Entered) {
		return errLate
	}
	if in.Event == contract.ConversationsJoin && r.Now().Sub(c.Entered) < enterAge {
		p, err := r.Presences.Read(ctx, c.UserID)
		if err != nil {
			return err
		}
		if !p.has(c.ID) {
			return errDeaf
		}
	}
	return r.handle(ctx, m, in)
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"example.org/realtime/infra/bench/rig"
	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/wire"
)

// scenario is people who use the service for some hours of a month.
type scenario struct {
	Key         string // in measured.json
	Name        string
	Protocol    wire.Protocol
	Connections int
	Settings    map[string]string // beside the defaults

	Hours    float64       // of a month that each of them is connected
	Session  time.Duration // that a connection lasts; then it is made anew
	Room     int           // sockets of the conversation that each is in; 0: none
	Messages float64       // published in a month
	Ping     time.Duration // between two signs of life that the server sends
}

// A connection lives two hours at most, and a JSON client hears something every 8 minutes.
const (
	life      = contract.MaxConnectionAge
	keepAlive = 8 * time.Minute
	month     = 30 * 24.0   // hours
	working   = 22 * 8.0    // hours
	everyHour = 3600.0      // seconds
	margin    = time.Second // beyond which something is due
)

var scenarios = []scenario{
	{
		Key:  "team-chat",
		Name: "team chat: 1 000 users, 8 h a day, 40 messages a day each, to conversations of 5; JSON", Protocol: wire.JSON, Connections: 1000,
		Hours: working, Session: life, Room: 5, Messages: 1000 * 40 * 22, Ping: keepAlive,
	},
	{
		Key:  "rooms-json",
		Name: "busy rooms: 10 of 6 users, 2 messages a second in each, 8 h a day; JSON", Protocol: wire.JSON, Connections: 60,
		Hours: working, Session: life, Room: 6, Messages: 10 * 2 * everyHour * working, Ping: keepAlive,
	},
	{
		Key:  "rooms-socketio",
		Name: "the same; Socket.IO", Protocol: wire.SocketIO, Connections: 60,
		Hours: working, Session: life, Room: 6, Messages: 10 * 2 * everyHour * working, Ping: contract.PingInterval,
	},
	{
		Key:  "notifications",
		Name: "notifications: 1 000 users, 8 h a day, 20 a day each; presence above its line", Protocol: wire.JSON, Connections: 1000,
		Hours: working, Session: life, Messages: 1000 * 20 * 22, Ping: keepAlive,
	},
	{
		Key:  "notifications-presence-to-all",
		Name: "the same; presence to everybody (`PRESENCE_GLOBAL_MAX=0`)", Protocol: wire.JSON, Connections: 1000,
		Settings: map[string]string{"PRESENCE_GLOBAL_MAX": "0"},
		Hours:    working, Session: life, Messages: 1000 * 20 * 22, Ping: keepAlive,
	},
	{
		Key:  "idle-json",
		Name: "idle: 10 000 connections, day and night; JSON", Protocol: wire.JSON, Connections: 10_000,
		Hours: month, Session: life, Ping: keepAlive,
	},
	{
		Key:  "idle-socketio-300",
		Name: "the same; Socket.IO, pings every 300 s", Protocol: wire.SocketIO, Connections: 10_000,
		Hours: month, Session: life, Ping: contract.PingInterval,
	},
	{
		Key:  "idle-socketio-60",
		Name: "the same; Socket.IO, pings every 60 s", Protocol: wire.SocketIO, Connections: 10_000,
		Settings: map[string]string{"SOCKET_PING_INTERVAL_MS": "60000"},
		Hours:    month, Session: life, Ping: time.Minute,
	},
}

// occasion is something that happens at once.
type occasion struct {
	Key         string // in measured.json
	Name        string
	Connections int
	Settings    map[string]string
	Comers      float64 // users who connect while all of Connections are there; 0: a broadcast to them
}

var occasions = []occasion{
	{Key: "broadcast", Name: "a broadcast to 50 000 connections", Connections: 50_000},
	{Key: "storm-200", Name: "presence storm: 200 users come back at once, and each hears of each", Connections: 199, Comers: 200},
	{Key: "storm-1000", Name: "the same with 1 000 users and `PRESENCE_GLOBAL_MAX=0`", Connections: 999, Settings: map[string]string{"PRESENCE_GLOBAL_MAX": "0"}, Comers: 1000},
}

// The flows that are measured. Each is what one of it takes.
const (
	flowSession  = "session"   // a client connects, joins its room, and leaves
	flowMessage  = "message"   // one is published, with an id
	flowSweep    = "sweep"     // a minute in which everybody is verified, and nobody hears anything
	flowPings    = "pings"     // a minute in which everybody hears something
	flowPong     = "pong"      // a client answers
	flowConnect  = "connect"   // a client connects
	flowAudience = "broadcast" // one is published to all
)

// flows of a scenario or an occasion.
type flows map[string]rig.Reading

// base is what every measurement sets: a verification is due in every run of sweep, and sweep does not wait to keep its rate. Neither changes
// what is counted.
func base(settings map[string]string) map[string]string {
	all := map[string]string{"PRESENCE_TTL_SECONDS": "1", "SWEEP_RPS": "10000"}
	for name, value := range settings {
		all[name] = value
	}
	return all
}

// nobody is the key of the flow of a stage without clients.
const nobody = "nobody"

// measureNobody tells what a minute takes in which nobody is there.
func measureNobody(ctx context.Context) (flows, *rig.Rig, error) {
	r, err := rig.Start(ctx, rig.Options{Settings: base(nil), Everybody: true, Processes: 1})
	if err != nil {
		return nil, nil, err
	}
	m := &measurement{rig: r, got: flows{}}
	m.flow(ctx, flowSweep, func() error { return r.Invoke(ctx, "sweep", struct{}{}, nil) })
	return m.got, r, m.err
}

// measure plays a scenario, which takes seconds, and tells what each of its flows took.
func (s scenario) measure(ctx context.Context) (flows, *rig.Rig, error) {
	r, err := rig.Start(ctx, rig.Options{Settings: base(s.Settings), Everybody: true, Processes: 1})
	if err != nil {
		return nil, nil, err
	}
	m := &measurement{rig: r, got: flows{}}
	at := time.Now().Add(-s.Ping - margin)
	if err := r.Seed(ctx, s.Connections-1, s.Protocol, at); err != nil {
		return nil, r, err
	}
	const conversation = "c1"
	users := make([]string, max(1, s.Room))
	for i := range users {
		users[i] = rig.User(i)
	}
	comer := rig.User(s.Connections - 1)
	if s.Room > 0 {
		users[len(users)-1] = comer
		if err := r.Invoke(ctx, "control", map[string]any{"op": contract.ParticipantsSet, "conversationId": conversation, "users": users}, nil); err != nil {
			return nil, r, err
		}
		if err := r.Join(ctx, conversation, s.Room-1, s.Protocol, at); err != nil {
			return nil, r, err
		}
	}
	m.flow(ctx, flowPings, func() error { return r.Invoke(ctx, "sweep", struct{}{}, nil) })
	time.Sleep(margin) // until a verification is due
	m.flow(ctx, flowSweep, func() error { return r.Invoke(ctx, "sweep", struct{}{}, nil) })
	var client *rig.Client
	m.warm(func() error { return m.session(ctx, comer, s, conversation, &client) }) // it reads for a minute to come how many there are
	m.flow(ctx, flowSession, func() error { return m.session(ctx, comer, s, conversation, nil) })
	if s.Protocol == wire.SocketIO {
		m.flow(ctx, flowPong, func() error { return client.Send(ctx, "3") })
	}
	if s.Messages > 0 {
		m.flow(ctx, flowMessage, func() error { return m.publish(ctx, s.request(conversation, users), max(1, s.Room)) })
	}
	if client != nil && m.err == nil {
		m.err = client.Close(ctx)
	}
	return m.got, r, m.err
}

// request publishes a message to the scenario's audience.
func (s scenario) request(conversation string, users []string) map[string]any {
	if s.Room == 0 {
		return map[string]any{
			"id": "n-0000001", "event": contract.NotificationsNew, "to": map[string]any{"users": users[:1]},
			"data": map[string]any{"eventKey": "task.assigned", "notification": map[string]any{"id": "n-0000001", "title": "A task for you", "body": text}},
		}
	}
	return map[string]any{
		"id": "m-0000001", "event": contract.MessagesNew, "data": map[string]any{
			"conversationId": conversation, "senderId": users[0], "recipients": users[1:],
			"message": map[string]any{"id": "m-0000001", "conversationId": conversation, "senderId": users[0], "body": text, "status": "sent", "createdAt": "2026-11-23T09:00:00.000Z"},
		},
	}
}

// text is a message of the length that people write.
const text = "I have looked at the draft and left two comments. Shall we talk about them at five, or tomorrow morning before the others come in?"

func (o occasion) measure(ctx context.Context) (flows, *rig.Rig, error) {
	r, err := rig.Start(ctx, rig.Options{Settings: base(o.Settings), Everybody: true, Processes: 1})
	if err != nil {
		return nil, nil, err
	}
	m := &measurement{rig: r, got: flows{}}
	if err := r.Seed(ctx, o.Connections, wire.JSON, time.Now().Add(-time.Minute)); err != nil {
		return nil, r, err
	}
	if o.Comers == 0 {
		m.flow(ctx, flowAudience, func() error {
			return m.publish(ctx, map[string]any{
				"id": "n-0000001", "event": contract.NotificationsNew, "to": map[string]any{"all": true},
				"data": map[string]any{"eventKey": "news", "notification": map[string]any{"id": "n-0000001", "title": "News", "body": text}},
			}, o.Connections)
		})
		return m.got, r, m.err
	}
	var client *rig.Client
	m.flow(ctx, flowConnect, func() (err error) {
		client, err = r.Connect(ctx, rig.User(o.Connections), wire.JSON)
		return err
	})
	if client != nil && m.err == nil {
		m.err = client.Close(ctx)
	}
	return m.got, r, m.err
}

// measurement collects flows until something goes wrong.
type measurement struct {
	rig *rig.Rig
	got flows
	err error
}

func (m *measurement) flow(ctx context.Context, name string, do func() error) {
	if m.err != nil {
		return
	}
	if m.got[name], m.err = m.rig.Costs(ctx, do); m.err != nil {
		m.err = fmt.Errorf("%s: %w", name, m.err)
	}
}

// warm does what is not counted.
func (m *measurement) warm(do func() error) {
	if m.err == nil {
		m.err = do()
	}
}

// session connects a client, which stays when keep is not nil, and has it join its room.
func (m *measurement) session(ctx context.Context, user string, s scenario, conversation string, keep **rig.Client) error {
	c, err := m.rig.Connect(ctx, user, s.Protocol)
	if err != nil {
		return err
	}
	if s.Room > 0 {
		join := `{"event":"conversations:join","data":{"conversationId":` + strconv.Quote(conversation) + `},"id":1}`
		if s.Protocol == wire.SocketIO {
			join = "42" + contract.Namespace + `,1["conversations:join",{"conversationId":` + strconv.Quote(conversation) + `}]`
		}
		if err := c.Send(ctx, join); err != nil {
			return err
		}
	}
	if keep != nil {
		*keep = c
		return nil
	}
	return c.Close(ctx)
}

// publish wants so many sockets to be addressed.
func (m *measurement) publish(ctx context.Context, request map[string]any, sockets int) error {
	var answer contract.Published
	if err := m.rig.Invoke(ctx, "publish", request, &answer); err != nil {
		return err
	}
	if answer.Matched != sockets || answer.Gone+answer.Failed > 0 {
		return fmt.Errorf("published to %+v, not to %d sockets", answer, sockets)
	}
	return nil
}

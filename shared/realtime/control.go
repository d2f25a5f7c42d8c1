package realtime

import (
	"context"
	"fmt"
	"time"

	"example.org/realtime/shared/contract"
)

// Control is what a backend asks besides publishing.
type Control struct {
	Roster      *Roster
	Users       Users
	Connections Connections
	Recorded    ConnectionRooms
	Rooms       Rooms
	Timers      Timers
	Publishing  Publishing
	Publishes   Publishes
	Now         func() time.Time

	RoomsPerSocket int
}

// Do does it, and answers with one of the contract's answers; a nil pointer is the contract's null. After an error it may be
// done in part; asking again completes it.
func (c *Control) Do(ctx context.Context, req contract.ControlRequest) (answer any, err error) {
	switch req := req.(type) {
	case *contract.Participants:
		answer, err = c.Roster.Do(ctx, req)
	case *contract.Group:
		answer, err = c.group(ctx, req)
	case *contract.DisconnectSockets:
		answer, err = c.disconnect(ctx, req)
	case *contract.ReadPresence:
		answer, err = c.presence(ctx, req)
	case *contract.ListConnections:
		answer, err = c.connections(ctx, req)
	case *contract.ListRooms:
		answer, err = c.rooms(ctx, req)
	case *contract.ReadPublish:
		answer, err = c.publish(ctx, req)
	default:
		err = fmt.Errorf("no rule for %T", req)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", req.Operation(), err)
	}
	return answer, nil
}

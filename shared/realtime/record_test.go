package realtime

import (
	"errors"
	"testing"
	"time"
)

// A room whose record cannot be written is joined if, and only if, the session has it in its record already.
func TestRecordThatFails(t *testing.T) {
	const room = "conversation:c1"
	broken := errors.New("throttled for good")
	entered := at(5000)
	for _, tt := range []struct {
		name   string
		row    Connection
		get    error
		fails  error
		joined bool
	}{
		{"joined before", Connection{UserID: "alice", Entered: entered, Rooms: []string{"group:g1", room}}, nil, broken, true},
		{"joined for the first time", Connection{UserID: "alice", Entered: entered, Rooms: []string{"group:g1"}}, nil, broken, false},
		{"joined when it was in the namespace before", Connection{UserID: "alice", Entered: at(4000), Rooms: []string{room}}, nil, broken, false},
		{"has left the namespace", Connection{Entered: entered, Rooms: []string{room}}, nil, broken, false},
		{"is about to be removed", Connection{UserID: "alice", Entered: entered, Gone: at(9000), Rooms: []string{room}}, nil, broken, false},
		{"nobody knows", Connection{}, errors.New("throttled as well"), broken, false},
		{"not a failure", Connection{UserID: "alice", Entered: entered, Rooms: []string{room}}, nil, ErrNotFound, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			connections := &fakeConnections{
				add: func(string, string) error { return tt.fails },
				get: func(string) (Connection, error) { return tt.row, tt.get },
			}
			deleted := false
			rooms := &fakeRooms{delete: func(of, id string, when time.Time) error {
				deleted = of == room && id == "a=" && when.Equal(at(7000))
				return nil
			}}
			r := &recorder{Connections: connections, Recorded: connections, Rooms: rooms, Limit: 100}
			err := r.record(t.Context(), session{"a=", entered}, room, at(7000))
			if joined := err == nil; joined != tt.joined || deleted == tt.joined || !joined && !errors.Is(err, tt.fails) {
				t.Errorf("%v, its row was deleted: %v", err, deleted)
			}
		})
	}
}

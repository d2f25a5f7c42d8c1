package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"example.org/realtime/shared/contract"
)

func TestParticipants(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		steps := []struct {
			name string
			do   func() (bool, error)
			want bool
		}{
			{"remove nobody", func() (bool, error) { return s.Participants.Remove(t.Context(), "c1", "alice") }, false},
			{"add", func() (bool, error) { return s.Participants.Add(t.Context(), "c1", "alice") }, true},
			{"add again", func() (bool, error) { return s.Participants.Add(t.Context(), "c1", "alice") }, false},
			{"add elsewhere", func() (bool, error) { return s.Participants.Add(t.Context(), "c2", "alice") }, true},
			{"remove", func() (bool, error) { return s.Participants.Remove(t.Context(), "c1", "alice") }, true},
			{"remove again", func() (bool, error) { return s.Participants.Remove(t.Context(), "c1", "alice") }, false},
			{"add once more", func() (bool, error) { return s.Participants.Add(t.Context(), "c1", "alice") }, true},
		}
		for _, step := range steps {
			got, err := step.do()
			if err != nil || got != step.want {
				t.Errorf("%s: %v, %v, want %v", step.name, got, err, step.want)
			}
		}
		equal(t, s.item(t, "conversation:c1", "m#alice"), map[string]any{"pk": "conversation:c1", "sk": "m#alice"})
	})
}

func TestAllowed(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		_, err := s.Participants.Add(t.Context(), "c1", "alice")
		ok(t, err)
		ok(t, s.Participants.Allowed(t.Context(), "alice", "c1"))
		for _, pair := range [][2]string{{"bob", "c1"}, {"alice", "c2"}, {"alic", "c1"}, {"alice", "c"}} {
			err := s.Participants.Allowed(t.Context(), pair[0], pair[1])
			if e, refused := errors.AsType[*contract.Error](err); !refused || e.Code != contract.Forbidden {
				t.Errorf("%v: %v, want %s", pair, err, contract.Forbidden)
			}
		}
	})
}

func TestListParticipants(t *testing.T) {
	onEngines(t, func(t *testing.T, s *suite) {
		var users []string
		for n := range contract.MaxUsersPerRequest + 1 {
			users = append(users, fmt.Sprintf("user-%04d", n))
		}
		var wg sync.WaitGroup
		for chunk := range slices.Chunk(users, 128) {
			wg.Go(func() {
				for _, user := range chunk {
					if _, err := s.Participants.Add(t.Context(), "c1", user); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		ok(t, s.Rooms.Join(t.Context(), "conversation:c1", socketOf(connection("user-0000")), start)) // is no participant

		page, next, err := s.Participants.List(t.Context(), "c1", "")
		ok(t, err)
		equal(t, page, users[:1000])
		equal(t, next, "user-0999")
		page, next, err = s.Participants.List(t.Context(), "c1", next)
		ok(t, err)
		equal(t, page, users[1000:])
		equal(t, next, "")

		_, err = s.Participants.Remove(t.Context(), "c1", "user-0500") // a page may begin after who left since
		ok(t, err)
		page, next, err = s.Participants.List(t.Context(), "c1", "user-0500")
		ok(t, err)
		equal(t, page, users[501:])
		equal(t, next, "")

		page, next, err = s.Participants.List(t.Context(), "c1", "") // exactly a page
		ok(t, err)
		equal(t, len(page), 1000)
		equal(t, next, "")

		page, next, err = s.Participants.List(t.Context(), "nobody", "")
		ok(t, err)
		equal(t, page, []string(nil))
		equal(t, next, "")
	})
}

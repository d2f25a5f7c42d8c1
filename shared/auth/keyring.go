package auth

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	readTimeout = 2 * time.Second  // of one read of a secret or a key set
	keepFor     = 5 * time.Minute  // keys are read again after that: they may have been revoked
	readEvery   = 30 * time.Second // at most so often because of a token that no key fits: anybody can send one
)

// keyring has the keys that tokens are verified with.
type keyring struct {
	fixed bool // in the settings themselves, so that reading again makes no difference
	read  func(context.Context) ([]key, error)
	now   func() time.Time
	log   *slog.Logger

	mu     sync.Mutex
	keys   []key
	readAt time.Time // when keys was read
	tried  time.Time // when it was last tried
	err    error     // of the last try
}

// current returns the keys, at most keepFor old. Older ones stay in use while their source does not answer: its outage is
// not to lock everybody out.
func (r *keyring) current(ctx context.Context) ([]key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	old := !r.fixed && now.Sub(r.readAt) >= keepFor && now.Sub(r.tried) >= readEvery
	if r.keys == nil || old {
		r.load(ctx, now)
	}
	if r.keys == nil {
		return nil, r.err
	}
	return r.keys, nil
}

// again returns keys that are newer than those of current, for a token that none of them fits. ok is false when there are
// none. The error says that the source did not answer, so that it is not known whether the token is good.
func (r *keyring) again(ctx context.Context) (keys []key, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.fixed {
		return nil, false, nil
	}
	if now.Sub(r.tried) < readEvery {
		return nil, false, r.err
	}
	r.load(ctx, now)
	return r.keys, true, r.err
}

func (r *keyring) load(ctx context.Context, now time.Time) {
	keys, err := r.read(ctx)
	r.tried, r.err = now, err
	if err == nil {
		r.keys, r.readAt = keys, now
	} else if r.keys != nil {
		r.log.WarnContext(ctx, "token keys not read again, the known ones stay in use", "error", err)
	}
}

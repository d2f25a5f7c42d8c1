package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"example.org/realtime/shared/contract"
	"example.org/realtime/shared/realtime"
)

// Plan has the next publish of a request split, however small its audience is: it stores what a publish does that was split and died
// before its workers began. The request must have that id, and is sent as it is here.
func (r *Rig) Plan(ctx context.Context, request json.RawMessage, id string, sockets, parts int) error {
	const owner = "plan"
	ledger := r.table().Ledger
	hash := sha256.Sum256(request)
	if _, err := ledger.Begin(ctx, realtime.Claim{
		ID: id, Owner: owner, Hash: hex.EncodeToString(hash[:]), Event: contract.NotificationsNew, Lease: time.Now().Add(-time.Minute),
	}); err != nil {
		return fmt.Errorf("plan of publish %s: %w", id, err)
	}
	answer, err := json.Marshal(contract.Published{ID: id, Event: contract.NotificationsNew, Matched: sockets, Queued: sockets})
	if err != nil {
		return fmt.Errorf("plan of publish %s: %w", id, err)
	}
	return ledger.Split(ctx, id, owner, realtime.Record{Answer: answer, Parts: parts, Begun: time.Now()})
}

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.org/realtime/shared/contract"
)

// guard is the age from which a connection that API Gateway says is gone is believed to be.
const guard = 15 * time.Second

// settle does, with nothing going wrong any more, what time does: connections grow older, leases run out, sweep comes, and somebody
// sends events again that had been given up. It ends when what is wrong comes to nothing.
func (r *trial) settle() {
	r.Helper()
	if r.faults.FalseGone > 0 {
		for _, p := range r.players {
			if !p.here() {
				continue
			}
			// Who was taken for gone hears so now, and comes again. A join tells nobody anything, as a heartbeat would.
			if p.join(visits[0]); !p.here() {
				p.connect()
			} else {
				p.leave(visits[0])
			}
		}
	}
	wrong := r.wrong()
	for deadline := time.Now().Add(patience); len(wrong) > 0; wrong = r.wrong() {
		if time.Now().After(deadline) {
			r.Fatalf("it does not settle:\n%s", strings.Join(wrong, "\n"))
		}
		failures := r.local.Functions.Failures()
		for _, f := range failures[r.redriven:] {
			r.Logf("given up after %d attempts: %s %s: %s", f.Attempts, f.Function, f.Payload, f.Response)
			if f.Function == "publish" {
				_, _ = r.invoke(r.publisher, string(f.Payload)) // it fails again, or it does not
			}
		}
		r.redriven = len(failures)
		r.growOld()
		if _, err := r.invoke("SweepFunction", `{}`); err != nil {
			r.Fatalf("sweep: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// growOld makes every connection a minute older than the trial, its rows in rooms too, and every lease one that has run out.
func (r *trial) growOld() {
	old := r.begun.Add(-time.Minute).UnixMilli()
	for _, row := range r.rows() {
		partition := stringOf(row, "pk")
		switch {
		case strings.HasPrefix(partition, "ns#"):
			r.put(row, old, "connectedAt")
			if row["gone"] != nil {
				r.put(row, old, "gone")
			}
		case strings.HasPrefix(stringOf(row, "sk"), "c#") && row["left"] == nil:
			r.put(row, time.UnixMilli(old).Add(contract.MaxConnectionAge+10*time.Minute).Unix(), "exp")
		case strings.HasPrefix(partition, "sweep#") && row["lease"] != nil:
			r.put(row, 1, "lease")
		}
		for name := range row {
			if strings.HasPrefix(name, "s#") {
				r.put(row, old, name, "connectedAt")
			}
		}
	}
}

func (r *trial) expireLease(partition string) { r.put(key(partition, "#"), 1, "lease") }

// put sets an attribute of a row, which may go meanwhile.
func (r *trial) put(row item, to int64, path ...string) {
	names := map[string]string{}
	var aliases []string
	for i, name := range path {
		alias := fmt.Sprint("#", i)
		aliases, names[alias] = append(aliases, alias), name
	}
	last := strings.Join(aliases, ".")
	for range tries { // the table's faults are for everybody
		_, err := r.table.UpdateItem(context.Background(), &dynamodb.UpdateItemInput{
			TableName: &r.local.TableName, Key: item{"pk": row["pk"], "sk": row["sk"]},
			UpdateExpression: new("SET " + last + " = :to"), ConditionExpression: new("attribute_exists(" + last + ")"),
			ExpressionAttributeNames: names, ExpressionAttributeValues: item{":to": number(to)},
		})
		if err == nil || strings.Contains(err.Error(), "ConditionalCheckFailed") || strings.Contains(err.Error(), "ValidationException") {
			return
		}
	}
}

// rows is the whole table.
func (r *trial) rows() (all []item) {
	r.Helper()
	pages := dynamodb.NewScanPaginator(r.table, &dynamodb.ScanInput{TableName: &r.local.TableName, ConsistentRead: new(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(r.Context())
		if err != nil {
			r.Fatal(err)
		}
		all = append(all, page.Items...)
	}
	return all
}

// open is the truth: the ids of each user's connections.
func (r *trial) open() map[string][]string {
	users := map[string][]string{}
	for _, c := range r.local.Gateway.Connections() {
		users[c.UserAgent] = append(users[c.UserAgent], c.ID)
	}
	for _, ids := range users {
		slices.Sort(ids)
	}
	return users
}

// wrong is what the table, or somebody's last word, has that is not so.
func (r *trial) wrong() (wrong []string) {
	r.Helper()
	truth := r.open()
	entries, rows := map[string][]string{}, map[string][]string{}
	for _, row := range r.rows() {
		if user, ok := strings.CutPrefix(stringOf(row, "pk"), "user:"); ok {
			for name := range row {
				if id, ok := strings.CutPrefix(name, "s#"); ok {
					entries[user] = append(entries[user], id)
				}
			}
			slices.Sort(entries[user])
		}
		if sort := stringOf(row, "sk"); strings.HasPrefix(sort, "c#") && row["left"] == nil && r.tidy() {
			if id, user := sort[len("c#0#"):], stringOf(row, "user"); !slices.Contains(truth[user], id) {
				wrong = append(wrong, fmt.Sprintf("%s has ended, and is in %s", id, stringOf(row, "pk")))
			}
		}
		if strings.HasPrefix(stringOf(row, "pk"), "ns#") {
			user := stringOf(row, "user")
			rows[user] = append(rows[user], stringOf(row, "sk"))
			slices.Sort(rows[user])
		}
	}
	if !maps.EqualFunc(truth, rows, slices.Equal) {
		wrong = append(wrong, fmt.Sprintf("connections are %v, and the table has %v", truth, rows))
	}
	for _, about := range r.players {
		if about.untold() { // publishes count it, and it does not know: its welcome was given up, or is to be tried again
			wrong = append(wrong, about.user+" is here, and has not heard that it is ready")
		}
		there := truth[about.user]
		if !slices.Equal(there, entries[about.user]) {
			wrong = append(wrong, fmt.Sprintf("%s has %v, and the table has %v", about.user, there, entries[about.user]))
		}
		for _, p := range r.players {
			if word, heard := p.word(about.user); p.here() && heard && (word.IsOnline != (len(there) > 0) || !slices.Equal(word.ids(), there)) {
				wrong = append(wrong, fmt.Sprintf("%s last heard of %s that it has %v, not %v", p.user, about.user, word.ids(), there))
			}
		}
	}
	return wrong
}

// tidy tells whether nothing can have stopped half-way: a join, which leaves a row in its room for the next publish there to find, or a
// coming, which leaves a connection that is told to come again.
func (r *trial) tidy() bool {
	return r.faults.Kill+r.faults.TableThrottled+r.faults.TableFailed+r.faults.TableLost == 0
}

// judge holds what happened to what was answered.
func (r *trial) judge() {
	// In the quiet, a message reaches those who are in the conversation, once, and nobody else. The first finds what is left of others.
	r.message("before-last.")
	r.last(r.message("last-message."))
	r.last(r.notice("last-notice."))
	for _, p := range r.publishes {
		r.judgePublish(p)
	}
	for _, p := range r.players {
		if p.socketIO && r.faults.Lost > 0 {
			continue // whose open packet may be lost must come again: a second one would break its client
		}
		for _, l := range p.lines {
			if lived := l.ended.Sub(l.begun); l.cut && lived < guard && !l.ready.IsZero() && r.faults.Gone == 0 && r.tidy() {
				r.Errorf("%s was cut off after %v", p.user, lived)
			}
		}
	}
	for _, p := range r.players {
		for _, problem := range p.problems {
			r.Errorf("%s: %s", p.user, problem)
		}
	}
	if r.local.said("panic") {
		r.Error("a function panicked")
	}
}

// last judges a publish with nothing else going on: everybody in its audience gets it.
func (r *trial) last(p *publishing) {
	r.Helper()
	want := 0
	for _, player := range r.players {
		if !player.here() {
			continue
		}
		if _, in := p.to(player, player.line); in {
			want++
		}
	}
	if a := p.answer; a.Matched != want || a.Delivered != want {
		r.Errorf("%s in the quiet: %+v, want %d delivered", p.mark, a, want)
	}
	// What is delivered may still be on its way to a client.
	for deadline := time.Now().Add(patience); r.heard(p.mark) < want && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}

// heard is how often clients got what has the mark.
func (r *trial) heard(mark string) (n int) {
	for _, player := range r.players {
		for _, copies := range player.copies(mark) {
			n += copies
		}
	}
	return n
}

// judgePublish compares an answer with what clients got. Connections that ended meanwhile may have got it or not.
func (r *trial) judgePublish(p *publishing) {
	got, uncertain, missed := 0, 0, 0
	for _, player := range r.players {
		copies := player.copies(p.mark)
		player.mu.Lock()
		for i, l := range player.lines {
			got += copies[i]
			if copies[i] > 1+p.crashed {
				r.Errorf("%s: %s got it %d times, and it died %d times", p.mark, player.user, copies[i], p.crashed)
			}
			ended := !l.ended.IsZero() && (l.gone.IsZero() || l.gone.After(p.begun))
			if ended && l.begun.Before(p.end) {
				uncertain++
			}
			since, in := p.to(player, l)
			if in && since.Before(p.begun) && l.ended.IsZero() && copies[i] == 0 {
				missed++
			}
		}
		player.mu.Unlock()
	}
	a := p.answer
	if a.Delivered > got+uncertain {
		r.Errorf("%s: %+v, and clients got %d, with %d that ended meanwhile", p.mark, a, got, uncertain)
	}
	if p.crashed == 0 && r.faults.Lost == 0 && got > a.Delivered {
		r.Errorf("%s: %+v, and clients got %d", p.mark, a, got)
	}
	if missed > a.Gone+a.Failed {
		r.Errorf("%s: %+v, and %d missed it who were in its audience all the time", p.mark, a, missed)
	}
}

// stringOf is a string attribute, "" when there is none.
func stringOf(row item, name string) string {
	if s, ok := row[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

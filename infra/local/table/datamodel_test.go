package table

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The expressions of the realtime service's writes, as its store sends them. Names always travel as aliases: #c is the attribute s#<connectionId>,
// every other alias the attribute of that name.
const (
	notThere  = "attribute_not_exists(#pk)"
	newerLeft = "attribute_not_exists(#t) OR #t <= :t"
)

// dataModelWrite is one of those writes; without an update it puts an item.
type dataModelWrite struct {
	update, condition string
}

var dataModelWrites = map[string]dataModelWrite{
	"connect CONN":          {"", notThere},
	"connect USER":          {"SET #c = :s, #lastSeen = :t REMOVE #exp, #denied ADD #sockets :one, #v :one", "attribute_not_exists(#c) AND (attribute_not_exists(#sockets) OR #sockets < :max) AND (attribute_not_exists(#denied) OR #denied <= :now)"},
	"deny USER":             {"SET #denied = :lease, #exp = :e", ""},
	"allow USER":            {"REMOVE #denied", "attribute_exists(#denied)"},
	"CONNECT":               {"SET #user = :user, #tokenExpiry = :e REMOVE #idle", "attribute_exists(#pk) AND attribute_not_exists(#user) AND attribute_not_exists(#gone)"},
	"CONNECT undone":        {"REMOVE #user, #tokenExpiry", "attribute_exists(#pk)"},
	"open packet":           {"SET #opened = :one", "attribute_exists(#pk) AND attribute_not_exists(#opened)"},
	"removal":               {"REMOVE #c SET #lastSeen = :t, #exp = :e ADD #sockets :minus, #v :one", "attribute_exists(#c)"},
	"removal after 410":     {"REMOVE #c SET #lastSeen = :t, #exp = :e ADD #sockets :minus, #v :one", "attribute_exists(#c) AND #c.#connectedAt < :guard"},
	"gone":                  {"SET #gone = :t, #exp = :e", ""},
	"namespace disconnect":  {"REMOVE #user, #rooms, #tokenExpiry SET #idle = :t", "attribute_exists(#pk)"},
	"heartbeat":             {"SET #c.#lastSeen = :t, #c.#heartbeat = :t, #lastSeen = :t", "attribute_exists(#c) AND (attribute_not_exists(#c.#heartbeat) OR #c.#heartbeat <= :since)"},
	"pong":                  {"SET #pong = :t", "attribute_exists(#pk) AND attribute_not_exists(#gone)"},
	"join ROOM":             {"SET #user = :user, #protocol = :json, #t = :t, #exp = :e REMOVE #left", "attribute_not_exists(#t) OR #t < :t OR (#t = :t AND attribute_not_exists(#left))"},
	"join CONN":             {"ADD #rooms :rooms", "attribute_exists(#user) AND (contains(#rooms, :room) OR attribute_not_exists(#rooms) OR size(#rooms) < :max)"},
	"forget ROOM":           {"DELETE #rooms :rooms", "attribute_exists(#pk)"},
	"leave":                 {"SET #left = :left, #t = :t, #exp = :e", newerLeft},
	"participant removed":   {"SET #left = :removed, #t = :t, #user = :user, #protocol = :json, #exp = :e", newerLeft},
	"publish begin":         {"SET #state = :inflight, #owner = :me, #lease = :lease, #hash = :h, #exp = :e", "attribute_not_exists(#pk) OR (#state = :inflight AND #lease < :now AND #hash = :h) OR #exp < :now"},
	"publish end":           {"SET #state = :done, #result = :r", "#owner = :me"},
	"sweep begin":           {"SET #owner = :me, #lease = :lease REMOVE #owner3, #lease3", "(attribute_not_exists(#lease) OR #lease < :now) AND (attribute_not_exists(#lease3) OR #lease3 < :now)"},
	"sweep shard":           {"SET #walked3 = :t, #verified3 = :t, #count3 = :one, #began3 = :t, #upto3 = :room", "#owner = :me"},
	"sweep end":             {"SET #active = :one, #peak = :max REMOVE #lease", "#owner = :me"},
	"sweep end of its time": {"REMOVE #lease", "#owner = :me"},
}

var (
	aliasPattern = regexp.MustCompile(`#\w+`)
	valuePattern = regexp.MustCompile(`:\w+`)
)

// request is the write as a request; values are for its placeholders.
func (w dataModelWrite) request(table string, key object, values object) (operation string, r object) {
	operation, r = "PutItem", object{"TableName": table, "ReturnConsumedCapacity": "TOTAL"}
	if w.update == "" {
		r["Item"] = key
	} else {
		operation = "UpdateItem"
		r["Key"], r["UpdateExpression"], r["ReturnValues"] = key, w.update, "ALL_NEW"
	}
	if w.condition != "" {
		r["ConditionExpression"] = w.condition
	}
	names, used := object{}, object{}
	for _, alias := range aliasPattern.FindAllString(w.update+" "+w.condition, -1) {
		names[alias] = strings.TrimPrefix(alias, "#")
	}
	if names["#c"] != nil {
		names["#c"] = "s#c1="
	}
	for _, ref := range valuePattern.FindAllString(w.update+" "+w.condition, -1) {
		used[ref] = values[ref]
	}
	r["ExpressionAttributeNames"] = names
	if len(used) > 0 {
		r["ExpressionAttributeValues"] = used
	}
	return operation, r
}

// dataModelValues are values for all placeholders, at a time in milliseconds.
func dataModelValues(t string) object {
	return object{
		":t": numberOf(t), ":e": numberOf("1795411703"), ":one": numberOf("1"), ":minus": numberOf("-1"), ":max": numberOf("2"), ":now": numberOf("50"),
		":guard": numberOf("1795411688000"), ":since": numberOf("1795411693000"), ":lease": numberOf("100"), ":user": textOf("alice"), ":json": textOf("json"),
		":s":    object{"M": object{"connectedAt": numberOf(t), "lastSeen": numberOf(t), "userAgent": textOf("test"), "ip": textOf("::1"), "protocol": textOf("json")}},
		":room": textOf("conversation:c1"), ":rooms": object{"SS": []any{"conversation:c1"}}, ":left": textOf("left"), ":removed": textOf("removed"),
		":inflight": textOf("inflight"), ":done": textOf("done"), ":me": textOf("me"), ":h": textOf("h"), ":r": object{"M": object{"delivered": numberOf("1")}},
	}
}

// dataModel is a random one of the writes, on an item that any of them may have written.
func (g *generator) dataModel() (operation string, r object) {
	values := dataModelValues(one(g, "1", "2", "3", "1795411688000", "1795411703000"))
	for ref := range values {
		switch {
		case g.chance(100):
			values[ref] = g.value(1)
		case values[ref].(object)["N"] != nil && g.chance(3):
			values[ref] = numberOf(one(g, "1", "2", "3", "1795411688000", "1795411703000"))
		case ref == ":rooms" || ref == ":room":
			room := one(g, "conversation:c1", "conversation:c2", "group:g1")
			values[ref] = one(g, textOf(room), object{"SS": []any{room}})
		}
	}
	names := make([]string, 0, len(dataModelWrites))
	for name := range dataModelWrites {
		names = append(names, name)
	}
	slices.Sort(names)
	operation, r = dataModelWrites[one(g, names...)].request(g.table, object{"pk": textOf("d"), "sk": textOf(one(g, "a", "b", "c"))}, values)
	if g.chance(3) {
		r["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
	}
	return operation, r
}

// TestDataModel performs every write of the data model literally: what it does, when its condition fails, and its cost.
func TestDataModel(t *testing.T) {
	conn := object{"pk": textOf("ns#/ws/app#3"), "sk": textOf("c1=")}
	user := object{"pk": textOf("user:alice"), "sk": textOf("#")}
	room := object{"pk": textOf("conversation:c1"), "sk": textOf("c#3#c1=")}
	publish := object{"pk": textOf("pub#1"), "sk": textOf("#")}
	sweep := object{"pk": textOf("sweep#/ws/app"), "sk": textOf("#")}
	const fails = "fails"
	has := func(o object) object { return o }
	steps := []struct {
		write string
		key   object
		t     string // of the event; the others are fixed
		other object // values that differ from dataModelValues
		want  any    // attributes beside the key, or fails
	}{
		{"connect CONN", conn, "1", nil, has(nil)},
		{"connect CONN", conn, "1", nil, fails},

		{"connect USER", user, "1795411680000", object{":s": numberOf("0")}, has(object{"s#c1=": numberOf("0"), "lastSeen": numberOf("1795411680000"), "sockets": numberOf("1"), "v": numberOf("1")})},
		{"removal", user, "1795411680001", nil, has(object{"lastSeen": numberOf("1795411680001"), "exp": numberOf("1795411703"), "sockets": numberOf("0"), "v": numberOf("2")})},
		{"removal", user, "1795411680002", nil, fails},
		{"connect USER", user, "1795411690000", nil, has(object{"s#c1=": dataModelValues("1795411690000")[":s"], "lastSeen": numberOf("1795411690000"), "sockets": numberOf("1"), "v": numberOf("3")})},
		{"connect USER", user, "1795411690001", nil, fails},                                // there already
		{"removal after 410", user, "1795411690002", nil, fails},                           // younger than its guard
		{"removal after 410", user, "1795411690002", object{":max": numberOf("1")}, fails}, // the same, whatever else is sent
		{"heartbeat", user, "1795411700000", nil, has(object{"s#c1=": object{"M": object{"connectedAt": numberOf("1795411690000"), "lastSeen": numberOf("1795411700000"), "heartbeat": numberOf("1795411700000"), "userAgent": textOf("test"), "ip": textOf("::1"), "protocol": textOf("json")}}, "lastSeen": numberOf("1795411700000"), "sockets": numberOf("1"), "v": numberOf("3")})},
		{"heartbeat", user, "1795411701000", nil, fails}, // too soon
		{"removal after 410", user, "1795411705000", object{":guard": numberOf("1795411690001")}, has(object{"lastSeen": numberOf("1795411705000"), "exp": numberOf("1795411703"), "sockets": numberOf("0"), "v": numberOf("4")})},
		{"heartbeat", user, "1795411706000", nil, fails}, // gone, never created again
		{"connect USER", user, "1", object{":max": numberOf("0")}, fails},

		{"allow USER", user, "1", nil, fails},
		{"deny USER", user, "1", nil, has(object{"denied": numberOf("100"), "lastSeen": numberOf("1795411705000"), "exp": numberOf("1795411703"), "sockets": numberOf("0"), "v": numberOf("4")})},
		{"connect USER", user, "1795411706000", object{":now": numberOf("99")}, fails},
		{"connect USER", user, "1795411706000", object{":now": numberOf("100"), ":s": numberOf("0")}, has(object{"s#c1=": numberOf("0"), "lastSeen": numberOf("1795411706000"), "sockets": numberOf("1"), "v": numberOf("5")})},
		{"deny USER", user, "1", nil, has(object{"s#c1=": numberOf("0"), "denied": numberOf("100"), "lastSeen": numberOf("1795411706000"), "exp": numberOf("1795411703"), "sockets": numberOf("1"), "v": numberOf("5")})},
		{"allow USER", user, "1", nil, has(object{"s#c1=": numberOf("0"), "lastSeen": numberOf("1795411706000"), "exp": numberOf("1795411703"), "sockets": numberOf("1"), "v": numberOf("5")})},
		{"deny USER", object{"pk": textOf("user:bob"), "sk": textOf("#")}, "1", nil, has(object{"denied": numberOf("100"), "exp": numberOf("1795411703")})}, // creates it

		{"CONNECT", conn, "1", nil, has(object{"user": textOf("alice"), "tokenExpiry": numberOf("1795411703")})},
		{"CONNECT", conn, "1", nil, fails},
		{"open packet", conn, "1", nil, has(object{"user": textOf("alice"), "tokenExpiry": numberOf("1795411703"), "opened": numberOf("1")})},
		{"open packet", conn, "1", nil, fails},
		{"CONNECT undone", conn, "1", nil, has(object{"opened": numberOf("1")})},
		{"join CONN", conn, "1", nil, fails}, // no user
		{"CONNECT", conn, "1", nil, has(object{"opened": numberOf("1"), "user": textOf("alice"), "tokenExpiry": numberOf("1795411703")})},
		{"join CONN", conn, "1", nil, has(object{"opened": numberOf("1"), "user": textOf("alice"), "tokenExpiry": numberOf("1795411703"), "rooms": object{"SS": []any{"conversation:c1"}}})},
		{"join CONN", conn, "1", object{":room": textOf("group:g1"), ":rooms": object{"SS": []any{"group:g1"}}}, has(object{"opened": numberOf("1"), "user": textOf("alice"), "tokenExpiry": numberOf("1795411703"), "rooms": object{"SS": []any{"conversation:c1", "group:g1"}}})},
		{"join CONN", conn, "1", object{":room": textOf("group:g2"), ":rooms": object{"SS": []any{"group:g2"}}}, fails}, // full
		{"join CONN", conn, "1", nil, has(object{"opened": numberOf("1"), "user": textOf("alice"), "tokenExpiry": numberOf("1795411703"), "rooms": object{"SS": []any{"conversation:c1", "group:g1"}}})},
		{"forget ROOM", conn, "1", nil, has(object{"opened": numberOf("1"), "user": textOf("alice"), "tokenExpiry": numberOf("1795411703"), "rooms": object{"SS": []any{"group:g1"}}})},
		{"pong", conn, "7", nil, has(object{"opened": numberOf("1"), "user": textOf("alice"), "tokenExpiry": numberOf("1795411703"), "rooms": object{"SS": []any{"group:g1"}}, "pong": numberOf("7")})},
		{"namespace disconnect", conn, "8", nil, has(object{"opened": numberOf("1"), "pong": numberOf("7"), "idle": numberOf("8")})},
		{"gone", conn, "9", nil, has(object{"opened": numberOf("1"), "pong": numberOf("7"), "idle": numberOf("8"), "gone": numberOf("9"), "exp": numberOf("1795411703")})},
		{"pong", conn, "10", nil, fails},
		{"CONNECT", conn, "10", nil, fails},
		{"gone", object{"pk": textOf("ns#/ws/app#4"), "sk": textOf("c2=")}, "9", nil, has(object{"gone": numberOf("9"), "exp": numberOf("1795411703")})}, // creates it

		{"join ROOM", room, "10", nil, has(object{"user": textOf("alice"), "protocol": textOf("json"), "t": numberOf("10"), "exp": numberOf("1795411703")})},
		{"join ROOM", room, "10", nil, has(object{"user": textOf("alice"), "protocol": textOf("json"), "t": numberOf("10"), "exp": numberOf("1795411703")})}, // twice
		{"leave", room, "9", nil, fails},
		{"leave", room, "10", nil, has(object{"user": textOf("alice"), "protocol": textOf("json"), "t": numberOf("10"), "exp": numberOf("1795411703"), "left": textOf("left")})},
		{"join ROOM", room, "10", nil, fails}, // of the same instant the leave wins
		{"join ROOM", room, "11", nil, has(object{"user": textOf("alice"), "protocol": textOf("json"), "t": numberOf("11"), "exp": numberOf("1795411703")})},
		{"participant removed", room, "12", nil, has(object{"user": textOf("alice"), "protocol": textOf("json"), "t": numberOf("12"), "exp": numberOf("1795411703"), "left": textOf("removed")})},
		{"join ROOM", room, "11", nil, fails},
		{"participant removed", object{"pk": textOf("conversation:c1"), "sk": textOf("c#4#c2=")}, "12", nil, has(object{"user": textOf("alice"), "protocol": textOf("json"), "t": numberOf("12"), "exp": numberOf("1795411703"), "left": textOf("removed")})}, // a tombstone of nothing

		{"publish begin", publish, "1", nil, has(object{"state": textOf("inflight"), "owner": textOf("me"), "lease": numberOf("100"), "hash": textOf("h"), "exp": numberOf("1795411703")})},
		{"publish begin", publish, "1", nil, fails},                                                    // a live lease
		{"publish begin", publish, "1", object{":now": numberOf("101"), ":h": textOf("other")}, fails}, // the lease has ended, another body
		{"publish begin", publish, "1", object{":now": numberOf("101"), ":me": textOf("you")}, has(object{"state": textOf("inflight"), "owner": textOf("you"), "lease": numberOf("100"), "hash": textOf("h"), "exp": numberOf("1795411703")})},
		{"publish end", publish, "1", nil, fails}, // the lease is another's
		{"publish end", publish, "1", object{":me": textOf("you")}, has(object{"state": textOf("done"), "owner": textOf("you"), "lease": numberOf("100"), "hash": textOf("h"), "exp": numberOf("1795411703"), "result": object{"M": object{"delivered": numberOf("1")}}})},
		{"publish begin", publish, "1", object{":now": numberOf("101")}, fails}, // done
		{"publish begin", publish, "1", object{":now": numberOf("1795411704")}, has(object{"state": textOf("inflight"), "owner": textOf("me"), "lease": numberOf("100"), "hash": textOf("h"), "exp": numberOf("1795411703"), "result": object{"M": object{"delivered": numberOf("1")}}})}, // expired

		{"sweep begin", sweep, "1", nil, has(object{"owner": textOf("me"), "lease": numberOf("100")})},
		{"sweep begin", sweep, "1", nil, fails},
		{"sweep shard", sweep, "5", object{":me": textOf("you")}, fails},
		{"sweep shard", sweep, "5", nil, has(object{"owner": textOf("me"), "lease": numberOf("100"), "walked3": numberOf("5"), "verified3": numberOf("5"), "count3": numberOf("1"), "began3": numberOf("5"), "upto3": textOf("conversation:c1")})},
		{"sweep begin", sweep, "1", object{":now": numberOf("101"), ":lease": numberOf("200")}, has(object{"owner": textOf("me"), "lease": numberOf("200"), "walked3": numberOf("5"), "verified3": numberOf("5"), "count3": numberOf("1"), "began3": numberOf("5"), "upto3": textOf("conversation:c1")})},
		{"sweep end of its time", sweep, "1", nil, has(object{"owner": textOf("me"), "walked3": numberOf("5"), "verified3": numberOf("5"), "count3": numberOf("1"), "began3": numberOf("5"), "upto3": textOf("conversation:c1")})},
		{"sweep end", sweep, "1", nil, has(object{"owner": textOf("me"), "walked3": numberOf("5"), "verified3": numberOf("5"), "count3": numberOf("1"), "began3": numberOf("5"), "upto3": textOf("conversation:c1"), "active": numberOf("1"), "peak": numberOf("2")})},
	}
	engine := embedded(New(Options{}))
	createTable(t, engine, "app")
	done := map[string]bool{}
	for i, s := range steps {
		done[s.write] = true
		values := dataModelValues(s.t)
		maps.Copy(values, s.other)
		operation, r := dataModelWrites[s.write].request("app", s.key, values)
		status, answer := engine(t, operation, r)
		if s.want == fails {
			if answer["__type"] != typeConditionalFailed {
				t.Errorf("step %d, %s: status %d, %v; want its condition to fail", i, s.write, status, answer)
			}
			continue
		}
		if status != http.StatusOK {
			t.Errorf("step %d, %s: status %d, %v", i, s.write, status, answer)
			continue
		}
		if units := answer["ConsumedCapacity"].(object)["CapacityUnits"]; units != 1.0 {
			t.Errorf("step %d, %s: %v units, want 1", i, s.write, units)
		}
		if operation == "PutItem" {
			continue
		}
		want := maps.Clone(s.want.(object))
		maps.Copy(want, s.key)
		if diff := cmp.Diff(want, answer["Attributes"]); diff != "" {
			t.Errorf("step %d, %s (-want +got):\n%s", i, s.write, diff)
		}
	}
	for name := range dataModelWrites {
		if !done[name] {
			t.Errorf("no step performs %s", name)
		}
	}
}

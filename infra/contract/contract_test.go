package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/wire"
)

// TestCurrent holds the files to the code that they are written from.
func TestCurrent(t *testing.T) {
	c, err := build(root)
	if err != nil {
		t.Fatal(err)
	}
	want, err := c.files()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	dir := os.DirFS(filepath.Join(root, output))
	err = fs.WalkDir(dir, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			got[path], err = fs.ReadFile(dir, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(toText(want), toText(got)); diff != "" {
		t.Errorf("%s is not what make contract writes: -make contract +there\n%s", output, diff)
	}
}

func toText(files map[string][]byte) map[string]string {
	texts := map[string]string{}
	for path, content := range files {
		texts[path] = string(content)
	}
	return texts
}

// TestComplete wants a file for every event, and for every operation, that the code has a constant for.
func TestComplete(t *testing.T) {
	c, err := build(root)
	if err != nil {
		t.Fatal(err)
	}
	var events, operations []string
	for _, e := range slices.Concat(c.server, c.client) {
		events = append(events, e.Name)
	}
	for _, o := range c.control {
		operations = append(operations, o.Name)
	}
	for _, list := range []struct{ got, want []string }{{events, c.lists["Events"]}, {operations, c.lists["Operations"]}} {
		slices.Sort(list.got)
		slices.Sort(list.want)
		if diff := cmp.Diff(list.want, list.got); diff != "" || len(list.got) == 0 {
			t.Errorf("%d have schemas: -constants +schemas\n%s", len(list.got), diff)
		}
	}
}

// TestEverythingIsDocumented wants a comment on whatever has a name in the files.
func TestEverythingIsDocumented(t *testing.T) {
	c, err := build(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, def := range c.defs {
		if def.value.Description == "" {
			t.Errorf("%s: has no comment", def.name)
		}
	}
	for _, names := range [][]string{c.lists["Events"], c.lists["Operations"]} {
		for _, name := range names {
			if c.comments[name] == "" {
				t.Errorf("%s: has no comment", name)
			}
		}
	}
	for _, code := range c.values["Code"] {
		if c.comments[code.(string)] == "" {
			t.Errorf("%s: has no comment", code)
		}
	}
}

// elsewhere are the samples that have nothing of the contract in them: what AWS sends functions, packets that make and end a Socket.IO
// connection, and what functions ask of each other.
var elsewhere = []string{
	"authorizer*.json", "connect*.json", "disconnect*.json", "sweep*.json", "publish/jobs/*.json",
	"socketio/authorizer.json", "socketio/connect.json", "socketio/default-connect.json", "socketio/default-disconnect.json",
	"socketio/default-expired.json", "socketio/default-pong.json",
}

// TestSamples holds the samples of events to the schemas: those in errors, and those whose name says so, are refused.
func TestSamples(t *testing.T) {
	requests, held := map[string]string{}, map[string]bool{}
	for _, function := range []string{"publish", "control"} {
		request := load(t, function+"/request")
		for name, raw := range samples(t, function) {
			if err := request.Check(raw); err != nil {
				t.Errorf("%s/%s: %v", function, name, err)
			}
			var is struct{ Event, Op string }
			if err := json.Unmarshal(raw, &is); err != nil {
				t.Fatal(err)
			}
			requests[is.Event+is.Op], held[function+"/"+name+".json"] = name, true
			if err := load(t, function+"/"+kebab(is.Event+is.Op)).Check(raw); err != nil {
				t.Errorf("%s/%s: %v", function, name, err)
			}
		}
		for name, raw := range samples(t, function+"/errors") {
			held[function+"/errors/"+name+".json"] = true
			if request.Check(raw) == nil {
				t.Errorf("%s/errors/%s: fits", function, name)
			}
		}
	}
	c, err := build(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Concat(names(c.server), c.lists["Operations"]) {
		if requests[name] == "" {
			t.Errorf("%s: has no sample", name)
		}
	}
	envelope := load(t, "client-to-server")
	for name, raw := range samples(t, ".") {
		var message struct {
			RequestContext struct{ EventType string }
			Body           string
		}
		if err := json.Unmarshal(raw, &message); err != nil {
			t.Fatal(err)
		}
		if message.RequestContext.EventType != "MESSAGE" {
			continue
		}
		held[name+".json"] = true
		fits, wrong := envelope.Check([]byte(message.Body)), parseEnvelope([]byte(message.Body))
		if (fits == nil) != (wrong == nil) || strings.Contains(name, "-bad-") && fits == nil {
			t.Errorf("%s: the schema says %v, the parser %v", name, fits, wrong)
		}
	}
	for name, raw := range samples(t, "socketio") {
		var message struct{ Body string }
		if err := json.Unmarshal(raw, &message); err != nil {
			t.Fatal(err)
		}
		packet, err := wire.DecodePacket([]byte(message.Body))
		if err != nil || packet.Event == "" {
			continue
		}
		held["socketio/"+name+".json"] = true
		if err := load(t, "events/"+kebab(packet.Event)).Check(packet.Data); err != nil {
			t.Errorf("socketio/%s: %v", name, err)
		}
	}
	all := os.DirFS(filepath.Join(root, "events"))
	err = fs.WalkDir(all, ".", func(file string, entry fs.DirEntry, err error) error {
		if entry != nil && file == "contract" {
			return fs.SkipDir
		}
		other := slices.ContainsFunc(elsewhere, func(pattern string) bool { ok, _ := path.Match(pattern, file); return ok })
		if err == nil && path.Ext(file) == ".json" && held[file] == other {
			t.Errorf("%s: held to a schema %v, has nothing of the contract %v", file, held[file], other)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestExamples holds the examples of the AsyncAPI document, of which every message has one, to the schemas.
func TestExamples(t *testing.T) {
	c, err := build(root)
	if err != nil {
		t.Fatal(err)
	}
	for direction, events := range map[string][]string{"server-to-client": append(names(c.server), "ack"), "client-to-server": names(c.client)} {
		envelope := load(t, direction)
		for _, name := range events {
			if len(c.examples[name]) == 0 {
				t.Errorf("%s: has no example", name)
			}
			for _, example := range c.examples[name] {
				raw, err := marshal(example)
				if err != nil {
					t.Fatal(err)
				}
				var is struct{ Event string }
				if err := json.Unmarshal(raw, &is); err != nil || is.Event != name {
					t.Errorf("%s: the example is of %q, %v", name, is.Event, err)
				}
				if err := envelope.Check(raw); err != nil {
					t.Errorf("%s: %s: %v", name, raw, err)
				}
			}
		}
	}
}

func names(events []event) (names []string) {
	for _, e := range events {
		names = append(names, e.Name)
	}
	return names
}

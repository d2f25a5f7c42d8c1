package main

import (
	"encoding/json"
	"io/fs"
	"os"
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

// TestSamples holds the samples of events to the schemas: those in errors, and those whose name says so, are refused.
func TestSamples(t *testing.T) {
	requests := map[string]string{}
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
			requests[is.Event+is.Op] = name
			if err := load(t, function+"/"+kebab(is.Event+is.Op)).Check(raw); err != nil {
				t.Errorf("%s/%s: %v", function, name, err)
			}
		}
		for name, raw := range samples(t, function+"/errors") {
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
	envelope, checked := load(t, "client-to-server"), 0
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
		checked++
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
		checked++
		if err := load(t, "events/"+kebab(packet.Event)).Check(packet.Data); err != nil {
			t.Errorf("socketio/%s: %v", name, err)
		}
	}
	if checked < 10 {
		t.Errorf("only %d messages of clients in events", checked)
	}
}

func names(events []event) (names []string) {
	for _, e := range events {
		names = append(names, e.Name)
	}
	return names
}

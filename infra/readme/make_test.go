package readme

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// A variable of make that cannot be meant is told in one line, which names it and says what to give, before anything is fetched or begins.
func TestMakeVariables(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not in PATH")
	}
	const (
		seeds    = " is no number of seeds: give a whole one from 1"
		seed     = " is no seed: give a whole number from 0"
		fuzztime = " is no duration: give one as 30s or 5m, or a number of inputs as 1000x"
		chromium = " is no program: install Chromium (apt-get install chromium), or give the path of one"
	)
	tests := []struct{ target, variable, want string }{
		{"sim", "SEEDS=x", `SEEDS: "x"` + seeds},
		{"sim", "SEEDS=", `SEEDS: ""` + seeds},
		{"sim", "SEEDS=0", `SEEDS: "0"` + seeds},
		{"sim", "SEEDS=1 2", `SEEDS: "1 2"` + seeds},
		{"sim", "SEEDS=1000000000", `SEEDS: "1000000000"` + seeds},
		{"sim", `SEEDS='"; exit`, `SEEDS: "'"; exit"` + seeds},
		{"sim", "SEED=-1", `SEED: "-1"` + seed},
		{"sim", "SEED=1.5", `SEED: "1.5"` + seed},
		{"fuzz", "FUZZTIME=bad", `FUZZTIME: "bad"` + fuzztime},
		{"fuzz", "FUZZTIME=", `FUZZTIME: ""` + fuzztime},
		{"fuzz", "FUZZTIME=0s", `FUZZTIME: "0s"` + fuzztime}, // go test would not end
		{"fuzz", "FUZZTIME=1 s", `FUZZTIME: "1 s"` + fuzztime},
		{"console", "CHROMIUM=/it's not here", `CHROMIUM: /it's not here` + chromium},
		{"screenshots", "CHROMIUM=", `CHROMIUM: ` + chromium},
		{"console", "CHROMIUM=/", `CHROMIUM: /` + chromium},
		{"bench", "PART=poster,x", `bench: PART: "x" is none of poster, coldstart, publish, connect, rooms, fanout, sweep`},
		{"token", "USER=", "usage: make token USER=alice [TTL=1h]"},
		{"client", "USER=", "usage: make client USER=alice [URL=wss://...]"},
		{"participants", "USERS=alice", "usage: make participants CONVERSATION=c1 USERS=alice,bob"},
		{"publish", "FILE=", "usage: make publish FILE=events/publish/messages-new.json"},
	}
	for _, tt := range tests {
		t.Run(tt.target+" "+tt.variable, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			command := exec.CommandContext(ctx, "make", tt.target, tt.variable)
			command.Dir, command.Env = root, environment(t)
			printed, err := command.CombinedOutput()
			var said []string
			for line := range strings.Lines(string(printed)) {
				// make's own, and what go run says of a status and of modules that it fetches
				if !strings.HasPrefix(line, "make: ***") && line != "exit status 1\n" && !strings.HasPrefix(line, "go: downloading ") {
					said = append(said, line)
				}
			}
			if err == nil || len(said) != 1 || !strings.Contains(said[0], tt.want) {
				t.Errorf("%v, prints\n%s\nnot only\n%s", err, printed, tt.want)
			}
		})
	}
}

package readme

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// reader is somebody who does what the document says.
type reader struct {
	document
	files   string // where programs of the document are saved
	env     []string
	said    []string // what the chapter has exported
	system  *terminal
	places  *strings.Replacer // of the document's addresses by the system's
	back    *strings.Replacer
	ws      string // host:port of the system's WebSocket API
	staying []*terminal
	absent  bool // a program that would stay was left out, so that what follows in the chapter is not as shown
}

// tools tells whether everything is there that blocks may want.
func tools() bool { return os.Getenv("README_TOOLS") != "" }

// needs leaves a block out that wants more than Go and make.
func needs(t *testing.T, what string) {
	t.Helper()
	if !tools() {
		t.Skip("needs " + what + ": make readme has it")
	}
}

// TestBlocks does what every block says, from the first to the last.
func TestBlocks(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not in PATH")
	}
	r := &reader{document: read(t), files: t.TempDir(), env: environment(t), places: strings.NewReplacer(), back: strings.NewReplacer()}
	chapter := ""
	for _, b := range r.blocks {
		if b.chapter != chapter {
			chapter = b.chapter
			r.turn(t)
		}
		if !t.Run(b.String(), func(t2 *testing.T) { r.do(t, t2, b) }) && b.language == "console" {
			break // what follows builds on it
		}
	}
	r.turn(t)
	if r.system != nil {
		if err := r.system.interrupt(t); err != nil {
			t.Errorf("make run after Ctrl-C: %v\n%s", err, r.system.output())
		}
	}
}

// environment is this process's without what would lead elsewhere, and with the tools that CI fetched.
func environment(t *testing.T) []string {
	t.Helper()
	foreign := regexp.MustCompile(`^(AWS_|E2E_|DYNAMODB|LAMBDA_|JWT_|WS_PORT|SCHEDULE|MAKE|MFLAGS|GOFLAGS=-race|README_TOOLS)`)
	env := slices.DeleteFunc(os.Environ(), foreign.MatchString)
	path := os.Getenv("PATH")
	for _, dir := range []string{".tools/aws-cli/bin", ".tools/sam-cli/bin"} {
		absolute, err := filepath.Abs(filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		path = absolute + string(os.PathListSeparator) + path
	}
	return append(env, "PATH="+path, "SAM_CLI_TELEMETRY=0", "NODE_NO_WARNINGS=1") // of the AWS SDK, about the age of Node
}

// turn ends a chapter: its clients leave, and what it exported is forgotten.
func (r *reader) turn(t *testing.T) {
	t.Helper()
	for _, x := range slices.Backward(r.staying) {
		_ = x.interrupt(t) // a status says nothing about a program that was interrupted
	}
	r.staying, r.said, r.absent = nil, nil, false
}

// do does what a block says. Processes that stay outlive it: they belong to the whole.
func (r *reader) do(whole, t *testing.T, b block) {
	switch b.language {
	case "console":
		r.console(whole, t, b)
	case "sh":
		r.script(whole, t, b)
	case "text":
		switch {
		case strings.Contains(strings.Join(b.lines, "\n"), "──"): // a picture
		case slices.ContainsFunc(b.lines, func(l string) bool { return !strings.HasPrefix(l, "C: ") && !strings.HasPrefix(l, "S: ") }):
			t.Fatal("neither a picture nor a transcript: every line of one begins with C: or S:")
		default:
			r.transcript(t, b.lines)
		}
	case "json":
		checkJSON(t, strings.Join(b.lines, "\n"))
	case "go", "js", "python":
		r.save(t, b)
	case "ts":
		compiled(t, b)
		r.save(t, b)
	default:
		t.Fatalf("nobody knows how to check %q", b.language)
	}
}

// save keeps a program, whose name is in its first line, for a command that runs it.
func (r *reader) save(t *testing.T, b block) {
	_, name, ok := strings.Cut(b.lines[0], " ") // a comment
	if !ok || filepath.Ext(name) != map[string]string{"go": ".go", "js": ".mjs", "python": ".py", "ts": ".ts"}[b.language] {
		t.Fatalf("the first line names no file: %s", b.lines[0])
	}
	text := r.places.Replace(strings.Join(b.lines, "\n") + "\n")
	if err := os.WriteFile(filepath.Join(r.files, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^(\$ .*)?(go run|node|python3|npx tsc .*) ` + regexp.QuoteMeta(name) + `$`).MatchString(r.text) {
		t.Errorf("no command runs %s", name)
	}
}

// compiled wants a program, whose name is in its first line, among those that make contract-check compiles.
func compiled(t *testing.T, b block) {
	name := strings.TrimPrefix(b.lines[0], "// ")
	text, err := os.ReadFile(filepath.Join(root, "infra/contract/check", filepath.Base(name)))
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != strings.Join(b.lines, "\n")+"\n" {
		t.Errorf("is not infra/contract/check/%s to the byte", name)
	}
}

// command is one command line of a block, and what it prints.
type command struct {
	line    string
	printed []string
}

// commands of a block. In a console they begin with $; in a script every line is one. A line may go on after a backslash.
func (b block) commands() (list []command) {
	console := b.language == "console"
	if console && !strings.HasPrefix(b.lines[0], "$ ") {
		list = append(list, command{})
	}
	for i := 0; i < len(b.lines); i++ {
		line, isCommand := b.lines[i], !console
		if rest, ok := strings.CutPrefix(line, "$ "); console && ok {
			line, isCommand = rest, true
		}
		if !isCommand {
			list[len(list)-1].printed = append(list[len(list)-1].printed, line)
			continue
		}
		for strings.HasSuffix(line, `\`) {
			i++
			line = strings.TrimSuffix(line, `\`) + strings.TrimSpace(b.lines[i])
		}
		line, _, _ = strings.Cut(line, "  #")
		list = append(list, command{line: strings.TrimSpace(line)})
	}
	return list
}

// stays tells whether a command goes on until it is interrupted.
var stays = regexp.MustCompile(`^make (run|client|sam-invoke)\b|\bnode chat\.mjs$`)

// console does the commands of a block and compares what they print. One without a command goes on with the last that stayed.
func (r *reader) console(whole, t *testing.T, b block) {
	if r.absent {
		needs(t, "what was left out before")
	}
	for _, c := range b.commands() {
		switch {
		case c.line == "":
			if len(r.staying) == 0 {
				t.Fatal("nothing runs that could print this")
			}
			r.converse(t, r.staying[len(r.staying)-1], c.printed)
		case c.line == "make run":
			r.start(whole, t, c)
		case strings.HasPrefix(c.line, "export "):
			r.export(c.line)
		case stays.MatchString(c.line):
			r.absent = true
			r.want(t, c.line)
			r.absent = false
			x := launch(whole, r.prepare(c.line), r.environ())
			r.staying = append(r.staying, x)
			if strings.HasPrefix(c.line, "make client") && len(c.printed) == 0 {
				c.printed = []string{`{"event":"notifications:ready","data":{"message":"You are connected: notifications for this user arrive here.","userId":"alice"}}`}
			}
			r.converse(t, x, c.printed)
		default:
			r.want(t, c.line)
			r.whole(t, c)
		}
	}
}

var typing = regexp.MustCompile(`^(join|leave) \w+$|^heartbeat$`)

// converse awaits what a program prints, and types what a person types.
func (r *reader) converse(t *testing.T, x *terminal, lines []string) {
	t.Helper()
	for _, line := range lines {
		switch {
		case typing.MatchString(line):
			x.say(t, line)
		case line != "":
			x.expect(t, line, r.same)
		}
	}
}

// whole runs a command to its end and compares all that it prints.
func (r *reader) whole(t *testing.T, c command) {
	t.Helper()
	for _, program := range r.programs(t, c.line) {
		x := launch(t, r.prepare(program), r.environ())
		err := x.end(t)
		got, want := r.same(x.output()), r.same(strings.Join(c.printed, "\n"))
		if err != nil || got != want {
			t.Errorf("%s: %v\nprints\n%s\nnot\n%s", program, err, x.output(), strings.Join(c.printed, "\n"))
		}
	}
}

// programs are the command, by each version of the AWS CLI that takes it.
func (r *reader) programs(t *testing.T, line string) []string {
	rest, ok := strings.CutPrefix(line, "aws ")
	if !ok {
		return []string{line}
	}
	second := awsCLI2(t) + " " + rest
	if strings.Contains(line, "--cli-binary-format") {
		return []string{second}
	}
	return []string{line, second}
}

// awsCLI2 is its program, from the root, as the shell takes it wherever the repository is.
func awsCLI2(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("node_modules/.aws-cli-v2/awscli/v2/2.*/dist/aws")
	if err != nil || len(found) != 1 {
		t.Fatalf("AWS CLI 2 is not in infra/readme/node_modules: %v, %v", found, err)
	}
	return "infra/readme/" + filepath.ToSlash(found[0])
}

// want leaves a command out whose program is not there with Go and make alone.
func (r *reader) want(t *testing.T, line string) {
	t.Helper()
	switch program := strings.Fields(bare(line))[0]; program {
	case "make", "go", "cat":
	case "aws", "node", "python3":
		needs(t, program)
	default:
		t.Fatalf("nobody knows how to run %s", line)
	}
}

// bare is a command without the variables before it.
func bare(line string) string { return assignments.ReplaceAllString(line, "") }

var assignments = regexp.MustCompile(`^(\w+=(\$\([^)]*\)|"[^"]*"|\S*)\s+)+`)

func (r *reader) export(line string) {
	r.said = append(r.said, strings.Fields(r.places.Replace(strings.TrimPrefix(line, "export ")))...)
}

func (r *reader) environ() []string { return slices.Concat(r.env, r.said) }

// prepare says a command for this machine: the system's addresses, and where the programs are saved.
func (r *reader) prepare(line string) string {
	line = r.places.Replace(line)
	return savedProgram.ReplaceAllString(line, "$1"+r.files+"/$2")
}

var savedProgram = regexp.MustCompile(`(go run |node |python3 )(\w+\.(?:go|mjs|py))$`)

// same makes lines comparable.
func (r *reader) same(line string) string {
	return steady(r.back.Replace(line))
}

// start starts the system that the other blocks talk to.
func (r *reader) start(whole, t *testing.T, c command) {
	r.system = launch(whole, c.line, append(r.environ(), "WS_PORT=0", "LAMBDA_PORT=0", "DYNAMODB_PORT=0"))
	r.system.expect(t, "Ctrl-C ends everything.", steady)
	printed := r.system.output()
	place := func(what, pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(printed)
		if m == nil {
			t.Fatalf("make run does not say where %s is:\n%s", what, printed)
		}
		return m[1]
	}
	r.ws = place("the WebSocket API", `WebSocket API +ws://([\d.:]+)/`)
	lambda, table := place("the Invoke API", `Invoke API +http://([\d.:]+)`), place("the table", `table \w+ +http://([\d.:]+)`)
	r.places = strings.NewReplacer("127.0.0.1:3001", r.ws, "127.0.0.1:3002", lambda, "127.0.0.1:8000", table)
	back := []string{r.ws, "127.0.0.1:3001", lambda, "127.0.0.1:3002", table, "127.0.0.1:8000"}
	for name, address := range map[string]string{"WS_PORT": r.ws, "LAMBDA_PORT": lambda, "DYNAMODB_PORT": table} {
		setting := name + "=" + address[strings.LastIndex(address, ":")+1:]
		r.env = append(r.env, setting)
		back = append(back, " "+setting, "")
	}
	r.back = strings.NewReplacer(back...)
	_, welcome, _ := strings.Cut(printed, "\nThe system is up")
	want := strings.TrimSpace(strings.Join(c.printed, "\n"))
	if got := "The system is up" + welcome[:strings.Index(welcome, "everything.")+len("everything.")]; r.same(got) != r.same(want) {
		t.Errorf("make run prints\n%s\nnot\n%s", got, want)
	}
}

// node puts the packages of package.json beside the saved programs.
func (r *reader) node(t *testing.T) {
	t.Helper()
	packages, err := filepath.Abs("node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(packages, filepath.Join(r.files, "node_modules")); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
}

func fail(t *testing.T, x *terminal, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v\n%s", x.command, err, cmp.Or(x.output(), "nothing printed"))
	}
}

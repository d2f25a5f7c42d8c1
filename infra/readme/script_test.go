package readme

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// script does the commands of a block whose output is not shown.
func (r *reader) script(whole, t *testing.T, b block) {
	inContainers := strings.Contains(strings.Join(b.lines, "\n"), "sam local ")
	for _, c := range b.commands() {
		t.Run(c.line, func(t *testing.T) {
			switch {
			case strings.HasPrefix(c.line, "export "):
				r.export(c.line)
			case inContainers && !strings.HasPrefix(c.line, "sam build"):
				r.containers(t, b, c.line)
			default:
				r.scriptLine(whole, t, b, c.line)
			}
		})
	}
}

func (r *reader) scriptLine(whole, t *testing.T, b block, line string) {
	words := strings.Fields(bare(line))
	switch {
	case words[0] == "make" && words[1] == "run":
		r.extra(t, line)
	case line == "make sam-invoke":
		r.samInvoke(whole, t)
	case words[0] == "make" && (words[1] == "sim" || words[1] == "fuzz"):
		needs(t, "time")
		x := launch(t, strings.Replace(line, "FUZZTIME=10s", "FUZZTIME=1x", 1), r.environ())
		fail(t, x, x.end(t))
	case words[0] == "make":
		byCI(t, words[1])
	case strings.HasPrefix(line, "go test -v -run Cost "):
		r.costs(t, line)
	case line == "sam build":
		byCI(t, "sam")
	case words[0] == "npm" && words[1] == "install":
		r.packages(t, slices.DeleteFunc(words[2:], func(word string) bool { return strings.HasPrefix(word, "--") }))
	case words[0] == "cp":
		x := launch(t, "cp "+words[1]+" "+r.files, r.environ())
		fail(t, x, x.end(t))
	case words[0] == "npx" && words[1] == "tsc":
		needs(t, "npx")
		program := words[len(words)-1]
		x := launch(t, "infra/readme/node_modules/.bin/"+strings.TrimSuffix(line[len("npx "):], program)+filepath.Join(r.files, program), r.environ())
		fail(t, x, x.end(t))
	case words[0] == "pip" && words[1] == "install": // SAM CLI, which comes first in PATH, has it
		needs(t, "Python and "+words[2])
		x := launch(t, "python3 -c 'import "+words[2]+"'", r.environ())
		fail(t, x, x.end(t))
	case words[0] == "aws" && strings.Contains(line, "--endpoint-url http://127.0.0.1:"):
		needs(t, "aws")
		for _, program := range r.programs(t, line) {
			x := launch(t, r.prepare(program), r.environ())
			fail(t, x, x.end(t))
		}
	case words[0] == "sam" && words[1] == "deploy", words[0] == "aws", strings.HasPrefix(line, "E2E_URL="):
		r.account(t, b, line)
	default:
		t.Fatalf("nobody knows how to check this command")
	}
}

// byCI holds a target of make to be one that CI makes.
func byCI(t *testing.T, target string) {
	t.Helper()
	if regexp.MustCompile(`(?m)^section make ` + target + `$`).MatchString(source(t, ".ci/run")) {
		return
	}
	steps := regexp.MustCompile(`(?m)^\t@infra/tools/steps (.*)$`).FindStringSubmatch(source(t, "Makefile"))
	if steps == nil || !slices.Contains(strings.Fields(steps[1]), target) {
		t.Errorf("CI does not make %s: its steps are %q", target, steps)
	}
}

// account holds a command that only an AWS account can carry out to be marked as such. The AWS CLI checks its options, and fails when it
// comes to send the request: nobody is there.
func (r *reader) account(t *testing.T, b block, line string) {
	if !strings.Contains(r.chapterText(b.chapter), "needs an AWS account") {
		t.Errorf("the chapter %q does not say that this needs an AWS account", b.chapter)
	}
	if strings.HasPrefix(line, "aws ") {
		needs(t, "aws")
		env := append(r.environ(), "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_MAX_ATTEMPTS=1")
		for _, program := range r.programs(t, line) {
			x := launch(t, program+" --endpoint-url http://127.0.0.1:1", env)
			err := x.end(t)
			if !strings.Contains(x.output(), "Could not connect to the endpoint URL") {
				t.Errorf("%s: %v\n%s", program, err, x.output())
			}
		}
	}
}

// containers holds a block of SAM CLI's own commands to be marked, and has SAM CLI read them: without a container runtime it says that this
// is what is missing, after it has understood the rest.
func (r *reader) containers(t *testing.T, b block, line string) {
	if !strings.Contains(r.chapterText(b.chapter), "need Docker") {
		t.Errorf("the chapter %q does not say that this needs Docker", b.chapter)
	}
	if bare(line) == "make run" {
		return // behind the functions that would run in containers
	}
	if !strings.HasPrefix(bare(line), "sam local ") {
		t.Fatal("nobody knows how to check this command")
	}
	needs(t, "SAM CLI")
	env := slices.DeleteFunc(r.environ(), func(entry string) bool { return strings.HasPrefix(entry, "DOCKER_HOST=") })
	x := launch(t, line, append(env, "DOCKER_HOST=unix:///nowhere", "AWS_DEFAULT_REGION=us-east-1"))
	err := x.end(t)
	if !strings.Contains(x.output(), "requires a container runtime") {
		t.Errorf("%s: %v\n%s", line, err, x.output())
	}
}

// packages holds what is to be installed to be what make readme has installed.
func (r *reader) packages(t *testing.T, names []string) {
	manifest := source(t, "infra/readme/package.json")
	for _, name := range names {
		name = regexp.MustCompile(`(.)@\d+$`).ReplaceAllString(name, "$1")
		if !strings.Contains(manifest, `"`+name+`"`) {
			t.Errorf("%s is not in infra/readme/package.json", name)
		}
	}
	needs(t, "npm")
	r.node(t)
	for _, name := range names {
		name = regexp.MustCompile(`(.)@\d+$`).ReplaceAllString(name, "$1")
		if _, err := os.Stat(filepath.Join("node_modules", name)); err != nil {
			t.Error(err)
		}
	}
}

// extra starts another system, sees that somebody can connect, and ends it.
func (r *reader) extra(t *testing.T, line string) {
	env := append(r.environ(), "WS_PORT=0", "LAMBDA_PORT=0", "DYNAMODB_PORT=0")
	switch {
	case strings.Contains(line, "LAMBDA_ENDPOINT="):
		needs(t, "SAM CLI")
		env = append(env, r.said...)
		line = strings.NewReplacer("http://127.0.0.1:3003", valueOf(r.said, "LAMBDA_ENDPOINT")).Replace(line)
	case strings.Contains(line, "DYNAMODB=local"):
		needs(t, "Java and Maven")
	case strings.Contains(line, "DYNAMODB_ENDPOINT="):
		env = append(env, "TABLE_NAME=another") // beside the table of the system whose DynamoDB this is
	}
	x := launch(t, r.prepare(line), env)
	x.expect(t, "Ctrl-C ends everything.", steady)
	m := regexp.MustCompile(`WebSocket API +ws://([\d.:]+)/`).FindStringSubmatch(x.output())
	c := dial(t, m[1], "alice", jsonClient)
	c.await(t, `{"event":"notifications:ready","data":{"message":"You are connected: notifications for this user arrive here.","userId":"alice"}}`)
	c.leave()
	fail(t, x, x.interrupt(t))
}

// samInvoke starts SAM CLI's Invoke service on a port of its own, for a system that is to come on others.
func (r *reader) samInvoke(whole, t *testing.T) {
	if !strings.Contains(source(t, "Makefile"), "/python infra/tools/sam_invoke.py\n") {
		t.Fatal("make sam-invoke is not sam_invoke.py alone any more")
	}
	needs(t, "SAM CLI")
	invoke, ws, table := freePort(t), freePort(t), freePort(t)
	env := append(r.environ(), "AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:"+table, "CONNECTIONS_ENDPOINT=http://127.0.0.1:"+ws+"/local")
	x := launch(whole, "exec .tools/sam-cli/bin/python infra/tools/sam_invoke.py --port "+invoke, env)
	r.staying = append(r.staying, x)
	x.expect(t, "SAM CLI's Invoke service on http://127.0.0.1:"+invoke, steady)
	r.said = append(r.said, "LAMBDA_ENDPOINT=http://127.0.0.1:"+invoke, "WS_PORT="+ws, "DYNAMODB_PORT="+table)
}

func valueOf(env []string, name string) (value string) {
	for _, entry := range env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it only had to be free
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// costs runs the tests that measure, and compares the tables that they print.
func (r *reader) costs(t *testing.T, line string) {
	needs(t, "time")
	x := launch(t, strings.Replace(line, "go test", "go test -count=1", 1), r.environ())
	fail(t, x, x.end(t))
	for _, row := range regexp.MustCompile(`(?m)^ *(\|.*\|)$`).FindAllString(x.output(), -1) {
		if row = strings.TrimSpace(row); !strings.Contains(r.text, row) {
			t.Errorf("the document lacks\n%s", row)
		}
	}
}

package readme

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/realtime/infra/local/faults"
	"example.org/realtime/shared/contract"
)

// checkJSON holds a document to what it is: a publish request or its answer, a request to control, or what a membership function is asked
// and answers.
func checkJSON(t *testing.T, text string) {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		t.Fatal(err)
	}
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return members[name] == nil })
	}
	var err error
	switch {
	case has("op"):
		_, err = contract.ParseControl(json.RawMessage(text))
	case has("event", "data"):
		_, err = contract.ParsePublish(json.RawMessage(text))
	case has("state"):
		err = strictly(text, &contract.PublishStatus{})
	case has("matched"):
		var p contract.Published
		err = strictly(text, &p)
		if p.Matched != p.Delivered+p.Gone+p.Failed+p.Queued {
			t.Error("the counts do not add up")
		}
	case has("added"):
		err = strictly(text, &contract.ParticipantsChanged{})
	case has("users"):
		err = strictly(text, &contract.ParticipantsPage{})
	case has("refused"):
		err = strictly(text, &contract.GroupChanged{})
	case has("published"):
		err = strictly(text, &contract.SocketsDisconnected{})
	case has("presence"):
		err = strictly(text, &contract.PresenceList{})
	case has("connections"):
		err = strictly(text, &contract.UserConnections{})
	case has("connectionId"):
		err = strictly(text, &contract.ConnectionRooms{})
	case has("userId", "conversationId"):
		err = strictly(text, &struct{ UserID, ConversationID string }{})
	case has("allowed"):
		err = strictly(text, &struct {
			Allowed bool
			Message string
		}{})
	default:
		t.Fatalf("nobody knows what this is: %s", text)
	}
	if err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

func strictly(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// The publish requests beside the lines of the Node server are accepted.
func TestEmitTable(t *testing.T) {
	data := map[string]string{
		contract.NotificationsNew: `{"eventKey":"k","notification":{}}`,
		contract.SystemDisconnect: `{"reason":"signed_out"}`,
	}
	message := `{"conversationId":"c1","message":{},"senderId":"alice","recipients":["bob"]}`
	for _, table := range read(t).tablesOf(t, "Node server", "publish request") {
		for _, row := range table.rows[1:] {
			request := slices.IndexFunc(code(row[1]), func(c string) bool { return strings.HasPrefix(c, "{") })
			if request < 0 {
				t.Errorf("%s: no request", row[0])
				continue
			}
			text := code(row[1])[request]
			for name, sample := range data {
				if strings.Contains(text, `"`+name+`"`) {
					text = strings.Replace(text, `{...}`, sample, 1)
				}
			}
			checkJSON(t, strings.Replace(text, `{...}`, message, 1))
		}
	}
}

// The answers in the table of control's operations are answers.
func TestControlTable(t *testing.T) {
	var named []string
	for _, table := range read(t).tablesOf(t, "`op`") {
		for _, row := range table.rows[1:] {
			named = append(named, code(row[0])...)
			for _, c := range code(row[len(row)-1]) {
				if strings.HasPrefix(c, "{") {
					checkJSON(t, c)
				}
			}
		}
	}
	operations := slices.DeleteFunc(constants(t, "shared/contract/control.go", ""), func(v string) bool { return !strings.Contains(v, ".") })
	if diff := cmp.Diff(operations, named); diff != "" {
		t.Errorf("operations: -code +README\n%s", diff)
	}
}

// constants are the string constants of a Go file whose name or type matches.
func constants(t *testing.T, path, kind string) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(gotoken.NewFileSet(), filepath.Join(root, path), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		literal, isLiteral := spec.Values[0].(*ast.BasicLit)
		typed, _ := spec.Type.(*ast.Ident)
		if isLiteral && literal.Kind == gotoken.STRING && (kind == "" && typed == nil || typed != nil && typed.Name == kind) {
			value, _ := strconv.Unquote(literal.Value)
			values = append(values, value)
		}
		return true
	})
	return values
}

func TestErrorCodes(t *testing.T) {
	var named []string
	for _, table := range read(t).tablesOf(t, "code", "when") {
		for _, row := range table.rows[1:] {
			named = append(named, code(row[0])...)
		}
	}
	if diff := cmp.Diff(constants(t, "shared/contract/errors.go", "Code"), named); diff != "" {
		t.Errorf("codes: -code +README\n%s", diff)
	}
}

// Every event of the contract has a transcript.
func TestEveryEventHasATranscript(t *testing.T) {
	var frames strings.Builder
	for _, b := range read(t).blocks {
		if b.language == "text" {
			frames.WriteString(strings.Join(b.lines, "\n"))
		}
	}
	events := slices.DeleteFunc(constants(t, "shared/contract/events.go", ""), func(v string) bool { return v == contract.Namespace })
	if len(events) != 11 {
		t.Errorf("%d events: %q", len(events), events)
	}
	for _, event := range events {
		if !strings.Contains(frames.String(), `{"event":"`+event+`"`) || !strings.Contains(frames.String(), `["`+event+`"`) {
			t.Errorf("%s has no transcript of both protocols", event)
		}
	}
}

// The audience table names what each event wants, and whether it has an audience of its own.
func TestAudienceTable(t *testing.T) {
	for _, table := range read(t).tablesOf(t, "event", "audience without `to`") {
		for _, row := range table.rows[1:] {
			for _, event := range code(row[0]) {
				missing := func(request string) string {
					_, err := contract.ParsePublish(json.RawMessage(request))
					if err == nil {
						return ""
					}
					field, _, _ := strings.Cut(err.Error(), ":")
					return field
				}
				data, required := map[string]any{}, []string{}
				for {
					raw, err := json.Marshal(data)
					if err != nil {
						t.Fatal(err)
					}
					field, ok := strings.CutPrefix(missing(`{"event":"`+event+`","to":{"all":true},"data":`+string(raw)+`}`), "data.")
					if !ok || len(required) > 9 {
						break
					}
					required = append(required, field)
					fill(data, field)
				}
				if event == contract.MessagesDeleted { // "the same", and two more
					required = required[len(required)-2:]
				}
				for _, field := range required {
					if !strings.Contains(row[2], "`"+field+"`") && !strings.HasPrefix(row[2]+" ", "the same") {
						t.Errorf("%s wants data.%s, the table does not say so", event, field)
					}
				}
				raw, _ := json.Marshal(data) //nolint:errchkjson // strings and numbers
				if wants := missing(`{"event":"`+event+`","data":`+string(raw)+`}`) == "to"; wants != strings.HasPrefix(row[1], "none") {
					t.Errorf("%s: to is required: %v", event, wants)
				}
			}
		}
	}
}

// fill gives a missing member a value that will do.
func fill(data map[string]any, field string) {
	name, member, nested := strings.Cut(field, ".")
	switch {
	case nested:
		inner, ok := data[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			data[name] = inner
		}
		inner[member] = "deleted"
	case name == "recipients" || name == "sockets":
		data[name] = []any{}
	case name == "isOnline":
		data[name] = true
	case name == "lastSeen":
		data[name] = nil
	case name == "message" && data["conversationId"] != nil:
		data[name] = map[string]any{}
	default:
		data[name] = "x"
	}
}

// The options of the local stack are those that its source reads.
func TestOptions(t *testing.T) {
	file := source(t, "infra/local/settings.go")
	_, file, _ = strings.Cut(file, "func (c *command) options()")
	file, _, _ = strings.Cut(file, "\n}\n")
	taken := map[string]bool{}
	for _, m := range regexp.MustCompile(`\("([A-Z][A-Z_]+)"`).FindAllStringSubmatch(file, -1) {
		taken[m[1]] = true
	}
	named := map[string]bool{}
	for _, table := range read(t).tablesOf(t, "option", "meaning") {
		for _, row := range table.rows[1:] {
			for _, name := range code(row[0]) {
				named[name] = true
			}
		}
	}
	if diff := cmp.Diff(taken, named); diff != "" {
		t.Errorf("options: -code +README\n%s", diff)
	}
}

// The faults are those that FAULTS takes.
func TestFaults(t *testing.T) {
	taken, named := map[string]bool{}, map[string]bool{}
	for _, key := range faults.Keys() {
		taken[key.Name] = true
	}
	for _, table := range read(t).tablesOf(t, "fault", "meaning") {
		for _, row := range table.rows[1:] {
			for _, name := range code(row[0]) {
				named[name] = true
			}
		}
	}
	if diff := cmp.Diff(taken, named); diff != "" {
		t.Errorf("faults: -code +README\n%s", diff)
	}
}

// The metrics are those that the code puts, the alarms and outputs those of the template.
func TestOperation(t *testing.T) {
	text := read(t).chapterText("Deploying")
	put := map[string]bool{}
	for _, pattern := range []string{"shared/realtime/*.go", "functions/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text := source(t, strings.TrimPrefix(file, root+"/"))
			for _, call := range regexp.MustCompile(`(?s)Metrics\.Put\(map\[string\]float64\{(.*?)\}\)|metrics\.Put\(map\[string\]float64\{(.*?)\}\)`).FindAllString(text, -1) {
				for _, m := range regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatch(call, -1) {
					put[m[1]] = true
				}
			}
		}
	}
	_, line, _ := strings.Cut(text, "**Metrics**")
	line, _, _ = strings.Cut(line, "\n\n")
	named := map[string]bool{}
	for _, name := range code(line)[1:] { // the namespace comes first
		named[name] = true
	}
	if diff := cmp.Diff(put, named); diff != "" {
		t.Errorf("metrics: -code +README\n%s", diff)
	}
	parsed := readTemplate(t)
	for id, resource := range parsed.Resources {
		if resource.Type == "AWS::CloudWatch::Alarm" && !strings.Contains(text, "`"+id+"`") {
			t.Errorf("alarm %s is not named", id)
		}
	}
	for id := range parsed.Outputs {
		if !strings.Contains(text, "`"+id+"`") {
			t.Errorf("output %s is not named", id)
		}
	}
}

// The layout names every folder, and none that is not there.
func TestLayout(t *testing.T) {
	want := map[string]bool{}
	for _, pattern := range []string{"functions/*", "shared/*", "infra/*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			want[strings.TrimPrefix(path, root+"/")] = true
		}
	}
	text := read(t).chapterText("Where to find what")
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if dir := filepath.Dir(path); dir == "functions" {
			path = dir
		}
		if !strings.Contains(text, "`"+path+"`") {
			t.Errorf("%s is not named", path)
		}
	}
}

// The numbers of the limits are the contract's.
func TestLimits(t *testing.T) {
	var all bytes.Buffer
	for _, table := range read(t).tablesOf(t, "what", "limit") {
		for _, row := range table.rows[1:] {
			fmt.Fprintln(&all, strings.ReplaceAll(strings.Join(row, " "), " ", ""))
		}
	}
	for what, number := range map[string]int{
		"message": contract.MaxPayloadBytes, "at most": contract.MaxMessageBytes, "event": contract.MaxEventBytes,
		"sockets": contract.SocketsPerUserMax, "rooms": contract.RoomsPerConnectionMax, "users": contract.MaxUsersPerRequest,
		"list": contract.MaxAudience, "id": contract.MaxPublishIDLength, "hours": int(contract.PublishIDTTL.Hours()),
		"age": int(contract.MaxConnectionAge.Hours()),
	} {
		if !strings.Contains(all.String(), strconv.Itoa(number)) {
			t.Errorf("%s: %d is not among the limits", what, number)
		}
	}
}

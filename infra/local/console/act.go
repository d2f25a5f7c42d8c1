package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"example.org/realtime/infra/local/faults"
	"example.org/realtime/infra/local/gateway"
	"example.org/realtime/infra/local/stack"
	"example.org/realtime/infra/local/trace"
)

const (
	maxRequest  = 6 << 20 // bytes, of the Invoke API
	invokeTime  = time.Minute
	tokenLife   = 10 * time.Minute
	maxTokenAge = 24 * time.Hour
)

// functions that a page may invoke, with the logical ids by which the local stack and SAM CLI both know them.
var functions = map[string]string{"publish": "PublishFunction", "control": "ControlFunction"}

// minted is a token, which the page uses and does not show.
type minted struct {
	Token   string `json:"token"`
	Expires int64  `json:"expires"`
}

// mint makes a token for {"user", "seconds"}, of at most maxTokenAge. Negative seconds make an expired one.
func (c *Console) mint(w http.ResponseWriter, r *http.Request, _ *stack.Stack) {
	var request struct {
		User    string
		Seconds int
	}
	if !read(w, r, &request) {
		return
	}
	life := tokenLife
	if request.Seconds != 0 {
		const most = int(maxTokenAge / time.Second)
		life = time.Duration(max(-most, min(request.Seconds, most))) * time.Second
	}
	token, err := c.Token(request.User, life)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, "user", strings.TrimPrefix(err.Error(), "user: "))
		return
	}
	answer(w, minted{token, c.Now().Add(life).UnixMilli()})
}

// sampleFile is a request that is in the repository.
type sampleFile struct {
	Function string `json:"function"`
	File     string `json:"file"` // as make takes it
	Text     string `json:"text"`
}

// serveSamples reads them anew each time: they may be edited meanwhile. A folder that is not there has none.
func (c *Console) serveSamples(w http.ResponseWriter, _ *http.Request, _ *stack.Stack) {
	all := []sampleFile{}
	for _, function := range []string{"publish", "control"} {
		for _, folder := range []string{"events/" + function, "events/" + function + "/errors"} {
			entries, err := os.ReadDir(c.file(folder))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				refuse(w, http.StatusInternalServerError, "", err.Error())
				return
			}
			for _, entry := range entries {
				if path.Ext(entry.Name()) != ".json" {
					continue
				}
				name := folder + "/" + entry.Name()
				text, err := os.ReadFile(c.file(name))
				if err != nil {
					refuse(w, http.StatusInternalServerError, "", err.Error())
					return
				}
				all = append(all, sampleFile{function, name, string(text)})
			}
		}
	}
	answer(w, all)
}

// invoked is what became of an invocation. Syntax is set when the request is not JSON: it was not sent then.
type invoked struct {
	TraceID string          `json:"traceId,omitempty"`
	MS      float64         `json:"ms"`
	Answer  json.RawMessage `json:"answer,omitempty"`
	Error   *functionError  `json:"error,omitempty"`
	Syntax  *syntaxError    `json:"syntax,omitempty"`
}

// functionError is what the function said, or the Invoke API. Field is the one that a ValidationError begins with.
type functionError struct {
	Type    string `json:"type"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

// syntaxError is where a request ceases to be JSON: Line and Column count from 1, Column in characters; Offset is in UTF-16 units, as
// JavaScript counts.
type syntaxError struct {
	Offset  int    `json:"offset"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

// invoke passes a request on to a function, byte for byte, in a trace of its own.
func (c *Console) invoke(w http.ResponseWriter, r *http.Request, s *stack.Stack) {
	function := r.PathValue("function")
	logicalID, known := functions[function]
	if !known {
		refuse(w, http.StatusNotFound, "function", "must be publish or control")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "", "the request must be smaller than 6 MB")
		return
	}
	if e := syntax(body); e != nil {
		answer(w, invoked{Syntax: e})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), invokeTime)
	defer cancel()
	root := trace.NewRoot(c.Now())
	begun := c.Now()
	_, subject := Subject(body)
	c.traces.follow(root, function, subject, begun)
	call := gateway.LambdaInvoke(s.LambdaEndpoint, nil)
	result, err := call(trace.NewContext(ctx, trace.Header{Root: root}), logicalID, body)
	out := invoked{TraceID: root, MS: inMS(c.Now().Sub(begun))}
	switch {
	case err != nil:
		out.Error = &functionError{Type: "unreachable", Message: oneLine(err.Error())}
	case result.FunctionError != "" || result.Status >= 300:
		out.Error = errorOf(result)
	default:
		out.Answer = result.Payload
	}
	answer(w, out)
}

// errorOf reads the document of an error.
func errorOf(result gateway.Result) *functionError {
	var e struct{ ErrorType, ErrorMessage, Message string }
	if json.Unmarshal(result.Payload, &e) != nil {
		return &functionError{Type: result.FunctionError, Message: oneLine(string(result.Payload))}
	}
	out := &functionError{Type: e.ErrorType, Message: e.ErrorMessage + e.Message}
	if e.ErrorType == "ValidationError" {
		if field, message, ok := strings.Cut(e.ErrorMessage, ": "); ok {
			out.Field, out.Message = field, message
		}
	}
	return out
}

// syntax says where a text ceases to be JSON, nil when it is.
func syntax(body []byte) *syntaxError {
	var e *json.SyntaxError
	err := json.Unmarshal(body, new(json.RawMessage))
	if err == nil {
		return nil
	}
	at, message := len(body), err.Error()
	if errors.As(err, &e) {
		at = max(0, min(int(e.Offset)-1, len(body)))
		if strings.HasPrefix(message, "unexpected end") {
			at = len(body)
		}
	}
	before := string(body[:at])
	last := before[strings.LastIndexByte(before, '\n')+1:]
	return &syntaxError{
		Offset: utf16Length(before), Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(last), Message: message,
	}
}

func utf16Length(s string) (n int) {
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// faultsPage is what goes wrong at the moment, and what could.
type faultsPage struct {
	Faults   string         `json:"faults"` // as FAULTS takes it
	Shuffle  string         `json:"shuffle"`
	Keys     []faults.Key   `json:"keys"`
	Injected map[string]int `json:"injected"`
}

func (c *Console) serveFaults(w http.ResponseWriter, _ *http.Request, s *stack.Stack) {
	page := faultsPage{Faults: s.Faults.Get().String(), Keys: faults.Keys(), Injected: s.Faults.Injected()}
	if jitter := s.Gateway.Shuffle(); jitter > 0 {
		page.Shuffle = jitter.String()
	}
	answer(w, page)
}

// setFaults takes {"faults", "shuffle"}, each as its setting does.
func (c *Console) setFaults(w http.ResponseWriter, r *http.Request, s *stack.Stack) {
	var request struct{ Faults, Shuffle string }
	if !read(w, r, &request) {
		return
	}
	var jitter time.Duration
	if request.Shuffle != "" {
		var err error
		if jitter, err = time.ParseDuration(request.Shuffle); err != nil || jitter < 0 {
			refuse(w, http.StatusUnprocessableEntity, "shuffle", "must be a duration, such as 200ms, or nothing")
			return
		}
	}
	config, err := faults.Parse(request.Faults)
	if err == nil {
		err = s.Faults.Set(config)
	}
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, "faults", err.Error())
		return
	}
	s.Gateway.SetShuffle(jitter)
	c.serveFaults(w, r, s)
}

// read decodes a request, or refuses it.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(into)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "", "the request: "+err.Error())
		return false
	}
	return true
}

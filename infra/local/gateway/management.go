package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/gobwas/ws"

	"example.org/realtime/infra/local/trace"
)

// answer is a response of the management API.
type answer struct {
	status    int
	errorType string // x-amzn-ErrorType; "" on success
	body      []byte
}

// errorTypes of the management API's service model, and what a service says that fails in another way.
var errorTypes = map[int]string{
	http.StatusBadRequest:            "BadRequestException",
	http.StatusForbidden:             "ForbiddenException",
	http.StatusGone:                  "GoneException",
	http.StatusRequestEntityTooLarge: "PayloadTooLargeException",
	http.StatusTooManyRequests:       "LimitExceededException",
}

// failure is an error answer; without a message its body is empty, as that of captured 410s.
func failure(status int, message string) answer {
	a := answer{status: status, errorType: errorTypes[status]}
	if a.errorType == "" {
		a.errorType = "InternalServerErrorException"
	}
	if message != "" {
		a.body = []byte(`{"message":` + strconv.Quote(message) + `}`)
	}
	return a
}

func (a answer) write(w http.ResponseWriter, requestID string) {
	w.Header().Set("x-amzn-RequestId", requestID)
	if a.errorType != "" {
		w.Header().Set("x-amzn-ErrorType", a.errorType)
	}
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// manage serves one request for /{stage}/@connections/{id}.
func (g *Gateway) manage(w http.ResponseWriter, r *http.Request, id string) {
	start := g.cfg.Now()
	requestID := newID(start)
	op := map[string]string{
		http.MethodPost: PostToConnection, http.MethodGet: GetConnection, http.MethodDelete: DeleteConnection,
	}[r.Method]
	if op == "" {
		failure(http.StatusForbidden, "Forbidden").write(w, requestID)
		return
	}
	a, body := g.operate(r, op, id)
	if !validID(id) {
		id = "" // a log line is no place for whatever was in the path
	}
	h := trace.Parse(r.Header.Get(trace.Name))
	g.observe(Event{
		Kind: op, ConnectionID: id, RequestID: requestID, TraceID: h.Root, Segment: h.Parent, Bytes: len(body), Body: body,
		Status: a.status, Duration: g.cfg.Now().Sub(start),
	})
	a.write(w, requestID)
}

// operate carries out an operation, with its faults, and returns its answer and what was posted.
func (g *Gateway) operate(r *http.Request, op, id string) (a answer, body []byte) {
	if g.cfg.RequireSignature {
		if problem := unsigned(r, g.cfg.Region); problem != "" {
			return failure(http.StatusForbidden, problem), nil
		}
	}
	if !validID(id) {
		return failure(http.StatusBadRequest, "Invalid connectionId"), nil
	}
	// Read whole and first: only then does net/http notice a caller that gives up.
	body, err := io.ReadAll(io.LimitReader(r.Body, maxMessage+1))
	if err != nil {
		return failure(http.StatusBadRequest, "the body could not be read"), nil
	}
	var fault Fault
	if g.cfg.Fault != nil {
		fault = g.cfg.Fault(op, id)
	}
	if !fault.After {
		g.sleep(r.Context(), fault.Delay)
	}
	if r.Context().Err() != nil {
		return failure(http.StatusGatewayTimeout, ""), body
	}
	c := g.find(id)
	if fault.Cut && c != nil {
		c.cut()
	}
	if fault.Status == 0 || fault.After {
		a = g.perform(op, c, body)
	}
	if fault.After {
		g.sleep(r.Context(), fault.Delay)
	}
	if fault.Status != 0 {
		a = failure(fault.Status, "")
	}
	return a, body
}

// perform carries out op on c, which is nil when there is no such connection.
func (g *Gateway) perform(op string, c *conn, body []byte) answer {
	switch {
	case !g.allowed():
		return failure(http.StatusTooManyRequests, "")
	case len(body) > maxMessage:
		return failure(http.StatusRequestEntityTooLarge, fmt.Sprintf("the payload has more than %d bytes", maxMessage))
	case c == nil:
		return failure(http.StatusGone, "")
	case op == PostToConnection:
		return c.post(body)
	case op == GetConnection:
		return c.describe()
	}
	return c.remove()
}

// post answers PostToConnection once the socket has taken the message, or after Timers.Post: a slow client holds nobody up.
func (c *conn) post(body []byte) answer {
	o, err := c.send(body)
	switch {
	case errors.Is(err, errFull):
		return failure(http.StatusTooManyRequests, "")
	case err != nil:
		return failure(http.StatusGone, "")
	}
	timer := time.NewTimer(c.g.cfg.Timers.Post)
	defer timer.Stop()
	select {
	case <-o.done:
		if o.err != nil {
			return failure(http.StatusGone, "")
		}
	case <-timer.C:
	}
	return answer{status: http.StatusOK}
}

// describe answers GetConnection.
func (c *conn) describe() answer {
	type described struct {
		ConnectedAt  string   `json:"connectedAt"` // ISO 8601
		Identity     identity `json:"identity"`
		LastActiveAt string   `json:"lastActiveAt"`
	}
	const iso8601 = "2006-01-02T15:04:05.000Z"
	c.mu.Lock()
	open := c.state == stateOpen
	c.mu.Unlock()
	if !open {
		return failure(http.StatusGone, "")
	}
	body, err := marshal(described{
		ConnectedAt:  c.connectedAt.UTC().Format(iso8601),
		Identity:     identity{UserAgent: c.userAgent, SourceIP: c.sourceIP},
		LastActiveAt: time.UnixMilli(c.lastActive.Load()).UTC().Format(iso8601),
	})
	if err != nil {
		return failure(http.StatusInternalServerError, "")
	}
	return answer{status: http.StatusOK, body: body}
}

// remove answers DeleteConnection.
func (c *conn) remove() answer {
	if !c.shut(ending{code: int(ws.StatusNormalClosure), reason: "Connection Closed Normally", cause: CauseDelete}) {
		return failure(http.StatusGone, "")
	}
	return answer{status: http.StatusNoContent}
}

var credential = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=[^/ ,]+/[0-9]{8}/([^/ ,]+)/([^/ ,]+)/aws4_request, *SignedHeaders=[^ ,]+, *Signature=[0-9a-f]{64}$`)

// unsigned says what is wrong with the signature of r, "" when nothing is.
func unsigned(r *http.Request, region string) string {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "Missing Authentication Token"
	}
	scope := credential.FindStringSubmatch(header)
	switch {
	case scope == nil:
		return "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' of AWS4-HMAC-SHA256"
	case scope[1] != region:
		return "Credential should be scoped to a valid region, here " + region
	case scope[2] != "execute-api":
		return "Credential should be scoped to correct service: 'execute-api'"
	}
	return ""
}

package lambda

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	smithyrand "github.com/aws/smithy-go/rand"

	"example.org/realtime/infra/local/trace"
)

const (
	requestResponse = "RequestResponse"
	asyncEvent      = "Event"
	dryRun          = "DryRun"

	latest = "$LATEST"
	// maxLogTail, in bytes, is what X-Amz-Log-Result holds of a log.
	maxLogTail = 4096
)

// uuid makes request ids.
var uuid = smithyrand.NewUUID(rand.Reader)

// invoke is the Invoke operation.
func (s *Service) invoke(w http.ResponseWriter, r *http.Request) {
	id, err := uuid.GetUUID()
	if err != nil {
		refuse(w, http.StatusInternalServerError, "ServiceException", "request id: "+err.Error())
		return
	}
	w.Header().Set("X-Amzn-Requestid", id)
	f, arn := s.find(r.PathValue("name"), r.URL.Query().Get("Qualifier"))
	if f == nil {
		refuse(w, http.StatusNotFound, "ResourceNotFoundException", "Function not found: "+arn)
		return
	}
	kind, limit := r.Header.Get("X-Amz-Invocation-Type"), MaxSyncPayload
	switch kind {
	case "":
		kind = requestResponse
	case requestResponse, dryRun:
	case asyncEvent:
		limit = MaxAsyncPayload
	default:
		refuse(w, http.StatusBadRequest, "InvalidParameterValueException",
			fmt.Sprintf("Value %q at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]", kind))
		return
	}
	payload, ok := body(w, r, kind, limit)
	if !ok {
		return
	}
	clientContext, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Amz-Client-Context"))
	if err != nil || len(clientContext) > 0 && !json.Valid(clientContext) {
		refuse(w, http.StatusBadRequest, "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.")
		return
	}
	caller := parseChain(r.Header.Get(trace.Name))
	inv := &invocation{
		id: id, kind: kind, attempt: 1, payload: payload, clientContext: string(clientContext), accepted: time.Now(),
		caller: caller, chain: caller.into(f.arn), wantLog: r.Header.Get("X-Amz-Log-Type") == "Tail",
	}
	if inv.chain.rounds(f.arn) > maxRounds {
		refuse(w, http.StatusBadRequest, "RecursiveInvocationException",
			fmt.Sprintf("Lambda has detected %s being invoked in a recursive loop, %d times in one chain of requests.", f.Name, maxRounds))
		return
	}
	w.Header().Set(trace.Name, inv.chain.header())
	switch kind {
	case dryRun:
		w.WriteHeader(http.StatusNoContent)
	case asyncEvent:
		if !s.acceptEvent(f, inv) {
			refuseClosed(w)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	default:
		s.invokeSync(w, r, f, inv, caller.segment)
	}
}

// body reads and checks the payload; an absent one is {}, as Lambda has it.
func body(w http.ResponseWriter, r *http.Request, kind string, limit int) ([]byte, bool) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException",
			fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation with invocation type %s", limit, kind))
		return nil, false
	case err != nil:
		refuse(w, http.StatusBadRequest, "InvalidRequestContentException", "Could not read the request body: "+err.Error())
		return nil, false
	case len(payload) == 0:
		return []byte("{}"), true
	case !json.Valid(payload):
		refuse(w, http.StatusBadRequest, "InvalidRequestContentException",
			"Could not parse request body into json: "+json.Unmarshal(payload, new(any)).Error())
		return nil, false
	}
	return payload, true
}

// invokeSync waits for the answer. The event runs to its end even when the caller goes away.
func (s *Service) invokeSync(w http.ResponseWriter, r *http.Request, f *function, inv *invocation, segment string) {
	answered := make(chan result, 1)
	inv.done = func(res result) { answered <- res }
	s.asked(f, inv)
	if waits, ok := s.running(segment); ok {
		defer waits.f.block(waits.inv)()
	}
	if accepted, throttled := f.accept(inv); throttled {
		refuse(w, http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded.")
		return
	} else if !accepted {
		refuseClosed(w)
		return
	}
	var res result
	select {
	case res = <-answered:
	case <-r.Context().Done():
		return
	}
	if res.refused {
		refuseClosed(w)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Amz-Executed-Version", latest)
	if res.failed {
		h.Set("X-Amz-Function-Error", "Unhandled")
	}
	if inv.wantLog {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(logTail(inv.id, res.log)))
	}
	_, _ = w.Write(res.payload) // the caller may have gone
}

// logTail is the end of an event's log, between Lambda's own lines.
func logTail(id string, lines []byte) []byte {
	tail := fmt.Appendf(nil, "START RequestId: %s Version: %s\n", id, latest)
	tail = append(tail, lines...)
	tail = fmt.Appendf(tail, "END RequestId: %s\n", id)
	return tail[max(0, len(tail)-maxLogTail):]
}

// refuse answers with an error in the shape of AWS's restJson1 protocol.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	kind := "User"
	if status >= http.StatusInternalServerError {
		kind = "Service"
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"Type": kind, "Message": message}) // the caller may have gone
}

func refuseClosed(w http.ResponseWriter) {
	refuse(w, http.StatusServiceUnavailable, "ServiceException", "the local stack is stopping")
}

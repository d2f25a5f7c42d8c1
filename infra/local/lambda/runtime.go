package lambda

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// runtimeAPI is the Lambda Runtime API, version 2018-06-01, for one process.
func (p *process) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", p.serveNext)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", p.serveResponse)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", p.serveError)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", p.serveInitError)
	return mux
}

func (p *process) serveNext(w http.ResponseWriter, r *http.Request) {
	for {
		inv, ok := p.f.next(r.Context(), p)
		if !ok {
			runtimeError(w, http.StatusForbidden, "InvalidStateTransition", "the event before this one has no response yet")
			return
		}
		if inv == nil {
			return // the process ends
		}
		if !inv.expires.IsZero() && inv.started.After(inv.expires) {
			p.f.settle(p, inv.id, result{late: true})
			continue
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.started.Add(p.f.Timeout).UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", p.f.arn)
		h.Set("Lambda-Runtime-Trace-Id", inv.chain.header())
		if inv.clientContext != "" {
			h.Set("Lambda-Runtime-Client-Context", inv.clientContext)
		}
		_, _ = w.Write(inv.payload) // a process that does not take it has ended, and that ends the event
		return
	}
}

func (p *process) serveResponse(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse+1))
	if err != nil {
		return // the process has gone
	}
	if len(body) > maxResponse {
		p.answer(w, r, failure("", "Function.ResponseSizeTooLarge",
			fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxResponse)),
			http.StatusRequestEntityTooLarge)
		return
	}
	p.answer(w, r, result{payload: body}, http.StatusAccepted)
}

func (p *process) serveError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse))
	if err != nil {
		return
	}
	p.answer(w, r, result{payload: body, failed: true}, http.StatusAccepted)
}

func (p *process) answer(w http.ResponseWriter, r *http.Request, res result, status int) {
	if p.called(true) {
		<-r.Context().Done() // the process has gone
		return
	}
	p.out.drain()
	if !p.f.settle(p, r.PathValue("id"), res) {
		runtimeError(w, http.StatusBadRequest, "InvalidRequestID", "no event of that id is running here")
		return
	}
	runtimeAnswer(w, status, map[string]string{"status": "OK"})
}

// serveInitError keeps why the process could not start: it is the answer of the event it was started for.
func (p *process) serveInitError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse))
	if err != nil {
		return
	}
	p.f.mu.Lock()
	p.initError = body
	p.f.mu.Unlock()
	runtimeAnswer(w, http.StatusAccepted, map[string]string{"status": "OK"})
}

func runtimeError(w http.ResponseWriter, status int, kind, message string) {
	runtimeAnswer(w, status, map[string]string{"errorType": kind, "errorMessage": message})
}

func runtimeAnswer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a process that does not read it has ended
}

// failure is a function error in Lambda's own words.
func failure(id, kind, message string) result {
	if id != "" {
		message = "RequestId: " + id + " Error: " + message
	}
	payload, _ := json.Marshal(map[string]string{"errorType": kind, "errorMessage": message}) // strings always marshal
	return result{payload: payload, failed: true}
}

func timedOut(id string, after time.Duration) result {
	return failure(id, "Sandbox.Timedout", fmt.Sprintf("Task timed out after %.2f seconds", after.Seconds()))
}

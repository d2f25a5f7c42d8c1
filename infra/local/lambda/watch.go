package lambda

import (
	"context"
	"io"
	"net/http"
)

// Watch serves what functions call, such as the table. Every request that a function's process sends to it is a call, known by the session
// token of its credentials: h learns by Caller whose it is, and Config.Kill takes effect. The call that kills is not carried out.
func (s *Service) Watch(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, ok := s.tokens.Load(r.Header.Get("X-Amz-Security-Token"))
		if !ok {
			h.ServeHTTP(w, r)
			return
		}
		p := found.(*process)
		if p.called(false) {
			_, _ = io.Copy(io.Discard, r.Body) // only then does net/http notice that the caller has gone
			<-r.Context().Done()
			return
		}
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, p.f.Name)))
	})
}

type callerKey struct{}

// Caller is the function that makes a watched request, by its name; "" for everybody else.
func Caller(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}

// called counts a call of the process's event, the last one being its answer, and reports whether it kills the process.
func (p *process) called(last bool) bool {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if p.calls == 0 || p.current == nil {
		return false
	}
	if p.calls--; p.calls > 0 && !last {
		return false
	}
	p.calls = 0
	p.kill()
	return true
}

package lambda

import (
	"io"
	"net/http"
)

// Watch has Config.Kill take effect on what h serves: every request that a function's process sends to it is a call, known by the session
// token of its credentials. The call that kills is not carried out.
func (s *Service) Watch(h http.Handler) http.Handler {
	if s.config.Kill == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := s.tokens.Load(r.Header.Get("X-Amz-Security-Token")); ok && p.(*process).called(false) {
			_, _ = io.Copy(io.Discard, r.Body) // only then does net/http notice that the caller has gone
			<-r.Context().Done()
			return
		}
		h.ServeHTTP(w, r)
	})
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

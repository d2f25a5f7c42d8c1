package console

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// ServeHTTP answers this machine's own browsers and programs, and no page of another origin: a name that somebody else's DNS has for
// 127.0.0.1 is refused by Host, a request that another site's page makes by Origin or Sec-Fetch-Site.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
		"connect-src 'self' ws://"+localHost(r.Host)+"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "+
		"require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if problem := foreign(r); problem != "" {
		http.Error(w, "console: "+problem, http.StatusForbidden)
		return
	}
	c.handler.ServeHTTP(w, r)
}

// foreign says why a request is not served, "" when it is.
func foreign(r *http.Request) string {
	if ip, _, err := net.SplitHostPort(r.RemoteAddr); err != nil || !net.ParseIP(ip).IsLoopback() {
		return "it is for this machine alone"
	}
	if localHost(r.Host) == "" {
		return "Host: it answers to 127.0.0.1, localhost and [::1] only"
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	opens := reads && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" // a link to the page
	switch {
	case origin != "" && origin != "http://"+r.Host:
		return "Origin: another site's page may not use it"
	case site != "" && site != "same-origin" && site != "none" && !opens:
		return "Sec-Fetch-Site: another site's page may not use it"
	case !reads && origin == "":
		return "Origin: required, as browsers send it, to change anything"
	case !reads && r.Header.Get("Content-Type") != "application/json":
		return "Content-Type: must be application/json"
	}
	return ""
}

// localHost is the Host header of a request to this machine, "" for any other.
func localHost(host string) string {
	name := host
	if n, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return ""
		}
		name = n
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if name == "localhost" || net.ParseIP(name).IsLoopback() {
		return host
	}
	return ""
}

// Loopback tells whether only this machine reaches what listens at host; "" is the stack's default, which is so.
func Loopback(host string) bool {
	return host == "" || host == "localhost" || net.ParseIP(host).IsLoopback()
}

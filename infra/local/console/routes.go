package console

import (
	"bytes"
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"example.org/realtime/infra/local/stack"
)

//go:embed page
var files embed.FS

// Page is the files of the page.
func Page() fs.FS {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return page
}

// attached is a handler that needs a stack that has started.
type attached func(http.ResponseWriter, *http.Request, *stack.Stack)

func (c *Console) routes() http.Handler {
	page := Page()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, page, "index.html") })
	mux.HandleFunc("GET "+Path+"/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, Path, http.StatusPermanentRedirect)
	})
	mux.HandleFunc("GET "+Path+"/{file}", func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, page, r.PathValue("file")) })
	for pattern, handle := range map[string]attached{
		"GET /stream":             c.stream,
		"GET /connections":        c.serveConnections,
		"GET /rooms":              func(w http.ResponseWriter, r *http.Request, _ *stack.Stack) { answer(w, c.rows.listRooms(windowOf(r))) },
		"GET /room":               c.serveRoom,
		"GET /presence":           func(w http.ResponseWriter, r *http.Request, _ *stack.Stack) { answer(w, c.rows.listUsers(windowOf(r))) },
		"GET /trace":              c.serveTrace,
		"GET /samples":            c.serveSamples,
		"GET /faults":             c.serveFaults,
		"POST /faults":            c.setFaults,
		"POST /token":             c.mint,
		"POST /invoke/{function}": c.invoke,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+Path+"/api"+path, func(w http.ResponseWriter, r *http.Request) {
			s := c.stack.Load()
			if s == nil {
				refuse(w, http.StatusServiceUnavailable, "", "the stack is starting")
				return
			}
			handle(w, r, s)
		})
	}
	return mux
}

// serveFile serves a file of the page. They are few and small, and come with the program: there is nothing to cache.
func serveFile(w http.ResponseWriter, r *http.Request, page fs.FS, name string) {
	content, err := fs.ReadFile(page, name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}

func (c *Console) serveConnections(w http.ResponseWriter, r *http.Request, s *stack.Stack) {
	answer(w, c.rows.list(windowOf(r), s.Gateway.Connections(), s.Table != nil))
}

func (c *Console) serveRoom(w http.ResponseWriter, r *http.Request, _ *stack.Stack) {
	if page, ok := c.rows.roomPage(r.URL.Query().Get("name")); ok {
		answer(w, page)
		return
	}
	refuse(w, http.StatusNotFound, "name", "nobody is in this room, and nobody may be")
}

func (c *Console) serveTrace(w http.ResponseWriter, r *http.Request, _ *stack.Stack) {
	if page, ok := c.traces.page(r.URL.Query().Get("id")); ok {
		answer(w, page)
		return
	}
	refuse(w, http.StatusNotFound, "id", "this trace is not kept, or no longer: the newest ones are")
}

// answer writes JSON.
func answer(w http.ResponseWriter, v any) { write(w, http.StatusOK, v) }

// refusal is why something was not done, and the field that it is about ("" for none).
type refusal struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func refuse(w http.ResponseWriter, status int, field, message string) {
	write(w, status, refusal{field, message})
}

func write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the page may have gone
}

package console

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

// maxWeight, in bytes, of the page with all that it loads, as it travels.
const maxWeight = 100 << 10

// The page asks nobody else for anything, makes no markup of text, and does not weigh much.
func TestPage(t *testing.T) {
	weight := 0
	entries, err := fs.ReadDir(Page(), ".")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := regexp.MustCompile(`(?:https?:)?//[a-z0-9][a-z0-9.-]*\.[a-z]{2,}`)
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser`)
	local := regexp.MustCompile(`(?:from|import) "\./([^"]+)"|(?:href|src)="console/([^"]+)"`)
	for _, entry := range entries {
		name := entry.Name()
		source, err := fs.ReadFile(Page(), name)
		if err != nil {
			t.Fatal(err)
		}
		weight += len(source)
		for _, found := range elsewhere.FindAllString(string(source), -1) {
			if found != "//www.w3.org" && found != "http://www.w3.org" { // a name of XML, which nobody asks for
				t.Errorf("%s names %s", name, found)
			}
		}
		for _, found := range markup.FindAllString(string(source), -1) {
			t.Errorf("%s has %s", name, found)
		}
		for _, m := range local.FindAllStringSubmatch(string(source), -1) {
			if file := m[1] + m[2]; file != "" {
				if _, err := fs.Stat(Page(), file); err != nil {
					t.Errorf("%s needs %s", name, file)
				}
			}
		}
		if strings.HasSuffix(name, ".html") && regexp.MustCompile(`<script[^>]*>[^<]|<style|\son[a-z]+=|\sstyle=`).Match(source) {
			t.Errorf("%s has script or style of its own, which its policy forbids", name)
		}
	}
	t.Logf("%d files, %d bytes", len(entries), weight)
	if weight > maxWeight {
		t.Errorf("the page weighs %d bytes, %d at most", weight, maxWeight)
	}
}

func TestPageIsServed(t *testing.T) {
	c := New(Config{})
	for file, want := range map[string]string{
		"": "text/html; charset=utf-8", "/style.css": "text/css; charset=utf-8", "/app.js": "text/javascript; charset=utf-8",
		"/nothing.js": "", "/..%2fconsole.go": "", "/page/app.js": "",
	} {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:3001"+Path+file, nil)
		r.RemoteAddr = "127.0.0.1:9"
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type"); want == "" && w.Code != http.StatusNotFound || want != "" && (w.Code != http.StatusOK || got != want) {
			t.Errorf("%s: %d %s", path.Join(Path, file), w.Code, got)
		}
	}
}

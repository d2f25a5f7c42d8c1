package table

import (
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"

	"example.org/realtime/infra/local/trace"
)

const (
	targetPrefix = "DynamoDB_20120810."
	contentType  = "application/x-amz-json-1.0"

	// maxBody, in bytes, is the limit of a request (service quotas: 16 MB of items in a batch, in base64, with room for its JSON).
	maxBody = 32 << 20
)

// ServeHTTP answers a call of the API: a POST to any path, with the operation in X-Amz-Target. Signatures are not looked at.
func (t *Table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		t.write(w, nil, malformed("the body cannot be read: "+err.Error()))
		return
	}
	target, known := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	if !known || r.Method != http.MethodPost {
		t.write(w, nil, unknownOperation("a request other than a POST with X-Amz-Target "+targetPrefix+"*"))
		return
	}
	a, err := t.do(r.Context(), target, trace.Parse(r.Header.Get(trace.Name)), body)
	t.write(w, a, err)
}

func (t *Table) write(w http.ResponseWriter, a answer, err error) {
	status, body := http.StatusOK, []byte(nil)
	var e *apiError
	switch {
	case errors.As(err, &e):
		status, body = e.status, e.body()
	case err != nil:
		status, body = http.StatusInternalServerError, (&apiError{kind: typeInternal, message: err.Error()}).body()
	default:
		body = appendJSON(nil, a)
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Amzn-Requestid", strconv.FormatInt(t.requests.Add(1), 10))
	h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // G705: it is JSON, and says so
}

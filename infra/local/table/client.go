package table

import (
	"bytes"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Client is the SDK's client of t, without a network: a call runs in the goroutine of its caller and leaves none behind, so it works in a
// testing/synctest bubble. It does not retry, unless an option sets another Retryer, for example retry.NewStandard().
func (t *Table) Client(options ...func(*dynamodb.Options)) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String("http://table"),
		Credentials:  aws.AnonymousCredentials{},
		HTTPClient:   transport{t},
		Region:       "us-east-1", // a real one: for any other the SDK compiles its partitions' patterns anew on every call
		Retryer:      aws.NopRetryer{},
	}, options...)
}

// transport hands requests to the table.
type transport struct {
	table *Table
}

// Do fails like a network client when the caller's context has ended before the answer came.
func (c transport) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close() //nolint:errcheck // all of it has been read
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := &response{status: http.StatusOK, header: http.Header{}}
	c.table.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{
		Status:        http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.header,
		Body:          io.NopCloser(bytes.NewReader(w.body.Bytes())),
		ContentLength: int64(w.body.Len()),
		Request:       r,
	}, nil
}

// response records what the handler writes.
type response struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (w *response) Header() http.Header         { return w.header }
func (w *response) Write(b []byte) (int, error) { return w.body.Write(b) }
func (w *response) WriteHeader(status int)      { w.status = status }

// Package trace is the header X-Amzn-Trace-Id: what the events, calls and posts that one event caused have in common. Lambda hands
// it to a function, and the SDKs send it along with every call that the function makes (X-Ray developer guide, "Tracing header").
package trace

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Name of the header.
const Name = "X-Amzn-Trace-Id"

// Header is a parsed header. What it lacks is empty.
type Header struct {
	Root    string // of all that one event caused: 1-<epoch seconds, 8 hex digits>-<24 hex digits>
	Parent  string // the invocation that makes the call, 16 hex digits
	Lineage string // how often each function has been in the chain; only Lambda reads it
}

// Parse reads a header as it is, or as the SDKs send it, with | and what else is unusual escaped by percent signs.
func Parse(header string) Header {
	if plain, err := url.PathUnescape(header); err == nil {
		header = plain
	}
	var h Header
	for field := range strings.SplitSeq(header, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch key {
		case "Root":
			h.Root = value
		case "Parent":
			h.Parent = value
		case "Lineage":
			h.Lineage = value
		}
	}
	return h
}

// String is the header on the wire; "" without a root.
func (h Header) String() string {
	if h.Root == "" {
		return ""
	}
	s := "Root=" + h.Root
	if h.Parent != "" {
		s += ";Parent=" + h.Parent + ";Sampled=0"
	}
	if h.Lineage != "" {
		s += ";Lineage=" + h.Lineage
	}
	return s
}

// NewRoot is the Root of a trace that begins now.
func NewRoot(now time.Time) string {
	return fmt.Sprintf("1-%08x-%s", now.Unix(), randomHex(12))
}

// NewSegment is the Parent of what one invocation does.
func NewSegment() string { return randomHex(8) }

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

type contextKey struct{}

// NewContext has what is called with it belong to the trace of h.
func NewContext(ctx context.Context, h Header) context.Context {
	return context.WithValue(ctx, contextKey{}, h)
}

// FromContext is the Header of NewContext, the zero one without it.
func FromContext(ctx context.Context) Header {
	h, _ := ctx.Value(contextKey{}).(Header)
	return h
}

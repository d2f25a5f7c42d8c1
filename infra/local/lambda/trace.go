package lambda

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// maxRounds is how often a function may appear in one chain of requests before Lambda ends it (Lambda developer guide, recursive
// loop detection: "approximately 16 times").
const maxRounds = 16

// trace is what a chain of invocations has in common: the X-Amzn-Trace-Id header, which the runtime hands to the function and the
// SDK sends along with what the function invokes.
type trace struct {
	root    string
	segment string // of this invocation, 16 hex digits
	lineage []round
}

const segmentBytes = 8

// round counts the invocations of one function in the chain.
type round struct {
	function string // hash of its ARN, 8 hex digits
	count    int
}

// parseTrace reads a header. What it lacks stays empty.
func parseTrace(header string) trace {
	var t trace
	for field := range strings.SplitSeq(header, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch key {
		case "Root":
			t.root = value
		case "Parent":
			t.segment = value
		case "Lineage":
			for part := range strings.SplitSeq(value, "|") {
				function, count, _ := strings.Cut(part, ":")
				if n, err := strconv.Atoi(count); err == nil {
					t.lineage = append(t.lineage, round{function, n})
				}
			}
		}
	}
	return t
}

// into is the trace of an invocation of a function, in the chain t or, when t is empty, at the start of one.
func (t trace) into(arn string) trace {
	next := trace{root: t.root, segment: randomHex(segmentBytes)}
	if next.root == "" {
		next.root = fmt.Sprintf("1-%08x-%s", time.Now().Unix(), randomHex(12))
	}
	hash, known := hashARN(arn), false
	for _, r := range t.lineage {
		if r.function == hash {
			r.count++
			known = true
		}
		next.lineage = append(next.lineage, r)
	}
	if !known {
		next.lineage = append(next.lineage, round{hash, 1})
	}
	return next
}

// rounds is how often a function appears in the chain.
func (t trace) rounds(arn string) int {
	for _, r := range t.lineage {
		if r.function == hashARN(arn) {
			return r.count
		}
	}
	return 0
}

func (t trace) header() string {
	parts := make([]string, len(t.lineage))
	for i, r := range t.lineage {
		parts[i] = r.function + ":" + strconv.Itoa(r.count)
	}
	return "Root=" + t.root + ";Parent=" + t.segment + ";Sampled=0;Lineage=" + strings.Join(parts, "|")
}

func hashARN(arn string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(arn)) // never fails
	return fmt.Sprintf("%08x", h.Sum32())
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

package lambda

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"example.org/realtime/infra/local/trace"
)

// maxRounds is how often a function may appear in one chain of requests before Lambda ends it (Lambda developer guide, recursive
// loop detection: "approximately 16 times").
const maxRounds = 16

// chain is the trace of an invocation: what it has in common with those before it, and how often each function was among them.
type chain struct {
	root    string
	segment string // of this invocation
	lineage []round
}

// round counts the invocations of one function in the chain.
type round struct {
	function string // hash of its ARN, 8 hex digits
	count    int
}

// parseChain reads a caller's header. What it lacks stays empty.
func parseChain(header string) chain {
	h := trace.Parse(header)
	c := chain{root: h.Root, segment: h.Parent}
	for part := range strings.SplitSeq(h.Lineage, "|") {
		function, count, _ := strings.Cut(part, ":")
		if n, err := strconv.Atoi(count); err == nil {
			c.lineage = append(c.lineage, round{function, n})
		}
	}
	return c
}

// into is the chain of an invocation of a function by c or, when c is empty, the start of one.
func (c chain) into(arn string) chain {
	next := chain{root: c.root, segment: trace.NewSegment()}
	if next.root == "" {
		next.root = trace.NewRoot(time.Now())
	}
	hash, known := hashARN(arn), false
	for _, r := range c.lineage {
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
func (c chain) rounds(arn string) int {
	for _, r := range c.lineage {
		if r.function == hashARN(arn) {
			return r.count
		}
	}
	return 0
}

func (c chain) header() string {
	parts := make([]string, len(c.lineage))
	for i, r := range c.lineage {
		parts[i] = r.function + ":" + strconv.Itoa(r.count)
	}
	return trace.Header{Root: c.root, Parent: c.segment, Lineage: strings.Join(parts, "|")}.String()
}

func hashARN(arn string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(arn)) // never fails
	return fmt.Sprintf("%08x", h.Sum32())
}

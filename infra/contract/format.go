package main

import (
	"bytes"
	"encoding/json"
	"strings"
)

// width is how long a line may be before what is on it gets lines of its own.
const width = 110

// format lays a JSON document out for people: what fits on a line stays on it.
func format(raw []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	lines := strings.SplitAfter(b.String(), "\n")
	return []byte(fold(lines)), nil
}

// fold joins the lines of an indented document, from the inside out, that fit on one.
func fold(lines []string) string {
	var out []string
	for _, line := range lines {
		out = append(out, line)
		closing := strings.TrimLeft(line, " ")
		if closing == "" || !strings.ContainsRune("]}", rune(closing[0])) {
			continue
		}
		indent := len(line) - len(closing)
		start := len(out) - 2
		for len(out[start])-len(strings.TrimLeft(out[start], " ")) > indent {
			start--
		}
		joined := strings.TrimRight(out[start], "\n")
		for i, part := range out[start+1:] {
			if i > 0 && start+1+i < len(out)-1 {
				joined += " "
			}
			joined += strings.Trim(part, " \n")
		}
		if len(joined) <= width {
			out = append(out[:start], joined+"\n")
		}
	}
	return strings.Join(out, "")
}

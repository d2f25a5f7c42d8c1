package readme

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the repository, from here.
const root = "../.."

// document is README.md.
type document struct {
	text   string
	blocks []block
	tables []table
}

// block is a fenced block.
type block struct {
	line     int
	chapter  string // heading of the second level
	language string
	lines    []string
}

// table is one of Markdown, its header first.
type table struct {
	chapter string
	rows    [][]string
}

func read(t *testing.T) document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	d := document{text: string(text)}
	chapter, fence := "", (*block)(nil)
	var rows [][]string
	for i, line := range strings.Split(d.text, "\n") {
		language, fenced := strings.CutPrefix(line, "```")
		if row := cells(line); fence == nil && row != nil {
			rows = append(rows, row)
			continue
		}
		if rows != nil {
			d.tables = append(d.tables, table{chapter, slices.Delete(rows, 1, 2)}) // the line of dashes
			rows = nil
		}
		switch {
		case fenced && fence == nil:
			fence = &block{line: i + 1, chapter: chapter, language: language}
		case fenced:
			d.blocks = append(d.blocks, *fence)
			fence = nil
		case fence != nil:
			fence.lines = append(fence.lines, line)
		case strings.HasPrefix(line, "## "):
			chapter = line[len("## "):]
		}
	}
	if fence != nil {
		t.Fatalf("README.md:%d: the block does not end", fence.line)
	}
	return d
}

// cells of a line of a table, nil for any other line.
func cells(line string) []string {
	inner, ok := strings.CutPrefix(strings.TrimSpace(line), "|")
	if !ok {
		return nil
	}
	list := strings.Split(strings.TrimSuffix(inner, "|"), "|")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// tablesOf are the tables whose header begins so.
func (d document) tablesOf(t *testing.T, header ...string) (found []table) {
	t.Helper()
	for _, table := range d.tables {
		if len(table.rows[0]) >= len(header) && slices.Equal(table.rows[0][:len(header)], header) {
			found = append(found, table)
		}
	}
	if len(found) == 0 {
		t.Fatalf("README.md has no table with the header %q", header)
	}
	return found
}

// chapterText is a chapter without its blocks.
func (d document) chapterText(name string) string {
	_, rest, _ := strings.Cut(d.text, "\n## "+name+"\n")
	text, _, _ := strings.Cut(rest, "\n## ")
	return fencePattern.ReplaceAllString(text, "")
}

var fencePattern = regexp.MustCompile("(?s)\n```.*?\n```")

// code is what stands in backquotes in a text.
func code(text string) (found []string) {
	for _, m := range codePattern.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

var codePattern = regexp.MustCompile("`([^`]+)`")

func source(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A link leads to a heading or a file that is there, and what looks like a path of the repository is one.
func TestLinksAndPaths(t *testing.T) {
	d := read(t)
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(fencePattern.ReplaceAllString(d.text, ""), -1) {
		anchor := strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")
		anchors["#"+regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(anchor, "")] = true
	}
	for _, m := range regexp.MustCompile(`\]\(([^)]*)\)`).FindAllStringSubmatch(fencePattern.ReplaceAllString(d.text, ""), -1) {
		_, missing := os.Stat(filepath.Join(root, filepath.FromSlash(m[1])))                         // a picture
		if !anchors[m[1]] && missing != nil && !strings.HasPrefix(m[1], "https://aws.amazon.com/") { // whose pages nobody can look at here
			t.Errorf("%s leads nowhere", m[1])
		}
	}
	path := regexp.MustCompile(`^(functions|shared|infra|events|\.ci)(/[\w.*-]+)*/?$|^(template\.yaml|Makefile|go\.mod)$`)
	for _, word := range strings.Fields(strings.Join(code(fencePattern.ReplaceAllString(d.text, "")), " ")) {
		if !path.MatchString(word) {
			continue
		}
		if found, err := filepath.Glob(filepath.Join(root, word)); err != nil || len(found) == 0 {
			t.Errorf("%s is not in the repository", word)
		}
	}
}

// Every target of make that is named is one.
func TestMakeTargets(t *testing.T) {
	makefile := source(t, "Makefile")
	for _, m := range regexp.MustCompile(`\bmake (-s )?([a-z][a-z0-9-]*)`).FindAllStringSubmatch(strings.Join(commandsAndCode(read(t)), "\n"), -1) {
		if !regexp.MustCompile(`(?m)^` + m[2] + `:`).MatchString(makefile) {
			t.Errorf("make %s: no such target", m[2])
		}
	}
}

func commandsAndCode(d document) []string {
	all := code(fencePattern.ReplaceAllString(d.text, ""))
	for _, b := range d.blocks {
		if b.language == "sh" || b.language == "console" {
			all = append(all, b.lines...)
		}
	}
	return all
}

func (b block) String() string { return fmt.Sprintf("line %d, %s", b.line, b.language) }

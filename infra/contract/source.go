package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// source is what the code of shared/contract says and the compiled package does not: comments, and the lists of constants.
type source struct {
	comments map[string]string   // of a type by its name, of a member by type.Field, of a constant by its value
	values   map[string][]any    // of the constants of a type, by its name, in order
	lists    map[string][]string // of constants, by the first word of the comment on the list
}

// read reads the package in dir.
func read(dir string) (*source, error) {
	s := &source{comments: map[string]string{}, values: map[string][]any{}, lists: map[string][]string{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, fs.ErrNotExist)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		code, err := os.ReadFile(file) //nolint:gosec // of this repository
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, code, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range parsed.Decls {
			if group, ok := d.(*ast.GenDecl); ok {
				s.add(group)
			}
		}
	}
	return s, nil
}

func (s *source) add(group *ast.GenDecl) {
	for _, spec := range group.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			name := spec.Name.Name
			s.comments[name] = sentence(strings.TrimPrefix(strings.TrimPrefix(group.Doc.Text(), name+" "), "is "))
			if t, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range t.Fields.List {
					for _, member := range field.Names {
						s.comments[name+"."+member.Name] = sentence(field.Doc.Text() + field.Comment.Text())
					}
				}
			}
		case *ast.ValueSpec:
			s.constant(group.Doc.Text(), spec)
		}
	}
}

// constant notes a constant that is written as a string.
func (s *source) constant(list string, spec *ast.ValueSpec) {
	if len(spec.Values) != 1 {
		return
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return
	}
	s.comments[value] = sentence(spec.Doc.Text() + spec.Comment.Text())
	if t, ok := spec.Type.(*ast.Ident); ok {
		s.values[t.Name] = append(s.values[t.Name], value)
	}
	kind, _, _ := strings.Cut(list, " ")
	s.lists[kind] = append(s.lists[kind], value)
}

// explain is what the comments say of each of a list of constants.
func (s *source) explain(values []any) string {
	var said []string
	for _, value := range values {
		if comment := s.comments[fmt.Sprint(value)]; comment != "" {
			said = append(said, fmt.Sprintf("%v: %s", value, comment))
		}
	}
	return strings.Join(said, " ")
}

// sentence makes a comment one: one line, a capital letter, a full stop.
func sentence(comment string) string {
	text := strings.Join(strings.Fields(comment), " ")
	if text == "" {
		return ""
	}
	word, _, _ := strings.Cut(text, " ")
	if !strings.ContainsAny(strings.TrimRight(word, ".:;,"), ".:_") { // a name of the contract stays as it is
		first, size := utf8.DecodeRuneInString(text)
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	if !slices.Contains([]string{".", ":", "?"}, text[len(text)-1:]) {
		text += "."
	}
	return text
}

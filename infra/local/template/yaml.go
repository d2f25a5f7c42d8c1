package template

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// parse turns a template into maps, lists and strings. Scalars keep their source text, as CloudFormation passes them on (0123 and
// 1.10 are not numbers to it); a short-form tag becomes its long form (!Sub x is {"Fn::Sub": "x"}); null is nil.
func parse(source []byte) (map[string]any, error) {
	file, err := parser.ParseBytes(source, 0)
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) {
			return nil, fmt.Errorf("line %d: %s", at.GetToken().Position.Line, at.GetMessage())
		}
		return nil, err
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, errors.New("is empty")
	}
	v, err := plain(file.Docs[0].Body)
	if err != nil {
		return nil, err
	}
	root, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("is not a mapping with Resources")
	}
	return root, nil
}

func plain(n ast.Node) (any, error) {
	switch n := n.(type) {
	case *ast.NullNode:
		return nil, nil
	case *ast.MappingNode:
		m := make(map[string]any, len(n.Values))
		for _, entry := range n.Values {
			if err := put(m, entry); err != nil {
				return nil, err
			}
		}
		return m, nil
	case *ast.MappingValueNode:
		m := make(map[string]any, 1)
		return m, put(m, n)
	case *ast.SequenceNode:
		list := make([]any, 0, len(n.Values))
		for _, entry := range n.Values {
			v, err := plain(entry)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case *ast.TagNode:
		return tagged(n)
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case ast.ScalarNode:
		if _, alias := n.(*ast.AliasNode); !alias {
			return n.GetToken().Value, nil
		}
	}
	return nil, fmt.Errorf("line %d: %s is not read by the local stack", n.GetToken().Position.Line, n.Type())
}

func put(m map[string]any, entry *ast.MappingValueNode) error {
	if entry.Key.IsMergeKey() {
		return fmt.Errorf("line %d: merge keys are not read by the local stack", entry.GetToken().Position.Line)
	}
	v, err := plain(entry.Value)
	if err != nil {
		return err
	}
	m[entry.Key.GetToken().Value] = v
	return nil
}

func tagged(n *ast.TagNode) (any, error) {
	var v any
	if n.Value != nil {
		var err error
		if v, err = plain(n.Value); err != nil {
			return nil, err
		}
	}
	switch name := strings.TrimPrefix(n.Start.Value, "!"); name {
	case "Ref", "Condition":
		return map[string]any{name: v}, nil
	case "GetAtt":
		if s, ok := v.(string); ok {
			resource, attribute, _ := strings.Cut(s, ".")
			v = []any{resource, attribute}
		}
		return map[string]any{"Fn::GetAtt": v}, nil
	default:
		return map[string]any{"Fn::" + name: v}, nil
	}
}

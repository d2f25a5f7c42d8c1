package table

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// attributes is a document in the SDK's types.
func attributes(d document) map[string]types.AttributeValue {
	m := make(map[string]types.AttributeValue, len(d))
	for name, v := range d {
		m[name] = attribute(v)
	}
	return m
}

func attribute(v value) types.AttributeValue {
	switch v := v.(type) {
	case text:
		return &types.AttributeValueMemberS{Value: string(v)}
	case number:
		return &types.AttributeValueMemberN{Value: v.String()}
	case binary:
		return &types.AttributeValueMemberB{Value: []byte(v)}
	case boolean:
		return &types.AttributeValueMemberBOOL{Value: bool(v)}
	case list:
		l := make([]types.AttributeValue, len(v))
		for i, e := range v {
			l[i] = attribute(e)
		}
		return &types.AttributeValueMemberL{Value: l}
	case document:
		return &types.AttributeValueMemberM{Value: attributes(v)}
	case set:
		return members(v)
	}
	return &types.AttributeValueMemberNULL{Value: true}
}

func members(s set) types.AttributeValue {
	if s.of == kindBinaries {
		b := make([][]byte, len(s.members))
		for i, m := range s.members {
			b[i] = []byte(m.(binary))
		}
		return &types.AttributeValueMemberBS{Value: b}
	}
	t := make([]string, len(s.members))
	for i, m := range s.members {
		switch m := m.(type) {
		case text:
			t[i] = string(m)
		case number:
			t[i] = m.String()
		}
	}
	if s.of == kindNumbers {
		return &types.AttributeValueMemberNS{Value: t}
	}
	return &types.AttributeValueMemberSS{Value: t}
}

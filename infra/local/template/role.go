package template

import (
	"slices"
	"strings"
)

// Permission is a statement of a function's role that allows something of a table. In each of its strings * stands for any characters, and
// ? for one.
type Permission struct {
	Actions     []string // "dynamodb:GetItem"
	Resources   []string // ARNs
	LeadingKeys []string // of the partitions
}

// everything is what a policy may allow that the local stack does not know: one of another service's, or a role from elsewhere.
var everything = Permission{Actions: []string{"*"}, Resources: []string{"*"}, LeadingKeys: []string{"*"}}

// Allows tells whether a function's role lets it do something with a table, by its ARN, and with these of its partitions.
func (f Function) Allows(action, table string, partitions []string) bool {
	return slices.ContainsFunc(f.Role, func(p Permission) bool {
		return alike(p.Actions, action) && alike(p.Resources, table) &&
			!slices.ContainsFunc(partitions, func(key string) bool { return !alike(p.LeadingKeys, key) })
	})
}

// role reads what a function may do with tables. What else it may do, the local stack does not ask.
func (n node) role() (role []Permission) {
	if n.get("Role").raw != nil {
		return []Permission{everything}
	}
	for _, policy := range n.get("Policies").items() {
		document, _ := policy.value().(map[string]any)
		if document["Statement"] == nil {
			role = append(role, everything)
			continue
		}
		for _, statement := range policy.get("Statement").items() {
			role = append(role, statement.permission()...)
		}
	}
	return role
}

// permission is what a statement allows of tables, if it is about them.
func (n node) permission() []Permission {
	var actions []string
	for _, action := range n.get("Action").items() {
		actions = append(actions, action.str())
	}
	if !slices.ContainsFunc(actions, func(a string) bool { return a == "*" || strings.HasPrefix(a, "dynamodb:") }) {
		return nil
	}
	if effect := n.get("Effect").required(); effect != "Allow" {
		n.fail("the effect %s is not read by the local stack", effect)
	}
	p := Permission{Actions: actions}
	for _, resource := range n.get("Resource").items() {
		p.Resources = append(p.Resources, resource.str())
	}
	condition := n.get("Condition")
	keys := condition.get("ForAllValues:StringLike").get("dynamodb:LeadingKeys")
	switch {
	case condition.raw == nil:
		p.LeadingKeys = []string{"*"}
	case len(condition.keys()) > 1 || len(condition.get("ForAllValues:StringLike").keys()) != 1 || keys.raw == nil:
		n.fail("of the conditions on a table the local stack reads dynamodb:LeadingKeys with ForAllValues:StringLike, alone")
	default:
		for _, key := range keys.items() {
			p.LeadingKeys = append(p.LeadingKeys, key.str())
		}
	}
	return []Permission{p}
}

func alike(patterns []string, s string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return like(pattern, s) })
}

// like matches as StringLike of IAM does.
func like(pattern, s string) bool {
	for pattern != "" {
		if pattern[0] == '*' {
			for !like(pattern[1:], s) {
				if s == "" {
					return false
				}
				s = s[1:]
			}
			return true
		}
		if s == "" || pattern[0] != '?' && pattern[0] != s[0] {
			return false
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}

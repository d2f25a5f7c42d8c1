package template

import (
	"regexp"
	"strconv"
	"strings"
)

// call evaluates one intrinsic function.
func (n node) call(name string, arg any) any {
	switch name {
	case "Ref":
		s, _ := arg.(string)
		return n.ref(s)
	case "Fn::GetAtt":
		if s, ok := arg.(string); ok {
			resource, attribute, _ := strings.Cut(s, ".")
			arg = []any{resource, attribute}
		}
		if a := n.args(arg, 2, 2); a != nil {
			return n.getAtt(a[0].str(), a[1].str())
		}
	case "Fn::Sub":
		return n.sub(arg)
	case "Fn::If":
		if a := n.args(arg, 3, 3); a != nil {
			if n.r.condition(n, a[0].str()) {
				return a[1].value()
			}
			return a[2].value()
		}
	case "Fn::Join":
		if a := n.args(arg, 2, 2); a != nil {
			return strings.Join(a[1].strs(), a[0].str())
		}
	case "Fn::Split":
		if a := n.args(arg, 2, 2); a != nil {
			list := []any{}
			for part := range strings.SplitSeq(a[1].str(), a[0].str()) {
				list = append(list, part)
			}
			return list
		}
	case "Fn::Select":
		if a := n.args(arg, 2, 2); a != nil {
			i, items := a[0].integer(0), a[1].list()
			if i < 0 || i >= len(items) {
				n.fail("Select %d of a list of %d", i, len(items))
				return nil
			}
			return items[i].value()
		}
	case "Fn::FindInMap":
		if a := n.args(arg, 3, 3); a != nil {
			keys := []string{a[0].str(), a[1].str(), a[2].str()}
			found := n.r.at("Mappings").get(keys[0]).get(keys[1]).get(keys[2])
			if found.raw == nil {
				n.fail("FindInMap: no Mappings.%s", strings.Join(keys, "."))
			}
			return found.value()
		}
	default:
		n.fail("%s is not resolved by the local stack", name)
	}
	return nil
}

var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

// sub evaluates Fn::Sub: a string, or a string and the values of names of its own.
func (n node) sub(arg any) any {
	text, own := arg, node{r: n.r, path: n.path}
	if list, ok := arg.([]any); ok && len(list) == 2 {
		text, own.raw = list[0], list[1]
	}
	s, ok := text.(string)
	if !ok {
		n.fail("Sub takes a string, or a string and a mapping")
		return nil
	}
	return placeholder.ReplaceAllStringFunc(s, func(match string) string {
		name := strings.TrimSpace(match[2 : len(match)-1])
		if strings.HasPrefix(name, "!") { // ${!Literal} is ${Literal}
			return "${" + name[1:] + "}"
		}
		if v := own.get(name); v.raw != nil {
			return v.str()
		}
		v := node{n.r, n.path, map[string]any{"Ref": name}}
		if strings.Contains(name, ".") {
			v.raw = map[string]any{"Fn::GetAtt": name}
		}
		return v.str()
	})
}

func (n node) ref(name string) any {
	if v, ok := n.r.overrides.Values[name]; ok {
		return v
	}
	if name == "AWS::NoValue" {
		return nil
	}
	if v, ok := pseudo[name]; ok {
		return v
	}
	if v, ok := n.r.params[name]; ok {
		return v
	}
	if n.r.at("Parameters").get(name).raw != nil {
		n.fail("Ref %s: the parameter has no default: give it a value", name)
		return nil
	}
	if !n.exists("Ref "+name, name) {
		return nil
	}
	property := func(key string) any { return n.r.property(name, key).required() }
	switch n.r.resource(name).get("Type").str() {
	case "AWS::Serverless::Function":
		return n.r.functionName(name)
	case "AWS::DynamoDB::Table":
		return n.r.tableName(name)
	case "AWS::ApiGatewayV2::Stage":
		return property("StageName")
	case "AWS::SNS::Topic":
		return n.r.arn("sns", name)
	case "AWS::SQS::Queue":
		return "https://sqs." + n.r.pseudo("AWS::Region") + ".amazonaws.com/" + n.r.pseudo("AWS::AccountId") + "/" + name
	}
	return name
}

func (n node) getAtt(id, attribute string) any {
	full := id + "." + attribute
	if v, ok := n.r.overrides.Values[full]; ok {
		return v
	}
	if !n.exists("GetAtt "+full, id) {
		return nil
	}
	switch kind := n.r.resource(id).get("Type").str(); kind + "." + attribute {
	case "AWS::Serverless::Function.Arn":
		return n.r.arn("lambda", "function:"+n.r.functionName(id))
	case "AWS::DynamoDB::Table.Arn":
		return n.r.tableARN(id)
	case "AWS::SQS::Queue.Arn":
		return n.r.arn("sqs", id)
	case "AWS::SQS::Queue.QueueName", "AWS::SNS::Topic.TopicName", "AWS::ApiGatewayV2::Api.ApiId":
		return id
	case "AWS::Events::Rule.Arn":
		return n.r.arn("events", "rule/"+id)
	default:
		n.fail("GetAtt %s: the local stack does not know %s of %s", full, attribute, kind)
		return nil
	}
}

// exists tells whether a reference leads to a resource of this stack.
func (n node) exists(reference, id string) bool {
	if n.r.resource(id).raw == nil {
		n.fail("%s: the template has no parameter or resource of that name", reference)
		return false
	}
	if !n.r.included(id) {
		n.fail("%s: its condition leaves that resource out", reference)
		return false
	}
	return n.r.err == nil
}

func (r *resolver) pseudo(name string) string {
	if v, ok := r.overrides.Values[name]; ok {
		return v
	}
	return pseudo[name]
}

func (r *resolver) arn(service, resource string) string {
	return strings.Join([]string{"arn", r.pseudo("AWS::Partition"), service, r.pseudo("AWS::Region"), r.pseudo("AWS::AccountId"), resource}, ":")
}

// quote names a value in an error without breaking its single line.
func quote(s string) string { return strconv.Quote(s) }

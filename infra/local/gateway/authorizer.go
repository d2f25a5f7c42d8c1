package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// Limits of an authorizer's output (WebSocket API quotas; "Output from an API Gateway Lambda authorizer").
const (
	maxAuthorizerResult = 8 << 10 // bytes
	maxPolicyResource   = 512     // characters of a Resource
)

// identitySource names a value of the handshake.
type identitySource struct {
	in   string // header or querystring
	name string
}

func parseIdentitySources(expressions []string) ([]identitySource, error) {
	var sources []identitySource
	for _, expression := range expressions {
		rest, ok := strings.CutPrefix(expression, "route.request.")
		in, name, _ := strings.Cut(rest, ".")
		if !ok || name == "" || in != "header" && in != "querystring" {
			return nil, invalid("Authorizer.IdentitySources", "%q must be route.request.header.<name> or route.request.querystring.<name>", expression)
		}
		sources = append(sources, identitySource{in: in, name: name})
	}
	return sources, nil
}

// value returns the source's value, "" when the handshake has none. Header names are compared without case.
func (s identitySource) value(e authorizerEvent) string {
	if s.in == "querystring" {
		return e.Query[s.name]
	}
	for name, value := range e.Headers {
		if strings.EqualFold(name, s.name) {
			return value
		}
	}
	return ""
}

// authorize asks the authorizer, once, and gives c the context that each of its events carries. It returns the context of the
// CONNECT event, or the status and the reason with which the handshake is refused.
func (g *Gateway) authorize(c *conn, event authorizerEvent) (context json.RawMessage, status int, err error) {
	for _, source := range g.sources {
		if source.value(event) == "" {
			return nil, http.StatusUnauthorized, fmt.Errorf("authorizer: the handshake has no %s %s", source.in, source.name)
		}
	}
	start := g.cfg.Now()
	result, err := g.call(g.cfg.Authorizer.Function, maxTimeout, event.RequestContext, event)
	if errors.Is(err, errFunction) {
		var failure struct{ ErrorMessage string }
		if json.Unmarshal(result.Payload, &failure) == nil && failure.ErrorMessage == "Unauthorized" {
			return nil, http.StatusUnauthorized, fmt.Errorf("authorizer: %w", err)
		}
	}
	if err != nil {
		return nil, http.StatusInternalServerError, fmt.Errorf("authorizer: %w", err)
	}
	grant, err := parseGrant(result.Payload, event.MethodARN)
	if err != nil {
		return nil, http.StatusInternalServerError, fmt.Errorf("authorizer: %w", err)
	}
	if !grant.allowed {
		return nil, http.StatusForbidden, errors.New("authorizer: the policy does not allow " + event.MethodARN)
	}
	if c.authorizer, err = marshal(grant.context); err != nil {
		return nil, http.StatusInternalServerError, fmt.Errorf("authorizer: %w", err)
	}
	grant.context["integrationLatency"] = g.cfg.Now().Sub(start).Milliseconds()
	if context, err = marshal(grant.context); err != nil {
		return nil, http.StatusInternalServerError, fmt.Errorf("authorizer: %w", err)
	}
	return context, 0, nil
}

// grant is a parsed output.
type grant struct {
	allowed bool
	context map[string]any // principalId among the authorizer's own values
}

// parseGrant checks the output of an authorizer as strictly as API Gateway, and evaluates its policy for arn.
func parseGrant(payload []byte, arn string) (grant, error) {
	if len(payload) > maxAuthorizerResult {
		return grant{}, fmt.Errorf("the result has %d bytes, %d at most", len(payload), maxAuthorizerResult)
	}
	var members map[string]json.RawMessage // not a struct: names are matched exactly
	if err := json.Unmarshal(payload, &members); err != nil {
		return grant{}, fmt.Errorf("the result is no object: %w", err)
	}
	var principal string
	if err := json.Unmarshal(members["principalId"], &principal); err != nil {
		return grant{}, errors.New("principalId must be a string")
	}
	var document policy
	if err := strict(members["policyDocument"], &document); err != nil {
		return grant{}, fmt.Errorf("policyDocument: %w", err)
	}
	allowed, err := document.allows(arn)
	if err != nil {
		return grant{}, fmt.Errorf("policyDocument: %w", err)
	}
	context := map[string]any{}
	if raw, ok := members["context"]; ok {
		value, err := decode(raw)
		object, isObject := value.(map[string]any)
		if err != nil || !isObject && value != nil {
			return grant{}, errors.New("context must be an object")
		}
		for name, v := range object {
			switch v.(type) {
			case string, json.Number, bool:
				context[name] = v
			default:
				return grant{}, fmt.Errorf("context.%s must be a string, a number or a boolean", name)
			}
		}
	}
	context["principalId"] = principal
	return grant{allowed: allowed, context: context}, nil
}

// policy is the part of the IAM policy language that execute-api needs. Other elements (Condition, NotAction, ...) are refused
// rather than ignored.
type policy struct {
	Version   string
	ID        string `json:"Id"`
	Statement list[statement]
}

type statement struct {
	Sid      string
	Effect   string
	Action   list[string]
	Resource list[string]
}

// list is one T or an array of them.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return strict(b, (*[]T)(l))
	}
	*l = make([]T, 1)
	return strict(b, &(*l)[0])
}

// strict is json.Unmarshal that refuses unknown members.
func strict(b []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	return decoder.Decode(v)
}

// allows reports whether execute-api:Invoke on arn is allowed: by some statement, and denied by none.
func (p policy) allows(arn string) (bool, error) {
	if len(p.Statement) == 0 {
		return false, errors.New("no Statement")
	}
	allowed, denied := false, false
	for _, s := range p.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return false, fmt.Errorf("an Effect is %q, and must be Allow or Deny", s.Effect)
		}
		if len(s.Action) == 0 || len(s.Resource) == 0 {
			return false, errors.New("a statement needs Action and Resource")
		}
		for _, resource := range s.Resource {
			if len(resource) > maxPolicyResource {
				return false, fmt.Errorf("a Resource has %d characters, %d at most", len(resource), maxPolicyResource)
			}
		}
		if !matches(s.Action, "execute-api:Invoke", "(?i)") || !matches(s.Resource, arn, "") {
			continue
		}
		allowed = allowed || s.Effect == "Allow"
		denied = denied || s.Effect == "Deny"
	}
	return allowed && !denied, nil
}

// matches reports whether one of the patterns, in which * stands for any characters and ? for one, is all of s.
func matches(patterns []string, s, flags string) bool {
	for _, pattern := range patterns {
		expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		if ok, err := regexp.MatchString(flags+"^(?s:"+expression+")$", s); ok && err == nil {
			return true
		}
	}
	return false
}

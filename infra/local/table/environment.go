package table

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxAlias is the length of a #name or :value in bytes, with its mark (service quotas, "Expression parameters").
const maxAlias = 255

// maxIndex is the highest list index that DynamoDB parses.
const maxIndex = 1<<31 - 1

// environment is what the expressions of one request may refer to: its ExpressionAttributeNames and ExpressionAttributeValues.
type environment struct {
	names      map[string]string
	values     map[string]value
	usedNames  map[string]bool
	usedValues map[string]bool
}

// checkAlone refuses names and values in a request without an expression that could use them. values are the expressions that take values, others
// those that take only names.
func (r *request) checkAlone(values []string, others ...string) error {
	switch {
	case r.has("ExpressionAttributeNames") && !r.hasAny(values) && !r.hasAny(others):
		return invalid("ExpressionAttributeNames can only be specified when using expressions")
	case r.has("ExpressionAttributeValues") && !r.hasAny(values):
		verb := "is"
		if len(values) > 1 {
			verb = "are"
		}
		return invalid("ExpressionAttributeValues can only be specified when using expressions: %s %s null", strings.Join(values, " and "), verb)
	}
	return nil
}

// environment decodes names and values.
func (r *request) environment() (*environment, error) {
	env := &environment{usedNames: map[string]bool{}, usedValues: map[string]bool{}}
	names, hasNames := r.object("ExpressionAttributeNames")
	values, hasValues := r.object("ExpressionAttributeValues")
	switch {
	case hasNames && len(names) == 0:
		return nil, invalid("ExpressionAttributeNames must not be empty")
	case hasValues && len(values) == 0:
		return nil, invalid("ExpressionAttributeValues must not be empty")
	}
	return env, firstError(r.err, env.decodeNames(names), env.decodeValues(values))
}

func (env *environment) decodeNames(raw map[string]any) error {
	env.names = make(map[string]string, len(raw))
	if err := checkAliases("ExpressionAttributeNames", '#', raw); err != nil {
		return err
	}
	for alias, field := range raw {
		name, ok := field.(string)
		if field != nil && !ok {
			return wrongType(field, "String")
		}
		switch {
		case name == "":
			return invalid("ExpressionAttributeNames contains invalid value: Empty attribute name for key %s", alias)
		case len(name) > maxName:
			return invalid("ExpressionAttributeNames contains invalid value: Attribute name is too large, must be less than %d bytes for key %s", maxName+1, alias)
		}
		env.names[alias] = name
	}
	return nil
}

func (env *environment) decodeValues(raw map[string]any) error {
	env.values = make(map[string]value, len(raw))
	if err := checkAliases("ExpressionAttributeValues", ':', raw); err != nil {
		return err
	}
	for alias, field := range raw {
		v, err := decodeValue(field)
		if err != nil {
			return validation(err, func(message string) string {
				return "ExpressionAttributeValues contains invalid value: " + message + " for key " + alias
			})
		}
		env.values[alias] = v
	}
	return nil
}

func checkAliases(parameter string, mark byte, raw map[string]any) error {
	for alias := range raw {
		if err := checkAlias(parameter, mark, alias); err != nil {
			return err
		}
	}
	return nil
}

func checkAlias(parameter string, mark byte, alias string) error {
	switch {
	case alias == "":
		return invalid("%s contains invalid key: The expression attribute map contains an empty key;", parameter)
	case alias[0] != mark || len(alias) == 1 || wordLength(alias[1:]) != len(alias)-1:
		return invalid("%s contains invalid key: Syntax error; key: \"%s\"", parameter, alias)
	case len(alias) > maxAlias:
		return invalid("%s contains invalid key: The expression attribute map contains a key that is too long; size of key: %d", parameter, len(alias))
	}
	return nil
}

// unused refuses names and values that no expression has used.
func (env *environment) unused() error {
	if keys := missing(slices.Sorted(maps.Keys(env.names)), env.usedNames); keys != "" {
		return invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", keys)
	}
	if keys := missing(slices.Sorted(maps.Keys(env.values)), env.usedValues); keys != "" {
		return invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", keys)
	}
	return nil
}

func missing(keys []string, used map[string]bool) string {
	return strings.Join(slices.DeleteFunc(keys, func(k string) bool { return used[k] }), ", ")
}

// resolvePath turns the written path into a document path.
func (env *environment) resolvePath(e *expr) error {
	for _, written := range e.steps {
		s := step{name: written}
		switch written[0] {
		case '#':
			name, found := env.names[written]
			if !found {
				return invalid("An expression attribute name used in the document path is not defined; attribute name: %s", written)
			}
			env.usedNames[written] = true
			s.name = name
		case '[':
			index, err := strconv.ParseInt(written[1:len(written)-1], 10, 64)
			if err != nil || index > maxIndex {
				return invalid("List index is not within the allowable range; index: %s", written)
			}
			s = step{index: int(index)}
		}
		e.path = append(e.path, s)
	}
	if len(e.path) > maxNesting {
		return invalid("The document path has too many nesting levels; nesting levels: %d", len(e.path))
	}
	return nil
}

func (env *environment) resolveValue(e *expr) error {
	if e.ref == "" {
		return nil
	}
	v, found := env.values[e.ref]
	if !found {
		return invalid("An expression attribute value used in expression is not defined; attribute value: %s", e.ref)
	}
	env.usedValues[e.ref] = true
	e.value = v
	return nil
}

// nodes is the tree in the order of its text.
func (e *expr) nodes() []*expr {
	all := []*expr{e}
	for _, arg := range e.args {
		all = append(all, arg.nodes()...)
	}
	return all
}

// condition compiles the parameter, which may be absent: then the result is nil, which always holds.
func (env *environment) condition(r *request, parameter string) (*expr, error) {
	written, found := r.text(parameter)
	if !found {
		return nil, nil
	}
	root, err := parse(written, (*parser).condition)
	if err == nil {
		err = checkWords(root, inCondition)
	}
	if err == nil {
		err = env.resolve(root)
	}
	if err != nil {
		return nil, inExpression(parameter, err)
	}
	return root, nil
}

// projection compiles the parameter; absent, there are no paths.
func (env *environment) projection(r *request) ([]path, error) {
	const parameter = "ProjectionExpression"
	written, found := r.text(parameter)
	if !found {
		return nil, nil
	}
	nodes, err := parse(written, (*parser).projection)
	for _, e := range nodes {
		err = firstError(err, checkWords(e, inOperand))
	}
	paths := make([]path, len(nodes))
	for i, e := range nodes {
		err = firstError(err, env.resolvePath(e))
		paths[i] = e.path
	}
	if err == nil {
		err = checkPaths(paths)
	}
	return paths, inExpression(parameter, err)
}

// inExpression says which expression was wrong.
func inExpression(parameter string, err error) error {
	return validation(err, func(message string) string { return "Invalid " + parameter + ": " + message })
}

package template

import (
	"path"
	"strings"
	"time"
)

// Lambda's own defaults, and its bounds for a function.
const (
	defaultTimeoutSeconds  = 3
	maxTimeoutSeconds      = 900
	defaultMemoryMB        = 128
	maxMemoryMB            = 10240
	defaultRetryAttempts   = 2
	minEventAgeSeconds     = 60
	defaultEventAgeSeconds = 21600
)

func (r *resolver) function(id string) Function {
	n := node{r, id + ".Properties", merge(r.at("Globals").get("Function").raw, r.resource(id).get("Properties").raw)}
	f := Function{
		LogicalID:   id,
		Name:        r.functionName(id),
		Folder:      r.folder(id),
		ARN:         r.arn("lambda", "function:"+r.functionName(id)),
		Environment: map[string]string{},
		Timeout:     time.Duration(n.get("Timeout").between(1, maxTimeoutSeconds, defaultTimeoutSeconds)) * time.Second,
		MemoryMB:    n.get("MemorySize").between(defaultMemoryMB, maxMemoryMB, defaultMemoryMB),
	}
	variables := n.get("Environment").get("Variables")
	for _, name := range variables.keys() {
		if value, ok := r.overrides.Environment[name]; ok {
			f.Environment[name] = value
		} else if v := variables.get(name); v.value() != nil {
			f.Environment[name] = v.str()
		}
	}
	if reserved := n.get("ReservedConcurrentExecutions"); reserved.value() != nil {
		f.ReservedConcurrency = new(reserved.integer(0))
	}
	config := n.get("EventInvokeConfig")
	f.Async = Async{
		MaximumRetryAttempts: config.get("MaximumRetryAttempts").between(0, defaultRetryAttempts, defaultRetryAttempts),
		MaximumEventAge: time.Duration(config.get("MaximumEventAgeInSeconds").
			between(minEventAgeSeconds, defaultEventAgeSeconds, defaultEventAgeSeconds)) * time.Second,
	}
	if failed := config.get("DestinationConfig").get("OnFailure"); failed.value() != nil {
		f.Async.OnFailure = failed.get("Destination").required()
	} else if dead := n.get("DeadLetterQueue"); dead.value() != nil {
		f.Async.OnFailure = dead.get("TargetArn").required()
	}
	f.Role = n.role()
	return f
}

func (r *resolver) functionName(id string) string {
	if name := r.property(id, "FunctionName").str(); name != "" {
		return name
	}
	return r.folder(id)
}

// folder is the rule that Function.Folder documents.
func (r *resolver) folder(id string) string {
	uri := r.property(id, "CodeUri")
	if uri.raw == nil {
		uri = r.at("Globals").get("Function").get("CodeUri")
	}
	if last := path.Base(uri.str()); last != "." && last != "/" {
		return last
	}
	folder := strings.ToLower(strings.TrimSuffix(id, "Function"))
	if folder == "" {
		r.resource(id).fail("has no name before the suffix Function, so no folder under functions/")
	}
	return folder
}

// merge lays a function's properties over Globals.Function as SAM does: mappings are merged, lists are joined, anything else is
// the function's.
func merge(globals, own any) any {
	switch g := globals.(type) {
	case map[string]any:
		o, ok := own.(map[string]any)
		_, _, call := intrinsic(globals)
		_, _, ownCall := intrinsic(own)
		if !ok || call || ownCall {
			break
		}
		merged := make(map[string]any, len(g)+len(o))
		for key, value := range g {
			merged[key] = value
		}
		for key, value := range o {
			merged[key] = merge(g[key], value)
		}
		return merged
	case []any:
		if o, ok := own.([]any); ok {
			return append(append([]any{}, g...), o...)
		}
	}
	if own == nil {
		return globals
	}
	return own
}

// functionAt finds the function that a property names: a name, logical id or folder, an ARN, or the integration URI around one.
func (n node) functionAt(functions []Function) string {
	target := n.required()
	name := target
	if _, after, ok := strings.Cut(name, "/functions/"); ok {
		name = strings.TrimSuffix(after, "/invocations")
	}
	if _, after, ok := strings.Cut(name, ":function:"); ok {
		name, _, _ = strings.Cut(after, ":")
	}
	for _, f := range functions {
		if name == f.Name || name == f.LogicalID || name == f.Folder {
			return f.Folder
		}
	}
	n.fail("%s is no function of this template", quote(target))
	return ""
}

// Package template reads the project's SAM template and resolves it for one machine: the functions with their environment,
// the WebSocket API with its routes, the tables and the schedules. Only what the local stack runs is read: alarms, queues, outputs
// and what roles allow of other services are not looked at, so a reference that only they make need not resolve.
package template

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Stack is what a template describes, resolved. The order within each slice is that of the logical ids.
type Stack struct {
	Functions []Function
	API       *API // nil when the template has no WebSocket API
	Tables    []Table
	Schedules []Schedule
}

// Function is an AWS::Serverless::Function.
type Function struct {
	LogicalID string
	// Folder under functions/ that holds its source: the last element of CodeUri, and for `CodeUri: .` (a function that a root
	// Makefile builds) the logical id without the suffix "Function" in lower case: ConnectFunction is in functions/connect.
	// Routes and schedules name their function by it.
	Folder string
	// Name is the FunctionName property; without one it is Folder. It is what Ref gives.
	Name string
	ARN  string
	// Environment is the function's own and Globals.Function's, after Overrides.Environment.
	Environment map[string]string
	Timeout     time.Duration
	MemoryMB    int
	// ReservedConcurrency is nil without ReservedConcurrentExecutions; zero keeps the function from running at all.
	ReservedConcurrency *int
	Async               Async
	Role                []Permission // what it may do with tables
}

// Async is how Lambda treats a function's asynchronous events (EventInvokeConfig, with Lambda's defaults).
type Async struct {
	MaximumRetryAttempts int           // 0 to 2
	MaximumEventAge      time.Duration // 60 s to 6 h
	OnFailure            string        // ARN that takes the events given up; "" drops them
}

// API is the template's one WebSocket API (AWS::ApiGatewayV2::Api with its routes, authorizer and stage).
type API struct {
	LogicalID                string
	ID                       string
	Stage                    string
	RouteSelectionExpression string
	Routes                   map[string]Route // by route key
	Authorizer               *Authorizer      // of $connect; nil without
}

// Route is one route and the function behind it.
type Route struct {
	Function string // Function.Folder
	// TwoWay tells that the function's answer goes back to the client: the route has a RouteResponseSelectionExpression and a
	// RouteResponse.
	TwoWay     bool
	Timeout    time.Duration // of the integration
	Throttling Throttling    // of the stage, for this route by itself
}

// Authorizer is a Lambda REQUEST authorizer.
type Authorizer struct {
	Function        string   // Function.Folder
	IdentitySources []string // "route.request.header.Authorization", ...; all must be present. Empty: it always runs
}

// Throttling is what the stage lets a route have; zero values mean no limit but the account's.
type Throttling struct {
	RateLimit  float64 // requests a second
	BurstLimit int     // requests at once; at least 1 with a RateLimit
}

// Table is an AWS::DynamoDB::Table.
type Table struct {
	LogicalID    string
	ARN          string // what GetAtt Arn gives
	Create       *dynamodb.CreateTableInput
	TTLAttribute string // "" without an enabled TimeToLiveSpecification
}

// Schedule invokes a function at a fixed rate: a Schedule or ScheduleV2 event of a function, an AWS::Events::Rule or an
// AWS::Scheduler::Schedule. Those that are disabled are left out.
type Schedule struct {
	Name     string
	ARN      string
	Function string // Function.Folder
	Rate     time.Duration
	Input    string // JSON; "" is the service's own event
	Source   string // "aws.events" or "aws.scheduler"
}

// Overrides change what the template says, for one machine. The zero value changes nothing.
type Overrides struct {
	// Parameters by name take the place of their defaults; names the template does not declare are ignored, so that a caller can
	// hand in all it has.
	Parameters map[string]string
	// Environment takes the place of the value of each function's variable of that name, and the template's is not resolved then.
	// A function whose template does not name the variable does not get it.
	Environment map[string]string
	// Values answer references: "AWS::Region" a pseudo parameter, "Api" a Ref, "PublishFunction.Arn" a GetAtt. They come first.
	Values map[string]string
}

// Values of pseudo parameters without an override.
var pseudo = map[string]string{
	"AWS::AccountId": "000000000000",
	"AWS::Partition": "aws",
	"AWS::Region":    "us-east-1",
	"AWS::StackId":   "arn:aws:cloudformation:us-east-1:000000000000:stack/local/local",
	"AWS::StackName": "local",
	"AWS::URLSuffix": "amazonaws.com",
}

// Load reads and resolves the template at path. An error is one line that names the file, the resource and the property.
func Load(path string, o Overrides) (*Stack, error) {
	source, err := os.ReadFile(path) //nolint:gosec // G304: the path is the caller's to choose
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	root, err := parse(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := &resolver{root: root, overrides: o}
	s := r.stack()
	if r.err != nil {
		return nil, fmt.Errorf("%s: %w", path, r.err)
	}
	return s, nil
}

func (r *resolver) stack() *Stack {
	r.parameters()
	s := &Stack{}
	for _, id := range r.live("AWS::Serverless::Function") {
		s.Functions = append(s.Functions, r.function(id))
	}
	for _, id := range r.live("AWS::DynamoDB::Table") {
		s.Tables = append(s.Tables, r.table(id))
	}
	s.API = r.api(s.Functions)
	s.Schedules = r.schedules(s.Functions)
	return s
}

// live returns the logical ids of a type, in order, without those that their condition leaves out.
func (r *resolver) live(kind string) []string {
	var ids []string
	for _, id := range r.at("Resources").keys() {
		if r.resource(id).get("Type").str() == kind && r.included(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// parameters settles the value of every parameter and checks those that are given.
func (r *resolver) parameters() {
	r.params = map[string]any{}
	declared := r.at("Parameters")
	for _, name := range declared.keys() {
		p := declared.get(name)
		value, given := r.overrides.Parameters[name]
		if !given {
			if p.get("Default").raw == nil {
				continue // an error only where it is used
			}
			value = p.get("Default").str()
		}
		if problem := breaks(p, value); problem != "" {
			p.fail("%q %s", value, problem)
		}
		if kind := p.get("Type").str(); kind == "CommaDelimitedList" || strings.HasPrefix(kind, "List<") {
			list := []any{}
			for part := range strings.SplitSeq(value, ",") {
				list = append(list, strings.TrimSpace(part))
			}
			r.params[name] = list
		} else {
			r.params[name] = value
		}
	}
}

// breaks says which constraint of a parameter's declaration a value does not meet, "" when it meets all.
func breaks(p node, value string) string {
	if allowed := p.get("AllowedValues").strs(); len(allowed) > 0 && !slices.Contains(allowed, value) {
		return "is none of " + strings.Join(allowed, ", ")
	}
	if pattern := p.get("AllowedPattern").str(); pattern != "" {
		re, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil {
			return "cannot be checked: AllowedPattern: " + err.Error()
		}
		if !re.MatchString(value) {
			return "does not match " + pattern
		}
	}
	if p.get("Type").str() == "Number" {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return "is not a number"
		}
		if low := p.get("MinValue"); low.raw != nil && n < low.number(0) {
			return "is below " + low.str()
		}
		if high := p.get("MaxValue"); high.raw != nil && n > high.number(0) {
			return "is above " + high.str()
		}
	}
	if low := p.get("MinLength"); low.raw != nil && len(value) < low.integer(0) {
		return "is shorter than " + low.str() + " characters"
	}
	if high := p.get("MaxLength"); high.raw != nil && len(value) > high.integer(0) {
		return "is longer than " + high.str() + " characters"
	}
	return ""
}

package readme

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"example.org/realtime/shared/config"
)

// template is the part of template.yaml that the document speaks of. Tags are dropped in reading: a !Ref is the name that it refers to, an
// !If the list of its parts.
type template struct {
	Parameters map[string]struct {
		Default       any   `yaml:"Default"`
		AllowedValues []any `yaml:"AllowedValues"`
		MinValue      any   `yaml:"MinValue"`
		MaxValue      any   `yaml:"MaxValue"`
	} `yaml:"Parameters"`
	Globals struct {
		Function properties `yaml:"Function"`
	} `yaml:"Globals"`
	Resources map[string]struct {
		Type       string     `yaml:"Type"`
		Properties properties `yaml:"Properties"`
	} `yaml:"Resources"`
	Outputs map[string]any `yaml:"Outputs"`
}

type properties struct {
	Environment struct {
		Variables map[string]any `yaml:"Variables"`
	} `yaml:"Environment"`
	Policies []any `yaml:"Policies"`
}

func readTemplate(t *testing.T) template {
	t.Helper()
	var parsed template
	if err := yaml.Unmarshal([]byte(source(t, "template.yaml")), &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// setting is a row of the configuration tables.
type setting struct{ Setting, Parameter, Default, Values string }

// The configuration tables have every parameter of the template, with the variable that it sets, its default and its values.
func TestSettings(t *testing.T) {
	parsed := readTemplate(t)
	variable := map[string]string{} // by parameter
	for _, resource := range parsed.Resources {
		for _, variables := range []map[string]any{resource.Properties.Environment.Variables, parsed.Globals.Function.Environment.Variables} {
			for name, value := range variables {
				for _, part := range flat(value) {
					if _, ok := parsed.Parameters[part]; ok {
						variable[part] = name
					}
				}
			}
		}
	}
	want := map[string]setting{}
	for name, p := range parsed.Parameters {
		want[name] = setting{variable[name], name, fmt.Sprint(p.Default), values(p.AllowedValues, p.MinValue, p.MaxValue)}
	}
	got := map[string]setting{}
	for _, table := range read(t).tablesOf(t, "setting", "parameter", "default", "values") {
		for _, row := range table.rows[1:] {
			name := strings.Trim(row[1], "`")
			s := setting{strings.Trim(row[0], "`"), name, strings.Trim(row[2], "`"), row[3]}
			if s.Default == "none" {
				s.Default = ""
			}
			if w := want[name]; w.Values == "" || name == "LogRetentionDays" {
				s.Values = w.Values // words
			}
			got[name] = s
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings: -template +README\n%s", diff)
	}
}

// flat are the texts in a value.
func flat(value any) (texts []string) {
	switch v := value.(type) {
	case []any:
		for _, part := range v {
			texts = append(texts, flat(part)...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			texts = append(texts, flat(v[key])...)
		}
	case string:
		texts = append(texts, v)
	}
	return texts
}

func values(allowed []any, least, most any) string {
	switch {
	case len(allowed) > 0:
		list := make([]string, len(allowed))
		for i, v := range allowed {
			list[i] = fmt.Sprintf("`%v`", v)
		}
		return strings.Join(list, ", ")
	case least != nil && most != nil:
		return fmt.Sprintf("%v to %v", least, most)
	case least != nil:
		return fmt.Sprintf("%v and more", least)
	}
	return ""
}

// Functions take the values of the tables and no others, and the defaults are what they take without a setting.
func TestSettingsOfFunctions(t *testing.T) {
	parsed := readTemplate(t)
	for id, resource := range parsed.Resources {
		if resource.Type != "AWS::Serverless::Function" {
			continue
		}
		function := strings.ToLower(strings.TrimSuffix(id, "Function"))
		load := func(name, value string) (config.Config, error) {
			return config.Load(function, func(asked string) string {
				switch asked {
				case name:
					return value
				case "TABLE_NAME", "PUBLISH_FUNCTION":
					return "name"
				case "CONNECTIONS_ENDPOINT":
					return "https://abc123.execute-api.eu-west-1.amazonaws.com/live"
				case "JWT_SECRET":
					return strings.Repeat("s", 32)
				case "LAMBDA_TASK_ROOT":
					return "/var/task" // deployed
				}
				return ""
			})
		}
		bare, err := load("", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range read(t).tablesOf(t, "setting", "parameter", "default", "values") {
			for _, row := range table.rows[1:] {
				name, given := strings.Trim(row[0], "`"), strings.Trim(row[2], "`")
				if _, used := resource.Properties.Environment.Variables[name]; !used || given == "none" || strings.HasPrefix(name, "AWS_") {
					continue
				}
				if c, err := load(name, given); err != nil || !cmp.Equal(c, bare) {
					t.Errorf("%s: %s=%s is not what it does without (%v)", function, name, given, err)
				}
				least, most, ok := strings.Cut(row[3], " to ")
				if !ok {
					continue
				}
				for value, fits := range map[string]bool{least: true, most: true, next(t, least, -1): false, next(t, most, 1): false} {
					if _, err := load(name, value); (err == nil) != fits {
						t.Errorf("%s: %s=%s: %v", function, name, value, err)
					}
				}
			}
		}
	}
}

func next(t *testing.T, number string, by int) string {
	t.Helper()
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(n + by)
}

// The table of permissions is what the policies of the template say.
func TestPermissions(t *testing.T) {
	want := map[string][]string{}
	for id, resource := range readTemplate(t).Resources {
		if resource.Type != "AWS::Serverless::Function" {
			continue
		}
		row := make([]string, 5)
		row[0] = strings.ToLower(strings.TrimSuffix(id, "Function"))
		for _, statement := range statements(resource.Properties.Policies) {
			permit(row, statement)
		}
		want[row[0]] = row
	}
	got := map[string][]string{}
	for _, table := range read(t).tablesOf(t, "function", "table", "`@connections`") {
		for _, row := range table.rows[1:] {
			got[row[0]] = row
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("permissions: -template +README\n%s", diff)
	}
}

// statements are those in policies, whatever conditions they are under.
func statements(value any) (found []map[string]any) {
	switch v := value.(type) {
	case []any:
		for _, part := range v {
			found = append(found, statements(part)...)
		}
	case map[string]any:
		if v["Effect"] != nil {
			return []map[string]any{v}
		}
		for _, part := range v {
			found = append(found, statements(part)...)
		}
	}
	return found
}

// permit adds what a statement allows to a row of the table.
func permit(row []string, statement map[string]any) {
	add := func(column int, separator, text string) {
		if row[column] != "" {
			text = row[column] + separator + text
		}
		row[column] = text
	}
	actions := flat(statement["Action"])
	switch {
	case strings.HasPrefix(actions[0], "dynamodb:"):
		var keys, short []string
		for _, key := range flat(statement["Condition"]) {
			keys = append(keys, "`"+strings.TrimSuffix(key, "*")+"`")
		}
		for _, action := range actions {
			short = append(short, strings.TrimSuffix(strings.TrimPrefix(action, "dynamodb:"), "Item"))
		}
		add(1, "; ", strings.Join(keys, " ")+" "+strings.Join(short, ", "))
	case actions[0] == "execute-api:ManageConnections":
		for _, resource := range flat(statement["Resource"]) {
			parts := strings.Split(resource, "/")
			add(2, ", ", parts[len(parts)-3])
		}
	case actions[0] == "lambda:InvokeFunction":
		for _, invoked := range flat(statement["Resource"]) {
			if _, own, ok := strings.Cut(invoked, "${AWS::StackName}-"); ok {
				add(3, ", ", own)
			} else {
				add(3, ", ", "`"+invoked+"`")
			}
		}
	case actions[0] == "secretsmanager:GetSecretValue":
		add(4, ", ", "the key's")
	}
}

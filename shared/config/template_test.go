package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// template is the part of template.yaml that says what functions find in their environment. Tags are dropped in reading: a
// !Ref is the name that it refers to.
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
}

type properties struct {
	Environment struct {
		Variables map[string]any `yaml:"Variables"`
	} `yaml:"Environment"`
}

func readTemplate(t *testing.T) template {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed template
	if err := yaml.Unmarshal(raw, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// functions are the variables of each function, by the name of its folder.
func (t template) functions() map[string]map[string]any {
	functions := map[string]map[string]any{}
	for id, resource := range t.Resources {
		if resource.Type != "AWS::Serverless::Function" {
			continue
		}
		variables := map[string]any{}
		for _, source := range []properties{t.Globals.Function, resource.Properties} {
			for name, value := range source.Environment.Variables {
				variables[name] = value
			}
		}
		functions[strings.ToLower(strings.TrimSuffix(id, "Function"))] = variables
	}
	return functions
}

// Each function is given the settings that it uses and no others. AWS_ variables are the SDK's.
func TestTemplateNames(t *testing.T) {
	functions := readTemplate(t).functions()
	for function, names := range uses {
		var given []string
		for name := range functions[function] {
			if !strings.HasPrefix(name, "AWS_") {
				given = append(given, name)
			}
		}
		used := append([]string{"LOG_LEVEL"}, names...)
		slices.Sort(used)
		slices.Sort(given)
		if diff := cmp.Diff(used, given); diff != "" {
			t.Errorf("%s: -used +given:\n%s", function, diff)
		}
	}
	if len(functions) != len(uses) {
		t.Errorf("template.yaml has %d functions, there are %d", len(functions), len(uses))
	}
}

// What the template gives when nobody says otherwise is what a function takes when it is given nothing, and a function takes
// every value that the template lets through.
func TestTemplateValues(t *testing.T) {
	parsed := readTemplate(t)
	for function, variables := range parsed.functions() {
		want, err := Load(function, env())
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range variables {
			parameter, ok := parsed.Parameters[fmt.Sprint(value)]
			if !ok || parameter.Default == "" {
				continue
			}
			got, err := Load(function, env(map[string]string{name: fmt.Sprint(parameter.Default)}))
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %s by default: %v, -config +template:\n%s", function, name, err, diff)
			}
			for _, edge := range slices.Concat(parameter.AllowedValues, []any{parameter.MinValue, parameter.MaxValue}) {
				if edge == nil {
					continue
				}
				if _, err := Load(function, env(map[string]string{name: fmt.Sprint(edge)})); err != nil {
					t.Errorf("%s: %v", function, err)
				}
			}
		}
	}
}

package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sdk = "github.com/aws/aws-sdk-go-v2/service/"

// linked are the clients of AWS services and the larger packages that each function has in it, besides what the SDK's configuration brings:
// the linker keeps what a function might call, and initializes it on every start.
var linked = map[string][]string{
	"authorizer": {"github.com/MicahParks/jwkset", sdk + "secretsmanager", "github.com/golang-jwt/jwt/v5"},
	"connect":    {sdk + "dynamodb", sdk + "lambda"},
	"control":    {sdk + "dynamodb", sdk + "lambda"},
	"default":    {"github.com/MicahParks/jwkset", sdk + "apigatewaymanagementapi", sdk + "dynamodb", sdk + "lambda", sdk + "secretsmanager", "github.com/golang-jwt/jwt/v5"},
	"disconnect": {sdk + "dynamodb", sdk + "lambda"},
	"heartbeat":  {sdk + "apigatewaymanagementapi", sdk + "dynamodb", sdk + "lambda"},
	"join":       {sdk + "apigatewaymanagementapi", sdk + "dynamodb", sdk + "lambda"},
	"leave":      {sdk + "apigatewaymanagementapi", sdk + "dynamodb"},
	"publish":    {sdk + "apigatewaymanagementapi", sdk + "dynamodb", sdk + "lambda"},
	"sweep":      {sdk + "apigatewaymanagementapi", sdk + "dynamodb", sdk + "lambda"},
}

// everywhere are the modules that every function has packages of.
var everywhere = []string{
	"example.org/realtime/shared/", "example.org/realtime/functions/", "github.com/aws/aws-lambda-go/", "github.com/aws/aws-sdk-go-v2/", "github.com/aws/smithy-go", "golang.org/x/time/", "golang.org/x/sync/",
	sdk + "sso", sdk + "ssooidc", sdk + "sts", sdk + "signin",
}

// TestLinked keeps functions free of what they do not use.
func TestLinked(t *testing.T) {
	t.Chdir("../../..")
	functions, err := functionNames()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range functions {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", "lambda.norpc", "./"+filepath.Join("functions", name))
		output, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
		var got []string
		for _, path := range strings.Fields(string(output)) {
			if foreign(path) {
				got = append(got, path)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(linked[name], got); diff != "" {
			t.Errorf("functions/%s links other packages than this test says: -test +function\n%s", name, diff)
		}
	}
}

// foreign tells whether a package is neither the standard library's, nor ours, nor part of what every function has, nor a part of a larger
// package that is told itself.
func foreign(path string) bool {
	service, isService := strings.CutPrefix(path, sdk)
	switch {
	case !strings.Contains(strings.Split(path, "/")[0], "."):
		return false // the standard library's
	case isService:
		return !strings.Contains(service, "/") && !slices.Contains(everywhere, path)
	}
	return !strings.Contains(path, "/internal") && !slices.ContainsFunc(everywhere, func(module string) bool { return strings.HasPrefix(path, module) })
}

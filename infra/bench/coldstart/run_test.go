package main

import (
	"errors"
	"strings"
	"testing"
)

// Elsewhere than in the root of the repository there are no functions.
func TestFunctionNamesElsewhere(t *testing.T) {
	names, err := functionNames()
	if err == nil || strings.Contains(err.Error(), "%!") || !strings.Contains(err.Error(), "run this from the root of the repository") {
		t.Errorf("%v, %v", names, err)
	}
}

// TestRun starts each program once and once more. Times say nothing here.
func TestRun(t *testing.T) {
	t.Chdir("../../..")
	table, err := run(t.Context(), 1)
	if err != nil && !errors.Is(err, errSlow) {
		t.Fatal(err)
	}
	functions, err := functionNames()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(functions, empty, clients) {
		if !strings.Contains(table, "| "+name+" |") {
			t.Errorf("%s is not in\n%s", name, table)
		}
	}
}

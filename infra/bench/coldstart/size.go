package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// maxSize is what a function may have, in bytes, as it is deployed (arm64, stripped). Lambda loads it on every cold start. One that
// grows on purpose gets a new limit here, a few per cent above its size; what it links is in TestLinked.
var maxSize = map[string]int64{
	"authorizer": 9_700_000,
	"connect":    11_000_000,
	"control":    11_100_000,
	"default":    11_800_000,
	"disconnect": 10_900_000,
	"heartbeat":  11_200_000,
	"join":       11_200_000,
	"leave":      10_500_000,
	"publish":    11_400_000,
	"sweep":      11_200_000,
}

// checkSizes reports the size of every function as it is deployed, and fails for those above their limit.
func checkSizes(ctx context.Context) (string, error) {
	folder, err := os.MkdirTemp("", "sizes")
	if err != nil {
		return "", fmt.Errorf("folder of the programs: %w", err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	functions, err := functionNames()
	if err != nil {
		return "", err
	}
	var report strings.Builder
	report.WriteString("| function | bytes | limit |\n|---|--:|--:|\n")
	var problems []error
	for _, name := range functions {
		binary, err := build(ctx, name, folder, "arm64")
		if err != nil {
			return "", err
		}
		info, err := os.Stat(binary)
		if err != nil {
			return "", fmt.Errorf("size of %s: %w", name, err)
		}
		fmt.Fprintf(&report, "| %s | %d | %d |\n", name, info.Size(), maxSize[name])
		if info.Size() > maxSize[name] {
			problems = append(problems, fmt.Errorf("%s has %d bytes, and its limit is %d (maxSize)", name, info.Size(), maxSize[name]))
		}
	}
	return report.String(), errors.Join(problems...)
}

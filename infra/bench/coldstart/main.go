// Command coldstart measures how long each function takes from the start of its process until it asks Lambda for its first event, beside
// an empty function and one with two AWS clients. All are built as they are deployed, for this machine, and started in turns. It fails when
// the median of a function is above 1.5 times that of the function with the clients.
//
//	go run ./infra/bench/coldstart -rounds 41
//	go run ./infra/bench/coldstart -sizes      # the size of each function as it is deployed, held to its limit
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"example.org/realtime/infra/local/lambda"
	"example.org/realtime/infra/local/stack"
)

// The programs that the functions are measured against, below this folder.
const (
	empty   = "empty"
	clients = "clients"
	here    = "infra/bench/coldstart"
)

// limit is how many times as long as the function with the clients a function may take.
const limit = 1.5

func main() {
	rounds := flag.Int("rounds", 41, "how often each program is started")
	sizes := flag.Bool("sizes", false, "print the sizes as deployed, and start nothing")
	flag.Parse()
	work := func(ctx context.Context) (string, error) { return run(ctx, *rounds) }
	if *sizes {
		work = checkSizes
	}
	table, err := work(context.Background())
	fmt.Print(table)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// contestant is a program that is started again and again.
type contestant struct {
	name, binary  string
	environment   []string
	event         []byte
	ready, answer []time.Duration
}

// run starts every program so often, in turns, and returns a line for each. errSlow tells of functions above the limit.
func run(ctx context.Context, rounds int) (string, error) {
	folder, err := os.MkdirTemp("", "coldstart")
	if err != nil {
		return "", fmt.Errorf("folder of the programs: %w", err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	invoke := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer invoke.Close()
	s, err := stack.Start(ctx, stack.Options{LambdaEndpoint: invoke.URL})
	if err != nil {
		return "", err
	}
	defer s.Close(ctx) //nolint:errcheck // nothing is under way
	list, err := contestants(ctx, folder, s.Environment)
	if err != nil {
		return "", err
	}
	for round := range rounds + 1 {
		for _, i := range rand.Perm(len(list)) { //nolint:gosec // G404: an order, no secret
			c := &list[i]
			ready, answer, err := start(ctx, c.binary, c.environment, c.event)
			if err != nil {
				return "", err
			}
			if round > 0 { // the first brings the file into memory
				c.ready, c.answer = append(c.ready, ready), append(c.answer, answer)
			}
		}
	}
	return report(list)
}

// contestants builds the programs and finds what each is given.
func contestants(ctx context.Context, folder string, environment func(function string) map[string]string) ([]contestant, error) {
	functions, err := functionNames()
	if err != nil {
		return nil, err
	}
	var list []contestant
	for _, name := range append([]string{empty, clients}, functions...) {
		binary, err := build(ctx, name, folder, runtime.GOARCH)
		if err != nil {
			return nil, err
		}
		c := contestant{name: name, binary: binary, event: []byte("{}"), environment: []string{
			"AWS_ACCESS_KEY_ID=" + lambda.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + lambda.AccessKeyID, "AWS_SESSION_TOKEN=" + lambda.AccessKeyID,
			"AWS_REGION=us-east-1", "AWS_LAMBDA_FUNCTION_NAME=" + name, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256",
		}}
		for key, value := range environment(name) {
			c.environment = append(c.environment, key+"="+value)
		}
		if slices.Contains(functions, name) {
			if c.event, err = os.ReadFile(sample(name)); err != nil {
				return nil, fmt.Errorf("event of %s: %w", name, err)
			}
		}
		list = append(list, c)
	}
	return list, nil
}

// sample is the file of a function's first event.
func sample(function string) string {
	name := map[string]string{"publish": "publish/notifications-new", "control": "control/list"}[function]
	if name == "" {
		name = function
	}
	return filepath.Join("events", name+".json")
}

// functionNames are the folders of functions.
func functionNames() ([]string, error) {
	found, err := filepath.Glob("functions/*/main.go")
	if err != nil {
		return nil, fmt.Errorf("functions: %w", err)
	}
	if len(found) == 0 {
		return nil, errors.New("functions: none found: run this from the root of the repository")
	}
	names := make([]string, len(found))
	for i, path := range found {
		names[i] = filepath.Base(filepath.Dir(path))
	}
	return names, nil
}

// build has make build a program as sam build has it, but for the architecture, and returns its path.
func build(ctx context.Context, name, folder, arch string) (string, error) {
	artifacts := filepath.Join(folder, name)
	from := "functions"
	if name == empty || name == clients {
		from = here
	}
	cmd := exec.CommandContext(ctx, "make", "-s", "build-"+strings.ToUpper(name[:1])+name[1:]+"Function", //nolint:gosec // G204: our own arguments
		"FUNCTIONS="+from, "ARTIFACTS_DIR="+artifacts, "LAMBDA_GOARCH="+arch)
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, output)
	}
	return filepath.Join(artifacts, "bootstrap"), nil
}

// errSlow is of functions that start too slowly.
var errSlow = fmt.Errorf("above %g times the function with the clients", limit)

func report(list []contestant) (string, error) {
	reference := median(list[slices.IndexFunc(list, func(c contestant) bool { return c.name == clients })].ready)
	var table strings.Builder
	table.WriteString("| program | ready, median ms | least | of the clients' | first answer, median ms | least |\n|---|--:|--:|--:|--:|--:|\n")
	var slow []string
	for _, c := range list {
		ratio := float64(median(c.ready)) / float64(reference)
		fmt.Fprintf(&table, "| %s | %.1f | %.1f | %.2f | %.1f | %.1f |\n", c.name, milliseconds(median(c.ready)), milliseconds(slices.Min(c.ready)),
			ratio, milliseconds(median(c.answer)), milliseconds(slices.Min(c.answer)))
		if ratio > limit {
			slow = append(slow, c.name)
		}
	}
	if len(slow) > 0 {
		return table.String(), fmt.Errorf("%w: %s", errSlow, strings.Join(slow, ", "))
	}
	return table.String(), nil
}

func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

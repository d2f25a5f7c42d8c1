// Command local runs the whole system on this machine, and acts as a client or a backend of it:
//
//	local                                        the system, until Ctrl-C (make run)
//	local token -user alice [-ttl 1h]            print a token
//	local client -user alice [-url wss://...]    a client in the terminal
//	local participants -conversation c1 -users alice,bob
//	local publish -file events/publish/messages-new.json
//
// Where it all is, is said by the environment: WS_PORT, LAMBDA_PORT, DYNAMODB_PORT and the settings in settings.go.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, stop := context.WithCancel(context.Background())
	force, kill := context.WithCancel(context.Background())
	go func() {
		<-signals
		stop()
		<-signals
		kill()
	}()
	c := &command{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), now: time.Now, force: force, check: loads,
	}
	os.Exit(c.run(ctx, os.Args[1:]))
}

// command is one run of this program.
type command struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string // NAME=value
	now            func() time.Time
	force          context.Context                                            // done when the user does not want to wait for an orderly end
	check          func(function string, environment map[string]string) error // see stack.Options
}

// errUsage is a command line that was not understood, which has been told.
var errUsage = errors.New("usage")

// run returns the exit code.
func (c *command) run(ctx context.Context, args []string) int {
	do := c.stack
	if len(args) > 0 {
		known := map[string]func(context.Context, []string) error{
			"token": c.token, "client": c.client, "publish": c.publish, "participants": c.participants,
		}
		var ok bool
		if do, ok = known[args[0]]; !ok {
			c.say("%s: unknown command: use token, client, publish or participants, or none to run the system", args[0])
			return 2
		}
		args = args[1:]
	}
	switch err := do(ctx, args); {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		return 2
	default:
		c.say("%v", err)
		return 1
	}
}

// parse reads the flags of a command. All of them are strings, and required.
func (c *command) parse(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(c.stderr)
	if err := flags.Parse(args); err != nil {
		return errUsage // flag has told it
	}
	if flags.NArg() > 0 {
		c.say("%s: unexpected %q", flags.Name(), flags.Arg(0))
		return errUsage
	}
	var missing []string
	flags.VisitAll(func(f *flag.Flag) {
		if f.Value.String() == "" {
			missing = append(missing, "-"+f.Name)
		}
	})
	if len(missing) > 0 {
		c.say("%s: %s is required", flags.Name(), strings.Join(missing, " and "))
		return errUsage
	}
	return nil
}

// say tells the user something that is not the result.
func (c *command) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.stderr, format+"\n", args...) // nobody is left to tell
}

// getenv is os.Getenv for the command's own environment.
func (c *command) getenv(name string) string {
	value := ""
	for _, entry := range c.environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// either is a setting of functions, which has the name of its variable or of its parameter in the template, as for the stack.
func (c *command) either(variable, parameter string) string {
	return cmp.Or(c.getenv(variable), c.getenv(parameter))
}

// port reads the setting of a port.
func (c *command) port(name string, fallback int) (int, error) {
	s := c.getenv(name)
	if s == "" {
		return fallback, nil
	}
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is no port: give a number up to 65535", name, s)
	}
	return int(port), nil
}

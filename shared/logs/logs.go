// Package logs writes the log: lines of JSON, one about each invocation, and why a function did not start.
package logs

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// New writes lines with the function's name, and the request id and the trace of the invocation that they belong to. Time, level and
// message are named as Lambda names them in its own.
func New(to io.Writer, function string, level slog.Level) *slog.Logger {
	lines := slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level, ReplaceAttr: lambdacontext.ReplaceAttr})
	return slog.New(handler{lines}).With("function", function)
}

type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if invocation, ok := lambdacontext.FromContext(ctx); ok {
		r.AddAttrs(slog.String("request_id", invocation.AwsRequestID))
	}
	if header, ok := ctx.Value("x-amzn-trace-id").(string); ok { // as the runtime of aws-lambda-go keeps it, and the AWS X-Ray SDK reads it
		if root := traceID(header); root != "" {
			r.AddAttrs(slog.String("trace_id", root))
		}
	}
	return h.Handler.Handle(ctx, r)
}

// traceID is the Root of an X-Amzn-Trace-Id: what the invocations that one event caused have in common. The SDK sends the header
// along with every call, and Lambda hands it on to the functions that are invoked.
func traceID(header string) string {
	for field := range strings.SplitSeq(header, ";") {
		if root, ok := strings.CutPrefix(strings.TrimSpace(field), "Root="); ok {
			return root
		}
	}
	return ""
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

// Outcomes of an invocation. A function may have others of its own.
const (
	OK      = "ok"
	Refused = "refused" // by the caller's mistake
	Failed  = "failed"  // by ours: logged as an error
)

// Invocation has handle logged: one line after each invocation, with its duration and what describe says of it. No token,
// payload or query string may be in that.
func Invocation[In, Out any](
	log *slog.Logger,
	handle func(context.Context, In) (Out, error),
	describe func(In, Out, error) (outcome string, attrs []slog.Attr),
) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		start := time.Now()
		out, err := handle(ctx, in)
		outcome, attrs := describe(in, out, err)
		attrs = append(attrs, slog.String("outcome", outcome), slog.Int64("duration_ms", time.Since(start).Milliseconds()))
		level := slog.LevelInfo
		if outcome == Failed {
			level = slog.LevelError
			if err != nil {
				attrs = append(attrs, slog.Any("error", err))
			}
		}
		log.LogAttrs(ctx, level, "invocation", attrs...)
		return out, err
	}
}

// Start builds a function from its environment and has Lambda call it. Why one cannot be built stands in the log, and its process ends.
func Start[In, Out any](
	function string,
	build func(ctx context.Context, getenv func(string) string) (func(context.Context, In) (Out, error), error),
) {
	handle, err := build(context.Background(), os.Getenv)
	if err != nil {
		problems(os.Stdout, function, err)
		os.Exit(1)
	}
	lambda.Start(handle)
}

// problems logs why a function cannot start, a line for each of the errors that are joined.
func problems(to io.Writer, function string, err error) {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	log := New(to, function, slog.LevelInfo)
	for _, problem := range all {
		log.Error("cannot start", "problem", problem)
	}
}

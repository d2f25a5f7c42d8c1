package push

import (
	"os"
)

// traceCharacters are those besides letters and digits that the SDK leaves as they are in a trace id.
const traceCharacters = `-=;:+&[]{}"',`

// traceID is the X-Amzn-Trace-Id header of a request, by which AWS attributes it to the event that caused it, and "" outside
// of Lambda. It is what the SDK's RecursionDetection middleware sends: the runtime sets the variable anew for each event.
func traceID() string {
	if _, inLambda := os.LookupEnv("AWS_LAMBDA_FUNCTION_NAME"); !inLambda {
		return ""
	}
	id := os.Getenv("_X_AMZN_TRACE_ID")
	return string(appendEscaped(make([]byte, 0, len(id)), id, traceCharacters))
}

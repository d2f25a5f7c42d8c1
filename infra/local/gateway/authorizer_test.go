package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	connectARN = "arn:aws:execute-api:us-east-1:000000000000:local/local/$connect"
	allow      = `{"principalId":"u1","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow","Resource":"` + connectARN + `"}]},"context":{"userId":"u1","level":3,"admin":false}}`
)

func TestAuthorizer(t *testing.T) {
	t.Run("row 4: every identity source must be there", func(t *testing.T) {
		a := start(t, Config{Authorizer: &Authorizer{
			Function: "authorizer", IdentitySources: []string{"route.request.header.authorization", "route.request.querystring.token"},
		}}, map[string]function{"authorizer": returns(allow), "$connect": ok})
		for name, tt := range map[string]struct {
			path   string
			header http.Header
			want   int
		}{
			"both":            {"/local?token=t", http.Header{"Authorization": {"x"}}, 101},
			"no header":       {"/local?token=t", nil, 401},
			"an empty header": {"/local?token=t", http.Header{"Authorization": {""}}, 401},
			"no query":        {"/local", http.Header{"Authorization": {"x"}}, 401},
			"an empty query":  {"/local?token=", http.Header{"Authorization": {"x"}}, 401},
			"query case":      {"/local?Token=t", http.Header{"Authorization": {"x"}}, 401},
		} {
			if _, response := a.handshake(tt.path, tt.header); response.StatusCode != tt.want {
				t.Errorf("%s: %d, want %d", name, response.StatusCode, tt.want)
			}
		}
		if authorizer, connect := len(a.called("authorizer")), len(a.called("$connect")); authorizer != 1 || connect != 1 {
			t.Errorf("the authorizer was invoked %d times and $connect %d times, want 1 and 1", authorizer, connect)
		}
	})

	t.Run("row 5: what the authorizer says", func(t *testing.T) {
		deny := strings.Replace(allow, `"Allow"`, `"Deny"`, 1)
		for name, tt := range map[string]struct {
			authorizer function
			want       int
		}{
			"Allow":                 {returns(allow), 101},
			"Deny":                  {returns(deny), 403},
			"Allow of another":      {returns(strings.Replace(allow, "$connect", "$other", 1)), 403},
			"Unauthorized":          {fails("errorString", "Unauthorized"), 401},
			"unauthorized":          {fails("errorString", "unauthorized"), 500},
			"another error":         {fails("errorString", "Unauthorized: expired"), 500},
			"null":                  {returns(`null`), 500},
			"a string":              {returns(`"Allow"`), 500},
			"a simple response":     {returns(`{"isAuthorized":true}`), 500},
			"no principalId":        {returns(strings.Replace(allow, "principalId", "principalID", 1)), 500},
			"no policy":             {returns(`{"principalId":"u1"}`), 500},
			"an empty policy":       {returns(`{"principalId":"u1","policyDocument":{}}`), 500},
			"Effect in lower case":  {returns(strings.Replace(allow, `"Allow"`, `"allow"`, 1)), 500},
			"a policy as a string":  {returns(`{"principalId":"u1","policyDocument":"Allow"}`), 500},
			"a policy with what is": {returns(strings.Replace(allow, `"Effect"`, `"Condition":{},"Effect"`, 1)), 500},
		} {
			t.Run(name, func(t *testing.T) {
				a := start(t, Config{Authorizer: &Authorizer{Function: "authorizer"}}, map[string]function{"authorizer": tt.authorizer, "$connect": ok})
				_, response := a.handshake("/local", nil)
				if response.StatusCode != tt.want {
					t.Errorf("status %d, want %d", response.StatusCode, tt.want)
				}
				if connected := len(a.called("$connect")) == 1; connected != (tt.want == 101) {
					t.Errorf("$connect invoked: %t", connected)
				}
				if tt.want != 101 && a.await(KindReject, 1).Err == nil {
					t.Error("the event does not say why")
				}
			})
		}
	})

	t.Run("row 6: context of strings, numbers and booleans, and a result of 8 KB", func(t *testing.T) {
		padded := func(size int) string { // allow with its context padded to a result of size bytes
			const pad = `"pad":"",`
			s := strings.Replace(allow, `"userId"`, pad+`"userId"`, 1)
			return strings.Replace(s, `"pad":"`, `"pad":"`+strings.Repeat("x", size-len(s)), 1)
		}
		for name, tt := range map[string]struct {
			payload string
			want    int
		}{
			"scalars":       {allow, 101},
			"no context":    {allow[:strings.Index(allow, `,"context"`)] + "}", 101},
			"null":          {strings.Replace(allow, `"level":3`, `"level":null`, 1), 500},
			"an object":     {strings.Replace(allow, `"level":3`, `"level":{"a":1}`, 1), 500},
			"an array":      {strings.Replace(allow, `"level":3`, `"level":["a"]`, 1), 500},
			"context array": {allow[:strings.Index(allow, `"context"`)] + `"context":[]}`, 500},
			"8192 bytes":    {padded(8192), 101},
			"8193 bytes":    {padded(8193), 500},
		} {
			t.Run(name, func(t *testing.T) {
				a := start(t, Config{Authorizer: &Authorizer{Function: "authorizer"}}, map[string]function{"authorizer": returns(tt.payload), "$connect": ok})
				if _, response := a.handshake("/local", nil); response.StatusCode != tt.want {
					t.Errorf("status %d, want %d", response.StatusCode, tt.want)
				}
			})
		}
	})

	t.Run("row 7: one call per handshake, and none later", func(t *testing.T) {
		a := start(t, Config{Authorizer: &Authorizer{Function: "authorizer"}}, map[string]function{
			"authorizer": returns(allow), "$connect": ok, "$default": ok, "$disconnect": ok,
		})
		for range 2 { // the same identity twice: a cache would show
			c := a.dial()
			c.text("hello")
		}
		a.await(KindMessage, 2)
		a.close()
		if got := [...]int{len(a.called("authorizer")), len(a.called("$default")), len(a.called("$disconnect"))}; got != [...]int{2, 2, 2} {
			t.Errorf("invocations of authorizer, $default, $disconnect: %v", got)
		}
	})

	t.Run("row 8: the context travels with every event", func(t *testing.T) {
		a := start(t, Config{Authorizer: &Authorizer{Function: "authorizer"}}, map[string]function{
			"authorizer": returns(allow), "$connect": ok, "$default": ok, "join": ok, "$disconnect": ok,
		})
		c := a.dial()
		c.text("hello")
		c.text(`{"event":"join"}`)
		a.await(KindMessage, 2)
		a.close()

		want := map[string]any{"principalId": "u1", "userId": "u1", "level": 3.0, "admin": false}
		for _, name := range []string{"$connect", "$default", "join", "$disconnect"} {
			var got map[string]any
			if err := json.Unmarshal(a.event(name, 1).RequestContext.Authorizer, &got); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			latency, measured := got["integrationLatency"].(float64)
			if measured != (name == "$connect") || latency < 0 {
				t.Errorf("%s: integrationLatency %v", name, got["integrationLatency"])
			}
			delete(got, "integrationLatency")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestPolicy(t *testing.T) {
	statement := func(effect, action, resource string) string {
		return fmt.Sprintf(`{"Effect":%q,"Action":%s,"Resource":%s}`, effect, action, resource)
	}
	const invoke = `"execute-api:Invoke"`
	quoted := `"` + connectARN + `"`
	for name, tt := range map[string]struct {
		statements string // with or without []
		allowed    bool
		err        string
	}{
		"exact":                  {statement("Allow", invoke, quoted), true, ""},
		"an array of one":        {"[" + statement("Allow", "["+invoke+"]", "["+quoted+"]") + "]", true, ""},
		"everything":             {statement("Allow", `"*"`, `"*"`), true, ""},
		"action without case":    {statement("Allow", `"Execute-API:invoke"`, `"*"`), true, ""},
		"action wildcard":        {statement("Allow", `"execute-api:*"`, `"*"`), true, ""},
		"another action":         {statement("Allow", `"execute-api:ManageConnections"`, `"*"`), false, ""},
		"one action of two":      {statement("Allow", `["s3:GetObject","execute-api:Inv*"]`, `"*"`), true, ""},
		"stage wildcard":         {statement("Allow", invoke, `"arn:aws:execute-api:us-east-1:000000000000:local/*"`), true, ""},
		"region wildcard":        {statement("Allow", invoke, `"arn:aws:execute-api:*:*:local/local/$connect"`), true, ""},
		"question mark":          {statement("Allow", invoke, `"arn:aws:execute-api:us-east-?:000000000000:local/local/$connect"`), true, ""},
		"prefix only":            {statement("Allow", invoke, `"arn:aws:execute-api:us-east-1:000000000000:local/local"`), false, ""},
		"no regular expressions": {statement("Allow", invoke, `"arn.aws:execute-api:us-east-1:000000000000:local/local/$connect"`), false, ""},
		"resource with case":     {statement("Allow", invoke, strings.Replace(quoted, "local", "Local", 1)), false, ""},
		"Deny wins, last":        {"[" + statement("Allow", invoke, `"*"`) + "," + statement("Deny", invoke, quoted) + "]", false, ""},
		"Deny wins, first":       {"[" + statement("Deny", invoke, quoted) + "," + statement("Allow", invoke, `"*"`) + "]", false, ""},
		"Deny of another":        {"[" + statement("Deny", invoke, `"arn:other"`) + "," + statement("Allow", invoke, `"*"`) + "]", true, ""},
		"the longest resource":   {statement("Allow", invoke, `"arn:*`+strings.Repeat("*", 512-len("arn:*"))+`"`), true, ""},
		"one character more":     {statement("Allow", invoke, `"arn:*`+strings.Repeat("*", 513-len("arn:*"))+`"`), false, "513 characters, 512 at most"},
		"no Resource":            {`{"Effect":"Allow","Action":"*"}`, false, "needs Action and Resource"},
		"no Effect":              {`{"Action":"*","Resource":"*"}`, false, "must be Allow or Deny"},
		"NotAction":              {`{"Effect":"Allow","NotAction":"s3:*","Resource":"*"}`, false, `unknown field "NotAction"`},
		"Condition":              {`[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}]`, false, `unknown field "Condition"`},
		"no statements":          {`[]`, false, "no Statement"},
	} {
		t.Run(name, func(t *testing.T) {
			payload := `{"principalId":"u","policyDocument":{"Version":"2012-10-17","Statement":` + tt.statements + `}}`
			got, err := parseGrant([]byte(payload), connectARN)
			if got.allowed != tt.allowed {
				t.Errorf("allowed: %t", got.allowed)
			}
			if err == nil {
				err = errors.New("")
			}
			if !strings.Contains(err.Error(), tt.err) || (err.Error() == "") != (tt.err == "") {
				t.Errorf("error %q, want %q", err, tt.err)
			}
		})
	}
}

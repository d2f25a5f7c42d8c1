package push

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"
)

// fixed is a configuration with these credentials.
func fixed(c aws.Credentials, region string) aws.Config {
	return aws.Config{Region: region, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil })}
}

// Posts are those that botocore would send, signed as it would sign them. testdata is what infra/tools/signatures.py prints;
// SIGNATURES names a file with more of that (make signatures).
func TestSignaturesAreBotocores(t *testing.T) {
	file, err := os.Open(cmp.Or(os.Getenv("SIGNATURES"), "testdata/signatures.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var want struct {
			Endpoint, Region, ID, AccessKeyID, SecretAccessKey, SessionToken, URL, Authorization string
			Body                                                                                 []byte
			Times                                                                                int
			At                                                                                   int64
		}
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		credentials := aws.Credentials{AccessKeyID: want.AccessKeyID, SecretAccessKey: want.SecretAccessKey, SessionToken: want.SessionToken}
		at := time.Unix(want.At, 0)
		c, err := New(fixed(credentials, want.Region), want.Endpoint, func() time.Time { return at })
		if err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		req := c.request(t.Context(), want.ID, bytes.Repeat(want.Body, want.Times), credentials)
		if got := req.Header.Get("Authorization"); got != want.Authorization {
			t.Errorf("line %d: %q signed as\n%s\nshould be\n%s", n+1, want.ID, got, want.Authorization)
		}
		if got := c.scheme + "://" + req.Host + req.URL.RequestURI(); got != withoutPort(want.URL) {
			t.Errorf("line %d: %q goes to\n%s\nshould go to\n%s", n+1, want.ID, got, want.URL)
		}
		if got := req.Header.Get("X-Amz-Security-Token"); got != want.SessionToken {
			t.Errorf("line %d: token %q", n+1, got)
		}
		if got, want := req.Header.Get("X-Amz-Date"), at.UTC().Format("20060102T150405Z"); got != want {
			t.Errorf("line %d: date %s, should be %s", n+1, got, want)
		}
	}
	if err := lines.Err(); err != nil || n < 30 {
		t.Errorf("%d lines, %v", n, err)
	}
}

// withoutPort is a URL without the port that its scheme has anyway, which no client has in the Host header.
func withoutPort(url string) string {
	if rest, ok := strings.CutPrefix(url, "https:"); ok {
		return "https:" + strings.Replace(rest, ":443/", "/", 1)
	}
	return strings.Replace(url, ":80/", "/", 1)
}

// One signer signs as the SDK's does, whatever order credentials, days and messages come in.
func TestSignaturesAreTheSDKs(t *testing.T) {
	sdk := v4.NewSigner()
	rapid.Check(t, func(t *rapid.T) {
		s := &signer{host: rapid.SampledFrom([]string{"ws.example.com", "127.0.0.1:3001", "a.execute-api.eu-west-1.amazonaws.com"}).Draw(t, "host"), region: "eu-west-1"}
		for range rapid.IntRange(1, 8).Draw(t, "posts") {
			credentials := aws.Credentials{
				AccessKeyID:     rapid.SampledFrom([]string{"AKIDA", "AKIDB"}).Draw(t, "key id"),
				SessionToken:    rapid.SampledFrom([]string{"", "session", strings.Repeat("long/+=", 300)}).Draw(t, "token"),
				SecretAccessKey: "secret",
			}
			credentials.SecretAccessKey += credentials.AccessKeyID // the SDK's signer takes a key id for its secret
			body := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "body")
			at := time.Unix(rapid.Int64Range(1_000_000_000, 4_000_000_000).Draw(t, "at"), 0)
			if rapid.Bool().Draw(t, "around midnight") {
				at = at.Truncate(24 * time.Hour).Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "seconds")) * time.Second)
			}
			path := "/live/@connections/" + string(appendEscaped(nil, rapid.StringN(1, 30, -1).Draw(t, "id"), unreserved))

			req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://"+s.host+path, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = 0 // not signed
			if err := sdk.SignHTTP(t.Context(), credentials, req, bodyHash(body), "execute-api", "eu-west-1", at); err != nil {
				t.Fatal(err)
			}
			date, authorization := s.sign(path, body, credentials, at)
			if want := req.Header.Get("Authorization"); authorization != want || date != req.Header.Get("X-Amz-Date") {
				t.Fatalf("%s %s\nshould be\n%s %s", date, authorization, req.Header.Get("X-Amz-Date"), want)
			}
		}
	})
}

// A secret that is exchanged under the same key id is not used any longer.
func TestSecretChanges(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	used := &signer{host: "h", region: "r"}
	for _, secret := range []string{"a", "b", "a"} {
		credentials := aws.Credentials{AccessKeyID: "id", SecretAccessKey: secret}
		_, got := used.sign("/p", nil, credentials, at)
		if _, want := (&signer{host: "h", region: "r"}).sign("/p", nil, credentials, at); got != want {
			t.Errorf("%s: %s", secret, got)
		}
	}
}

func TestSignConcurrently(t *testing.T) {
	s := &signer{host: "h", region: "r"}
	sign := func(s *signer, i int) string {
		at := time.Unix(int64(i%3)*24*60*60, 0)
		_, authorization := s.sign(fmt.Sprintf("/p/%d", i), []byte{byte(i)}, aws.Credentials{AccessKeyID: "id", SecretAccessKey: "s"}, at)
		return authorization
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if got, want := sign(s, i), sign(&signer{host: "h", region: "r"}, i); got != want {
				t.Errorf("%d: %s", i, got)
			}
		})
	}
	wg.Wait()
}

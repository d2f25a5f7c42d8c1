package dynamodblocal_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/realtime/infra/local/dynamodblocal"
)

func TestStart(t *testing.T) {
	dir := filepath.Join("..", "..", "..", dynamodblocal.Dir)
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("needs Java, which is not in PATH")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs DynamoDB Local in " + dynamodblocal.Dir + ": go run ./infra/local/dynamodblocal/with true")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	endpoint, stop, err := dynamodblocal.Start(ctx, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	listTables := func() (string, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader("{}"))
		if err != nil {
			return "", err
		}
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810.ListTables")
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return "", err
		}
		defer response.Body.Close() //nolint:errcheck // a test
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	if body, err := listTables(); err != nil || body != `{"TableNames":[]}` {
		t.Errorf("ListTables = %s, %v", body, err)
	}
	stop()
	stop() // does no harm
	if body, err := listTables(); err == nil {
		t.Errorf("after stop, ListTables = %s", body)
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // a test
	empty, fetched := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(fetched, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	java := t.TempDir()
	if err := os.WriteFile(filepath.Join(java, "java"), []byte("#!/bin/sh\necho no such class >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path, dir string
		port            int
		want            string
	}{
		{"no Java", empty, fetched, 0, "install Java"},
		{"not fetched", java, empty, 0, "fetched first"},
		{"port taken", java, fetched, taken.Addr().(*net.TCPAddr).Port, "address already in use"},
		{"Java fails", java, fetched, 0, "no such class"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("PATH", test.path)
			_, _, err := dynamodblocal.Start(t.Context(), test.dir, test.port)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestFetchNeedsMaven(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := dynamodblocal.Fetch(t.Context(), t.TempDir(), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "install Maven") {
		t.Errorf("error %v, want one that says to install Maven", err)
	}
}

func TestFetchRunsOnce(t *testing.T) {
	bin, dir := t.TempDir(), filepath.Join(t.TempDir(), "tools")
	maven := "#!/bin/sh\necho as Maven does\nfor a; do case $a in -DoutputDirectory=*) : >\"${a#-DoutputDirectory=}/a.jar\";; esac; done\n"
	if err := os.WriteFile(filepath.Join(bin, "mvn"), []byte(maven), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	half := filepath.Join(dir, "partial", "half.jar") // of a fetch that was killed
	if err := os.MkdirAll(filepath.Dir(half), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(half, []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"fetching DynamoDB Local, 51 MB ...\nas Maven does\n", ""} {
		var progress strings.Builder
		if err := dynamodblocal.Fetch(t.Context(), dir, &progress); err != nil {
			t.Fatal(err)
		}
		if progress.String() != want {
			t.Errorf("progress %q, want %q", progress.String(), want)
		}
	}
	fetched, err := os.ReadDir(filepath.Join(dir, "lib"))
	if err != nil || len(fetched) != 1 || fetched[0].Name() != "a.jar" {
		t.Errorf("fetched %v, %v, want a.jar alone", fetched, err)
	}
}

// Java takes a free port seconds after it was found: no system may give it to somebody else meanwhile.
func TestFreePortStaysFree(t *testing.T) {
	bin, dir := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "java"), []byte("#!/bin/sh\necho \"$*\" >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	_, _, err := dynamodblocal.Start(t.Context(), dir, 0)
	m := regexp.MustCompile(`-port (\d+)$`).FindStringSubmatch(err.Error())
	if m == nil {
		t.Fatalf("Java was given no port: %v", err)
	}
	if port, err := strconv.Atoi(m[1]); err != nil || port < 1024 || port >= 32768 {
		t.Errorf("port %d, %v: the system gives it to others", port, err)
	}
}

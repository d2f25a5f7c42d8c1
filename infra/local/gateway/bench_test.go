package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// bench serves a gateway and connects n clients, until stop.
func bench(b *testing.B, n int) (g *Gateway, url string, sockets []net.Conn, stop func()) {
	b.Helper()
	g, err := New(Config{Stage: "local", Invoke: func(context.Context, string, []byte) (Result, error) { return Result{}, nil }})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(g)
	stop = func() {
		for _, socket := range sockets {
			_ = socket.Close()
		}
		if err := g.Close(context.Background()); err != nil {
			b.Error(err)
		}
		server.Close()
	}
	const upgrade = "GET /local HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	reader := bufio.NewReader(nil)
	for range n {
		socket, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
		if err != nil {
			b.Fatal(err)
		}
		sockets = append(sockets, socket)
		if _, err := io.WriteString(socket, upgrade); err != nil {
			b.Fatal(err)
		}
		reader.Reset(socket)
		if response, err := http.ReadResponse(reader, nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
			b.Fatalf("handshake: %v", err)
		}
	}
	return g, server.URL, sockets, stop
}

// readers is bench with clients that read all they get.
func readers(b *testing.B, n int) (g *Gateway, url string, ids []string) {
	b.Helper()
	g, url, sockets, stop := bench(b, n)
	b.Cleanup(stop)
	for _, socket := range sockets {
		go func() { _, _ = io.Copy(io.Discard, socket) }()
	}
	for _, info := range g.Connections() {
		ids = append(ids, info.ID)
	}
	return g, url, ids
}

// BenchmarkPost posts 256 bytes to 100 connections in turn, over HTTP as a function does.
func BenchmarkPost(b *testing.B) {
	_, url, ids := readers(b, 100)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	message := strings.Repeat("x", 256)
	var next atomic.Int64
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := ids[int(next.Add(1))%len(ids)]
			response, err := client.Post(url+"/local/@connections/"+id, "", strings.NewReader(message))
			if err != nil {
				b.Error(err)
				return
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				b.Error(response.Status)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}

// BenchmarkPostInside is BenchmarkPost without HTTP.
func BenchmarkPostInside(b *testing.B) {
	g, _, ids := readers(b, 100)
	message := []byte(strings.Repeat("x", 256))
	b.ResetTimer()
	for i := range b.N {
		if a := g.find(ids[i%len(ids)]).post(message); a.status != http.StatusOK {
			b.Fatal(a.status)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}

// BenchmarkIdle opens 4000 connections and reports what one costs this process, the client's end of it included.
func BenchmarkIdle(b *testing.B) {
	const n = 4000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		goroutines := runtime.NumGoroutine()
		_, _, _, stop := bench(b, n)
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/conn")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-B/conn")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/n, "goroutines/conn")
		stop()
	}
}

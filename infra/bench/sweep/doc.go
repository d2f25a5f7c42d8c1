// Package sweep measures the server's own timer on the embedded table, with a stub in the place of API Gateway: how long a walk takes
// and what of the memory it holds (BenchmarkWalk), and with a simulated clock when pings, keep-alives and verifications come
// (TestCycle).
//
//	go test -run '^$' -bench . -benchtime 5x ./infra/bench/sweep
//	go test -v -run Cycle ./infra/bench/sweep -args -connections 100000 -rps 1000 -per-worker 20000
package sweep

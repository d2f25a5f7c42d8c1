package lambda

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"syscall"
)

// maxLine, in bytes: a longer line of output is split.
const maxLine = 64 << 10

// output reads what a process writes, line by line. A reader of its own waits for more; drain reads what is there at once, so that
// an event's lines come before its end is told.
type output struct {
	line  func(string)
	pipe  *os.File
	raw   syscall.RawConn
	ended chan struct{}

	mu      sync.Mutex
	partial []byte
}

// open returns the end for the process to write to.
func (o *output) open() (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	raw, err := read.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, read.Close(), write.Close())
	}
	o.pipe, o.raw, o.ended = read, raw, make(chan struct{})
	go func() {
		defer close(o.ended)
		_ = raw.Read(func(fd uintptr) bool { return o.take(fd) }) // ends at the end of the pipe, or with close
	}()
	return write, nil
}

// take reads until nothing is left for now, and reports whether the pipe is at its end.
func (o *output) take(fd uintptr) (ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	buffer := make([]byte, 4096)
	for {
		n, err := syscall.Read(int(fd), buffer)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return false
		case err != nil || n == 0:
			return true
		default:
			o.split(buffer[:n])
		}
	}
}

func (o *output) split(b []byte) {
	o.partial = append(o.partial, b...)
	for {
		i := bytes.IndexByte(o.partial, '\n')
		rest := i + 1
		if i < 0 {
			if len(o.partial) < maxLine {
				return
			}
			i, rest = maxLine, maxLine
		}
		o.line(string(o.partial[:i]))
		o.partial = o.partial[rest:]
	}
}

// drain reads what the process has written so far. No lock of a function may be held.
func (o *output) drain() {
	if o.raw != nil {
		_ = o.raw.Control(func(fd uintptr) { o.take(fd) }) // an error: closed, so read to its end
	}
}

// close reads the rest and tells a last line without its end.
func (o *output) close() {
	o.drain()
	_ = o.pipe.Close()
	<-o.ended
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.partial) > 0 {
		o.line(string(o.partial))
	}
}

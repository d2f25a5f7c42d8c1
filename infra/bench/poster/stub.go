package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// stubVariable in the environment makes this program the stub instead: what posts are posted to, in a process of its own, so
// that its work is not counted.
const stubVariable = "POSTER_STUB"

// stub is a running one. It takes every post and answers 200 without a body, as API Gateway does.
type stub struct {
	http, https string // URLs
	roots       *x509.CertPool
	command     *exec.Cmd
	input       io.Closer
}

// startStub starts this program again as a stub, on one core of its own.
func startStub(ctx context.Context) (*stub, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &stub{command: exec.CommandContext(ctx, self), roots: x509.NewCertPool()} //nolint:gosec // G204: this very program
	s.command.Env = append(os.Environ(), stubVariable+"=1", "GOMAXPROCS=1")
	s.command.Stderr = os.Stderr
	if s.input, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	r := bufio.NewReader(out)
	addresses, err := r.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("stub: %w", err), s.stop())
	}
	certificate, err := io.ReadAll(r)
	if _, scanErr := fmt.Sscan(addresses, &s.http, &s.https); err != nil || scanErr != nil || !s.roots.AppendCertsFromPEM(certificate) {
		return nil, errors.Join(fmt.Errorf("stub: it said %q", addresses), err, s.stop())
	}
	return s, nil
}

// stop ends the stub, which waits for the end of its input.
func (s *stub) stop() error {
	return errors.Join(s.input.Close(), s.command.Wait())
}

// serveStub is the stub: it prints its URLs on one line, then its certificate, and serves until its input ends.
func serveStub() error {
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	// A server of their own each: the first Serve of an http.Server decides whether it has HTTP/2, and one without TLS has none.
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	plainServer := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	secureServer := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}
	var plain, secure net.Listener
	for _, l := range []*net.Listener{&plain, &secure} {
		if *l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	ended := make(chan error, 2)
	go func() { ended <- plainServer.Serve(plain) }()
	go func() { ended <- secureServer.ServeTLS(secure, "", "") }()
	fmt.Printf("http://%s https://%s\n", plain.Addr(), secure.Addr())
	if err := pem.Encode(os.Stdout, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}); err != nil {
		return err
	}
	if err := os.Stdout.Close(); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	err = errors.Join(plainServer.Close(), secureServer.Close())
	for range 2 {
		if serveErr := <-ended; !errors.Is(serveErr, http.ErrServerClosed) {
			err = errors.Join(err, serveErr)
		}
	}
	return err
}

// selfSigned is a certificate for 127.0.0.1 that is good for a day.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

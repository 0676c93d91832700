package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

// presented gives a certificate for each handshake.
type presented func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// openCertificates reads what HTTPS and SIP over TLS show to their peers.
func (g *gateway) openCertificates(context.Context) error {
	var https presented
	switch {
	case g.s.ACME != "":
		m := &autocert.Manager{
			Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(g.s.ACME), Cache: autocert.DirCache(filepath.Join(g.s.Data, "acme")),
		}
		g.tls, https = m.TLSConfig(), alwaysFor(g.s.ACME, m.GetCertificate)
	case g.s.TLSCert != "":
		files, err := openCertFiles(g.s.TLSCert, g.s.TLSKey, g.log)
		if err != nil {
			return fmt.Errorf("load --tls-cert: %w", err)
		}
		https = files.get
		g.tls = &tls.Config{GetCertificate: files.get, MinVersion: tls.VersionTLS12}
	}
	if g.sipTLS.Certificate = https; g.s.SIPTLSCert != "" {
		files, err := openCertFiles(g.s.SIPTLSCert, g.s.SIPTLSKey, g.log)
		if err != nil {
			return fmt.Errorf("load --sip-tls-cert: %w", err)
		}
		g.sipTLS.Certificate = files.get
	}
	var err error
	g.sipTLS.Roots, err = rootsWith(g.s.SIPTLSCA)
	return err
}

// alwaysFor asks for one domain's certificate whatever a peer says: many SIP
// peers name nobody in their hello.
func alwaysFor(domain string, get presented) presented {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		asked := *hello
		asked.ServerName = domain
		return get(&asked)
	}
}

// rootsWith are the system's authorities and those of a file; nil, which means
// the system's, without one.
func rootsWith(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read --sip-tls-ca: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--sip-tls-ca %s: expected certificates in PEM", path)
	}
	return pool, nil
}

// certFiles is a certificate and its key on disk. It is read again when the
// files have changed; what cannot be used is logged, and the old one stays.
type certFiles struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   string    // of the files when they were read last
	checked time.Time // when they were looked at last
}

// lookAgain is how long a look at the files holds.
const lookAgain = time.Second

func openCertFiles(cert, key string, log *slog.Logger) (*certFiles, error) {
	f := &certFiles{cert: cert, key: key, log: log, stamp: stampOf(cert, key), checked: time.Now()}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	f.current = &pair
	return f, nil
}

// get implements presented.
func (f *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.checked) >= lookAgain {
		f.checked = now
		f.refreshLocked(now)
	}
	return f.current, nil
}

func (f *certFiles) refreshLocked(now time.Time) {
	stamp := stampOf(f.cert, f.key)
	if stamp == f.stamp {
		return
	}
	f.stamp = stamp
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err == nil && now.After(pair.Leaf.NotAfter) {
		err = errors.New("it has expired")
	}
	if err != nil {
		f.log.Error("the changed certificate cannot be used, the one before stays", "file", f.cert, "error", err)
		return
	}
	f.current = &pair
	f.log.Info("the certificate has changed", "file", f.cert, "valid_until", pair.Leaf.NotAfter.UTC())
}

// stampOf tells whether files have changed.
func stampOf(paths ...string) (stamp string) {
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil {
			stamp += fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size(), " ")
		}
	}
	return stamp
}

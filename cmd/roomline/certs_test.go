package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// writeCertificate makes a self-signed certificate for 127.0.0.1 that is valid
// until a moment, and writes it and its key.
func writeCertificate(t *testing.T, cert, key, name string, until time.Time) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChangedCertificatesAreTakenUpAndBadOnesAreNot(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	synctest.Test(t, func(t *testing.T) {
		far := time.Now().Add(1000 * time.Hour)
		writeCertificate(t, cert, key, "first", far)
		log := &logTail{}
		f, err := openCertFiles(cert, key, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		shown := func() string {
			time.Sleep(lookAgain)
			c, err := f.get(nil)
			if err != nil {
				t.Fatal(err)
			}
			return c.Leaf.Subject.CommonName
		}
		writeCertificate(t, cert, key, "second", far)
		if got := shown(); got != "second" {
			t.Errorf("shown is the %s", got)
		}
		for name, spoil := range map[string]func(){
			"no certificate":  func() { os.WriteFile(cert, []byte("half a fi"), 0o600) },
			"another's key":   func() { writeCertificate(t, cert, key+"2", "third", far) },
			"one that is old": func() { writeCertificate(t, cert, key, "fourth", time.Now().Add(-time.Minute)) },
			"no file":         func() { os.Remove(cert) },
		} {
			before := strings.Count(log.last(100), "the one before stays")
			spoil()
			if got := shown(); got != "second" {
				t.Errorf("%s: shown is the %s", name, got)
			}
			shown()
			if said := strings.Count(log.last(100), "the one before stays") - before; said != 1 {
				t.Errorf("%s: logged %d times", name, said)
			}
		}
		writeCertificate(t, cert, key, "fifth", far)
		if got := shown(); got != "fifth" {
			t.Errorf("shown is the %s", got)
		}
	})
}

func TestGatewayAnswersSIPOverTLSWithItsCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, "gateway", time.Now().Add(time.Hour))
	h := startHouse(t, "", func(s *settings) { s.SIPTLS, s.SIPTLSCert, s.SIPTLSKey = []string{"127.0.0.1:0"}, cert, key })
	roots, err := rootsWith(cert)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", h.ua.TLSAddr().String(), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("OPTIONS sips:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bK1\r\nFrom: <sips:a@example.com>;tag=1\r\nTo: <sips:b@example.com>\r\n" +
		"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	c.SetReadDeadline(time.Now().Add(8 * time.Second))
	if n, err := c.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "SIP/2.0 200 ") {
		t.Errorf("%v %s", err, answer[:n])
	}
}

package sip

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// authority signs certificates for tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t, cert, key, x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

// issue makes a certificate for IP addresses, domains and sip: URIs that is
// valid until a moment.
func (a *authority) issue(until time.Time, names ...string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	template := &x509.Certificate{SerialNumber: serial, NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if u, err := url.Parse(n); err == nil && u.Scheme == "sip" {
			template.URIs = append(template.URIs, u)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// shows gives a changeable certificate to an agent that listens for TLS.
func (a *authority) shows(cert *atomic.Pointer[tls.Certificate]) func(*Config) {
	return func(c *Config) {
		c.TLSAddrs = []string{"127.0.0.1:0"}
		c.TLS = TLS{Roots: a.pool, Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert.Load(), nil }}
	}
}

func hold(c tls.Certificate) *atomic.Pointer[tls.Certificate] {
	var p atomic.Pointer[tls.Certificate]
	p.Store(&c)
	return &p
}

// tlsTrunk is a trunk that reaches an agent over TLS.
func tlsTrunk(to *agent) dialplan.Trunk {
	return dialplan.Trunk{Name: "secure", Outbound: &dialplan.Outbound{Servers: []string{to.TLSAddr().String()}, Transport: "tls"}}
}

func TestCallOverTLS(t *testing.T) {
	ca := newAuthority(t)
	cert := hold(ca.issue(time.Now().Add(time.Hour), "127.0.0.1"))
	a, b := startAgent(t, ca.shows(cert)), startAgent(t, ca.shows(cert))
	out := a.dial(bridge.DialSpec{To: "lobby", From: "alice", Trunk: tlsTrunk(b)})
	c := b.incoming()
	if c.Transport != "tls" {
		t.Errorf("came over %s", c.Transport)
	}
	if err := c.Answer(); err != nil {
		t.Fatal(err)
	}
	expect(t, out, bridge.LineAnswered)
	expect(t, c.Line, bridge.LineAnswered)
	if err := out.Hold(t.Context(), true); err != nil {
		t.Error(err)
	}
	expect(t, c.Line, bridge.LineHeld)
	c.End(bridge.CauseNormal, "")
	expectEnd(t, out, bridge.CauseNormal)
	expectEnd(t, c.Line, bridge.CauseNormal)
}

func TestTLSPeerIsVerified(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	soon := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		cert  tls.Certificate
		words string
	}{
		"unknown authority": {stranger.issue(soon, "127.0.0.1"), "comes from an authority that is not trusted here"},
		"wrong name":        {ca.issue(soon, "sip.example.com", "192.0.2.1"), "is for 192.0.2.1, sip.example.com, not for 127.0.0.1"},
		"expired":           {ca.issue(time.Now().Add(-time.Minute), "127.0.0.1"), "expired on"},
		"not valid yet":     {ca.issue(time.Now().Add(48*time.Hour), "127.0.0.1"), "is not valid before"},
	} {
		t.Run(name, func(t *testing.T) {
			b := startAgent(t, ca.shows(hold(c.cert)))
			a := startAgent(t, func(cfg *Config) { cfg.TLS.Roots = ca.pool })
			out := a.dial(bridge.DialSpec{To: "lobby", Trunk: tlsTrunk(b)})
			if e := expectEnd(t, out, bridge.CauseUnreachable); !strings.Contains(e.Reason, c.words) {
				t.Errorf("said %q", e.Reason)
			}
		})
	}
}

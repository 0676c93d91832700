package sip

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/sip/socket"
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

// writePEM writes a certificate and its key into one file.
func (a *authority) writePEM(path string, c tls.Certificate) {
	a.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// shows gives a changeable certificate to an agent that listens for TLS.
func (a *authority) shows(cert *atomic.Pointer[tls.Certificate]) func(*Config) {
	return func(c *Config) {
		c.TLSAddrs = []string{"127.0.0.1:0"}
		c.TLS = socket.TLS{Roots: a.pool, Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert.Load(), nil }}
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

// A certificate that changes while a call is up: the call stays, whoever
// connects next sees the new one.
func TestCertificateChangesUnderACall(t *testing.T) {
	ca := newAuthority(t)
	cert := hold(ca.issue(time.Now().Add(time.Hour), "127.0.0.1"))
	a, b := startAgent(t, ca.shows(cert)), startAgent(t, ca.shows(cert))
	out := a.dial(bridge.DialSpec{To: "lobby", Trunk: tlsTrunk(b)})
	in := b.incoming()
	if err := in.Answer(); err != nil {
		t.Fatal(err)
	}
	expect(t, out, bridge.LineAnswered)
	expect(t, in.Line, bridge.LineAnswered)
	next := ca.issue(time.Now().Add(time.Hour), "127.0.0.1")
	cert.Store(&next)
	c, err := tls.Dial("tcp", b.TLSAddr().String(), &tls.Config{RootCAs: ca.pool})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !bytes.Equal(c.ConnectionState().PeerCertificates[0].Raw, next.Certificate[0]) {
		t.Error("the old certificate is shown")
	}
	if err := out.Hold(t.Context(), true); err != nil {
		t.Error(err)
	}
	expect(t, in.Line, bridge.LineHeld)
	in.End(bridge.CauseNormal, "")
	expectEnd(t, out, bridge.CauseNormal)
}

// In-dialog requests find a new connection when theirs has broken.
func TestBrokenTLSConnectionIsOpenedAnew(t *testing.T) {
	ca := newAuthority(t)
	cert := hold(ca.issue(time.Now().Add(time.Hour), "sip:pbx.example.com"))
	b := startAgent(t, ca.shows(cert))
	a := startAgent(t, func(c *Config) { ca.shows(cert)(c); c.Resolver = loopbackNames{} })
	trunk := tlsTrunk(b)
	trunk.Outbound.Servers = []string{"pbx.example.com:" + strconv.Itoa(int(b.TLSAddr().Port()))}
	out := a.dial(bridge.DialSpec{To: "lobby", Trunk: trunk})
	in := b.incoming()
	if err := in.Answer(); err != nil {
		t.Fatal(err)
	}
	expect(t, out, bridge.LineAnswered)
	expect(t, in.Line, bridge.LineAnswered)
	a.breakStreams(t)
	if err := out.Hold(t.Context(), true); err != nil {
		t.Error(err)
	}
	expect(t, in.Line, bridge.LineHeld)
	out.End(bridge.CauseNormal, "")
	expectEnd(t, in.Line, bridge.CauseNormal)
}

// breakStreams cuts every connection and returns when they are gone.
func (a *agent) breakStreams(t *testing.T) {
	t.Helper()
	a.streams.Cut()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if a.streams.Size() == 0 {
			return
		}
		<-tick.C
	}
	t.Fatal("a broken connection is still there")
}

// loopbackNames resolves every name to 127.0.0.1.
type loopbackNames struct{}

func (loopbackNames) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, &net.DNSError{IsNotFound: true}
}

func (loopbackNames) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{mustAddr("127.0.0.1")}, nil
}

func TestSIPSCallSaysSoInItsContact(t *testing.T) {
	ca := newAuthority(t)
	cert := hold(ca.issue(time.Now().Add(time.Hour), "127.0.0.1"))
	var seen tape
	b := startAgent(t, ca.shows(cert))
	a := startAgent(t, func(c *Config) { ca.shows(cert)(c); c.Trace = seen.record })
	out := a.dial(bridge.DialSpec{To: "sips:lobby@" + b.TLSAddr().String(), From: "alice"})
	in := b.incoming()
	if in.Transport != "tls" {
		t.Errorf("came over %s", in.Transport)
	}
	if err := in.Answer(); err != nil {
		t.Fatal(err)
	}
	expect(t, out, bridge.LineAnswered)
	expect(t, in.Line, bridge.LineAnswered)
	for _, l := range []bridge.Line{out, in.Line} {
		if d := l.(*Line).dialog; !strings.HasPrefix(d.Contact, "sips:") || !strings.HasPrefix(d.Target, "sips:") {
			t.Errorf("our Contact is %s, theirs %s", d.Contact, d.Target)
		}
	}
	in.End(bridge.CauseNormal, "")
	expectEnd(t, out, bridge.CauseNormal)
	if !slices.ContainsFunc(seen.list, func(s string) bool {
		return strings.HasPrefix(s, "tls to "+b.TLSAddr().String()) && strings.HasSuffix(s, ": ACK sips:lobby@"+b.TLSAddr().String()+" SIP/2.0")
	}) {
		t.Errorf("no ACK for a sips URI: %q", seen.list)
	}
}

func TestSIPSIsRefusedWithoutTLS(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	d.uri = "sips:lobby@127.0.0.1"
	w.sendDraft(d)
	if m := w.response(416, "INVITE"); !strings.Contains(m.phrase, "TLS") {
		t.Errorf("said %q", m.phrase)
	}
}

// Who is verified for one name is not for another at the same address.
func TestConnectionIsOnlyUsedForTheNameItShowed(t *testing.T) {
	ca := newAuthority(t)
	cert := hold(ca.issue(time.Now().Add(time.Hour), "sip:one.example.com", "one.example.com"))
	b := startAgent(t, ca.shows(cert))
	a := startAgent(t, func(c *Config) { ca.shows(cert)(c); c.Resolver = loopbackNames{} })
	trunk := func(host string) dialplan.Trunk {
		t := tlsTrunk(b)
		t.Outbound.Servers = []string{host + ":" + strconv.Itoa(int(b.TLSAddr().Port()))}
		return t
	}
	for range 2 {
		out := a.dial(bridge.DialSpec{To: "lobby", Trunk: trunk("one.example.com")})
		b.incoming().End(bridge.CauseBusy, "")
		expectEnd(t, out, bridge.CauseBusy)
	}
	if n := a.streams.Size(); n != 1 {
		t.Errorf("%d connections for one trunk", n)
	}
	out := a.dial(bridge.DialSpec{To: "lobby", Trunk: trunk("two.example.com")})
	if e := expectEnd(t, out, bridge.CauseUnreachable); !strings.Contains(e.Reason, "is for one.example.com, sip:one.example.com, not for two.example.com") {
		t.Errorf("said %q", e.Reason)
	}
}

func TestWhatAnswersInsteadOfTLSIsSaidInWords(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.Close()
	answers := make(chan string, 4)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 4096))
			c.Write([]byte(<-answers))
			c.Close()
		}
	})
	a := startAgent(t, nil)
	for answer, words := range map[string]string{
		"SIP/2.0 400 Bad Request\r\n\r\n": "does not speak TLS",
		"":                                "closed the connection during the TLS handshake",
		"\x15\x03\x03\x00\x02\x02\x28":    "refused TLS",
	} {
		answers <- answer
		out := a.dial(bridge.DialSpec{To: "lobby", Trunk: dialplan.Trunk{Name: "plain",
			Outbound: &dialplan.Outbound{Servers: []string{l.Addr().String()}, Transport: "tls"}}})
		if e := expectEnd(t, out, bridge.CauseUnreachable); !strings.Contains(e.Reason, words) {
			t.Errorf("%q: said %q", answer, e.Reason)
		}
	}
}

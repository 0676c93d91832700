package stir

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority is a certificate authority with a server for its certificates.
type authority struct {
	t      *testing.T
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	server *httptest.Server
	files  map[string][]byte
	asked  atomic.Int32
	delay  time.Duration
	now    time.Time
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, key: newKey(t, elliptic.P256()), files: map[string][]byte{}, now: time.Now()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Numbering Authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: a.now.Add(-20 * 365 * 24 * time.Hour), NotAfter: a.now.Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		select {
		case <-time.After(a.delay):
		case <-r.Context().Done():
			return
		}
		if r.URL.Path == "/elsewhere" {
			http.Redirect(w, r, "/signer", http.StatusFound)
			return
		}
		file, ok := a.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Write(file)
	}))
	t.Cleanup(a.server.Close)
	return a
}

// issue makes a certificate and puts it on the server.
func (a *authority) issue(path string, key crypto.PublicKey, change func(*x509.Certificate)) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "SHAKEN 123X"}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: a.now.Add(-20 * 365 * 24 * time.Hour), NotAfter: a.now.Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: tnAuthList, Critical: true, Value: []byte{0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, '1', '2', '3', 'X'}}},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.files[path] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (a *authority) verifier() *Verifier {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	client := a.server.Client()
	client.CheckRedirect = publicClient().CheckRedirect
	v := New(Config{Roots: roots, Client: client, Now: func() time.Time { return a.now }})
	a.t.Cleanup(v.Close)
	return v
}

// sample is a token to be changed.
type sample struct {
	head, body map[string]any
	path       string
	method     jwt.SigningMethod
	key        any
	params     string // behind the token; default: info, alg and ppt
}

func (a *authority) token(key *ecdsa.PrivateKey, change func(*sample)) string {
	s := sample{path: "/signer", method: jwt.SigningMethodES256, key: key,
		head: map[string]any{"typ": "passport", "ppt": "shaken"},
		body: map[string]any{"attest": "A", "iat": a.now.Unix(), "origid": "123e4567-e89b-12d3-a456-426655440000",
			"orig": map[string]any{"tn": "15551230001"}, "dest": map[string]any{"tn": []string{"15551230002", "15559990000"}}}}
	if change != nil {
		change(&s)
	}
	where := s.path
	if !strings.Contains(where, "://") {
		where = a.server.URL + s.path
	}
	tok := jwt.NewWithClaims(s.method, jwt.MapClaims(s.body))
	tok.Header["x5u"] = where
	for k, v := range s.head {
		tok.Header[k] = v
	}
	signed, err := tok.SignedString(s.key)
	if err != nil {
		a.t.Fatal(err)
	}
	if s.params == "" {
		s.params = ";info=<" + where + `>;alg=ES256;ppt="shaken"`
	}
	return signed + s.params
}

func TestVerify(t *testing.T) {
	a := newAuthority(t)
	good, other, wide := newKey(t, elliptic.P256()), newKey(t, elliptic.P256()), newKey(t, elliptic.P384())
	a.issue("/signer", good.Public(), nil)
	a.issue("/expired", good.Public(), func(c *x509.Certificate) { c.NotAfter = a.now.Add(-time.Minute) })
	a.issue("/nonumbers", good.Public(), func(c *x509.Certificate) { c.ExtraExtensions = nil })
	a.issue("/odd", good.Public(), func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}})
	})
	a.issue("/p384", wide.Public(), nil)
	a.files["/garbage"] = []byte("no certificate")
	stranger := newAuthority(t)
	stranger.issue("/signer", good.Public(), nil)
	a.files["/stranger"] = stranger.files["/signer"]

	body := func(key string, value any) func(*sample) { return func(s *sample) { s.body[key] = value } }
	path := func(p string) func(*sample) { return func(s *sample) { s.path = p } }
	for _, c := range []struct {
		name    string
		change  func(*sample)
		verstat string
		code    int
	}{
		{"good", nil, "TN-Validation-Passed-A", 0},
		{"attested partly", body("attest", "B"), "TN-Validation-Passed-B", 0},
		{"attested by a gateway", body("attest", "C"), "TN-Validation-Passed-C", 0},
		{"no attestation", body("attest", "X"), "TN-Validation-Passed", 0},
		{"another caller", body("orig", map[string]any{"tn": "15551230009"}), "TN-Validation-Failed-A", 438},
		{"no caller", body("orig", map[string]any{}), "TN-Validation-Failed-A", 438},
		{"a caller that is no number", body("orig", map[string]any{"tn": "x"}), "TN-Validation-Failed-A", 438},
		{"another called number", body("dest", map[string]any{"tn": []string{"15559990000"}}), "TN-Validation-Failed-A", 438},
		{"stale", body("iat", a.now.Unix()-61), "TN-Validation-Failed-A", 403},
		{"from the future", body("iat", a.now.Unix()+61), "TN-Validation-Failed-A", 403},
		{"a minute old", body("iat", a.now.Unix()-59), "TN-Validation-Passed-A", 0},
		{"without a time", body("iat", 0), "TN-Validation-Failed-A", 403},
		{"signed by somebody else", func(s *sample) { s.key = other }, "TN-Validation-Failed", 438},
		{"signed with another algorithm", func(s *sample) { s.method, s.key = jwt.SigningMethodHS256, []byte("secret") }, "TN-Validation-Failed", 438},
		{"not signed", func(s *sample) { s.method, s.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType }, "TN-Validation-Failed", 438},
		{"algorithm in the header field", func(s *sample) { s.params = ";alg=RS256;ppt=shaken" }, "TN-Validation-Failed", 437},
		{"no PASSporT", func(s *sample) { s.head["typ"] = "JWT" }, "TN-Validation-Failed", 438},
		{"types that disagree", func(s *sample) { s.head["ppt"] = "rph" }, "TN-Validation-Failed", 438},
		{"a diverted call's token", func(s *sample) { s.head["ppt"] = "div"; s.params = ";ppt=div" }, "No-TN-Validation", 0},
		{"another certificate named", func(s *sample) { s.params = ";info=<https://192.0.2.1/x>;ppt=shaken" }, "TN-Validation-Failed", 438},
		{"expired", path("/expired"), "TN-Validation-Failed", 437},
		{"for no numbers", path("/nonumbers"), "TN-Validation-Failed", 437},
		{"with a critical extension that nobody knows", path("/odd"), "TN-Validation-Failed", 437},
		{"P-384", path("/p384"), "TN-Validation-Failed", 437},
		{"of an unknown authority", path("/stranger"), "TN-Validation-Failed", 437},
		{"garbage instead of a certificate", path("/garbage"), "TN-Validation-Failed", 437},
		{"no such certificate", path("/missing"), "TN-Validation-Failed", 436},
		{"a redirect", path("/elsewhere"), "TN-Validation-Failed", 436},
		{"plain http", path("http://192.0.2.1/signer"), "TN-Validation-Failed", 436},
		{"a file", path("file:///etc/passwd"), "TN-Validation-Failed", 436},
	} {
		v := a.verifier()
		got := v.Verify(context.Background(), Call{
			Identity: []string{a.token(good, c.change)}, Orig: []string{"+1 (555) 123-0001"}, Dest: []string{"lobby", "+15551230002"},
		})
		if got.Verstat != c.verstat || got.Code != c.code || got.Reason == "" {
			t.Errorf("%s: %+v", c.name, got)
		}
		if strings.HasPrefix(got.Verstat, Passed) != (got.Code == 0 && got.Signer != "") {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestTokensThatSayNothing(t *testing.T) {
	a := newAuthority(t)
	key := newKey(t, elliptic.P256())
	a.issue("/signer", key.Public(), nil)
	token := a.token(key, nil)
	parts := strings.SplitN(token, ".", 3)
	for value, want := range map[string]int{
		".." + parts[2]: 438, "a.b.c": 438, "nonsense": 438, "": 0, "a.b;info=<x>": 438,
		parts[0] + "." + parts[1] + ".AAAA;ppt=shaken": 438, strings.Repeat("x", maxToken) + "." + parts[1] + "." + parts[2]: 438,
	} {
		got := a.verifier().Verify(context.Background(), Call{Identity: []string{value}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}})
		if got.Code != want || strings.HasPrefix(got.Verstat, Passed) {
			t.Errorf("%.40q: %+v", value, got)
		}
	}
	call := Call{Identity: []string{"a.b.c, " + token}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}}
	if got := a.verifier().Verify(context.Background(), call); got.Verstat != "TN-Validation-Passed-A" {
		t.Errorf("a good token behind a bad one: %+v", got)
	}
	unrooted := New(Config{})
	if got := unrooted.Verify(context.Background(), call); got.Verstat != Unchecked || got.Code != 0 {
		t.Errorf("without authorities: %+v", got)
	}
}

func TestSlowServersDelayNobodyForLong(t *testing.T) {
	a := newAuthority(t)
	key := newKey(t, elliptic.P256())
	a.issue("/signer", key.Public(), nil)
	a.delay = time.Minute
	v := a.verifier()
	call := Call{Identity: []string{a.token(key, nil)}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}}
	for _, try := range []string{"first", "second"} {
		began := time.Now()
		got := v.Verify(context.Background(), call)
		if took := time.Since(began); took > most+300*time.Millisecond || got.Code != 436 {
			t.Errorf("%s: %v: %+v", try, took, got)
		} else if try == "second" && took > 300*time.Millisecond {
			t.Errorf("a server that failed was asked again at once: %v", took)
		}
	}
}

func TestCertificatesAreFetchedOnce(t *testing.T) {
	a := newAuthority(t)
	key := newKey(t, elliptic.P256())
	a.issue("/signer", key.Public(), nil)
	v := a.verifier()
	results := make(chan Result)
	for range 20 {
		go func() {
			results <- v.Verify(context.Background(), Call{Identity: []string{a.token(key, nil)}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}})
		}()
	}
	for range 20 {
		if r := <-results; r.Verstat != "TN-Validation-Passed-A" {
			t.Errorf("%+v", r)
		}
	}
	if n := a.asked.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	a.now = a.now.Add(11 * time.Minute)
	v.Verify(context.Background(), Call{Identity: []string{a.token(key, nil)}})
	if n := a.asked.Load(); n != 2 {
		t.Errorf("fetched %d times after its life, want 2", n)
	}
}

// Nobody makes us ask our own network for a certificate.
func TestOnlyPublicAddressesAreAsked(t *testing.T) {
	a := newAuthority(t)
	key := newKey(t, elliptic.P256())
	a.issue("/signer", key.Public(), nil)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	v := New(Config{Roots: roots})
	defer v.Close()
	got := v.Verify(context.Background(), Call{Identity: []string{a.token(key, nil)}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}})
	if got.Code != 436 || a.asked.Load() != 0 {
		t.Errorf("%+v, asked %d times", got, a.asked.Load())
	}
}

func BenchmarkVerify(b *testing.B) {
	t := &testing.T{}
	a := newAuthority(t)
	defer a.server.Close()
	key := newKey(t, elliptic.P256())
	a.issue("/signer", key.Public(), nil)
	v := a.verifier()
	call := Call{Identity: []string{a.token(key, nil)}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}}
	for b.Loop() {
		if r := v.Verify(context.Background(), call); r.Code != 0 {
			b.Fatal(r)
		}
	}
	v.Close()
}

func FuzzVerify(f *testing.F) {
	f.Add(`a.b.c;info=<https://192.0.2.1/x>;alg=ES256;ppt="shaken", x.y.z`)
	f.Add(`"<;,`)
	roots := x509.NewCertPool()
	client := &http.Client{Transport: http.NewFileTransport(http.Dir("/nonexistent"))}
	f.Fuzz(func(t *testing.T, value string) {
		v := New(Config{Roots: roots, Client: client})
		if r := v.Verify(context.Background(), Call{Identity: []string{value}}); strings.HasPrefix(r.Verstat, Passed) {
			t.Errorf("%q passed", value)
		}
	})
}

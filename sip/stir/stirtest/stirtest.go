// Package stirtest is a numbering Authority for tests: it issues certificates,
// serves them by HTTPS, and signs tokens. It is for tests alone.
package stirtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TNAuthList is the extension that ties a certificate to numbers, RFC 8226 section 9.
var TNAuthList = []int{1, 3, 6, 1, 5, 5, 7, 1, 26}

// Authority is a certificate authority with a server for its certificates.
type Authority struct {
	t      testing.TB
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	server *httptest.Server

	Files map[string][]byte // what the server has, by path
	Asked atomic.Int32      // how often it was asked
	Delay atomic.Int64      // before it answers, in nanoseconds
	Now   time.Time         // when certificates and tokens are made
}

// New makes an authority that serves until the test ends.
func New(t testing.TB) *Authority {
	a := &Authority{t: t, key: NewKey(t, elliptic.P256()), Files: map[string][]byte{}, Now: time.Now()}
	template := a.template("Test Numbering Authority", x509.KeyUsageCertSign)
	template.IsCA, template.BasicConstraintsValid = true, true
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.server = httptest.NewTLSServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.server.Close)
	return a
}

// NewKey makes a key.
func NewKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *Authority) template(name string, use x509.KeyUsage) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, KeyUsage: use,
		NotBefore: a.Now.Add(-24 * time.Hour), NotAfter: a.Now.Add(time.Hour),
	}
}

// serve hands out Files; /elsewhere redirects to /signer.
func (a *Authority) serve(w http.ResponseWriter, r *http.Request) {
	a.Asked.Add(1)
	select {
	case <-time.After(time.Duration(a.Delay.Load())):
	case <-r.Context().Done():
		return
	}
	if r.URL.Path == "/elsewhere" {
		http.Redirect(w, r, "/signer", http.StatusFound)
		return
	}
	file, ok := a.Files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=600")
	w.Write(file)
}

// Issue makes a certificate for a key and puts it on the server.
func (a *Authority) Issue(path string, key crypto.PublicKey, change func(*x509.Certificate)) {
	template := a.template("SHAKEN 123X", x509.KeyUsageDigitalSignature)
	template.ExtraExtensions = []pkix.Extension{{Id: TNAuthList, Critical: true, Value: []byte{0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, '1', '2', '3', 'X'}}}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.Files[path] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Roots are what a verifier must trust.
func (a *Authority) Roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return roots
}

// Client reaches the server, which a verifier's own client would not: it is on loopback.
func (a *Authority) Client() *http.Client {
	client := a.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// Sample is a token to be changed.
type Sample struct {
	Head, Body map[string]any
	Path       string // of the certificate, or a whole URL
	Method     jwt.SigningMethod
	Key        any
	Params     string // behind the token; default: info, alg and ppt
}

// Token signs a SHAKEN token with attestation A for a call from 15551230001 to
// 15551230002, and returns the value of an Identity header field.
func (a *Authority) Token(key *ecdsa.PrivateKey, change func(*Sample)) string {
	s := Sample{Path: "/signer", Method: jwt.SigningMethodES256, Key: key,
		Head: map[string]any{"typ": "passport", "ppt": "shaken"},
		Body: map[string]any{"attest": "A", "iat": a.Now.Unix(), "origid": "123e4567-e89b-12d3-a456-426655440000",
			"orig": map[string]any{"tn": "15551230001"}, "dest": map[string]any{"tn": []string{"15551230002", "15559990000"}}}}
	if change != nil {
		change(&s)
	}
	where := s.Path
	if !strings.Contains(where, "://") {
		where = a.server.URL + s.Path
	}
	tok := jwt.NewWithClaims(s.Method, jwt.MapClaims(s.Body))
	tok.Header["x5u"] = where
	maps.Copy(tok.Header, s.Head)
	signed, err := tok.SignedString(s.Key)
	if err != nil {
		a.t.Fatal(err)
	}
	if s.Params == "" {
		s.Params = ";info=<" + where + `>;alg=ES256;ppt="shaken"`
	}
	return signed + s.Params
}

package stir

import (
	"context"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/roomline/roomline/sip/stir/stirtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verifierOf trusts an authority and asks its server.
func verifierOf(a *stirtest.Authority) *Verifier {
	return New(Config{Roots: a.Roots(), Client: a.Client(), Now: func() time.Time { return a.Now }})
}

func TestVerify(t *testing.T) {
	a := stirtest.New(t)
	good, other, wide := stirtest.NewKey(t, elliptic.P256()), stirtest.NewKey(t, elliptic.P256()), stirtest.NewKey(t, elliptic.P384())
	a.Issue("/signer", good.Public(), nil)
	a.Issue("/expired", good.Public(), func(c *x509.Certificate) { c.NotAfter = a.Now.Add(-time.Minute) })
	a.Issue("/nonumbers", good.Public(), func(c *x509.Certificate) { c.ExtraExtensions = nil })
	a.Issue("/odd", good.Public(), func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}})
	})
	a.Issue("/p384", wide.Public(), nil)
	a.Files["/garbage"] = []byte("no certificate")
	stranger := stirtest.New(t)
	stranger.Issue("/signer", good.Public(), nil)
	a.Files["/stranger"] = stranger.Files["/signer"]

	body := func(key string, value any) func(*stirtest.Sample) {
		return func(s *stirtest.Sample) { s.Body[key] = value }
	}
	path := func(p string) func(*stirtest.Sample) { return func(s *stirtest.Sample) { s.Path = p } }
	for _, c := range []struct {
		name    string
		change  func(*stirtest.Sample)
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
		{"stale", body("iat", a.Now.Unix()-61), "TN-Validation-Failed-A", 403},
		{"from the future", body("iat", a.Now.Unix()+61), "TN-Validation-Failed-A", 403},
		{"a minute old", body("iat", a.Now.Unix()-59), "TN-Validation-Passed-A", 0},
		{"without a time", body("iat", 0), "TN-Validation-Failed-A", 403},
		{"signed by somebody else", func(s *stirtest.Sample) { s.Key = other }, "TN-Validation-Failed", 438},
		{"signed with another algorithm", func(s *stirtest.Sample) { s.Method, s.Key = jwt.SigningMethodHS256, []byte("secret") }, "TN-Validation-Failed", 438},
		{"not signed", func(s *stirtest.Sample) { s.Method, s.Key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType }, "TN-Validation-Failed", 438},
		{"algorithm in the header field", func(s *stirtest.Sample) { s.Params = ";alg=RS256;ppt=shaken" }, "TN-Validation-Failed", 437},
		{"no PASSporT", func(s *stirtest.Sample) { s.Head["typ"] = "JWT" }, "TN-Validation-Failed", 438},
		{"types that disagree", func(s *stirtest.Sample) { s.Head["ppt"] = "rph" }, "TN-Validation-Failed", 438},
		{"a diverted call's token", func(s *stirtest.Sample) { s.Head["ppt"] = "div"; s.Params = ";ppt=div" }, "No-TN-Validation", 0},
		{"another certificate named", func(s *stirtest.Sample) { s.Params = ";info=<https://192.0.2.1/x>;ppt=shaken" }, "TN-Validation-Failed", 438},
		{"expired", path("/expired"), "TN-Validation-Failed", 437},
		{"for no numbers", path("/nonumbers"), "TN-Validation-Failed", 437},
		{"with a critical extension that nobody knows", path("/odd"), "TN-Validation-Failed", 437},
		{"P-384", path("/p384"), "TN-Validation-Failed", 437},
		{"of an unknown stirtest.Authority", path("/stranger"), "TN-Validation-Failed", 437},
		{"garbage instead of a certificate", path("/garbage"), "TN-Validation-Failed", 437},
		{"no such certificate", path("/missing"), "TN-Validation-Failed", 436},
		{"a redirect", path("/elsewhere"), "TN-Validation-Failed", 436},
		{"plain http", path("http://192.0.2.1/signer"), "TN-Validation-Failed", 436},
		{"a file", path("file:///etc/passwd"), "TN-Validation-Failed", 436},
	} {
		v := verifierOf(a)
		got := v.Verify(context.Background(), Call{
			Identity: []string{a.Token(good, c.change)}, Orig: []string{"+1 (555) 123-0001"}, Dest: []string{"lobby", "+15551230002"},
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
	a := stirtest.New(t)
	key := stirtest.NewKey(t, elliptic.P256())
	a.Issue("/signer", key.Public(), nil)
	token := a.Token(key, nil)
	parts := strings.SplitN(token, ".", 3)
	for value, want := range map[string]int{
		".." + parts[2]: 438, "a.b.c": 438, "nonsense": 438, "": 0, "a.b;info=<x>": 438,
		parts[0] + "." + parts[1] + ".AAAA;ppt=shaken": 438, strings.Repeat("x", maxToken) + "." + parts[1] + "." + parts[2]: 438,
	} {
		got := verifierOf(a).Verify(context.Background(), Call{Identity: []string{value}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}})
		if got.Code != want || strings.HasPrefix(got.Verstat, Passed) {
			t.Errorf("%.40q: %+v", value, got)
		}
	}
	call := Call{Identity: []string{"a.b.c, " + token}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}}
	if got := verifierOf(a).Verify(context.Background(), call); got.Verstat != "TN-Validation-Passed-A" {
		t.Errorf("a good token behind a bad one: %+v", got)
	}
	unrooted := New(Config{})
	if got := unrooted.Verify(context.Background(), call); got.Verstat != Unchecked || got.Code != 0 {
		t.Errorf("without authorities: %+v", got)
	}
}

func TestSlowServersDelayNobodyForLong(t *testing.T) {
	a := stirtest.New(t)
	key := stirtest.NewKey(t, elliptic.P256())
	a.Issue("/signer", key.Public(), nil)
	a.Delay.Store(int64(time.Minute))
	v := verifierOf(a)
	call := Call{Identity: []string{a.Token(key, nil)}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}}
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
	a := stirtest.New(t)
	key := stirtest.NewKey(t, elliptic.P256())
	a.Issue("/signer", key.Public(), nil)
	v := verifierOf(a)
	results := make(chan Result)
	for range 20 {
		go func() {
			results <- v.Verify(context.Background(), Call{Identity: []string{a.Token(key, nil)}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}})
		}()
	}
	for range 20 {
		if r := <-results; r.Verstat != "TN-Validation-Passed-A" {
			t.Errorf("%+v", r)
		}
	}
	if n := a.Asked.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	a.Now = a.Now.Add(11 * time.Minute)
	v.Verify(context.Background(), Call{Identity: []string{a.Token(key, nil)}})
	if n := a.Asked.Load(); n != 2 {
		t.Errorf("fetched %d times after its life, want 2", n)
	}
}

// Nobody makes us ask our own network for a certificate.
func TestOnlyPublicAddressesAreAsked(t *testing.T) {
	a := stirtest.New(t)
	key := stirtest.NewKey(t, elliptic.P256())
	a.Issue("/signer", key.Public(), nil)
	v := New(Config{Roots: a.Roots()})
	defer v.Close()
	got := v.Verify(context.Background(), Call{Identity: []string{a.Token(key, nil)}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}})
	if got.Code != 436 || a.Asked.Load() != 0 {
		t.Errorf("%+v, asked %d times", got, a.Asked.Load())
	}
}

func BenchmarkVerify(b *testing.B) {
	a := stirtest.New(b)
	key := stirtest.NewKey(b, elliptic.P256())
	a.Issue("/signer", key.Public(), nil)
	v := verifierOf(a)
	call := Call{Identity: []string{a.Token(key, nil)}, Orig: []string{"15551230001"}, Dest: []string{"15551230002"}}
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

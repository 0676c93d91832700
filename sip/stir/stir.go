// Package stir verifies who calls: STIR (RFC 8224, RFC 8225, RFC 8226) with the
// SHAKEN claims (RFC 8588). It reads Identity header fields, fetches and checks
// the signer's certificate, and says in words what it found. It knows no SIP
// beyond that header field and starts no goroutines.
package stir

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Verstat values, as carriers write them into SIP messages; a SHAKEN attestation
// is appended: TN-Validation-Passed-A.
const (
	Passed    = "TN-Validation-Passed"
	Failed    = "TN-Validation-Failed"
	Unchecked = "No-TN-Validation"
)

// Limits of RFC 8224 section 6.2.2 and of our patience.
const (
	freshness = 60 * time.Second
	most      = 2 * time.Second // that one verification takes
	maxTokens = 4               // Identity header fields looked at
	maxToken  = 8 << 10
)

// Config is what a Verifier trusts.
type Config struct {
	// Roots are the certificate authorities of the numbering regime, such as the
	// list that the STI-PA publishes; nil or empty: nothing can be verified.
	Roots *x509.CertPool
	// Client fetches certificates; nil is one that reaches public addresses only.
	Client *http.Client
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Call is what a call claims.
type Call struct {
	Identity []string // values of the Identity header fields
	Orig     []string // forms that the caller's number may have in the token: asserted identity, From
	Dest     []string // forms that the called number may have: To, request URI
}

// Result is what a verification found.
type Result struct {
	Verstat string // Passed, Failed (both perhaps with -A, -B or -C), or Unchecked
	Reason  string // in words
	Code    int    // the response of RFC 8224 section 6.2.2 that fits: 436, 437, 438, 403; 0: passed or unchecked
	Signer  string // the certificate's subject, if the signature is good
	OrigID  string // SHAKEN's origination identifier, to trace the call back
}

// Verifier checks calls. It is safe for concurrent use.
type Verifier struct {
	certificates *certificates
	roots        *x509.CertPool
	now          func() time.Time
}

// New makes a Verifier.
func New(c Config) *Verifier {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Client == nil {
		c.Client = publicClient()
	}
	return &Verifier{certificates: newCertificates(c.Client, c.Now), roots: c.Roots, now: c.Now}
}

// Close drops the connections that are kept for further certificates.
func (v *Verifier) Close() { v.certificates.client.CloseIdleConnections() }

// fault is a reason why a token proves nothing, with its response code.
type fault struct {
	code  int
	words string
}

func (f *fault) Error() string { return f.words }

func faultf(code int, format string, args ...any) error {
	return &fault{code, fmt.Sprintf(format, args...)}
}

// Verify looks for a token that proves the caller's number. It takes two
// seconds at most. Of several tokens one good one is enough.
func (v *Verifier) Verify(ctx context.Context, c Call) Result {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tokens := split(c.Identity)
	switch {
	case len(tokens) == 0:
		return Result{Verstat: Unchecked, Reason: "the call carries no Identity"}
	case v.roots == nil:
		return Result{Verstat: Unchecked, Reason: "no certificate authorities are configured to verify it against"}
	}
	var first Result
	for i, t := range tokens {
		r := v.verify(ctx, t, c)
		if strings.HasPrefix(r.Verstat, Passed) {
			return r
		}
		if i == 0 {
			first = r
		}
	}
	return first
}

// verify checks one token. Its claims count only once its signature is good.
func (v *Verifier) verify(ctx context.Context, t token, c Call) Result {
	claims, signer, err := v.open(ctx, t)
	if err == nil {
		err = claims.match(c, v.now())
	}
	var f *fault
	switch {
	case err == nil:
		return Result{Verstat: withAttest(Passed, claims), Reason: "verified, signed by " + signer, Signer: signer, OrigID: claims.OrigID}
	case errors.As(err, &f) && f.code == unsupported:
		return Result{Verstat: Unchecked, Reason: f.words}
	case errors.As(err, &f):
		return Result{Verstat: withAttest(Failed, claims), Reason: f.words, Code: f.code, Signer: signer, OrigID: claims.OrigID}
	}
	return Result{Verstat: Failed, Reason: "the Identity cannot be verified", Code: 438}
}

// unsupported marks tokens of kinds that say nothing about the caller's number.
const unsupported = 0

func withAttest(verstat string, c claims) string {
	if slices.Contains([]string{"A", "B", "C"}, c.Attest) {
		return verstat + "-" + c.Attest
	}
	return verstat
}

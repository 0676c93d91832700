package stir

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds on the certificates that are fetched and kept.
const (
	maxCertificate = 64 << 10
	maxKept        = 1024
	minLife        = time.Minute
	maxLife        = 24 * time.Hour
	failureLife    = 30 * time.Second
)

// tnAuthList is the extension that ties a certificate to numbers, RFC 8226 section 9.
var tnAuthList = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 26}

// chain is a signer's certificate with its intermediates.
type chain []*x509.Certificate

// verify checks the chain up to the roots and returns the signer's key and name.
func (c chain) verify(roots *x509.CertPool, now time.Time) (*ecdsa.PublicKey, string, error) {
	leaf := *c[0]
	named := false
	for _, e := range leaf.Extensions {
		named = named || e.Id.Equal(tnAuthList)
	}
	leaf.UnhandledCriticalExtensions = nil
	for _, id := range c[0].UnhandledCriticalExtensions {
		if !id.Equal(tnAuthList) {
			leaf.UnhandledCriticalExtensions = append(leaf.UnhandledCriticalExtensions, id)
		}
	}
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !named:
		return nil, "", faultf(437, "the signer's certificate is for no telephone numbers (it has no TNAuthList)")
	case !ok || key.Curve != elliptic.P256():
		return nil, "", faultf(437, "the signer's certificate has no P-256 key")
	case leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return nil, "", faultf(437, "the signer's certificate is not for signatures")
	}
	between := x509.NewCertPool()
	for _, i := range c[1:] {
		between.AddCert(i)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	var expired x509.CertificateInvalidError
	switch {
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		return nil, "", faultf(437, "the signer's certificate has expired or is not valid yet")
	case err != nil:
		return nil, "", faultf(437, "the signer's certificate is not from a trusted authority")
	}
	return key, leaf.Subject.String(), nil
}

// parseChain reads PEM, or one certificate in DER.
func parseChain(data []byte) (c chain, err error) {
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(c) == 8 {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		c = append(c, cert)
	}
	if len(c) == 0 {
		cert, err := x509.ParseCertificate(data)
		if err != nil {
			return nil, err
		}
		c = chain{cert}
	}
	return c, nil
}

// certificates fetches chains and keeps them for as long as their servers allow.
type certificates struct {
	client *http.Client
	now    func() time.Time

	mu   sync.Mutex
	kept map[string]*kept
}

// kept is a chain, or why there is none. ready is closed once it is known.
type kept struct {
	ready chan struct{}
	until time.Time
	chain chain
	err   error
}

func newCertificates(client *http.Client, now func() time.Time) *certificates {
	return &certificates{client: client, now: now, kept: map[string]*kept{}}
}

// get returns the chain at a URL. Calls that want the same one wait for one fetch.
func (s *certificates) get(ctx context.Context, where string) (chain, error) {
	u, err := url.Parse(where)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(where) > 1024 {
		return nil, faultf(436, "the certificate's address is not an https URL")
	}
	s.mu.Lock()
	k := s.kept[where]
	mine := k == nil || !k.until.IsZero() && s.now().After(k.until)
	if mine {
		s.makeRoomLocked()
		k = &kept{ready: make(chan struct{})}
		s.kept[where] = k
	}
	s.mu.Unlock()
	if mine {
		s.fill(ctx, k, where)
	}
	select {
	case <-k.ready:
		return k.chain, k.err
	case <-ctx.Done():
		return nil, faultf(436, "the signer's certificate could not be fetched in time")
	}
}

// makeRoomLocked drops what has had its time, else anything.
func (s *certificates) makeRoomLocked() {
	if len(s.kept) < maxKept {
		return
	}
	now := s.now()
	for where, k := range s.kept {
		if !k.until.IsZero() && (now.After(k.until) || len(s.kept) >= maxKept) {
			delete(s.kept, where)
		}
	}
}

// fill fetches for everybody who waits, whatever becomes of the first one's call.
func (s *certificates) fill(ctx context.Context, k *kept, where string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	c, life, err := s.fetch(ctx, where)
	if err != nil {
		life = failureLife
	}
	s.mu.Lock()
	k.chain, k.err, k.until = c, err, s.now().Add(life)
	s.mu.Unlock()
	close(k.ready)
}

func (s *certificates) fetch(ctx context.Context, where string) (chain, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, 0, faultf(436, "the certificate's address cannot be read")
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, 0, faultf(436, "the signer's certificate could not be fetched")
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxCertificate))
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, 0, faultf(436, "the signer's certificate could not be fetched: its server answered %d", res.StatusCode)
	}
	c, err := parseChain(data)
	if err != nil {
		return nil, 0, faultf(437, "the signer's certificate cannot be read")
	}
	return c, life(res.Header.Get("Cache-Control")), nil
}

// life is how long an answer may be kept, by its max-age, within our bounds.
func life(control string) time.Duration {
	for _, d := range strings.Split(control, ",") {
		if age, ok := strings.CutPrefix(strings.TrimSpace(strings.ToLower(d)), "max-age="); ok {
			if n, err := strconv.Atoi(age); err == nil {
				return min(max(time.Duration(n)*time.Second, minLife), maxLife)
			}
		}
	}
	return time.Hour
}

// publicClient fetches from public addresses only: the URL comes from a stranger,
// who may not make us speak to our own network. It follows no redirects.
func publicClient() *http.Client {
	dialer := &net.Dialer{Timeout: most, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil || !public(a.Addr().Unmap()) {
			return errors.New("not a public address")
		}
		return nil
	}}
	return &http.Client{
		Timeout:       most,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxIdleConns: 16, MaxConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
			TLSHandshakeTimeout: most, ForceAttemptHTTP2: true,
		},
	}
}

var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !carrierNAT.Contains(a)
}

package socket

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// TLS is how SIP is secured, RFC 3261 section 26.
type TLS struct {
	// Certificate is ours, asked for at every handshake, so that it may change
	// while calls are up; needed where TLSAddrs are listened on. Peers that we
	// connect to get it too if they ask for one.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Roots are the authorities that peers' certificates must come from; nil is
	// the system's.
	Roots *x509.CertPool
}

// Server is what peers that connect to us are met with.
func (t TLS) Server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: t.Certificate}
}

// Secure does the handshake as a client, and verifies that the peer is host,
// the domain or address that the trunk names: RFC 5922 section 7.3.
func (t TLS) Secure(ctx context.Context, c net.Conn, host string) (*tls.Conn, error) {
	settings := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: t.Roots,
		// verify does it all: names stand in URIs too, which crypto/tls does not read.
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return t.verify(s, host, time.Now()) },
	}
	if own := t.Certificate; own != nil {
		settings.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return own(&tls.ClientHelloInfo{SignatureSchemes: asked.SignatureSchemes, SupportedVersions: []uint16{asked.Version},
				CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
		}
	}
	secured := tls.Client(c, settings)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, handshakeError(err)
	}
	return secured, nil
}

// verify checks the peer's chain, and that its certificate names host.
func (t TLS) verify(s tls.ConnectionState, host string, now time.Time) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the peer showed no certificate")
	}
	leaf, between := s.PeerCertificates[0], x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: t.Roots, Intermediates: between, CurrentTime: now})
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		return nameFault(leaf, host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
		return fmt.Errorf("the certificate of %s is not valid before %s", host, invalid.Cert.NotBefore.UTC().Format(time.DateTime))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the certificate of %s expired on %s", host, invalid.Cert.NotAfter.UTC().Format(time.DateTime))
	case errors.As(err, &unknown):
		return fmt.Errorf("the certificate of %s comes from an authority that is not trusted here: %s", host, leaf.Issuer)
	}
	return fmt.Errorf("the certificate of %s: %w", host, err)
}

// nameFault says that a certificate is not host's. RFC 5922 section 7.1: a SIP
// URI among the subject's alternative names is the domain; else DNS names are.
func nameFault(leaf *x509.Certificate, host string) error {
	var names []string
	for _, uri := range leaf.URIs {
		if uri.Scheme != "sip" && uri.Scheme != "sips" || uri.Opaque == "" || strings.Contains(uri.Opaque, "@") {
			continue
		}
		if strings.EqualFold(uri.Opaque, host) {
			return nil
		}
		names = append(names, uri.String())
	}
	if leaf.VerifyHostname(strings.Trim(host, "[]")) == nil {
		return nil
	}
	names = append(names, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		a, _ := netip.AddrFromSlice(ip)
		names = append(names, a.Unmap().String())
	}
	if len(names) == 0 {
		return fmt.Errorf("the certificate names nobody, expected %s", host)
	}
	slices.Sort(names)
	return fmt.Errorf("the certificate is for %s, not for %s", strings.Join(names[:min(len(names), 5)], ", "), host)
}

// handshakeError puts a failed handshake into words.
func handshakeError(err error) error {
	var verified *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var alert *net.OpError // crypto/tls reports the peer's alerts as one
	switch {
	case errors.As(err, &plain):
		return errors.New("the peer does not speak TLS on this port")
	case errors.As(err, &alert) && alert.Op == "remote error":
		return fmt.Errorf("the peer refused TLS: %w", alert.Err)
	case errors.As(err, &verified):
		return verified.Err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("the TLS handshake took too long")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the peer closed the connection during the TLS handshake")
	}
	return fmt.Errorf("TLS: %w", err)
}

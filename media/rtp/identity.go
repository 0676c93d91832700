package rtp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Identity is the self-signed certificate that we show in DTLS handshakes; peers
// know it by its fingerprint in our SDP. Safe for concurrent use.
type Identity struct {
	certificate tls.Certificate
	fingerprint Fingerprint
}

// NewIdentity makes a certificate with a fresh key, good for a year.
func NewIdentity() (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for DTLS: %w", err)
	}
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "roomline"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for DTLS: %w", err)
	}
	sum, _ := fingerprintOf(der, "sha-256")
	return &Identity{
		certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		fingerprint: sum,
	}, nil
}

// Fingerprint is that of the certificate.
func (i *Identity) Fingerprint() Fingerprint { return i.fingerprint }

// fingerprintOf hashes a certificate; false for a hash that is not known here,
// or too weak: RFC 8122 section 5 asks for SHA-256.
func fingerprintOf(der []byte, hash string) (Fingerprint, bool) {
	var sum []byte
	switch hash {
	case "sha-256":
		s := sha256.Sum256(der)
		sum = s[:]
	case "sha-384":
		s := sha512.Sum384(der)
		sum = s[:]
	case "sha-512":
		s := sha512.Sum512(der)
		sum = s[:]
	default:
		return Fingerprint{}, false
	}
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return Fingerprint{hash, strings.Join(pairs, ":")}, true
}

// fits reports whether a certificate has one of the fingerprints.
func (d *DTLS) fits(der []byte) bool {
	for _, f := range d.Fingerprints {
		if sum, ok := fingerprintOf(der, f.Hash); ok && sum == f {
			return true
		}
	}
	return false
}

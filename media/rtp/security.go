package rtp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Security is how the media of a leg is protected: with the keys that SDP
// carried (RFC 4568), or with those that a DTLS handshake gives (RFC 5764).
// Nothing is sent or accepted in the clear while there is one.
type Security struct {
	Suite   Suite  // of SDP's keys
	Send    Secret // what we encrypt with
	Receive Secret // what the peer encrypts with

	DTLS *DTLS // not nil: the keys come by handshake, and the fields above are zero
}

// DTLS is what SDP says about a handshake.
type DTLS struct {
	Active       bool          // we begin it: a=setup:active is ours
	Fingerprints []Fingerprint // of the peer's certificate; one must fit
}

// Fingerprint is the hash of a certificate, RFC 8122 section 5.
type Fingerprint struct {
	Hash string // sha-256, sha-384 or sha-512
	Sum  string // pairs of upper-case hexadecimal digits, with colons between
}

// String returns the value of the attribute.
func (f Fingerprint) String() string { return f.Hash + " " + f.Sum }

// check says what cannot be used.
func (s *Security) check() error {
	switch {
	case s == nil:
		return nil
	case s.DTLS != nil && (s.Suite != NoSuite || len(s.Send)+len(s.Receive) > 0):
		return errors.New("keys of SDP and a handshake exclude each other")
	case s.DTLS != nil && len(s.DTLS.Fingerprints) == 0:
		return errors.New("a handshake needs the fingerprint of the peer's certificate")
	case s.DTLS == nil && (s.Suite.SecretLen() == 0 || len(s.Send) != s.Suite.SecretLen() || len(s.Receive) != s.Suite.SecretLen()):
		return fmt.Errorf("keys of %d and %d bytes for suite %s: want %d", len(s.Send), len(s.Receive), s.Suite, s.Suite.SecretLen())
	case s.DTLS == nil && bytes.Equal(s.Send, s.Receive):
		return errors.New("both directions have the same key") // RFC 3711 section 9.1: a two-time pad
	}
	return nil
}

// sameHandshake reports whether a handshake done for one serves the other.
func (d *DTLS) sameHandshake(other *DTLS) bool {
	return other != nil && d.Active == other.Active && slices.Equal(d.Fingerprints, other.Fingerprints)
}

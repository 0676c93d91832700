package rtp

import (
	"crypto/rand"
	"fmt"
	"io"

	pionsrtp "github.com/pion/srtp/v3"
)

// Suite is how SRTP encrypts and authenticates.
type Suite uint8

// The suites of SRTP that we speak.
const (
	NoSuite            Suite = iota
	AES128CMSHA1With80       // RFC 4568 section 6.2.1
	AES128CMSHA1With32       // RFC 4568 section 6.2.2
	AES256CMSHA1With80       // RFC 6188
	AES256CMSHA1With32       // RFC 6188
	AES128GCM                // RFC 7714
	AES256GCM                // RFC 7714
)

// suites are the names of RFC 4568's registry, and the lengths of keys and salts in bytes.
var suites = [...]struct {
	name      string
	profile   pionsrtp.ProtectionProfile
	key, salt int
}{
	NoSuite:            {name: "none"},
	AES128CMSHA1With80: {"AES_CM_128_HMAC_SHA1_80", pionsrtp.ProtectionProfileAes128CmHmacSha1_80, 16, 14},
	AES128CMSHA1With32: {"AES_CM_128_HMAC_SHA1_32", pionsrtp.ProtectionProfileAes128CmHmacSha1_32, 16, 14},
	AES256CMSHA1With80: {"AES_256_CM_HMAC_SHA1_80", pionsrtp.ProtectionProfileAes256CmHmacSha1_80, 32, 14},
	AES256CMSHA1With32: {"AES_256_CM_HMAC_SHA1_32", pionsrtp.ProtectionProfileAes256CmHmacSha1_32, 32, 14},
	AES128GCM:          {"AEAD_AES_128_GCM", pionsrtp.ProtectionProfileAeadAes128Gcm, 16, 12},
	AES256GCM:          {"AEAD_AES_256_GCM", pionsrtp.ProtectionProfileAeadAes256Gcm, 32, 12},
}

// ParseSuite finds the suite with a name of RFC 4568's registry, letter by letter.
func ParseSuite(name string) (Suite, bool) {
	for i := range suites[1:] {
		if suites[i+1].name == name {
			return Suite(i + 1), true
		}
	}
	return NoSuite, false
}

// suiteOf finds the suite that DTLS calls by a number, RFC 5764 section 4.1.2.
func suiteOf(p pionsrtp.ProtectionProfile) Suite {
	for i := range suites[1:] {
		if suites[i+1].profile == p {
			return Suite(i + 1)
		}
	}
	return NoSuite
}

// String returns the suite's name in RFC 4568's registry.
func (s Suite) String() string {
	if int(s) < len(suites) {
		return suites[s].name
	}
	return "unknown"
}

// SecretLen returns the bytes of a master key with its salt, 0 for NoSuite.
func (s Suite) SecretLen() int {
	if int(s) < len(suites) {
		return suites[s].key + suites[s].salt
	}
	return 0
}

// NewSecret makes a random master key with its salt.
func (s Suite) NewSecret() Secret {
	b := make(Secret, s.SecretLen())
	rand.Read(b)
	return b
}

// context makes one direction's cryptographic context.
func (s Suite) context(secret Secret) (*pionsrtp.Context, error) {
	if s == NoSuite || len(secret) != s.SecretLen() {
		return nil, fmt.Errorf("a key of %d bytes for %s: want %d", len(secret), s, s.SecretLen())
	}
	key := suites[s].key
	return pionsrtp.CreateContext(secret[:key], secret[key:], suites[s].profile,
		pionsrtp.SRTPReplayProtection(replayWindow), pionsrtp.SRTCPReplayProtection(replayWindow))
}

// replayWindow is how many packets behind the newest one are still taken, each
// once; RFC 3711 section 3.3.2 asks for 64 or more.
const replayWindow = 256

// Secret is a master key followed by its salt. Nothing that prints shows it.
type Secret []byte

// Format implements fmt.Formatter for every verb, and for structs that hold a Secret.
func (Secret) Format(w fmt.State, _ rune) { io.WriteString(w, "(secret)") }

// MarshalText implements encoding.TextMarshaler, for JSON and logs.
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

package sdp

import (
	"strings"

	"github.com/roomline/roomline/media/rtp"
)

// hashes are those that RFC 8122 section 5 lets us trust, with their length in bytes.
var hashes = map[string]int{"sha-256": 32, "sha-384": 48, "sha-512": 64}

// parseFingerprint reads a=fingerprint, RFC 8122 section 5; false for what cannot
// be used.
func parseFingerprint(value string) (rtp.Fingerprint, bool) {
	fields := strings.Fields(value)
	if len(fields) != 2 {
		return rtp.Fingerprint{}, false
	}
	f := rtp.Fingerprint{Hash: strings.ToLower(fields[0]), Sum: strings.ToUpper(fields[1])}
	n := hashes[f.Hash]
	if n == 0 || len(f.Sum) != 3*n-1 {
		return rtp.Fingerprint{}, false
	}
	for i, c := range f.Sum {
		colon, hex := i%3 == 2, c >= '0' && c <= '9' || c >= 'A' && c <= 'F'
		if colon != (c == ':') || !colon && !hex {
			return rtp.Fingerprint{}, false
		}
	}
	return f, true
}

// The values of a=setup, RFC 4145 section 4.
const (
	setupActive  = "active"
	setupPassive = "passive"
	setupActPass = "actpass"
)

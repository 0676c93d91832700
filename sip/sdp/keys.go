package sdp

import (
	"strings"

	pionsdp "github.com/pion/sdp/v3"

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

// mostKeys bounds the crypto lines and fingerprints of one m-line that are looked at.
const mostKeys = 16

// parseSecurity reads keys and fingerprints; what a handshake needs may stand on
// the session, RFC 8122 section 5 and RFC 4145 section 4.
func (s *Stream) parseSecurity(attributes, session []pionsdp.Attribute) {
	for _, a := range attributes {
		switch {
		case a.Key == "crypto" && len(s.Cryptos)+len(s.Unusable) < mostKeys:
			if c, err := parseCrypto(a.Value); err != nil {
				s.Unusable = append(s.Unusable, err.Error())
			} else {
				s.Cryptos = append(s.Cryptos, c)
			}
		case a.Key == "rtcp-mux":
			s.Mux = true
		}
	}
	for _, list := range [][]pionsdp.Attribute{attributes, session} {
		for _, a := range list {
			if a.Key == "setup" && s.Setup == "" {
				s.Setup = strings.ToLower(strings.TrimSpace(a.Value))
			}
		}
		s.parseFingerprints(list)
	}
}

// parseFingerprints takes those of the m-line, else those of the session.
func (s *Stream) parseFingerprints(attributes []pionsdp.Attribute) {
	if len(s.Fingerprints) > 0 {
		return
	}
	for _, a := range attributes {
		if a.Key != "fingerprint" || len(s.Fingerprints) >= mostKeys {
			continue
		}
		if f, ok := parseFingerprint(a.Value); ok {
			s.Fingerprints = append(s.Fingerprints, f)
		}
	}
}

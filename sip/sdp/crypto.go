package sdp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/roomline/roomline/media/rtp"
)

// Crypto is one a=crypto line that can be used, RFC 4568 section 9.1.
type Crypto struct {
	Tag    int // 1 to 9 digits, which an answer repeats
	Suite  rtp.Suite
	Secret rtp.Secret // what its writer encrypts with
}

// line is the attribute. It holds the key.
func (c Crypto) line() string {
	return fmt.Sprintf("a=crypto:%d %s inline:%s\r\n", c.Tag, c.Suite, base64.StdEncoding.EncodeToString(c.Secret))
}

// parseCrypto reads a line's value. The error says why the line cannot be used,
// and never repeats the key.
func parseCrypto(value string) (c Crypto, err error) {
	fields := strings.Fields(value)
	if len(fields) < 3 {
		return c, errors.New("a crypto line has no tag, suite and key")
	}
	tag, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil || len(fields[0]) > 9 {
		return c, errors.New("a crypto line's tag is not 1 to 9 digits")
	}
	suite, ok := rtp.ParseSuite(fields[1])
	if !ok {
		return c, fmt.Errorf("suite %s is not known here", formatName("", fields[1]))
	}
	c = Crypto{Tag: int(tag), Suite: suite}
	for _, p := range fields[3:] {
		if err := sessionParameter(p); err != nil {
			return c, fmt.Errorf("%s: %w", suite, err)
		}
	}
	if c.Secret, err = parseKey(suite, fields[2]); err != nil {
		return c, fmt.Errorf("%s: %w", suite, err)
	}
	return c, nil
}

// parseKey reads key-params, RFC 4568 section 6.1: inline:KEY|LIFETIME|MKI:LENGTH.
func parseKey(suite rtp.Suite, params string) (rtp.Secret, error) {
	const inline = "inline:"
	if strings.Contains(params, ";") {
		return nil, errors.New("several keys in one line are not available")
	}
	if len(params) < len(inline) || !strings.EqualFold(params[:len(inline)], inline) {
		return nil, errors.New("the key is not inline")
	}
	parts := strings.Split(params[len(inline):], "|")
	for i, p := range parts[1:] {
		switch {
		case strings.Contains(p, ":"):
			return nil, errors.New("master key identifiers (MKI) are not available")
		case i > 0 || !isLifetime(p):
			return nil, errors.New("the key's lifetime cannot be read")
		}
	}
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(parts[0], "="))
	if err != nil {
		return nil, errors.New("the key is not base64")
	}
	if len(key) != suite.SecretLen() {
		return nil, fmt.Errorf("the key has %d bytes instead of %d", len(key), suite.SecretLen())
	}
	return key, nil
}

// isLifetime reads 2^n or a number of packets: at least one, at most 2^48.
// Whoever sends renews its key in time, so that there is nothing to keep.
func isLifetime(s string) bool {
	if power, ok := strings.CutPrefix(s, "2^"); ok {
		n, err := strconv.ParseUint(power, 10, 8)
		return err == nil && n <= 48
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && n > 0 && n <= 1<<48
}

// sessionParameter lets those pass that change nothing here, RFC 4568 sections
// 6.3 and 6.3.7: one that is not known makes the line unusable, unless it says
// itself that it is optional.
func sessionParameter(p string) error {
	name, value, _ := strings.Cut(p, "=")
	switch {
	case strings.HasPrefix(p, "-"), strings.EqualFold(name, "WSH"), strings.EqualFold(name, "KDR") && value == "0":
		return nil
	}
	return fmt.Errorf("session parameter %s is not available", formatName("", name))
}

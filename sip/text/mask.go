package text

import "bytes"

// keyed are the beginnings of SDP attributes that carry keys.
var keyed = [][]byte{[]byte("a=crypto:"), []byte("a=key-mgmt:"), []byte("k=")}

// Masked is a copy of a SIP message or body in which the keys of media (RFC 4568,
// RFC 4567, and the k= of old) are stars. Its length does not change.
func Masked(message []byte) []byte {
	out := bytes.Clone(message)
	for line := range bytes.Lines(out) {
		text := bytes.TrimLeft(line, " \t")
		for _, k := range keyed {
			if len(text) >= len(k) && bytes.EqualFold(text[:len(k)], k) {
				maskKeys(text, k)
			}
		}
		maskInline(line)
	}
	return out
}

// maskKeys stars everything behind an attribute's name, but for the tag and suite
// of a crypto line.
func maskKeys(line, name []byte) {
	rest, spaces := line[len(name):], 2
	if name[0] == 'k' || name[2] == 'k' {
		spaces = 0
	}
	for i, c := range rest {
		switch {
		case c == '\r' || c == '\n':
		case spaces > 0:
			if c == ' ' {
				spaces--
			}
		default:
			rest[i] = '*'
		}
	}
}

// maskInline stars a key wherever it stands.
func maskInline(line []byte) {
	const inline = "inline:"
	for i := 0; i+len(inline) <= len(line); i++ {
		if !bytes.EqualFold(line[i:i+len(inline)], []byte(inline)) {
			continue
		}
		for i += len(inline); i < len(line) && line[i] > ' '; i++ {
			line[i] = '*'
		}
	}
}

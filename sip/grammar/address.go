package grammar

import (
	"iter"
	"net/url"
	"slices"
	"strings"
)

// URIFault says in words what is wrong with a sip: URI; "" when nothing is.
func URIFault(uri string) string {
	if strings.ContainsAny(uri, "<>\" \t\\^`{}|") {
		return "it holds a character that URIs may not hold"
	}
	for i := 0; i < len(uri); i++ {
		if uri[i] <= ' ' || uri[i] > '~' {
			return "it holds a character outside ASCII"
		}
		if uri[i] == '%' && (i+2 >= len(uri) || !isHex(uri[i+1]) || !isHex(uri[i+2])) {
			return "a percent sign is not followed by two hexadecimal digits"
		}
	}
	_, rest, _ := strings.Cut(uri, ":")
	rest, _, _ = strings.Cut(rest, "?")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		if strings.Count(rest, "@") > 1 {
			return "it holds two @"
		}
		rest = rest[i+1:]
	}
	rest, _, _ = strings.Cut(rest, ";")
	return HostPortFault(rest)
}

// HasScheme says whether a URI begins with a scheme, in any case of letters.
func HasScheme(uri, scheme string) bool {
	return len(uri) > len(scheme) && uri[len(scheme)] == ':' && strings.EqualFold(uri[:len(scheme)], scheme)
}

// IsSIPS says whether a URI asks for TLS on every hop.
func IsSIPS(uri string) bool { return HasScheme(uri, "sips") }

// IsSIP says whether a URI has the scheme sip or sips.
func IsSIP(s string) bool { return HasScheme(s, "sip") || IsSIPS(s) }

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// SplitAddress takes a From, To or Contact value apart: the URI and the
// header parameters behind it. words says what is wrong with it.
func SplitAddress(value string) (uri, params, words string) {
	value = strings.TrimSpace(value)
	i, quoted, escaped := 0, false, false
	for ; i < len(value); i++ {
		c := value[i]
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted && c == '<':
			end := strings.IndexByte(value[i:], '>')
			if end < 0 {
				return "", "", "the angle bracket is not closed"
			}
			uri, params = value[i+1:i+end], strings.TrimSpace(value[i+end+1:])
			if params != "" && params[0] != ';' {
				return "", "", "there is text behind the closing bracket"
			}
			return uri, params, AddressFault(uri)
		}
	}
	if quoted {
		return "", "", "the quotes are not closed"
	}
	if strings.ContainsAny(value, "\"") {
		return "", "", "there is a name and no URI in brackets"
	}
	uri, params, _ = strings.Cut(value, ";")
	if params != "" {
		params = ";" + params
	}
	uri = strings.TrimSpace(uri)
	return uri, params, AddressFault(uri)
}

// AddressFault says in words what is wrong with the URI of an address, of any
// scheme; "" when nothing is.
func AddressFault(uri string) string {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok || !IsToken(scheme) || rest == "" {
		return "there is no URI"
	}
	if s := strings.ToLower(scheme); s == "sip" || s == "sips" {
		return URIFault(uri)
	}
	if strings.ContainsAny(uri, "<>\" \t") {
		return "the URI holds a character that URIs may not hold"
	}
	return ""
}

// Param finds a parameter in a list that begins with its first semicolon.
func Param(params, name string) (string, bool) {
	for p := range Each(params, ';') {
		key, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// Split splits at sep where it stands outside quotes and angle brackets.
func Split(s string, sep byte) []string { return slices.Collect(Each(s, sep)) }

// Each is Split, part by part.
func Each(s string, sep byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for more := true; more; {
			var part string
			if part, s, more = cutOutside(s, sep); !yield(part) {
				return
			}
		}
	}
}

// cutOutside cuts at the first sep outside quotes and angle brackets.
func cutOutside(s string, sep byte) (before, after string, found bool) {
	quoted, escaped, bracket := false, false, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			bracket = true
		case c == '>':
			bracket = false
		case c == sep && !bracket:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// Decode undoes percent escapes; what is not one stays as it is.
func Decode(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// Unquote undoes the escapes of a quoted display name.
func Unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// TagOf is the tag of a From or To value.
func TagOf(address string) string {
	_, params, _ := SplitAddress(address)
	tag, _ := Param(params, "tag")
	return tag
}

// SeqOf is the number of a CSeq, without leading zeros.
func SeqOf(cseq string) string {
	n, _, _ := strings.Cut(strings.TrimSpace(cseq), " ")
	return strings.TrimLeft(n, "0")
}

// OneLine keeps a header value on its line.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

package sip

import (
	"iter"
	"net/url"
	"slices"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
)

// uriFault says in words what is wrong with a sip: URI, "" when nothing is.
func uriFault(uri string) string {
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
	return hostPortFault(rest)
}

func hasScheme(uri, scheme string) bool {
	return len(uri) > len(scheme) && uri[len(scheme)] == ':' && strings.EqualFold(uri[:len(scheme)], scheme)
}

// isSIPS says whether a URI asks for TLS on every hop.
func isSIPS(uri string) bool { return hasScheme(uri, "sips") }

// asksForSIPS says whether our Contact must be a sips URI, section 12.1.1.
func asksForSIPS(req *sipmsg.Request) bool {
	if sipmsg.NetworkToLower(req.Transport()) != "tls" {
		return false
	}
	if req.Recipient.IsEncrypted() {
		return true
	}
	if records := req.GetHeaders("Record-Route"); len(records) > 0 {
		return isSIPS(uriOf(records[0].Value()))
	}
	c := req.Contact()
	return c != nil && c.Address.IsEncrypted()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// splitAddress takes a From, To or Contact value apart: the URI and the
// header parameters behind it. words says what is wrong with it.
func splitAddress(value string) (uri, params, words string) {
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
			return uri, params, addressFault(uri)
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
	return uri, params, addressFault(uri)
}

func addressFault(uri string) string {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok || !isToken(scheme) || rest == "" {
		return "there is no URI"
	}
	if s := strings.ToLower(scheme); s == "sip" || s == "sips" {
		return uriFault(uri)
	}
	if strings.ContainsAny(uri, "<>\" \t") {
		return "the URI holds a character that URIs may not hold"
	}
	return ""
}

// paramOf finds a parameter in a list that begins with its first semicolon.
func paramOf(params, name string) (string, bool) {
	for p := range eachOutside(params, ';') {
		key, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// splitOutside splits at sep where it stands outside quotes and angle brackets.
func splitOutside(s string, sep byte) []string { return slices.Collect(eachOutside(s, sep)) }

// eachOutside is splitOutside, part by part.
func eachOutside(s string, sep byte) iter.Seq[string] {
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

// userPart is what a dial plan matches: the user of a sip: URI, percent-decoded
// and without parameters; the number of a tel: URI; a URN as a whole.
func userPart(uri *sipmsg.Uri) string {
	switch uri.Scheme {
	case "sip", "sips", "":
		return decodeUser(uri.User)
	case "tel":
		number, _, _ := strings.Cut(uri.Raw(), ";")
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune("-.() ", r) {
				return -1 // visual separators, RFC 3966 section 5.1.1
			}
			return r
		}, decodeUser(number))
	}
	return uri.Scheme + ":" + uri.Raw()
}

// userOf is userPart for a URI that may be broken.
func userOf(uri string) string {
	var u sipmsg.Uri
	if sipmsg.ParseUri(uri, &u) != nil {
		return ""
	}
	return userPart(&u)
}

func decodeUser(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return decode(s)
}

// decode undoes percent escapes; what is not one stays as it is.
func decode(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// unquote undoes the escapes of a quoted display name.
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

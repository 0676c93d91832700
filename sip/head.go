package sip

import "strings"

// field is one header field with its value unfolded; the name is in lower case
// and long form.
type field struct{ name, value string }

// head is a message as it came off the wire, read leniently: it must yield
// enough to answer a message that is too broken for the real parser.
type head struct {
	method, uri, version string
	response             bool
	fields               []field
	fault                *fault // what the lenient reading stumbled over
	body                 []byte
	size                 int // bytes before the body
}

// longNames expands the compact forms of RFC 3261 section 7.3.3.
var longNames = map[string]string{
	"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
	"c": "content-type", "e": "content-encoding", "k": "supported", "s": "subject", "r": "refer-to", "b": "referred-by",
}

// usualNames saves the work for names as nearly everybody writes them.
var usualNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact", "Content-Length", "Content-Type",
		"Allow", "Supported", "Require", "User-Agent", "Server", "Route", "Record-Route", "Accept", "Expires", "Subject",
		"Session-Expires", "Min-SE", "P-Asserted-Identity", "Authorization", "Proxy-Authorization", "RSeq", "RAck", "Date"} {
		names[name] = strings.ToLower(name)
	}
	return names
}()

// canonical is a field's name in lower case and long form.
func canonical(name string) string {
	if usual, ok := usualNames[name]; ok {
		return usual
	}
	name = strings.ToLower(name)
	if long, ok := longNames[name]; ok {
		return long
	}
	return name
}

// readHead splits raw into start line, header fields and body. It never fails;
// what is wrong ends up in fault.
func readHead(raw []byte) *head {
	h := &head{fields: make([]field, 0, 16)}
	// One copy, of which all values are parts: this is done for every datagram.
	line, rest, ended := h.line(strings.TrimLeft(string(raw), "\r\n"))
	h.startLine(line)
	for ended {
		line, rest, ended = h.line(rest)
		if line == "" && ended {
			h.size = len(raw) - len(rest)
			h.body = raw[h.size:]
			return h
		}
		h.addLine(line)
	}
	h.blame(400, "the empty line that ends the header is missing")
	h.size = len(raw)
	return h
}

// line takes one line; ended is false when the message stops inside it.
func (h *head) line(data string) (line, rest string, ended bool) {
	line, rest, ended = strings.Cut(data, "\n")
	if !ended {
		return data, "", false
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	} else {
		h.blame(400, "lines must end with CRLF")
	}
	if strings.IndexByte(line, 0) >= 0 || strings.IndexByte(line, '\r') >= 0 {
		h.blame(400, "a line holds a NUL or a bare CR")
	}
	return line, rest, true
}

// blame keeps the first fault found.
func (h *head) blame(code int, words string) {
	if h.fault == nil {
		h.fault = &fault{code: code, words: words}
	}
}

func (h *head) startLine(line string) {
	if strings.HasPrefix(line, "SIP/") && strings.Count(line, " ") >= 1 {
		h.response = true
		return
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 {
		h.method = parts[0]
		if last := parts[len(parts)-1]; len(parts) > 1 && strings.HasPrefix(last, "SIP/") {
			h.version = last
			h.uri = strings.Join(parts[1:len(parts)-1], " ")
		}
		h.blame(400, "the request line is not method, URI and version with one space between")
		return
	}
	h.method, h.uri, h.version = parts[0], parts[1], parts[2]
}

func (h *head) addLine(line string) {
	if line != "" && (line[0] == ' ' || line[0] == '\t') {
		if n := len(h.fields); n > 0 {
			f := &h.fields[n-1]
			f.value = strings.TrimSpace(f.value + " " + strings.TrimSpace(line))
			return
		}
		h.blame(400, "the header begins with a folded line")
		return
	}
	name, value, ok := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !ok || !isToken(name) {
		h.blame(400, "a header line has no valid field name")
		return
	}
	h.fields = append(h.fields, field{canonical(name), strings.TrimSpace(value)})
}

// get returns the first value of a field, and how many times the field appears.
func (h *head) get(name string) (value string, times int) {
	for _, f := range h.fields {
		if f.name != name {
			continue
		}
		if times == 0 {
			value = f.value
		}
		times++
	}
	return value, times
}

// isToken says whether s is an RFC 3261 token.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-.!%*_+`'~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

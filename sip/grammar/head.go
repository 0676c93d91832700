package grammar

import "strings"

// Field is one header field with its value unfolded; the name is in lower case
// and long form as [Read] gives it.
type Field struct{ Name, Value string }

// Head is a message as it came off the wire, read leniently: it must yield
// enough to answer a message that is too broken for the real parser.
type Head struct {
	Method, URI, Version string
	Response             bool
	Fields               []Field
	Fault                *Fault // what the lenient reading stumbled over
	Body                 []byte
	Size                 int // bytes before the body
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

// Read splits raw into start line, header fields and body. It never fails;
// what is wrong ends up in Fault.
func Read(raw []byte) *Head {
	h := &Head{Fields: make([]Field, 0, 16)}
	// One copy, of which all values are parts: this is done for every datagram.
	line, rest, ended := h.line(strings.TrimLeft(string(raw), "\r\n"))
	h.startLine(line)
	for ended {
		line, rest, ended = h.line(rest)
		if line == "" && ended {
			h.Size = len(raw) - len(rest)
			h.Body = raw[h.Size:]
			return h
		}
		h.addLine(line)
	}
	h.blame(400, "the empty line that ends the header is missing")
	h.Size = len(raw)
	return h
}

// line takes one line; ended is false when the message stops inside it.
func (h *Head) line(data string) (line, rest string, ended bool) {
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
func (h *Head) blame(code int, words string) {
	if h.Fault == nil {
		h.Fault = &Fault{Code: code, Words: words}
	}
}

func (h *Head) startLine(line string) {
	if strings.HasPrefix(line, "SIP/") && strings.Count(line, " ") >= 1 {
		h.Response = true
		return
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 {
		h.Method = parts[0]
		if last := parts[len(parts)-1]; len(parts) > 1 && strings.HasPrefix(last, "SIP/") {
			h.Version = last
			h.URI = strings.Join(parts[1:len(parts)-1], " ")
		}
		h.blame(400, "the request line is not method, URI and version with one space between")
		return
	}
	h.Method, h.URI, h.Version = parts[0], parts[1], parts[2]
}

func (h *Head) addLine(line string) {
	if line != "" && (line[0] == ' ' || line[0] == '\t') {
		if n := len(h.Fields); n > 0 {
			f := &h.Fields[n-1]
			f.Value = strings.TrimSpace(f.Value + " " + strings.TrimSpace(line))
			return
		}
		h.blame(400, "the header begins with a folded line")
		return
	}
	name, value, ok := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !ok || !IsToken(name) {
		h.blame(400, "a header line has no valid field name")
		return
	}
	h.Fields = append(h.Fields, Field{canonical(name), strings.TrimSpace(value)})
}

// Get returns the first value of a field, and how many times the field appears.
func (h *Head) Get(name string) (value string, times int) {
	for _, f := range h.Fields {
		if f.Name != name {
			continue
		}
		if times == 0 {
			value = f.Value
		}
		times++
	}
	return value, times
}

// IsToken says whether s is an RFC 3261 token.
func IsToken(s string) bool {
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

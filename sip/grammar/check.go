package grammar

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/roomline/roomline/sip/text"
)

// MaxMessage is the longest message that is read, in bytes. A datagram can hold
// 64 KiB; nothing that we can use needs a quarter of that.
const MaxMessage = 16 << 10

const (
	maxFields = 256
	maxCSeq   = 1<<31 - 1
)

// Fault is what is wrong with a request, and the response that says so.
type Fault struct {
	Code  int    // 400 to 599
	Words string // for people, may hold what the stranger wrote
}

// Error implements error.
func (f *Fault) Error() string { return strconv.Itoa(f.Code) + " " + f.Words }

// Faultf makes a Fault with formatted words.
func Faultf(code int, format string, args ...any) *Fault {
	return &Fault{Code: code, Words: fmt.Sprintf(format, args...)}
}

// Phrase goes into the status line: what was wrong instead of the
// standard phrase, which the code already says.
func (f *Fault) Phrase() string { return text.Printable(f.Words, 200) }

// Check finds what RFC 3261 forbids and sipgo lets through. nil means
// that the request may go to the transaction layer. Over TCP and TLS,
// Content-Length delimits the message.
func Check(h *Head, transport string) *Fault {
	if h.Fault != nil {
		return h.Fault
	}
	checks := []func(*Head) *Fault{
		checkVersion, checkPresent, checkVia, checkCallID, checkMethod, checkCSeq,
		checkMaxForwards, checkRequestURI, checkParties, checkContact,
	}
	for _, check := range checks {
		if f := check(h); f != nil {
			return f
		}
	}
	if f := checkSecure(h, transport); f != nil {
		return f
	}
	return checkLength(h, transport != "udp")
}

func checkVersion(h *Head) *Fault {
	if h.Version != "SIP/2.0" {
		return Faultf(505, "version %s is not spoken here, SIP/2.0 is", text.Printable(h.Version, 16))
	}
	if len(h.Fields) > maxFields {
		return Faultf(400, "more than %d header fields", maxFields)
	}
	return nil
}

// mandatory header fields of every request, section 8.1.1, as people write them.
var mandatory = []string{"Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards"}

// single fields may appear once only.
var single = []string{"From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type"}

func checkPresent(h *Head) *Fault {
	for _, name := range mandatory {
		if _, n := h.Get(usualNames[name]); n == 0 {
			return Faultf(400, "%s is missing", name)
		}
	}
	for _, name := range single {
		if _, n := h.Get(usualNames[name]); n > 1 {
			return Faultf(400, "%s appears %d times", name, n)
		}
	}
	return nil
}

// checkVia looks at every hop's form, and at the host and port of the top one,
// which decide where the response goes.
func checkVia(h *Head) *Fault {
	first := true
	for _, f := range h.Fields {
		if f.Name != "via" {
			continue
		}
		for hop := range Each(f.Value, ',') {
			if words := viaFault(strings.TrimSpace(hop)); words != "" && first {
				return Faultf(400, "Via: %s", words)
			} else if words != "" {
				return Faultf(400, "a lower Via: %s", words)
			}
			first = false
		}
	}
	return nil
}

func viaFault(hop string) string {
	protocol, sentBy, ok := strings.Cut(hop, " ")
	if !ok {
		return "no sent-by address"
	}
	if len(protocol) < 9 || !strings.EqualFold(protocol[:8], "SIP/2.0/") || !IsToken(protocol[8:]) {
		return "the protocol is not SIP/2.0 over a transport"
	}
	sentBy, params, _ := strings.Cut(sentBy, ";")
	if words := HostPortFault(strings.TrimSpace(sentBy)); words != "" {
		return words
	}
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(name), "branch") && !IsToken(strings.TrimSpace(value)) {
			return "the branch is not a token"
		}
	}
	return ""
}

func checkCallID(h *Head) *Fault {
	id, _ := h.Get("call-id")
	if id == "" || len(id) > 256 || strings.ContainsAny(id, " \t,;\"") {
		return Faultf(400, "Call-ID is not one word of at most 256 letters")
	}
	return nil
}

func checkCSeq(h *Head) *Fault {
	value, _ := h.Get("cseq")
	parts := strings.Fields(value)
	if len(parts) != 2 {
		return Faultf(400, "CSeq is not a number and a method")
	}
	if n, err := strconv.ParseUint(parts[0], 10, 64); err != nil || n > maxCSeq {
		return Faultf(400, "the CSeq number is not below 2147483648")
	}
	if parts[1] != h.Method {
		return Faultf(400, "CSeq names %s, the request is %s", text.Printable(parts[1], 16), text.Printable(h.Method, 16))
	}
	return nil
}

// checkMethod: methods are case-sensitive tokens; sipgo would turn "invite" into INVITE.
func checkMethod(h *Head) *Fault {
	if !IsToken(h.Method) || len(h.Method) > 32 {
		return Faultf(400, "the method is not a word")
	}
	if h.Method != strings.ToUpper(h.Method) {
		return Faultf(501, "method %s is not known, methods are in capitals", text.Printable(h.Method, 32))
	}
	return nil
}

func checkMaxForwards(h *Head) *Fault {
	value, _ := h.Get("max-forwards")
	if n, err := strconv.ParseUint(value, 10, 32); err != nil || n > 255 {
		return Faultf(400, "Max-Forwards is not a number from 0 to 255")
	}
	return nil
}

func checkRequestURI(h *Head) *Fault {
	scheme, rest, ok := strings.Cut(h.URI, ":")
	if !ok || !IsToken(scheme) {
		return Faultf(400, "the request URI has no scheme")
	}
	switch strings.ToLower(scheme) {
	case "sip", "sips":
		if strings.Contains(rest, "?") {
			return Faultf(400, "the request URI carries header fields")
		}
		if words := URIFault(h.URI); words != "" {
			return Faultf(400, "the request URI: %s", words)
		}
	case "tel", "urn":
		if rest == "" || strings.ContainsAny(rest, "<>\" \t") {
			return Faultf(400, "the request URI is empty")
		}
	default:
		return Faultf(416, "URI scheme %s is not supported", text.Printable(scheme, 16))
	}
	return nil
}

func checkParties(h *Head) *Fault {
	from, _ := h.Get("from")
	_, params, words := SplitAddress(from)
	if words != "" {
		return Faultf(400, "From: %s", words)
	}
	if tag, ok := Param(params, "tag"); !ok || !IsToken(tag) {
		return Faultf(400, "From has no tag")
	}
	to, _ := h.Get("to")
	_, params, words = SplitAddress(to)
	if words != "" {
		return Faultf(400, "To: %s", words)
	}
	if tag, ok := Param(params, "tag"); ok && !IsToken(tag) {
		return Faultf(400, "the To tag is not a word")
	}
	return nil
}

// checkContact: an INVITE names the one place where its dialog lives, section 8.1.1.8.
func checkContact(h *Head) *Fault {
	value, n := h.Get("contact")
	if h.Method != "INVITE" {
		return nil
	}
	if n != 1 || len(Split(value, ',')) != 1 {
		return Faultf(400, "an INVITE needs exactly one Contact")
	}
	uri, _, words := SplitAddress(value)
	if words == "" && !IsSIP(uri) {
		words = "it is not a sip: URI"
	}
	if words != "" {
		return Faultf(400, "Contact: %s", words)
	}
	return nil
}

// checkSecure: a sips request must have come over TLS, section 26.2.2.
func checkSecure(h *Head, transport string) *Fault {
	if IsSIPS(h.URI) && transport != "tls" {
		return Faultf(416, "a sips URI is answered over TLS only")
	}
	return nil
}

func checkLength(h *Head, stream bool) *Fault {
	value, n := h.Get("content-length")
	if n == 0 {
		if stream {
			return Faultf(400, "Content-Length is missing, TCP needs it")
		}
		return checkBody(h)
	}
	length, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return Faultf(400, "Content-Length is not a number")
	}
	if int(length) > len(h.Body) {
		return Faultf(400, "Content-Length says %d, the message holds %d", length, len(h.Body))
	}
	h.Body = h.Body[:length]
	return checkBody(h)
}

func checkBody(h *Head) *Fault {
	if _, n := h.Get("content-type"); n == 0 && len(h.Body) > 0 {
		return Faultf(400, "there is a body and no Content-Type")
	}
	return nil
}

package sip

import (
	"fmt"
	"strconv"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/text"
)

// Bounds on one message. A datagram can hold 64 KiB; nothing that we can use
// needs a quarter of that.
const (
	maxMessage = 16 << 10
	maxFields  = 256
	maxCSeq    = 1<<31 - 1
)

// fault is what is wrong with a request, and the response that says so.
type fault struct {
	code  int
	words string
}

func (f *fault) Error() string { return strconv.Itoa(f.code) + " " + f.words }

func faultf(code int, format string, args ...any) *fault {
	return &fault{code: code, words: fmt.Sprintf(format, args...)}
}

// reasonPhrase goes into the status line: what was wrong instead of the
// standard phrase, which the code already says.
func (f *fault) reasonPhrase() string { return text.Printable(f.words, 200) }

// checkRequest finds what RFC 3261 forbids and sipgo lets through. nil means
// that the request may go to the transaction layer. Over TCP and TLS,
// Content-Length delimits the message.
func checkRequest(h *head, transport string) *fault {
	if h.fault != nil {
		return h.fault
	}
	checks := []func(*head) *fault{
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
	return checkLength(h, isStream(transport))
}

func checkVersion(h *head) *fault {
	if h.version != "SIP/2.0" {
		return faultf(505, "version %s is not spoken here, SIP/2.0 is", text.Printable(h.version, 16))
	}
	if len(h.fields) > maxFields {
		return faultf(400, "more than %d header fields", maxFields)
	}
	return nil
}

// mandatory header fields of every request, section 8.1.1, as people write them.
var mandatory = []string{"Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards"}

// single fields may appear once only.
var single = []string{"From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type"}

func checkPresent(h *head) *fault {
	for _, name := range mandatory {
		if _, n := h.get(usualNames[name]); n == 0 {
			return faultf(400, "%s is missing", name)
		}
	}
	for _, name := range single {
		if _, n := h.get(usualNames[name]); n > 1 {
			return faultf(400, "%s appears %d times", name, n)
		}
	}
	return nil
}

// checkVia looks at every hop's form, and at the host and port of the top one,
// which decide where the response goes.
func checkVia(h *head) *fault {
	first := true
	for _, f := range h.fields {
		if f.name != "via" {
			continue
		}
		for hop := range eachOutside(f.value, ',') {
			if words := viaFault(strings.TrimSpace(hop)); words != "" && first {
				return faultf(400, "Via: %s", words)
			} else if words != "" {
				return faultf(400, "a lower Via: %s", words)
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
	if len(protocol) < 9 || !strings.EqualFold(protocol[:8], "SIP/2.0/") || !isToken(protocol[8:]) {
		return "the protocol is not SIP/2.0 over a transport"
	}
	sentBy, params, _ := strings.Cut(sentBy, ";")
	if words := hostPortFault(strings.TrimSpace(sentBy)); words != "" {
		return words
	}
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(name), "branch") && !isToken(strings.TrimSpace(value)) {
			return "the branch is not a token"
		}
	}
	return ""
}

func checkCallID(h *head) *fault {
	id, _ := h.get("call-id")
	if id == "" || len(id) > 256 || strings.ContainsAny(id, " \t,;\"") {
		return faultf(400, "Call-ID is not one word of at most 256 letters")
	}
	return nil
}

func checkCSeq(h *head) *fault {
	value, _ := h.get("cseq")
	parts := strings.Fields(value)
	if len(parts) != 2 {
		return faultf(400, "CSeq is not a number and a method")
	}
	if n, err := strconv.ParseUint(parts[0], 10, 64); err != nil || n > maxCSeq {
		return faultf(400, "the CSeq number is not below 2147483648")
	}
	if parts[1] != h.method {
		return faultf(400, "CSeq names %s, the request is %s", text.Printable(parts[1], 16), text.Printable(h.method, 16))
	}
	return nil
}

// checkMethod: methods are case-sensitive tokens; sipgo would turn "invite" into INVITE.
func checkMethod(h *head) *fault {
	if !isToken(h.method) || len(h.method) > 32 {
		return faultf(400, "the method is not a word")
	}
	if h.method != strings.ToUpper(h.method) {
		return faultf(501, "method %s is not known, methods are in capitals", text.Printable(h.method, 32))
	}
	return nil
}

func checkMaxForwards(h *head) *fault {
	value, _ := h.get("max-forwards")
	if n, err := strconv.ParseUint(value, 10, 32); err != nil || n > 255 {
		return faultf(400, "Max-Forwards is not a number from 0 to 255")
	}
	return nil
}

func checkRequestURI(h *head) *fault {
	scheme, rest, ok := strings.Cut(h.uri, ":")
	if !ok || !isToken(scheme) {
		return faultf(400, "the request URI has no scheme")
	}
	switch strings.ToLower(scheme) {
	case "sip", "sips":
		if strings.Contains(rest, "?") {
			return faultf(400, "the request URI carries header fields")
		}
		if words := uriFault(h.uri); words != "" {
			return faultf(400, "the request URI: %s", words)
		}
	case "tel", "urn":
		if rest == "" || strings.ContainsAny(rest, "<>\" \t") {
			return faultf(400, "the request URI is empty")
		}
	default:
		return faultf(416, "URI scheme %s is not supported", text.Printable(scheme, 16))
	}
	return nil
}

func checkParties(h *head) *fault {
	from, _ := h.get("from")
	_, params, words := splitAddress(from)
	if words != "" {
		return faultf(400, "From: %s", words)
	}
	if tag, ok := paramOf(params, "tag"); !ok || !isToken(tag) {
		return faultf(400, "From has no tag")
	}
	to, _ := h.get("to")
	_, params, words = splitAddress(to)
	if words != "" {
		return faultf(400, "To: %s", words)
	}
	if tag, ok := paramOf(params, "tag"); ok && !isToken(tag) {
		return faultf(400, "the To tag is not a word")
	}
	return nil
}

// checkContact: an INVITE names the one place where its dialog lives, section 8.1.1.8.
func checkContact(h *head) *fault {
	value, n := h.get("contact")
	if h.method != "INVITE" {
		return nil
	}
	if n != 1 || len(splitOutside(value, ',')) != 1 {
		return faultf(400, "an INVITE needs exactly one Contact")
	}
	uri, _, words := splitAddress(value)
	if words == "" && !isSIPURI(uri) {
		words = "it is not a sip: URI"
	}
	if words != "" {
		return faultf(400, "Contact: %s", words)
	}
	return nil
}

// checkSecure: a sips request must have come over TLS, section 26.2.2.
func checkSecure(h *head, transport string) *fault {
	if isSIPS(h.uri) && transport != "tls" {
		return faultf(416, "a sips URI is answered over TLS only")
	}
	return nil
}

func checkLength(h *head, stream bool) *fault {
	value, n := h.get("content-length")
	if n == 0 {
		if stream {
			return faultf(400, "Content-Length is missing, TCP needs it")
		}
		return checkBody(h)
	}
	length, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return faultf(400, "Content-Length is not a number")
	}
	if int(length) > len(h.body) {
		return faultf(400, "Content-Length says %d, the message holds %d", length, len(h.body))
	}
	h.body = h.body[:length]
	return checkBody(h)
}

func checkBody(h *head) *fault {
	if _, n := h.get("content-type"); n == 0 && len(h.body) > 0 {
		return faultf(400, "there is a body and no Content-Type")
	}
	return nil
}

// trialParse lets sipgo's parser read a checked message, so that what it
// refuses is answered and what makes it panic is contained here.
func trialParse(parser *sipmsg.Parser, raw []byte) (f *fault) {
	defer func() {
		if recover() != nil {
			f = faultf(400, "the message cannot be read")
		}
	}()
	m, err := parser.ParseSIP(raw)
	if err != nil {
		return faultf(400, "the message cannot be read")
	}
	if m.Via() == nil || m.CSeq() == nil || m.CallID() == nil || m.From() == nil || m.To() == nil {
		return faultf(400, "a mandatory header field cannot be read")
	}
	return nil
}

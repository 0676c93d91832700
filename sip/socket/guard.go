package socket

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// Guard stands between the sockets and sipgo. It sees whole messages, lets
// through what the transaction layer can handle, and answers the rest itself:
// stateless, as RFC 3261 section 8.2.7 allows. It is safe for concurrent use.
//
// It works in front of sipgo's read filter and not in it, because the filter
// sees TCP in arbitrary pieces and cannot answer on the socket.
type Guard struct {
	parser  *sipmsg.Parser
	secret  [32]byte
	server  string // value of the Server header field
	allow   string // and of Allow
	refused func(h *grammar.Head, f *grammar.Fault, source netip.AddrPort, transport string)
	Bans    *Bans                                                           // packets from those are dropped unread
	Knows   func(netip.Addr) bool                                           // the others hear nothing unless they send INVITE
	Strike  func(source netip.AddrPort, transport, why string, proven bool) // counts what a stranger tries

	mu     sync.Mutex
	told   map[string]time.Time // refused INVITEs by their key: retransmissions are told of once
	onTold int                  // size that makes the next sweep
}

// NewGuard makes a guard; refused hears of every INVITE that it turns away, once.
func NewGuard(server, allow string, refused func(*grammar.Head, *grammar.Fault, netip.AddrPort, string)) *Guard {
	g := &Guard{parser: NewParser(), server: server, allow: allow, refused: refused, Bans: NewBans(), told: map[string]time.Time{},
		Knows: func(netip.Addr) bool { return true }, Strike: func(netip.AddrPort, string, string, bool) {}}
	rand.Read(g.secret[:])
	return g
}

// NewParser is sipgo's parser without its reading of Refer-To and Referred-By,
// which loses what it does not understand.
func NewParser() *sipmsg.Parser {
	fields := maps.Clone(sipmsg.DefaultHeadersParser())
	delete(fields, "refer-to")
	delete(fields, "referred-by")
	return sipmsg.NewParser(sipmsg.WithHeadersParsers(fields))
}

// Admit says whether raw may go to sipgo. If not, answer is the response to
// send back, nil when silence is right.
func (g *Guard) Admit(raw []byte, source netip.AddrPort, transport string) (ok bool, answer []byte) {
	if g.Shuts(source.Addr()) {
		return false, nil
	}
	if len(bytes.Trim(raw, "\r\n\x00")) == 0 {
		return false, nil // keep-alive, RFC 5626 section 3.5.1
	}
	h := grammar.Read(raw)
	var f *grammar.Fault
	if len(raw) > grammar.MaxMessage {
		f = grammar.Faultf(513, "the message is longer than %d bytes", grammar.MaxMessage)
	} else if h.Response {
		return trialParse(g.parser, raw) == nil && h.Fault == nil, nil
	} else if f = grammar.Check(h, transport); f == nil {
		f = trialParse(g.parser, raw)
	}
	if words := g.unwelcome(h, source); words != "" {
		g.Strike(source, transport, words, false)
		return false, nil
	}
	if f == nil {
		return true, nil
	}
	answer = g.refuse(h, f, source, transport)
	g.Strike(source, transport, "a broken "+text.Printable(h.Method, 32), false)
	return false, answer
}

// Shuts says whether an address is banned; a trunk in a stranger's IPv6 network is not.
func (g *Guard) Shuts(a netip.Addr) bool {
	return g.Bans.banned(a, time.Now()) && (a.Unmap().Is4() || !g.Knows(a))
}

// unwelcome says what a stranger tries that gets no answer: everything outside a
// dialog that is not about a call. Scanners see nobody here.
func (g *Guard) unwelcome(h *grammar.Head, source netip.AddrPort) string {
	switch h.Method {
	case "INVITE", "ACK", "CANCEL":
		return ""
	}
	if to, _ := h.Get("to"); grammar.TagOf(to) != "" && h.Fault == nil || g.Knows(source.Addr()) {
		return ""
	}
	return "an unasked " + text.Printable(h.Method, 32)
}

// refuse writes the answer to a broken request, nil if it cannot be answered.
func (g *Guard) refuse(h *grammar.Head, f *grammar.Fault, source netip.AddrPort, transport string) []byte {
	cseq, _ := h.Get("cseq")
	if h.Method == "ACK" || strings.HasSuffix(cseq, "ACK") || h.Response {
		return nil // an ACK is never answered
	}
	if h.Method == "INVITE" && g.firstTime(h, source) {
		g.refused(h, f, source, transport)
	}
	via, n := h.Get("via")
	if n == 0 || via == "" {
		return nil // nobody to answer
	}
	return g.answer(h, f, via, source)
}

// firstTime is true unless this INVITE was refused in the last 32 seconds.
func (g *Guard) firstTime(h *grammar.Head, source netip.AddrPort) bool {
	id, _ := h.Get("call-id")
	cseq, _ := h.Get("cseq")
	via, _ := h.Get("via")
	return g.FirstOf(source.String(), id, cseq, via)
}

// FirstOf is true unless the same words named an INVITE in the last 32 seconds.
func (g *Guard) FirstOf(words ...string) bool {
	key := strings.Join(words, "|")
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.told) >= max(g.onTold, 1024) {
		for k, t := range g.told {
			if now.Sub(t) > 32*time.Second || len(g.told) > 64<<10 {
				delete(g.told, k)
			}
		}
		g.onTold = 2 * len(g.told)
	}
	if t, ok := g.told[key]; ok && now.Sub(t) < 32*time.Second {
		return false
	}
	g.told[key] = now
	return true
}

// answer builds a response out of the lenient head, copying only what is
// printable: section 8.2.6.
func (g *Guard) answer(h *grammar.Head, f *grammar.Fault, via string, source netip.AddrPort) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", f.Code, f.Phrase())
	first := true
	for _, v := range h.Fields {
		if v.Name != "via" {
			continue
		}
		value := grammar.OneLine(v.Value)
		if first {
			value, first = stampVia(value, source), false
		}
		fmt.Fprintf(&b, "Via: %s\r\n", value)
	}
	from, _ := h.Get("from")
	to, _ := h.Get("to")
	id, _ := h.Get("call-id")
	cseq, _ := h.Get("cseq")
	if to != "" && !strings.Contains(strings.ToLower(to), "tag=") {
		to += ";tag=" + g.Tag(id, grammar.TagOf(from), grammar.SeqOf(cseq))
	}
	for _, f := range []struct{ name, value string }{{"From", from}, {"To", to}, {"Call-ID", id}, {"CSeq", cseq}} {
		if f.value != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", f.name, grammar.OneLine(f.value))
		}
	}
	fmt.Fprintf(&b, "Server: %s\r\nAllow: %s\r\nWarning: 399 roomline %s\r\nContent-Length: 0\r\n\r\n",
		g.server, g.allow, `"`+f.Phrase()+`"`)
	return b.Bytes()
}

// stampVia adds received and fills rport, RFC 3261 section 18.2.1 and RFC 3581 section 4.
func stampVia(via string, source netip.AddrPort) string {
	parts := strings.Split(via, ";")
	out := parts[:1]
	for _, p := range parts[1:] {
		name, value, _ := strings.Cut(p, "=")
		switch {
		case strings.EqualFold(strings.TrimSpace(name), "received"):
			continue
		case strings.EqualFold(strings.TrimSpace(name), "rport") && value == "":
			p = "rport=" + strconv.Itoa(int(source.Port()))
		}
		out = append(out, p)
	}
	return strings.Join(append(out, "received="+source.Addr().String()), ";")
}

// ReplyTo is where a stateless response over UDP goes: the source address, and
// the source port if rport asks for it, else the port of sent-by.
func ReplyTo(answer []byte, source netip.AddrPort) netip.AddrPort {
	h := grammar.Read(answer)
	via, _ := h.Get("via")
	_, params, _ := strings.Cut(via, ";")
	if _, ok := grammar.Param(";"+params, "rport"); ok {
		return source
	}
	_, sentBy, _ := strings.Cut(via, " ")
	sentBy, _, _ = strings.Cut(sentBy, ";")
	port := uint16(5060)
	if i := strings.LastIndexByte(sentBy, ':'); i >= 0 && !strings.HasSuffix(sentBy, "]") {
		if n, err := strconv.ParseUint(strings.TrimSpace(sentBy[i+1:]), 10, 16); err == nil && n > 0 {
			port = uint16(n)
		}
	}
	return netip.AddrPortFrom(source.Addr(), port)
}

// Tag is our tag in the dialog that an INVITE would open. Every response to one
// request must carry the same tag, section 8.2.6.2, whichever part of us answers.
func (g *Guard) Tag(callID, fromTag, seq string) string {
	m := hmac.New(sha256.New, g.secret[:])
	fmt.Fprintf(m, "%s\x00%s\x00%s", callID, fromTag, seq)
	return hex.EncodeToString(m.Sum(nil)[:8])
}

// Mark stands for a called number in the header field that ends loops. It gives
// away neither the number nor us.
func (g *Guard) Mark(to string) string {
	m := hmac.New(sha256.New, g.secret[:])
	m.Write([]byte("path\x00" + to))
	return hex.EncodeToString(m.Sum(nil)[:8])
}

// Retag gives responses that sipgo made by itself (200 to CANCEL, 487, 100) our
// tag and name. They are known by sipgo's tag, a UUID; ours never look like one.
func (g *Guard) Retag(data []byte) []byte {
	if !bytes.HasPrefix(data, []byte("SIP/2.0 ")) {
		return data
	}
	start := bytes.Index(data, []byte("\r\nTo: "))
	if start < 0 {
		return data
	}
	end := start + 2 + max(bytes.Index(data[start+2:], []byte("\r\n")), 0)
	at := bytes.LastIndex(data[start:end], []byte(";tag="))
	if at < 0 || !isUUID(data[start+at+5:end]) {
		return data
	}
	h := grammar.Read(data)
	from, _ := h.Get("from")
	id, _ := h.Get("call-id")
	cseq, _ := h.Get("cseq")
	out := append([]byte(nil), data[:start+at]...)
	out = append(out, ";tag="+g.Tag(id, grammar.TagOf(from), grammar.SeqOf(cseq))+"\r\nServer: "+g.server...)
	return append(out, data[end:]...)
}

func isUUID(b []byte) bool {
	return len(b) == 36 && b[8] == '-' && b[13] == '-' && b[18] == '-' && b[23] == '-'
}

// trialParse lets sipgo's parser read a checked message, so that what it
// refuses is answered and what makes it panic is contained here.
func trialParse(parser *sipmsg.Parser, raw []byte) (f *grammar.Fault) {
	defer func() {
		if recover() != nil {
			f = grammar.Faultf(400, "the message cannot be read")
		}
	}()
	m, err := parser.ParseSIP(raw)
	if err != nil {
		return grammar.Faultf(400, "the message cannot be read")
	}
	if m.Via() == nil || m.CSeq() == nil || m.CallID() == nil || m.From() == nil || m.To() == nil {
		return grammar.Faultf(400, "a mandatory header field cannot be read")
	}
	return nil
}

package sip

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/grammar"
)

// proper does what a good peer does next: it acknowledges what came last, or
// accepts it.
func (o *order) proper() bool {
	synctest.Wait()
	m, ok := o.last(func(message) bool { return true })
	switch {
	case !ok:
		return false
	case !m.Response && m.Method == "INVITE" && o.rng.IntN(2) == 0:
		o.answer(m, 180)
	case !m.Response && m.Method != "ACK":
		o.answer(m, 200)
	case m.value("rseq") != "":
		o.prack(m, 0)
	case m.code == 200 && strings.HasSuffix(m.value("cseq"), " INVITE"):
		d := o.base
		d.method, d.branch, d.extra, d.toTag = "ACK", "z9hG4bK"+unique("o"), "", grammar.TagOf(m.value("to"))
		d.cseq, d.body = o.invite.cseq, ""
		if o.invite.body == "" {
			d.body = sampleSDP("127.0.0.1", 41000, "")
		}
		o.base.toTag = d.toTag
		o.send(o.w.text(d))
	default:
		return false
	}
	return true
}

// prack acknowledges a reliable response, or, off by some, none.
func (o *order) prack(m message, off int) {
	n, _ := strconv.Atoi(m.value("rseq"))
	o.base.cseq++
	d := o.base
	d.method, d.branch, d.toTag = "PRACK", "z9hG4bK"+unique("o"), grammar.TagOf(m.value("to"))
	d.extra = fmt.Sprintf("RAck: %d %s\r\n", n+off, m.value("cseq"))
	d.body = o.oneOf("", sampleSDP("127.0.0.1", 41000, ""))
	o.send(o.w.text(d))
}

// request sends a request of the peer's, sound or not.
func (o *order) request() {
	word := o.oneOf("ACK", "ACK", "PRACK", "PRACK", "UPDATE", "INVITE", "BYE", "CANCEL", "INFO", "REFER", "OPTIONS", "again", "again")
	if (word == "BYE" || word == "CANCEL") && o.rng.IntN(2) == 0 {
		return
	}
	o.seen["request "+word]++
	if word == "again" {
		if time.Since(o.sentAt) < 20*sipmsg.T1 { // not after its transaction is over
			o.note("→ again: %.40q", o.sent)
			o.w.send(o.sent)
		}
		return
	}
	if word == "PRACK" {
		if m, ok := o.last(func(m message) bool { return m.value("rseq") != "" }); ok {
			o.prack(m, o.rng.IntN(4)/3)
		}
		return
	}
	d := o.base
	d.method, d.branch, d.extra, d.body = word, "z9hG4bK"+unique("o"), "", ""
	if m, ok := o.last(func(m message) bool {
		return m.Response && strings.HasSuffix(m.value("cseq"), " INVITE") && grammar.TagOf(m.value("to")) != ""
	}); ok && o.replied == nil {
		d.toTag = grammar.TagOf(m.value("to"))
	}
	if o.replied != nil {
		d.fromTag = o.oneOf("p0", "p1")
	}
	switch word {
	case "ACK", "CANCEL":
		if o.invite.method == "" {
			return
		}
		d.cseq = o.invite.cseq
		if word == "CANCEL" || o.rng.IntN(2) == 0 {
			d.branch = o.invite.branch
		}
		if word == "CANCEL" {
			d.toTag = o.invite.toTag
		}
		d.body = o.oneOf("", sampleSDP("127.0.0.1", 41000, ""))
		if word == "CANCEL" {
			d.body = ""
		}
	default:
		o.base.cseq++
		d.cseq = o.base.cseq - o.rng.IntN(20)/19
	}
	switch word {
	case "UPDATE", "INVITE":
		d.extra = o.oneOf("", "Supported: timer\r\nSession-Expires: 10;refresher=uac\r\n", "Supported: timer\r\nSession-Expires: 3\r\n", "Supported: timer\r\nSession-Expires: 6;refresher=uas\r\n")
		d.body = o.oneOf("", sampleSDP("127.0.0.1", 41002, ""), sampleSDP("127.0.0.1", 41002, "")+"a=sendonly\r\n", sampleSDP("127.0.0.1", 41002, "m=audio 41002 RTP/AVP 3\r\n"))
	case "REFER":
		d.extra = o.oneOf("Refer-To: <sip:+15550001@example.com>\r\n", "Refer-To: <sip:+15550001@example.com>\r\nReferred-By: <sip:bob@example.com>\r\n")
	case "INFO":
		d.extra, d.body = "Content-Type: application/dtmf-relay\r\n", "Signal=5\r\nDuration=160\r\n"
	}
	if word == "INVITE" {
		o.invite = d
	}
	o.send(o.w.text(d))
}

// reply answers some request of the agent's in some way.
func (o *order) reply() bool {
	var list []message
	o.mu.Lock()
	for _, m := range o.got {
		if !m.Response && m.Method != "ACK" {
			list = append(list, m)
		}
	}
	o.mu.Unlock()
	if len(list) == 0 {
		return false
	}
	m := list[len(list)-1-o.rng.IntN(min(3, len(list)))]
	code := []int{100, 180, 183, 183, 200, 200, 200, 302, 401, 404, 408, 422, 481, 486, 488, 491, 500, 503, 603}[o.rng.IntN(19)]
	o.answer(m, code)
	return true
}

func (o *order) answer(m message, code int) {
	o.seen["reply "+strconv.Itoa(code/100)+"xx to "+m.Method]++
	extra, body, tag := "", "", o.oneOf("p0", "p0", "p1")
	if m.Method == "INVITE" || m.Method == "UPDATE" {
		extra = o.oneOf("", "Allow: INVITE, ACK, BYE, UPDATE\r\n") + o.oneOf("", "Session-Expires: 8;refresher=uas\r\n", "Session-Expires: 8;refresher=uac\r\n")
	}
	if m.Method == "INVITE" && code > 100 && code < 300 {
		body = o.oneOf("", sampleSDP("127.0.0.1", 41004, ""), sampleSDP("127.0.0.1", 41004, ""))
		if code < 200 && o.rng.IntN(2) == 0 {
			extra += fmt.Sprintf("Require: 100rel\r\nRSeq: %d\r\n", 1+o.rng.IntN(3))
		}
	}
	switch code {
	case 401:
		extra = "WWW-Authenticate: Digest realm=\"x\", nonce=\"" + unique("n") + "\"\r\n"
	case 422:
		extra = "Min-SE: " + strconv.Itoa(5+o.rng.IntN(40)) + "\r\n"
	}
	o.note("→ %d to %s", code, m.start)
	o.w.reply(m, code, "Because", tag, extra, body)
}

// answerAll is a peer who takes leave in good order.
func (o *order) answerAll() {
	for range 20 {
		o.mu.Lock()
		list := slices.Clone(o.got)
		o.mu.Unlock()
		for _, m := range list {
			switch {
			case m.Method == "BYE" || m.Method == "CANCEL":
				o.w.reply(m, 200, "OK", "p0", "", "")
			case m.Method == "INVITE":
				o.w.reply(m, 487, "Request Terminated", "p0", "", "")
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
}

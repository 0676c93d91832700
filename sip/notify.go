package sip

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// subscriptionTime is how long a transfer is reported on: longer than a phone rings.
const subscriptionTime = defaultRing + time.Minute

// sipfrag is the type of NOTIFY bodies in a transfer, RFC 3420.
const sipfrag = "message/sipfrag"

// notifier tells the sender of a REFER how it goes: the subscription that REFER
// made, RFC 3515 section 2.4. One NOTIFY at a time is on its way, so that they
// arrive in order; what comes meanwhile is told by the next, the newest only.
// It belongs to the Line's goroutine.
type notifier struct {
	line *Line
	id   uint32 // of the Event header field; 0: none
	over func() // forgets the subscription

	open   bool
	until  time.Time
	expiry *time.Timer
	busy   bool
	next   *progress
}

type progress struct {
	code   int
	phrase string
	reason string // why the subscription ends with it; empty: it goes on
}

// begin opens the subscription; its first NOTIFY says 100, section 2.4.4.
func (n *notifier) begin() {
	n.open, n.until = true, time.Now().Add(subscriptionTime)
	n.expiry = n.line.after(subscriptionTime, func() { n.say(progress{100, "Trying", "timeout"}) })
	n.tell(100, "Trying")
}

// tell says how the new call goes; 200 or more is the end.
func (n *notifier) tell(code int, phrase string) {
	if code < 100 || code > 699 {
		return
	}
	p := progress{code: code, phrase: text.Printable(phrase, 100)}
	if code >= 200 {
		p.reason = "noresource"
	}
	n.say(p)
}

func (n *notifier) say(p progress) {
	switch {
	case !n.open || n.next != nil && n.next.reason != "":
		return // the end was said already
	case n.busy:
		n.next = &p
	default:
		n.send(p)
	}
}

// flush says the last word at once, before a BYE.
func (n *notifier) flush() {
	if n.open && n.next != nil && n.next.reason != "" {
		p := *n.next
		n.next = nil
		n.send(p)
	}
}

func (n *notifier) send(p progress) {
	l := n.line
	req, err := l.request(&l.dialog, sipmsg.NOTIFY)
	if err != nil {
		n.end()
		return
	}
	event, state := "refer", "terminated;reason="+p.reason
	if n.id != 0 {
		event += ";id=" + strconv.FormatUint(uint64(n.id), 10)
	}
	if p.reason == "" {
		state = fmt.Sprintf("active;expires=%d", max(int(time.Until(n.until).Seconds()), 1))
	}
	req.AppendHeader(sipmsg.NewHeader("Event", event))
	req.AppendHeader(sipmsg.NewHeader("Subscription-State", state))
	req.AppendHeader(sipmsg.NewHeader("Content-Type", sipfrag+";version=2.0"))
	req.SetBody(fmt.Appendf(nil, "SIP/2.0 %d %s\r\n", p.code, p.phrase))
	n.busy = true
	l.exchange(&l.dialog, req, func(res *sipmsg.Response) { n.told(res) })
	if p.reason != "" {
		n.end() // whatever the answer is
	}
}

// told: a NOTIFY that fails ends the subscription, RFC 6665 section 4.2.2.
func (n *notifier) told(res *sipmsg.Response) {
	n.busy = false
	next := n.next
	switch {
	case !n.open:
	case res == nil || !res.IsSuccess():
		n.end()
	case next != nil:
		n.next = nil
		n.send(*next)
	}
}

// end forgets the subscription; it is harmless again.
func (n *notifier) end() {
	n.open, n.next = false, nil
	n.line.cancelTimer(n.expiry)
	n.over()
}

// onNotify hears how a transfer that we asked for goes.
func (l *Line) onNotify(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if !l.inOrder(req, tx) {
		return
	}
	l.overtaken()
	event, id := readEvent(req)
	t := l.transfer
	switch {
	case event != "refer":
		l.ua.reply(req, tx, 489, "only the progress of a transfer is listened to", sipmsg.NewHeader("Allow-Events", "refer"))
		return
	case t == nil || id != 0 && (id < t.first || id > l.dialog.LocalSeq):
		l.ua.reply(req, tx, 481, "there is no such subscription here")
		return
	}
	state, _, _ := strings.Cut(only(req, "Subscription-State", ""), ";")
	terminated := strings.EqualFold(strings.TrimSpace(state), "terminated")
	code, phrase, f := readFragment(req)
	if f != nil && !terminated {
		l.ua.reply(req, tx, f.Code, f.Words, sipmsg.NewHeader("Accept", sipfrag))
		return
	}
	tx.Respond(l.respond(req, 200, "OK"))
	switch {
	case f == nil && code >= 200:
		l.endTransfer(t, transferOutcome(code, phrase))
	case terminated:
		l.endTransfer(t, errSilentTransfer)
	}
}

// readEvent reads the Event header field; id is 0 when there is none.
func readEvent(m fieldList) (event string, id uint32) {
	event, params, _ := strings.Cut(only(m, "Event", "o"), ";")
	if v, ok := grammar.Param(";"+params, "id"); ok {
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil || n == 0 {
			n = 1<<32 - 1 // an id that we never gave
		}
		id = uint32(n)
	}
	return strings.ToLower(strings.TrimSpace(event)), id
}

// readFragment reads the status line that a NOTIFY about a transfer carries.
func readFragment(m sipmsg.Message) (code int, phrase string, f *grammar.Fault) {
	kind, _, _ := strings.Cut(contentType(m), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), sipfrag) {
		return 0, "", grammar.Faultf(415, "the progress of a transfer is said as %s", sipfrag)
	}
	line, _, _ := strings.Cut(string(m.Body()), "\n")
	parts := strings.SplitN(strings.TrimSpace(line), " ", 3)
	if len(parts) < 2 || parts[0] != "SIP/2.0" || len(parts[1]) != 3 {
		return 0, "", grammar.Faultf(400, "the body does not begin with a status line")
	}
	n, err := strconv.ParseUint(parts[1], 10, 16)
	if err != nil || n < 100 || n > 699 {
		return 0, "", grammar.Faultf(400, "the body does not begin with a status line")
	}
	if len(parts) == 3 {
		phrase = text.Printable(parts[2], 100)
	}
	return int(n), phrase, nil
}

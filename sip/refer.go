package sip

import (
	"net/netip"
	"net/url"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// decisionTime is how long a REFER waits for Accept or Refuse, 4 s: a request that
// is no INVITE must be answered well before its sender gives up (RFC 4320).
func decisionTime() time.Duration { return 8 * sipmsg.T1 }

// referral is a REFER of the peer's, RFC 3515, until its subscription is over.
type referral struct {
	*notifier
	req     *sipmsg.Request
	tx      *sipmsg.ServerTx
	quiet   bool // the peer wants no NOTIFYs, RFC 4488
	decided bool
	wait    *time.Timer
}

// onRefer turns away REFERs outside any call: nothing is dialled for those who
// have no call here.
func (u *UA) onRefer(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if !req.To().Params.Has("tag") {
		u.reply(req, tx, 403, "REFER is only possible within a call")
		return
	}
	u.withinDialog(req, tx, (*Line).onRefer)
}

// onRefer asks the bridge. The call can go to one place at a time: a REFER while
// one is open gets 491, which RFC 3261 section 21.4.27 has for a request that
// meets a pending one in its dialog. (RFC 3515 would let both go on, each with a
// subscription of its own.)
func (l *Line) onRefer(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if !l.inOrder(req, tx) {
		return
	}
	l.overtaken()
	switch {
	case l.state != talking:
		l.ua.reply(req, tx, 403, "only an answered call can be transferred")
		return
	case l.referral != nil:
		l.ua.reply(req, tx, 491, "the REFER before this one is not over")
		return
	}
	to, f := readReferTo(req)
	var with *Line
	if f == nil && to.replaces != (replaces{}) {
		if with = l.ua.lineNamed(to.replaces); with == l {
			f = grammar.Faultf(400, "a call cannot be transferred to itself")
		}
	}
	if f != nil {
		l.ua.reply(req, tx, f.Code, f.Words)
		return
	}
	l.consider(req, tx, to, with)
}

// consider hands a sound REFER to the bridge.
func (l *Line) consider(req *sipmsg.Request, tx *sipmsg.ServerTx, to referTo, with *Line) {
	r := &referral{req: req, tx: tx, notifier: &notifier{line: l}}
	if l.referrals > 0 {
		r.id = req.CSeq().SeqNo // the first may go without, section 2.4.6
	}
	l.referrals++
	r.over = func() {
		if l.referral == r {
			l.referral = nil
		}
	}
	r.quiet = wantsNoSubscription(req)
	l.referral = r
	r.wait = l.after(decisionTime(), func() { r.refuse(bridge.CauseNormal, "nobody decided in time") })
	ask := &bridge.Referral{
		To: l.dialled(to.uri), URI: text.Printable(to.uri, 256), By: referredBy(req),
		Refuse:   func(c bridge.Cause, reason string) { l.post(func() { r.refuse(c, reason) }) },
		Accept:   func() { l.post(r.accept) },
		Progress: func(code int, phrase string) { l.post(func() { r.progress(code, phrase) }) },
	}
	switch {
	case with != nil:
		ask.Replaces = with
	case to.replaces != (replaces{}):
		ask.RawReplaces = to.replaces.String()
	}
	l.log.Info("REFER accepted for a decision", "attended", to.replaces != (replaces{}))
	l.emit(bridge.LineEvent{Kind: bridge.LineReferred, Referral: ask})
}

// refuse says 403 where policy forbids the transfer, else 603.
func (r *referral) refuse(cause bridge.Cause, reason string) {
	if r.decided {
		return
	}
	code := 603
	if cause == bridge.CauseForbidden || cause == bridge.CauseNoRoute || cause == bridge.CauseAuthentication {
		code = 403
	}
	words := responseTo(cause, reason).phrase
	r.decide(code, words, reasonField(cause, reason), warning(399, words))
	r.end()
}

func (r *referral) accept() {
	if r.decided {
		return
	}
	contact := sipmsg.NewHeader("Contact", "<"+r.line.dialog.Contact+">")
	if r.quiet {
		r.decide(202, "Accepted", contact, sipmsg.NewHeader("Refer-Sub", "false"))
		r.end()
		return
	}
	r.decide(202, "Accepted", contact)
	r.begin()
}

// decide answers the REFER.
func (r *referral) decide(code int, phrase string, more ...sipmsg.Header) {
	r.decided = true
	r.line.cancelTimer(r.wait)
	res := r.line.respond(r.req, code, phrase)
	for _, h := range more {
		res.AppendHeader(h)
	}
	r.tx.Respond(res)
}

// progress tells the peer how the transfer goes.
func (r *referral) progress(code int, phrase string) {
	if r.decided {
		r.tell(code, phrase)
	}
}

// dropReferral ends what the peer asked for with its call; a REFER that waits
// for a decision is answered as RFC 3261 section 15.1.2 says.
func (l *Line) dropReferral() {
	r := l.referral
	if r == nil {
		return
	}
	if !r.decided {
		r.decide(487, "the call is over")
	}
	r.flush()
	r.end()
}

// referTo is what a Refer-To header field asks for.
type referTo struct {
	uri      string // without header fields
	replaces replaces
}

// readReferTo reads the one Refer-To that a REFER must have, section 2.1. Of the
// header fields in its URI only Replaces counts: others would let a peer write
// into our requests.
func readReferTo(m fieldList) (referTo, *grammar.Fault) {
	value := only(m, "Refer-To", "r")
	if value == "" || len(grammar.Split(value, ',')) != 1 {
		return referTo{}, grammar.Faultf(400, "a REFER needs exactly one Refer-To")
	}
	uri, _, words := grammar.SplitAddress(value)
	if words != "" {
		return referTo{}, grammar.Faultf(400, "Refer-To: %s", words)
	}
	uri, fields, _ := strings.Cut(uri, "?")
	if !strings.Contains(value, "<") && fields != "" {
		return referTo{}, grammar.Faultf(400, "Refer-To: a URI with header fields needs brackets")
	}
	to := referTo{uri: uri}
	if f := methodFault(uri); f != nil {
		return to, f
	}
	var err error
	found := false
	for _, field := range strings.Split(fields, "&") {
		name, v, _ := strings.Cut(field, "=")
		if !strings.EqualFold(name, "Replaces") {
			continue
		}
		if found {
			return to, grammar.Faultf(400, "Refer-To: Replaces appears twice")
		}
		if v, err = url.PathUnescape(v); err != nil {
			return to, grammar.Faultf(400, "Refer-To: Replaces cannot be read")
		}
		var f *grammar.Fault
		if to.replaces, f = readReplaces(v); f != nil {
			return to, f
		}
		found = true
	}
	return to, nil
}

// methodFault: we dial numbers; what else a Refer-To may ask for is not built.
func methodFault(uri string) *grammar.Fault {
	scheme, rest, _ := strings.Cut(uri, ":")
	switch strings.ToLower(scheme) {
	case "tel":
		return nil
	case "sip", "sips":
	default:
		return grammar.Faultf(416, "URI scheme %s cannot be dialled", text.Printable(scheme, 16))
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	_, params, _ := strings.Cut(rest, ";")
	if m, ok := grammar.Param(";"+params, "method"); ok && m != "INVITE" {
		return grammar.Faultf(403, "only an INVITE can be asked for")
	}
	return nil
}

// dialled is what the dial plan is asked about: a number, whatever host stands
// behind it; the user part of a URI of ours; else the URI, for its policy to see.
func (l *Line) dialled(uri string) string {
	var parsed sipmsg.Uri
	if sipmsg.ParseUri(uri, &parsed) != nil {
		return uri
	}
	context := strings.Contains(strings.ToLower(uri), "phone-context")
	user := userPart(&parsed)
	host, _ := hopOf(uri, "")
	if !context && user != "" && (isNumber(user) || l.mine(host.host)) {
		return user
	}
	return uri
}

// isNumber says whether s is made of what phones have on their keys.
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "+")
	return s != "" && len(s) <= 32 && strings.Trim(s, "0123456789*#") == ""
}

// mine says whether a host is what the peer calls us by.
func (l *Line) mine(host string) bool {
	if h, ok := hopOf(uriOf(l.dialog.Local), ""); ok && strings.EqualFold(h.host, host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap() == l.dialog.SentBy.Addr()
}

// referredBy is the URI of Referred-By, RFC 3892, in printable form; it proves nothing.
func referredBy(m fieldList) string {
	uri, _, words := grammar.SplitAddress(only(m, "Referred-By", "b"))
	if words != "" {
		return ""
	}
	return text.Printable(uri, 256)
}

// wantsNoSubscription reads RFC 4488's Refer-Sub: false.
func wantsNoSubscription(m fieldList) bool {
	v, _, _ := strings.Cut(only(m, "Refer-Sub", ""), ";")
	return strings.EqualFold(strings.TrimSpace(v), "false")
}

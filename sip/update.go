package sip

import (
	"math/rand/v2"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/sdp"
)

// onUpdate is a change of the session, of its timer or of the peer's address
// that needs no INVITE and may come before the call is answered, RFC 3311.
func (l *Line) onUpdate(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if !l.inOrder(req, tx) {
		return
	}
	if l.ua.tooShort(req) {
		l.ua.reply(req, tx, 422, "the session interval is too small", l.ua.minSE())
		return
	}
	body, f := sdpBody(req)
	if f != nil {
		l.ua.reply(req, tx, f.Code, f.Words, sipmsg.NewHeader("Accept", "application/sdp"))
		return
	}
	d := l.dialogOf(req)
	var answer []byte
	if body != nil {
		if !l.mayOffer(req, tx) {
			return
		}
		var a sdp.Agreement
		var warn sipmsg.Header
		if answer, a, f, warn = l.takeOffer(req, body); f != nil {
			l.ua.reply(req, tx, f.Code, f.Words, fields(warn)...)
			return
		}
		defer l.updated(a)
	}
	d.followRequest(req)
	res := l.respond(req, 200, "OK")
	l.grantTimer(req, res)
	if answer != nil {
		withBody(res, answer)
	}
	tx.Respond(res)
}

// mayOffer refuses an UPDATE's offer that meets another one, section 5.2.
func (l *Line) mayOffer(req *sipmsg.Request, tx *sipmsg.ServerTx) bool {
	ours, theirs := l.openOffers(req)
	switch {
	case ours:
		l.ua.reply(req, tx, 491, "our own offer is still open")
	case theirs:
		l.ua.reply(req, tx, 500, "the offer before this one has no answer yet", retryAfter(rand.IntN(11)))
	default:
		return true
	}
	return false
}

// openOffers says whose offer has no answer yet, for the dialog of a request.
func (l *Line) openOffers(req *sipmsg.Request) (ours, theirs bool) {
	if out := l.uac; out != nil {
		if out.initial && l.dial != nil {
			f := l.dial.forks[req.From().Params.GetOr("tag", "")]
			return f == nil || !f.answered, f != nil && f.answered && l.dial.heard != f
		}
		return out.body != nil, false
	}
	in := l.uas
	if in == nil || in.settled {
		return false, false
	}
	if in.late {
		return in.ok != nil || in.early, in.ok == nil && !in.early
	}
	return false, in.ok == nil
}

// takeOffer answers an offer and puts it in force; a fault leaves the session as it was.
func (l *Line) takeOffer(req *sipmsg.Request, body []byte) (answer []byte, a sdp.Agreement, f *grammar.Fault, warn sipmsg.Header) {
	d, err := sdp.Parse(body)
	if err != nil {
		return nil, a, grammar.Faultf(400, "%s", err), nil
	}
	if answer, a, err = l.answerOffer(d); err != nil {
		r, warn := mediaRefusal(err)
		return nil, a, grammar.Faultf(r.SIPCode, "%s", r.Reason), warn
	}
	if d := l.dialogOf(req); req.Method != sipmsg.PRACK {
		d.followRequest(req) // section 12.2.2: a target refresh
		l.dialog.Source = d.Source
	}
	if err := l.agree(a); err != nil {
		l.log.Error("an offer", "error", err)
		return nil, a, grammar.Faultf(500, "the new media cannot be used"), nil
	}
	return answer, a, nil, nil
}

// updated keeps what an UPDATE settled.
func (l *Line) updated(a sdp.Agreement) {
	switch {
	case l.state == talking:
		l.setHeld(a.Held)
	case l.uas != nil:
		l.uas.agreed = a
	case l.dial != nil && l.dial.heard != nil:
		l.dial.heard.media = &a
	}
}

func fields(h sipmsg.Header) []sipmsg.Header {
	if h == nil {
		return nil
	}
	return []sipmsg.Header{h}
}

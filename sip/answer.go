package sip

import (
	"errors"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/sdp"
)

// serverInvite is an INVITE of the peer's, first or later, until its ACK.
type serverInvite struct {
	tx      *sipmsg.ServerTx
	req     *sipmsg.Request
	initial bool
	late    bool // it had no offer: ours goes into the 200, the answer comes with the ACK
	body    []byte
	agreed  sdp.Agreement

	reliable bool     // provisional responses with SDP wait for PRACK: the caller knows how
	must     bool     // all of them do: the caller requires it
	early    bool     // a 183 with our SDP was sent, or waits
	settled  bool     // offer and answer were exchanged before the 200
	accepted bool     // the 200 was sent, or waits
	rseq     uint32   // of the last reliable response
	unacked  *unacked // waits for its PRACK
	waiting  []func() // wait for that

	ok       *sipmsg.Response // the 200, once it was sent
	interval time.Duration    // to its next retransmission
	resend   *time.Timer
	deadline *time.Timer
}

// newServerInvite is a first INVITE.
func newServerInvite(req *sipmsg.Request, tx *sipmsg.ServerTx) *serverInvite {
	in := &serverInvite{tx: tx, req: req, initial: true, must: requires(req, "100rel")}
	in.reliable = in.must || supports(req, "100rel")
	return in
}

// respond builds a response within the dialog.
func (l *Line) respond(req *sipmsg.Request, code int, phrase string) *sipmsg.Response {
	res := l.ua.respond(req, code, phrase, l.dialog.LocalTag)
	if code > 100 && code < 300 && (req.Method == sipmsg.INVITE || req.Method == sipmsg.UPDATE) {
		res.AppendHeader(sipmsg.NewHeader("Contact", "<"+l.dialog.Contact+">"))
	}
	return res
}

func (l *Line) answer() error {
	if l.state != inviting || !l.inbound || l.ended {
		return errors.New("only an unanswered inbound call can be answered")
	}
	in := l.uas
	if in.accepted {
		return errors.New("the call is answered already")
	}
	in.accepted = true
	if in.unacked == nil {
		return l.accept(in)
	}
	if in.unacked.sdp { // the 200 waits for its PRACK, RFC 3262 section 3
		in.waiting = append(in.waiting, func() {
			if err := l.accept(in); err != nil && l.state == inviting {
				l.reject(bridge.CauseInternal, "the call cannot be answered: "+err.Error())
			}
		})
		return nil
	}
	l.stopRepeating(in.unacked)
	return l.accept(in)
}

// accept sends the 200 to the first INVITE.
func (l *Line) accept(in *serverInvite) error {
	switch {
	case in.settled:
	case in.late:
		in.body = l.sdp.Offer()
	default:
		if err := l.agree(in.agreed); err != nil {
			return err
		}
	}
	if err := l.sendOK(); err != nil {
		return err
	}
	l.state = waiting
	return nil
}

// sendOK sends the 200 and repeats it until the ACK, section 13.3.1.4; over TCP
// too, because a proxy behind it may speak UDP.
func (l *Line) sendOK() error {
	in := l.uas
	in.ok = l.respond(in.req, 200, "OK")
	l.grantTimer(in.req, in.ok)
	if in.settled {
		in.ok.SetBody(nil)
	} else {
		withBody(in.ok, in.body)
	}
	if err := l.ua.respondInvite(in.req, in.tx, in.ok); err != nil {
		return err
	}
	in.interval = sipmsg.T1
	in.resend = l.after(in.interval, func() { l.resendOK(in) })
	in.deadline = l.after(64*sipmsg.T1, func() { l.ackMissing(in) })
	return nil
}

func (l *Line) resendOK(in *serverInvite) {
	if l.uas != in {
		return
	}
	in.tx.Respond(in.ok.Clone())
	in.interval = min(2*in.interval, sipmsg.T2)
	in.resend = l.after(in.interval, func() { l.resendOK(in) })
}

// ackMissing ends a call whose 200 was never acknowledged.
func (l *Line) ackMissing(in *serverInvite) {
	if l.uas != in {
		return
	}
	l.endServerInvite()
	if l.state == leaving {
		l.byeNow()
		return
	}
	l.hangUp(bridge.CauseSignalling, "the 200 was never acknowledged (no ACK)")
}

func (l *Line) endServerInvite() {
	l.cancelTimer(l.uas.resend)
	l.cancelTimer(l.uas.deadline)
	l.uas = nil
}

// reject answers the first INVITE with a failure.
func (l *Line) reject(cause bridge.Cause, reason string) {
	l.refuse(responseTo(cause, reason).code, cause, reason)
}

func (l *Line) refuse(code int, cause bridge.Cause, reason string) {
	phrase := responseTo(cause, reason).phrase
	res := l.respond(l.uas.req, code, phrase)
	res.AppendHeader(reasonField(cause, reason))
	res.AppendHeader(warning(399, phrase))
	l.ua.respondInvite(l.uas.req, l.uas.tx, res)
	l.uas = nil
	l.over(cause, code, reason)
	l.state = gone
}

// whyCancelled says in words why a caller gave up.
func whyCancelled(cancel *sipmsg.Request) string {
	words := "the caller gave up"
	switch _, why := readReason(cancel); why {
	case "":
		return words
	case bridge.AnsweredElsewhere:
		return why
	default:
		return words + ": " + why
	}
}

// onCancel: sipgo has answered the CANCEL with 200 and the INVITE with 487.
func (l *Line) onCancel(words string) {
	if l.state != inviting {
		if l.uas != nil && !l.uas.initial && l.uas.ok == nil {
			l.uas = nil // a re-INVITE was cancelled; the session stays as it is
		}
		return
	}
	l.uas = nil
	l.over(bridge.CauseCanceled, 487, words)
	l.state = gone
}

// cancelInvite answers the INVITE with 487 where sipgo did not.
func (l *Line) cancelInvite(words string) {
	if l.state == inviting && l.inbound {
		l.uas.tx.Respond(l.respond(l.uas.req, 487, "Request Terminated"))
		l.onCancel(words)
	}
}

// onAck completes the peer's INVITE.
func (l *Line) onAck(ack *sipmsg.Request) {
	in := l.uas
	if in == nil || in.ok == nil || ack.CSeq().SeqNo != in.req.CSeq().SeqNo ||
		ack.From().Params.GetOr("tag", "") != l.dialog.RemoteTag {
		return
	}
	if l.state == leaving {
		l.endServerInvite()
		l.byeNow()
		return
	}
	if in.late {
		if err := l.takeLateAnswer(ack, in); err != nil {
			l.endServerInvite()
			l.hangUp(bridge.CauseIncompatible, "the ACK's SDP: "+err.Error())
			return
		}
	}
	l.acknowledged()
	l.nextInvite()
}

// overtaken takes a request that only comes behind an ACK for it.
func (l *Line) overtaken() {
	if l.state == waiting && l.uas != nil && l.uas.ok != nil && !l.uas.late {
		l.acknowledged()
	}
}

// acknowledged: the peer has our 200. It is told by the ACK, or by a later
// request of the same dialog that overtook it: sipgo keeps no order.
func (l *Line) acknowledged() {
	in := l.uas
	l.endServerInvite()
	if l.state == waiting {
		l.state = talking
		l.emit(bridge.LineEvent{Kind: bridge.LineAnswered, SIPCode: 200})
	}
	l.setHeld(in.agreed.Held)
}

// takeLateAnswer reads the answer to our offer in the 200, section 13.2.1.
func (l *Line) takeLateAnswer(ack *sipmsg.Request, in *serverInvite) error {
	body, f := sdpBody(ack)
	if f != nil {
		return f
	}
	if body == nil {
		return errors.New("there is no answer to the offer in the 200")
	}
	d, err := sdp.Parse(body)
	if err != nil {
		return err
	}
	if in.agreed, err = l.sdp.Accept(d); err != nil {
		return err
	}
	return l.agree(in.agreed)
}

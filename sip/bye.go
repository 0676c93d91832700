package sip

import (
	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
)

// hangUp ends an answered call. For the bridge it is over at once: a session is
// terminated when BYE has been handed to its transaction, section 15.1.1.
func (l *Line) hangUp(cause bridge.Cause, reason string) {
	if l.uas != nil {
		l.endServerInvite()
	}
	l.over(cause, 0, reason)
	l.sendBye(cause, reason)
}

// byeAfterAck ends a call whose 200 waits for its ACK: the called side may not
// send BYE before, section 15.
func (l *Line) byeAfterAck(cause bridge.Cause, reason string) {
	l.over(cause, 0, reason)
	l.byeCause, l.byeReason = cause, reason
	l.state = leaving
}

// byeNow sends the BYE that waited for an ACK.
func (l *Line) byeNow() {
	if !l.bye {
		l.sendBye(l.byeCause, l.byeReason)
	}
}

// sendBye ends the dialog: whatever the answer to BYE is, it is over then.
func (l *Line) sendBye(cause bridge.Cause, reason string) {
	l.state, l.bye = leaving, true
	req, err := l.request(&l.dialog, sipmsg.BYE)
	if err != nil {
		l.log.Warn("BYE", "error", err)
		l.state = gone
		return
	}
	req.AppendHeader(reasonField(cause, reason))
	req.SetBody(nil)
	l.exchange(&l.dialog, req, func(*sipmsg.Response) { l.state = gone })
}

// byeAlone sends a BYE whose answer nobody waits for.
func (l *Line) byeAlone(cause bridge.Cause, reason string) {
	req, err := l.request(&l.dialog, sipmsg.BYE)
	if err != nil {
		return
	}
	req.AppendHeader(reasonField(cause, reason))
	req.SetBody(nil)
	d := l.dialog
	l.ua.besides(d, func(to target) { l.ua.sendAlone(req, to, &d) })
}

// onBye ends the call from the peer's side.
func (l *Line) onBye(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if !l.fromPeer(req) {
		l.onEarlyBye(req, tx)
		return
	}
	if req.CSeq().SeqNo <= l.dialog.RemoteSeq {
		l.ua.reply(req, tx, 500, "the CSeq number is older than the last one")
		return
	}
	l.dialog.RemoteSeq = req.CSeq().SeqNo
	tx.Respond(l.respond(req, 200, "OK"))
	cause, words := bridge.CauseNormal, "the other side hung up"
	if _, text := readReason(req); text != "" {
		words += ": " + text
	}
	if l.uas != nil && l.uas.ok == nil {
		l.uas.tx.Respond(l.respond(l.uas.req, 487, "Request Terminated"))
		if l.uas.initial {
			cause, words = bridge.CauseCanceled, "the caller hung up before the answer"
		}
	}
	switch {
	case l.uas == nil:
	case l.uas.ok != nil && !l.uas.late:
		l.acknowledged()
	default:
		l.endServerInvite()
	}
	l.over(cause, 0, words)
	if !l.bye {
		l.state = gone
	}
}

// onEarlyBye is the BYE of a called phone that has not answered. Section 15
// forbids it; whoever sends it means it. The call ends with the last phone.
func (l *Line) onEarlyBye(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if l.dialogOf(req) == nil {
		l.ua.reply(req, tx, 481, "there is no such dialog here")
		return
	}
	delete(l.dial.forks, req.From().Params.GetOr("tag", ""))
	l.ua.reply(req, tx, 200, "OK")
	if len(l.dial.forks) == 0 {
		l.giveUp(bridge.CauseRejected, "the called side hung up before it answered")
	}
}

// fromPeer says whether an in-dialog request carries the peer's tag.
func (l *Line) fromPeer(req *sipmsg.Request) bool {
	return l.dialog.RemoteTag != "" && req.From().Params.GetOr("tag", "") == l.dialog.RemoteTag
}

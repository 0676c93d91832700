package sip

import (
	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
)

// clientBye is our BYE until its final response.
type clientBye struct {
	tx  *sipmsg.ClientTx
	req *sipmsg.Request
	to  target
}

func (c *clientBye) responses() <-chan *sipmsg.Response {
	if c == nil {
		return nil
	}
	return responsesOf(c.tx)
}

func (c *clientBye) finished() <-chan struct{} {
	if c == nil || c.tx == nil {
		return nil
	}
	return c.tx.Done()
}

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
	if l.bye == nil {
		l.sendBye(l.byeCause, l.byeReason)
	}
}

func (l *Line) sendBye(cause bridge.Cause, reason string) {
	l.state = leaving
	req, err := l.dialog.request(sipmsg.BYE, l.dialog.LocalSeq+1)
	if err == nil {
		req.AppendHeader(reasonField(cause, reason))
		req.AppendHeader(sipmsg.NewHeader("User-Agent", l.ua.config.UserAgent))
		req.SetBody(nil)
		bye := &clientBye{req: req}
		if bye.to, err = l.ua.where(&l.dialog); err == nil {
			err = l.transmitBye(bye, req)
		}
	}
	if err != nil {
		l.log.Warn("BYE", "error", err)
		l.state = gone
	}
}

// byeAlone sends a BYE whose answer nobody waits for.
func (l *Line) byeAlone(cause bridge.Cause, reason string) {
	req, err := l.dialog.request(sipmsg.BYE, l.dialog.LocalSeq+1)
	if err != nil {
		return
	}
	req.AppendHeader(reasonField(cause, reason))
	req.SetBody(nil)
	if to, err := l.ua.where(&l.dialog); err == nil {
		l.ua.sendAlone(req, to, &l.dialog)
	}
}

func (l *Line) transmitBye(bye *clientBye, req *sipmsg.Request) error {
	tx, err := l.ua.transact(req, bye.to, &l.dialog)
	if err != nil {
		return err
	}
	l.dialog.LocalSeq = req.CSeq().SeqNo
	l.bye = &clientBye{tx, req, bye.to}
	return nil
}

// onByeResponse: any final response ends the dialog; a challenge is answered first.
func (l *Line) onByeResponse(res *sipmsg.Response) {
	switch {
	case res.IsProvisional():
		return
	case res.StatusCode == 401 || res.StatusCode == 407:
		req := again(l.bye.req, &l.dialog)
		if l.auth.answer(req, res) == nil && l.transmitBye(l.bye, req) == nil {
			return
		}
	}
	l.state = gone
}

// onBye ends the call from the peer's side.
func (l *Line) onBye(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if !l.fromPeer(req) {
		l.ua.reply(req, tx, 481, "there is no such dialog here")
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
	if l.bye == nil {
		l.state = gone
	}
}

// fromPeer says whether an in-dialog request carries the peer's tag.
func (l *Line) fromPeer(req *sipmsg.Request) bool {
	return l.dialog.RemoteTag != "" && req.From().Params.GetOr("tag", "") == l.dialog.RemoteTag
}

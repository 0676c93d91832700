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

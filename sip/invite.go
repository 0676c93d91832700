package sip

import (
	"fmt"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
)

// clientInvite is an INVITE of ours, first or later, until its final response.
type clientInvite struct {
	tx      *sipmsg.ClientTx
	req     *sipmsg.Request
	to      target
	body    []byte
	initial bool
	hold    bool // it changes the hold; undo is what to go back to
	undo    bool

	provisional bool // the other side has it: a CANCEL would find it, section 9.1
	wantCancel  bool
}

func (c *clientInvite) responses() <-chan *sipmsg.Response {
	if c == nil {
		return nil
	}
	return responsesOf(c.tx)
}

func (c *clientInvite) finished() <-chan struct{} {
	if c == nil || c.tx == nil {
		return nil
	}
	return c.tx.Done()
}

// sendInvite builds and sends an INVITE; out becomes the open one.
func (l *Line) sendInvite(out *clientInvite) error {
	req, err := l.dialog.request(sipmsg.INVITE, l.dialog.LocalSeq+1)
	if err != nil {
		return err
	}
	if !out.initial {
		if out.to, err = l.ua.where(&l.dialog); err != nil {
			return err
		}
	} else {
		for name, value := range l.dial.spec.Headers {
			req.AppendHeader(sipmsg.NewHeader(name, value))
		}
	}
	req.AppendHeader(sipmsg.NewHeader("User-Agent", l.ua.config.UserAgent))
	req.AppendHeader(sipmsg.NewHeader("Allow", allowed))
	req.AppendHeader(sipmsg.NewHeader("Supported", ""))
	withBody(req, out.body)
	return l.transmit(out, req)
}

func (l *Line) transmit(out *clientInvite, req *sipmsg.Request) error {
	tx, err := l.ua.transact(req, out.to, &l.dialog)
	if err != nil {
		return fmt.Errorf("send INVITE to %s: %w", out.to, err)
	}
	l.dialog.LocalSeq = req.CSeq().SeqNo
	out.tx, out.req = tx, req
	tx.OnRetransmission(func(res *sipmsg.Response) {
		if !l.post(func() { l.onStray(res) }) {
			l.refuseFork(res) // the Line is gone and its fields are at rest
		}
	})
	l.uac = out
	return nil
}

// onInviteResponse sorts the responses to our open INVITE.
func (l *Line) onInviteResponse(res *sipmsg.Response) {
	out := l.uac
	switch {
	case res.IsProvisional():
		l.onProvisional(out, res)
	case l.state == leaving:
		l.onFinalTooLate(out, res)
	case res.IsSuccess() && out.initial:
		l.onAnswered(out, res)
	case res.IsSuccess():
		l.onReinviteAccepted(out, res)
	case (res.StatusCode == 401 || res.StatusCode == 407) && l.authenticate(out, res):
	case out.initial:
		l.onRefused(out, res)
	default:
		l.onReinviteFailed(out, res.StatusCode, printable(res.Reason, 200))
	}
}

// onProvisional: 180 rings, SDP in a 18x is early media.
func (l *Line) onProvisional(out *clientInvite, res *sipmsg.Response) {
	out.provisional = true
	if out.wantCancel {
		l.sendCancel(out)
		return
	}
	if !out.initial || l.state != inviting || res.StatusCode == 100 {
		return
	}
	if res.StatusCode == 180 && !l.rang {
		l.rang = true
		l.emit(bridge.LineEvent{Kind: bridge.LineRinging, SIPCode: 180})
	}
	tag := res.To().Params.GetOr("tag", "")
	if tag == "" {
		return
	}
	d := l.dialog
	d.learn(res)
	l.dial.forks[tag] = d
	if len(res.Body()) == 0 || len(l.dial.forks) > 16 {
		return
	}
	a, err := l.answerIn(res)
	if err == nil {
		l.dialog.Source = d.Source
		err = l.agree(a) // of several forks, the newest early media is heard
	}
	if err != nil {
		l.log.Warn("early media cannot be used", "error", err)
		return
	}
	if !l.early {
		l.early = true
		l.emit(bridge.LineEvent{Kind: bridge.LineEarly, SIPCode: res.StatusCode})
	}
}

// answerIn reads the SDP answer in a response to our offer.
func (l *Line) answerIn(res *sipmsg.Response) (agreement, error) {
	body, f := sdpBody(res)
	if f != nil {
		return agreement{}, f
	}
	if body == nil {
		return agreement{}, &mediaFault{399, "the answer carries no SDP"}
	}
	d, err := parseSDP(body)
	if err != nil {
		return agreement{}, err
	}
	return l.sdp.accept(d)
}

// onAnswered completes the call.
func (l *Line) onAnswered(out *clientInvite, res *sipmsg.Response) {
	l.uac = nil
	l.dialog.learn(res)
	l.state = talking
	if err := l.sendAck(out, res); err != nil {
		l.log.Warn("ACK", "error", err)
	}
	l.auth.forget()
	var err error
	var a agreement
	if len(res.Body()) > 0 || !l.early {
		if a, err = l.answerIn(res); err == nil {
			err = l.agree(a)
		}
	}
	if err != nil {
		l.hangUp(bridge.CauseIncompatible, "the answer cannot be used: "+err.Error())
		return
	}
	l.emit(bridge.LineEvent{Kind: bridge.LineAnswered, SIPCode: res.StatusCode})
	l.setHeld(a.held)
}

// onRefused ends the call, or tries the next server where this one is out of order.
func (l *Line) onRefused(out *clientInvite, res *sipmsg.Response) {
	l.uac = nil
	if res.StatusCode == 503 && !out.provisional && len(l.dial.targets) > 0 {
		l.dial.last = fmt.Errorf("503 %s", printable(res.Reason, 100))
		l.nextTarget()
		return
	}
	q850, text := readReason(res)
	words := fmt.Sprintf("%d %s", res.StatusCode, printable(res.Reason, 160))
	if text != "" && text != printable(res.Reason, 200) {
		words += ": " + text
	}
	l.over(causeOf(res.StatusCode, q850, l.rang), res.StatusCode, words)
	l.state = gone
}

// onInviteLost: no response came in time, or the transport broke.
func (l *Line) onInviteLost() {
	out := l.uac
	l.uac = nil
	switch {
	case l.state == leaving:
		if l.bye == nil {
			l.state = gone
		}
	case out.initial:
		l.dial.last = fmt.Errorf("there was no response from %s", out.to)
		l.nextTarget()
	default:
		l.onReinviteFailed(out, 408, "no response")
	}
}

// authenticate answers a challenge; false when there is nothing more to try.
func (l *Line) authenticate(out *clientInvite, res *sipmsg.Response) bool {
	req := again(out.req, &l.dialog)
	if err := l.auth.answer(req, res); err != nil {
		l.log.Warn("authentication", "error", err)
		return false
	}
	next := *out
	next.tx, next.provisional = nil, false
	return l.transmit(&next, req) == nil
}

// again is a request to send once more: a new transaction with the next CSeq.
func again(req *sipmsg.Request, d *Dialog) *sipmsg.Request {
	next := req.Clone()
	for next.RemoveHeader("Via") {
	}
	next.PrependHeader(d.via())
	next.CSeq().SeqNo++
	return next
}

// giveUp cancels a call that was not answered.
func (l *Line) giveUp(cause bridge.Cause, reason string) {
	out := l.uac
	l.over(cause, 0, reason)
	if out == nil {
		l.state = gone
		return
	}
	l.state = leaving
	if out.provisional {
		l.sendCancel(out)
		return
	}
	out.wantCancel = true // CANCEL waits for a provisional response, section 9.1
}

// sendCancel cancels an INVITE; its final response is awaited for 64*T1.
func (l *Line) sendCancel(out *clientInvite) {
	out.wantCancel = false
	req := sipmsg.NewRequest(sipmsg.CANCEL, *out.req.Recipient.Clone())
	req.AppendHeader(out.req.Via().Clone())
	sipmsg.CopyHeaders("Route", out.req, req)
	for _, name := range []string{"From", "To", "Call-ID", "Max-Forwards"} {
		sipmsg.CopyHeaders(name, out.req, req)
	}
	req.AppendHeader(&sipmsg.CSeqHeader{SeqNo: out.req.CSeq().SeqNo, MethodName: sipmsg.CANCEL})
	req.AppendHeader(sipmsg.NewHeader("User-Agent", l.ua.config.UserAgent))
	req.SetBody(nil)
	if err := l.ua.sendAlone(req, out.to, &l.dialog); err != nil {
		l.log.Warn("CANCEL", "error", err)
	}
	l.after(64*sipmsg.T1, func() {
		if l.uac == out && l.bye == nil {
			out.tx.Terminate()
			l.state = gone
		}
	})
}

// onFinalTooLate: the call is over for us. A 200 that crossed our CANCEL is
// acknowledged and hung up, section 9.1.
func (l *Line) onFinalTooLate(out *clientInvite, res *sipmsg.Response) {
	l.uac = nil
	if !res.IsSuccess() {
		if l.bye == nil {
			l.state = gone
		}
		return
	}
	if out.initial {
		l.dialog.learn(res)
	}
	if err := l.sendAck(out, res); err != nil {
		l.log.Warn("ACK", "error", err)
	}
	if out.initial {
		l.sendBye(bridge.CauseCanceled, "the call was given up before the answer")
	}
}

// sendAck acknowledges a 2xx, with the INVITE's credentials (section 22.1).
func (l *Line) sendAck(out *clientInvite, res *sipmsg.Response) error {
	ack, err := l.dialog.request(sipmsg.ACK, res.CSeq().SeqNo)
	if err != nil {
		return err
	}
	sipmsg.CopyHeaders("Authorization", out.req, ack)
	sipmsg.CopyHeaders("Proxy-Authorization", out.req, ack)
	ack.AppendHeader(sipmsg.NewHeader("User-Agent", l.ua.config.UserAgent))
	ack.SetBody(nil)
	to, err := l.ua.where(&l.dialog)
	if err != nil {
		return err
	}
	l.ack = &sentAck{ack, to}
	return l.ua.sendAck(ack, to, &l.dialog)
}

// sentAck is the last ACK, for when its 2xx comes again.
type sentAck struct {
	req *sipmsg.Request
	to  target
}

// onStray is a 2xx to an INVITE that is answered already: the same one again,
// or another branch of a fork that answered too.
func (l *Line) onStray(res *sipmsg.Response) {
	if l.ack == nil || res.To().Params.GetOr("tag", "") != l.dialog.RemoteTag {
		l.refuseFork(res)
		return
	}
	if res.CSeq().SeqNo == l.ack.req.CSeq().SeqNo {
		l.ua.sendAck(l.ack.req.Clone(), l.ack.to, &l.dialog)
	}
}

// refuseFork acknowledges and hangs up an answer that came second, section 13.2.2.4.
func (l *Line) refuseFork(res *sipmsg.Response) {
	if l.inbound || !res.To().Params.Has("tag") || res.To().Params.GetOr("tag", "") == l.dialog.RemoteTag {
		return
	}
	d := l.dialog
	d.learn(res)
	to, err := l.ua.where(&d)
	if err != nil {
		return
	}
	ack, err := d.request(sipmsg.ACK, res.CSeq().SeqNo)
	if err != nil {
		return
	}
	ack.SetBody(nil)
	l.ua.sendAck(ack, to, &d)
	if _, seen := l.refused[d.RemoteTag]; seen || len(l.refused) >= 16 {
		return // its BYE is on the way
	}
	if l.refused == nil {
		l.refused = map[string]time.Time{}
	}
	l.refused[d.RemoteTag] = time.Now()
	bye, err := d.request(sipmsg.BYE, res.CSeq().SeqNo+1)
	if err != nil {
		return
	}
	bye.AppendHeader(reasonField(bridge.CauseNormal, "another phone answered first"))
	bye.SetBody(nil)
	l.ua.sendAlone(bye, to, &d)
}

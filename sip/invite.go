package sip

import (
	"fmt"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/sdp"
	"github.com/roomline/roomline/sip/text"
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

// buildInvite makes the request that offers out's body.
func (l *Line) buildInvite(out *clientInvite) (*sipmsg.Request, error) {
	req, err := l.request(&l.dialog, sipmsg.INVITE)
	if err != nil {
		return nil, err
	}
	if out.initial {
		setHops(req, l.dial.spec.Hops)
		for _, h := range l.dial.fields {
			req.AppendHeader(h)
		}
		for name, value := range l.dial.spec.Headers {
			req.AppendHeader(sipmsg.NewHeader(name, value))
		}
		if r := l.dial.spec.Replaces; r != "" {
			req.AppendHeader(sipmsg.NewHeader("Replaces", r))
			req.AppendHeader(sipmsg.NewHeader("Require", "replaces"))
		}
	}
	req.AppendHeader(sipmsg.NewHeader("Allow", allowed))
	req.AppendHeader(sipmsg.NewHeader("Supported", supported))
	l.askTimer(req, out.initial)
	withBody(req, out.body)
	return req, nil
}

func (l *Line) transmit(out *clientInvite, req *sipmsg.Request) error {
	tx, err := l.ua.transact(req, out.to, &l.dialog)
	if err != nil {
		return fmt.Errorf("send INVITE to %s: %w", out.to, err)
	}
	out.tx, out.req = tx, req
	tx.OnRetransmission(func(res *sipmsg.Response) {
		if !l.post(func() { l.onStray(res) }) {
			l.refuseFork(res) // the Line is gone and its fields are at rest
		}
	})
	l.uac = out
	l.watchSilence(out)
	return nil
}

// onInviteResponse sorts the responses to our open INVITE.
func (l *Line) onInviteResponse(res *sipmsg.Response) {
	out := l.uac
	if out.initial && res.StatusCode != 503 {
		l.ua.names.up(out.to)
	}
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
	case res.StatusCode == 422 && l.lengthen(out, res):
	case out.initial:
		l.onRefused(out, res)
	default:
		l.onReinviteFailed(out, res, statusOf(res))
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
	if f := l.forkOf(res); f != nil && l.acknowledge(f, res) {
		l.onEarly(f, res)
	}
}

// answerIn reads the SDP answer in a response to our offer.
func (l *Line) answerIn(res *sipmsg.Response) (sdp.Agreement, error) {
	body, f := sdpBody(res)
	if f != nil {
		return sdp.Agreement{}, f
	}
	if body == nil {
		return sdp.Agreement{}, &sdp.Fault{Warning: 399, Words: "the answer carries no SDP"}
	}
	d, err := sdp.Parse(body)
	if err != nil {
		return sdp.Agreement{}, err
	}
	return l.sdp.Accept(d)
}

// onAnswered completes the call.
func (l *Line) onAnswered(out *clientInvite, res *sipmsg.Response) {
	l.uac = nil
	f := l.confirm(res)
	l.state = talking
	l.sendAck(out, res)
	l.tookTimer(res)
	l.auth.forget()
	a, err := l.finalMedia(f, res)
	if err != nil {
		l.hangUp(bridge.CauseIncompatible, "the answer cannot be used: "+err.Error())
		return
	}
	l.emit(bridge.LineEvent{Kind: bridge.LineAnswered, SIPCode: res.StatusCode})
	l.setHeld(a.Held)
}

// finalMedia puts the answer of the phone that took the call into force: that of
// its 200, unless a reliable response has had it already.
func (l *Line) finalMedia(f *fork, res *sipmsg.Response) (sdp.Agreement, error) {
	if f != nil && f.media != nil && (f.answered || len(res.Body()) == 0) {
		return *f.media, l.agree(*f.media)
	}
	a, err := l.answerIn(res)
	if err == nil {
		err = l.agree(a)
	}
	return a, err
}

// onRefused ends the call, or tries the next server where this one is out of order.
func (l *Line) onRefused(out *clientInvite, res *sipmsg.Response) {
	l.uac = nil
	if res.StatusCode == 503 && l.outOfOrder(out, res) {
		return
	}
	if res.StatusCode < 400 {
		l.contacts = l.contactsOf(res)
	}
	l.hint = hintOfCode(res, "call")
	q850, why := readReason(res)
	words := fmt.Sprintf("%d %s", res.StatusCode, text.Printable(res.Reason, 160))
	if why != "" && why != text.Printable(res.Reason, 200) {
		words += ": " + why
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
		if !l.bye {
			l.state = gone
		}
	case out.initial:
		l.dial.last = fmt.Errorf("there was no response from %s", out.to)
		l.ua.names.down(out.to, "no response to an INVITE", downTime)
		l.nextTarget()
	default:
		l.onReinviteFailed(out, nil, "no response")
	}
}

// authenticate answers a challenge; false when there is nothing more to try.
func (l *Line) authenticate(out *clientInvite, res *sipmsg.Response) bool {
	req := again(out.req, &l.dialog)
	if err := l.auth.answer(req, res); err != nil {
		l.log.Warn("authentication", "error", err)
		return false
	}
	return l.retry(out, req)
}

// lengthen asks for the session interval that a 422 wants.
func (l *Line) lengthen(out *clientInvite, res *sipmsg.Response) bool {
	if !l.askForMore(out.req, res) {
		return false
	}
	req := again(out.req, &l.dialog)
	l.askTimer(req, out.initial)
	return l.retry(out, req)
}

func (l *Line) retry(out *clientInvite, req *sipmsg.Request) bool {
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
	d.LocalSeq++
	next.CSeq().SeqNo = d.LocalSeq
	return next
}

// responsesOf gives no channel, which is never ready, for no transaction.
func responsesOf(tx *sipmsg.ClientTx) <-chan *sipmsg.Response {
	if tx == nil {
		return nil
	}
	return tx.Responses()
}

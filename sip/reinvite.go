package sip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/sdp"
	"github.com/roomline/roomline/sip/text"
)

// onReinvite is an INVITE within the dialog, section 14.2.
func (l *Line) onReinvite(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	refuse := func(code int, words string, more ...sipmsg.Header) {
		res := l.respond(req, code, words)
		for _, h := range more {
			res.AppendHeader(h)
		}
		if len(res.GetHeaders("Warning")) == 0 {
			res.AppendHeader(warning(399, words))
		}
		tx.Respond(res)
	}
	switch {
	case !l.fromPeer(req) || l.state >= leaving:
		refuse(481, "there is no such dialog here")
	case req.CSeq().SeqNo <= l.dialog.RemoteSeq:
		refuse(500, "the CSeq number is older than the last one")
	case l.uac != nil || l.uas != nil && l.uas.late && l.uas.ok != nil:
		// Glare: our own offer is on its way.
		refuse(491, "our own offer is still open")
	case l.uas != nil && l.uas.ok == nil:
		refuse(500, "the INVITE before this one is not over", retryAfter(rand.IntN(11)))
	default:
		if l.uas != nil {
			l.acknowledged() // the new INVITE overtook the ACK of the one before
		}
		l.dialog.RemoteSeq = req.CSeq().SeqNo
		l.takeReinvite(req, tx, refuse)
	}
}

// takeReinvite answers with what the new offer leads to. A refused offer leaves
// the session as it was.
func (l *Line) takeReinvite(req *sipmsg.Request, tx *sipmsg.ServerTx, refuse func(int, string, ...sipmsg.Header)) {
	body, f := sdpBody(req)
	if f != nil {
		refuse(f.code, f.words, sipmsg.NewHeader("Accept", "application/sdp"))
		return
	}
	in := &serverInvite{tx: tx, req: req, late: body == nil}
	if in.late {
		in.body, in.agreed.Held = l.sdp.Offer(), l.held
	} else {
		d, err := sdp.Parse(body)
		if err != nil {
			refuse(400, err.Error())
			return
		}
		if in.body, in.agreed, err = l.sdp.Answer(d); err != nil {
			r, warn := mediaRefusal(err)
			refuse(r.SIPCode, r.Reason, warn)
			return
		}
	}
	l.dialog.followRequest(req) // section 12.2.2: a target refresh
	if !in.late {
		if err := l.agree(in.agreed); err != nil {
			refuse(500, "the new media cannot be used")
			l.log.Error("re-INVITE", "error", err)
			return
		}
	}
	tx.OnCancel(l.cancelled)
	l.uas = in
	if err := l.sendOK(); err != nil {
		l.uas = nil
		return
	}
	if !in.late {
		l.setHeld(in.agreed.Held)
	}
}

// holdWish is a call of Line.Hold that waits for its turn or its answer.
type holdWish struct {
	ctx   context.Context
	on    bool
	reply chan error // buffered
}

func (l *Line) hold(w holdWish) {
	if l.state != talking {
		w.reply <- errors.New("only an answered call can be held")
		return
	}
	l.holds = append(l.holds, w)
	l.nextHold()
}

// nextHold begins the oldest wish when no INVITE is open in either direction.
func (l *Line) nextHold() {
	for len(l.holds) > 0 && l.state == talking && l.uac == nil && l.uas == nil {
		w := l.holds[0]
		switch {
		case w.ctx.Err() != nil:
			l.dropHold(w.ctx.Err())
		case w.on == l.sdp.Hold:
			l.dropHold(nil)
		default:
			if err := l.reinvite(w.on); err != nil {
				l.dropHold(err)
			}
		}
	}
}

// dropHold answers the oldest wish.
func (l *Line) dropHold(err error) {
	if len(l.holds) == 0 {
		return
	}
	l.holds[0].reply <- err
	l.holds = l.holds[1:]
}

// reinvite offers the session anew with the hold on or off.
func (l *Line) reinvite(hold bool) error {
	before := l.sdp.Hold
	l.sdp.Hold = hold
	out := &clientInvite{hold: true, undo: before, body: l.sdp.Offer()}
	req, err := l.buildInvite(out)
	if err != nil {
		l.sdp.Hold = before
		return err
	}
	l.uac = out // open from now on, even while a connection is made
	l.reach(&l.dialog, func(to target, err error) {
		if l.uac != out || l.state != talking {
			return
		}
		if out.to = to; err == nil {
			err = l.transmit(out, req)
		}
		if err != nil {
			l.onReinviteFailed(out, 503, text.Printable(err.Error(), 200))
		}
	})
	return nil
}

// onReinviteFailed handles a final answer other than 2xx to our re-INVITE, section 14.1.
func (l *Line) onReinviteFailed(out *clientInvite, code int, words string) {
	l.uac = nil
	l.sdp.Hold = out.undo
	switch {
	case code == 491:
		// Both sides offered at once; whoever owns the Call-ID waits longer.
		wait := time.Duration(rand.IntN(200)) * 10 * time.Millisecond
		if !l.inbound {
			wait = 2100*time.Millisecond + time.Duration(rand.IntN(190))*10*time.Millisecond
		}
		l.after(wait, l.nextHold)
	case code == 481 || code == 408:
		l.dropHold(fmt.Errorf("the other side has lost the call: %d %s", code, words))
		l.hangUp(bridge.CauseSignalling, "the other side does not know the call any more")
	default:
		l.dropHold(fmt.Errorf("the other side refused: %d %s", code, words))
		l.nextHold()
	}
}

// onReinviteAccepted takes the answer to our re-INVITE.
func (l *Line) onReinviteAccepted(out *clientInvite, res *sipmsg.Response) {
	l.uac = nil
	l.dialog.follow(res)
	l.sendAck(out, res)
	a, err := l.answerIn(res)
	if err == nil {
		err = l.agree(a)
	}
	if err != nil {
		l.dropHold(err)
		l.hangUp(bridge.CauseIncompatible, "the answer to our offer: "+err.Error())
		return
	}
	l.dropHold(nil)
	l.setHeld(a.Held)
	l.nextHold()
}

package sip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
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
		l.ua.respondInvite(req, tx, res)
	}
	ours, theirs := l.openOffers(req)
	switch {
	case !l.fromPeer(req) || l.state >= leaving:
		refuse(481, "there is no such dialog here")
	case req.CSeq().SeqNo <= l.dialog.RemoteSeq:
		refuse(500, "the CSeq number is older than the last one")
	case ours:
		refuse(491, "our own offer is still open")
	case theirs || l.uas != nil && l.uas.ok == nil:
		refuse(500, "the INVITE before this one is not over", retryAfter(rand.IntN(11)))
	default:
		if l.uas != nil {
			l.acknowledged() // the new INVITE overtook the ACK of the one before
		}
		l.dialog.RemoteSeq = req.CSeq().SeqNo
		if l.ua.tooShort(req) {
			refuse(422, "the session interval is too small", l.ua.minSE())
			return
		}
		l.takeReinvite(req, tx, refuse)
	}
}

// takeReinvite answers with what the new offer leads to. A refused offer leaves
// the session as it was.
func (l *Line) takeReinvite(req *sipmsg.Request, tx *sipmsg.ServerTx, refuse func(int, string, ...sipmsg.Header)) {
	body, f := sdpBody(req)
	if f != nil {
		refuse(f.Code, f.Words, sipmsg.NewHeader("Accept", "application/sdp"))
		return
	}
	in := &serverInvite{tx: tx, req: req, late: body == nil}
	if in.late {
		in.body, in.agreed.Held = l.sdp.Offer(), l.held
	} else {
		var warn sipmsg.Header
		if in.body, in.agreed, f, warn = l.takeOffer(req, body); f != nil {
			refuse(f.Code, f.Words, fields(warn)...)
			return
		}
	}
	l.dialog.followRequest(req)
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
	l.nextInvite()
}

// nextInvite begins what waits for an INVITE, the session refresh first, when
// none is open in either direction.
func (l *Line) nextInvite() {
	if l.refreshDue && !l.updating && l.state == talking && l.uac == nil && l.uas == nil {
		l.reinvite(&clientInvite{body: l.sdp.Repeat()})
	}
	for len(l.holds) > 0 && l.state == talking && l.uac == nil && l.uas == nil {
		w := l.holds[0]
		switch {
		case w.ctx.Err() != nil:
			l.dropHold(w.ctx.Err())
		case w.on == l.sdp.Hold:
			l.dropHold(nil)
		default:
			out := &clientInvite{hold: true, undo: l.sdp.Hold}
			l.sdp.Hold = w.on
			out.body = l.sdp.Offer()
			l.reinvite(out)
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

// reinvite offers the session anew.
func (l *Line) reinvite(out *clientInvite) {
	l.uac = out // open from now on, even while a connection is made
	req, err := l.buildInvite(out)
	if err != nil {
		l.onReinviteFailed(out, nil, err.Error())
		return
	}
	l.reach(&l.dialog, req, func(to target, err error) {
		if l.uac != out || l.state != talking {
			return
		}
		if out.to = to; err == nil {
			err = l.transmit(out, req)
		}
		if err != nil {
			l.onReinviteFailed(out, nil, err.Error())
		}
	})
}

// onReinviteFailed handles a final answer other than 2xx to our re-INVITE,
// section 14.1. res is nil when none came; words say why.
func (l *Line) onReinviteFailed(out *clientInvite, res *sipmsg.Response, words string) {
	l.uac = nil
	if out.hold {
		l.sdp.Hold = out.undo
	}
	switch code := codeOf(res); {
	case code == 491:
		l.after(l.glareWait(), l.nextInvite) // both sides offered at once
	case code == 481 || code == 408 && out.tx != nil:
		l.dropHold(fmt.Errorf("the other side has lost the call: %d %s", code, words))
		l.hangUp(bridge.CauseSignalling, "the other side does not know the call any more")
	case out.hold:
		l.dropHold(errors.New("the other side refused: " + words))
		l.nextInvite()
	default:
		l.log.Warn("the session refresh was refused", "answer", words)
		l.refreshAgain(waitOf(res))
		l.nextInvite()
	}
}

// onReinviteAccepted takes the answer to our re-INVITE.
func (l *Line) onReinviteAccepted(out *clientInvite, res *sipmsg.Response) {
	l.uac = nil
	l.dialog.follow(res)
	l.sendAck(out, res)
	l.tookTimer(res)
	a, err := l.answerIn(res)
	if err == nil {
		err = l.agree(a)
	}
	if err != nil {
		if out.hold {
			l.dropHold(err)
		}
		l.hangUp(bridge.CauseIncompatible, "the answer to our offer: "+err.Error())
		return
	}
	if out.hold {
		l.dropHold(nil)
	}
	l.setHeld(a.Held)
	l.nextInvite()
}

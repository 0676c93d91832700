package sip

import (
	"errors"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/sdp"
)

// Early implements bridge.Line.
func (l *Line) Early() error { return l.ask(l.sendEarly) }

// ring sends a 180.
func (l *Line) ring() error {
	if l.state != inviting || !l.inbound || l.ended {
		return errors.New("only an unanswered inbound call can ring")
	}
	if l.rang {
		return nil
	}
	l.rang = true
	return l.provisional(180, "Ringing", nil)
}

// sendEarly sends our session description in a 183. The caller hears us from
// then on; the call is answered, and paid for, later.
func (l *Line) sendEarly() error {
	if l.state != inviting || !l.inbound || l.ended {
		return errors.New("only an unanswered inbound call can have early media")
	}
	in := l.uas
	switch {
	case in.early:
		return nil
	case in.late && !in.reliable:
		return errors.New("the caller describes no media of its own before the call is answered (no SDP, no 100rel)")
	case in.late:
		in.body = l.sdp.Offer()
	default:
		if err := l.agree(in.agreed); err != nil {
			return err
		}
	}
	in.early = true
	return l.provisional(183, "Session Progress", in.body)
}

// provisional sends a provisional response, with SDP if there is a body:
// reliably if that is what the caller asks for, or can do and it matters.
func (l *Line) provisional(code int, phrase string, body []byte) error {
	in := l.uas
	if in.unacked != nil { // one at a time, RFC 3262 section 3
		in.waiting = append(in.waiting, func() { l.provisional(code, phrase, body) })
		return nil
	}
	res := l.respond(in.req, code, phrase)
	if body != nil {
		withBody(res, body)
	}
	if in.must || in.reliable && body != nil {
		return l.sendReliably(in, res)
	}
	if err := l.ua.respondInvite(in.req, in.tx, res); err != nil {
		return err
	}
	if body != nil {
		l.heardEarly(code)
	}
	return nil
}

// heardEarly reports early media, once.
func (l *Line) heardEarly(code int) {
	if !l.early {
		l.early = true
		l.emit(bridge.LineEvent{Kind: bridge.LineEarly, SIPCode: code})
	}
}

// maxForks bounds the early dialogs of one call.
const maxForks = 16

// fork is an early dialog of our INVITE: one of the phones that may answer.
type fork struct {
	Dialog
	rseq     uint32 // of its last reliable response, 0 before the first
	answered bool   // a reliable response carried its answer; later SDP means nothing
	media    *sdp.Agreement
}

// forkOf finds or opens the early dialog of a response to our first INVITE, nil
// if it belongs to none.
func (l *Line) forkOf(res *sipmsg.Response) *fork {
	tag := res.To().Params.GetOr("tag", "")
	f := l.dial.forks[tag]
	if f == nil {
		if tag == "" || len(l.dial.forks) >= maxForks {
			return nil
		}
		f = &fork{Dialog: l.dialog}
		l.dial.forks[tag] = f
	}
	f.learn(res)
	return f
}

// confirm makes the dialog of a 2xx the Line's own, section 13.2.2.4: the early
// dialog that it was, with the sequence numbers used there. nil: it was none.
func (l *Line) confirm(res *sipmsg.Response) *fork {
	f := l.dial.forks[res.To().Params.GetOr("tag", "")]
	if f != nil {
		l.dialog = f.Dialog
	}
	l.dialog.learn(res)
	return f
}

// onEarly takes a provisional response of one fork. Of several, the newest early
// media is heard.
func (l *Line) onEarly(f *fork, res *sipmsg.Response) {
	if f == nil || len(res.Body()) == 0 || f.answered {
		return
	}
	a, err := l.answerIn(res)
	if err == nil {
		l.dialog.Source = f.Source
		err = l.agree(a)
	}
	if err != nil {
		l.log.Warn("early media cannot be used", "error", err)
		return
	}
	f.media, f.answered = &a, requires(res, "100rel")
	l.dial.heard = f
	l.heardEarly(res.StatusCode)
}

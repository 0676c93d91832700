package sip

import (
	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
)

// giveUp cancels a call that was not answered.
func (l *Line) giveUp(cause bridge.Cause, reason string) {
	out := l.uac
	l.byeCause, l.byeReason = cause, reason
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
	req := l.ua.cancelOf(out)
	req.AppendHeader(reasonField(l.byeCause, l.byeReason))
	if err := l.ua.sendAlone(req, out.to, &l.dialog); err != nil {
		l.log.Warn("CANCEL", "error", err)
	}
	l.after(64*sipmsg.T1, func() {
		if l.uac == out && !l.bye {
			out.tx.Terminate()
			l.state = gone
		}
	})
}

// cancelOf builds the CANCEL of an INVITE, section 9.1.
func (u *UA) cancelOf(out *clientInvite) *sipmsg.Request {
	req := sipmsg.NewRequest(sipmsg.CANCEL, *out.req.Recipient.Clone())
	req.AppendHeader(out.req.Via().Clone())
	sipmsg.CopyHeaders("Route", out.req, req)
	for _, name := range []string{"From", "To", "Call-ID", "Max-Forwards"} {
		sipmsg.CopyHeaders(name, out.req, req)
	}
	req.AppendHeader(&sipmsg.CSeqHeader{SeqNo: out.req.CSeq().SeqNo, MethodName: sipmsg.CANCEL})
	req.AppendHeader(sipmsg.NewHeader("User-Agent", u.config.UserAgent))
	req.SetBody(nil)
	return req
}

// onFinalTooLate: the call is over for us. A 200 that crossed our CANCEL is
// acknowledged and hung up, section 9.1.
func (l *Line) onFinalTooLate(out *clientInvite, res *sipmsg.Response) {
	l.uac = nil
	if !res.IsSuccess() {
		if !l.bye {
			l.state = gone
		}
		return
	}
	if out.initial {
		l.confirm(res)
	}
	l.sendAck(out, res)
	if out.initial {
		l.sendBye(bridge.CauseCanceled, "the call was given up before the answer")
	}
}

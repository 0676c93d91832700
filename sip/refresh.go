package sip

import (
	"math/rand/v2"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
)

// startTimer begins a new session interval: half of it until a refresh of ours,
// and somewhat less than the whole until the call is given up, section 10.
func (l *Line) startTimer() {
	l.cancelTimer(l.refreshing)
	l.cancelTimer(l.expiring)
	l.refreshing, l.expiring, l.refreshDue = nil, nil, false
	whole := l.dialog.Timer.Interval
	if whole <= 0 {
		return
	}
	patience := whole - min(32*time.Second, whole/3)
	if !l.dialog.Timer.Ours {
		l.expiring = l.after(patience, l.expire)
		return
	}
	l.refreshing = l.after(whole/2, func() {
		l.expiring = l.after(patience-whole/2, l.expire)
		l.refresh()
	})
}

// expire ends a call that was not refreshed.
func (l *Line) expire() {
	if l.state == talking {
		l.hangUp(bridge.CauseSignalling, "the session timer ran out")
	}
}

// refresh says that the call lives: by UPDATE where the peer takes it, else by
// an INVITE that changes nothing, as soon as none is open.
func (l *Line) refresh() {
	if l.state != talking || l.updating {
		return
	}
	l.refreshDue = true
	if l.dialog.allows("UPDATE") && !l.noUpdate {
		l.sendUpdate()
		return
	}
	l.nextInvite()
}

// refreshAgain tries once more a little later; the expiry ends it for good.
func (l *Line) refreshAgain(wait time.Duration) {
	l.cancelTimer(l.refreshing)
	l.refreshDue = false
	l.refreshing = l.after(wait, l.refresh)
}

// sendUpdate refreshes without an offer, as section 7.4 recommends.
func (l *Line) sendUpdate() {
	req, err := l.request(&l.dialog, sipmsg.UPDATE)
	if err != nil {
		l.log.Warn("UPDATE", "error", err)
		return
	}
	req.AppendHeader(sipmsg.NewHeader("Allow", allowed))
	req.AppendHeader(sipmsg.NewHeader("Supported", supported))
	l.askTimer(req, false)
	req.SetBody(nil)
	l.updating = true
	l.exchange(&l.dialog, req, func(res *sipmsg.Response) {
		l.updating = false
		if l.state == talking {
			l.onUpdated(req, res)
		}
	})
}

// onUpdated takes the answer to our UPDATE.
func (l *Line) onUpdated(req *sipmsg.Request, res *sipmsg.Response) {
	switch code := codeOf(res); {
	case code == 408 || code == 481:
		l.hangUp(bridge.CauseSignalling, "the other side does not know the call any more ("+statusOf(res)+" to UPDATE)")
	case res.IsSuccess():
		l.dialog.follow(res)
		l.tookTimer(res)
	case code == 422 && l.askForMore(req, res):
		l.refresh()
	case code == 491:
		l.refreshAgain(l.glareWait())
	case code == 405 || code == 501 || code == 420 || code == 488:
		l.noUpdate = true
		l.refresh()
	default:
		l.log.Warn("the session refresh was refused", "answer", statusOf(res))
		l.refreshAgain(waitOf(res))
	}
}

// codeOf is a final response's code; none counts as 408, section 8.1.3.1 of RFC 3261.
func codeOf(res *sipmsg.Response) int {
	if res == nil {
		return 408
	}
	return res.StatusCode
}

// waitOf is when to try again what was refused: Retry-After, else ten seconds.
func waitOf(res *sipmsg.Response) time.Duration {
	const otherwise = 10 * time.Second
	if res == nil {
		return otherwise
	}
	value, _, _ := strings.Cut(only(res, "Retry-After", ""), ";")
	if d := seconds(value); d > 0 && d < time.Minute {
		return d
	}
	return otherwise
}

// glareWait is how long to wait after a 491: whoever owns the Call-ID waits
// longer, section 14.1 of RFC 3261.
func (l *Line) glareWait() time.Duration {
	if l.inbound {
		return time.Duration(rand.IntN(200)) * 10 * time.Millisecond
	}
	return 2100*time.Millisecond + time.Duration(rand.IntN(190))*10*time.Millisecond
}

package sip

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/text"
)

// silenceTime is how long a server may be silent on an INVITE before the next
// one is tried, if there is one.
const silenceTime = 3500 * time.Millisecond

// watchSilence goes on to the next server when this one says nothing at all.
func (l *Line) watchSilence(out *clientInvite) {
	if !out.initial || len(l.dial.targets) == 0 {
		return
	}
	l.after(silenceTime, func() {
		if l.uac != out || out.provisional || l.state != inviting {
			return
		}
		l.log.Warn("a server is silent, the next one is tried", "server", out.to.String())
		l.dial.last = fmt.Errorf("%s said nothing for %v", out.to, silenceTime)
		l.ua.names.down(out.to, "no response to an INVITE", downTime)
		l.uac = nil
		l.abandonInvite(out)
		l.nextTarget()
	})
}

// outOfOrder handles a 503: the next server is tried, unless somebody rings already.
func (l *Line) outOfOrder(out *clientInvite, res *sipmsg.Response) bool {
	l.ua.names.down(out.to, "503 "+text.Printable(res.Reason, 100), retryAfterOf(res, downTime))
	if l.rang || len(l.dial.forks) > 0 || len(l.dial.targets) == 0 {
		return false
	}
	l.dial.last = fmt.Errorf("503 %s", text.Printable(res.Reason, 100))
	l.nextTarget()
	return true
}

// retryAfterOf reads Retry-After, section 20.33, between a second and ten minutes.
func retryAfterOf(res *sipmsg.Response, otherwise time.Duration) time.Duration {
	h := res.GetHeader("Retry-After")
	if h == nil {
		return otherwise
	}
	digits := strings.TrimSpace(h.Value())
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = digits[:i]
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 {
		return otherwise
	}
	return min(max(time.Duration(min(n, 3600))*time.Second, time.Second), 10*time.Minute)
}

// abandonInvite leaves an INVITE that nobody answered behind. Should its server
// wake up, the call there is cancelled, or hung up if it was answered.
func (l *Line) abandonInvite(out *clientInvite) {
	if !l.ua.begin() {
		return
	}
	d := l.dialog // as it was for this server
	go func() {
		defer l.ua.work.Done()
		defer l.ua.catch("an abandoned INVITE")
		l.watchAbandoned(out, &d)
	}()
}

func (l *Line) watchAbandoned(out *clientInvite, d *Dialog) {
	patience := time.NewTimer(64 * sipmsg.T1)
	defer patience.Stop()
	defer out.tx.Terminate()
	cancelled := false
	for {
		select {
		case res := <-out.tx.Responses():
			switch {
			case res.IsSuccess():
				if !l.post(func() { l.refuseFork(res) }) {
					l.refuseFork(res) // the Line is gone and its fields are at rest
				}
				return
			case !res.IsProvisional():
				return
			case !cancelled:
				cancelled = true
				l.ua.sendAlone(l.ua.cancelOf(out), out.to, d)
				patience.Reset(64 * sipmsg.T1)
			}
		case <-out.tx.Done():
			return
		case <-patience.C:
			return
		case <-l.ua.dead:
			return
		}
	}
}

package sip

import (
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/grammar"
)

// What RFC 4028 recommends: half an hour, and no less than a minute and a half.
const (
	defaultSession = 30 * time.Minute
	defaultMinSE   = 90 * time.Second
	maxSession     = 24 * time.Hour
)

// SessionTimer is what RFC 4028 settled for a dialog, as plain data.
type SessionTimer struct {
	Interval time.Duration // without a refresh for so long, the call is dead; 0: no timer runs
	Ours     bool          // we refresh; else the peer does
	MinSE    time.Duration // the least that the way to the peer accepts, 0: never said
}

// expires is a Session-Expires header field.
type expires struct {
	interval  time.Duration
	refresher string // uac, uas or empty
}

func (e expires) field() sipmsg.Header {
	value := strconv.Itoa(int(e.interval / time.Second))
	if e.refresher != "" {
		value += ";refresher=" + e.refresher
	}
	return sipmsg.NewHeader("Session-Expires", value)
}

// readExpires reads Session-Expires, zero if it is missing or makes no sense.
func readExpires(m fieldList) expires {
	value, params, _ := strings.Cut(only(m, "Session-Expires", "x"), ";")
	e := expires{interval: seconds(value)}
	if who, ok := grammar.Param(";"+params, "refresher"); ok {
		e.refresher = strings.ToLower(strings.TrimSpace(who))
	}
	return e
}

// readMinSE reads Min-SE, 0 if it is missing.
func readMinSE(m fieldList) time.Duration {
	value, _, _ := strings.Cut(only(m, "Min-SE", ""), ";")
	return seconds(value)
}

func seconds(s string) time.Duration {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxSession)
}

// minSE is the Min-SE header field of a 422.
func (u *UA) minSE() sipmsg.Header {
	return sipmsg.NewHeader("Min-SE", strconv.Itoa(int(u.config.MinSE/time.Second)))
}

// tooShort says that a request asks for an interval that we refuse, section 9.
// Whoever does not know the extension cannot be asked for more.
func (u *UA) tooShort(req *sipmsg.Request) bool {
	asked := readExpires(req).interval
	return asked > 0 && asked < u.config.MinSE && supports(req, "timer")
}

// grant chooses the timer of a request of the peer's, section 9: the interval
// that it asks for unless ours is shorter, and the refresher that it names.
func (u *UA) grant(req *sipmsg.Request) (e expires, ok bool) {
	asked, knows := readExpires(req), supports(req, "timer")
	wanted := u.config.SessionExpires
	switch {
	case asked.interval == 0 && (!knows || wanted <= 0):
		return e, false
	case asked.interval == 0:
		e.interval = max(wanted, readMinSE(req))
	case asked.interval < u.config.MinSE:
		return e, false // only from somebody who does not know of timers
	default:
		e.interval = asked.interval
		if wanted > 0 && wanted < asked.interval {
			e.interval = min(asked.interval, max(wanted, readMinSE(req), u.config.MinSE))
		}
	}
	e.refresher = "uas"
	if knows && asked.refresher == "uac" {
		e.refresher = "uac"
	}
	return e, true
}

// grantTimer puts the timer of a peer's request into our 2xx and starts it.
func (l *Line) grantTimer(req *sipmsg.Request, res *sipmsg.Response) {
	e, ok := l.ua.grant(req)
	if ok {
		res.AppendHeader(e.field())
		if e.refresher == "uac" {
			res.AppendHeader(sipmsg.NewHeader("Require", "timer"))
		}
	}
	l.dialog.Timer.Interval, l.dialog.Timer.Ours = e.interval, e.refresher == "uas"
	l.startTimer()
}

// askTimer puts the timer that we want into a request of ours, section 7.1: in
// the first INVITE what is configured, later what is in force.
func (l *Line) askTimer(req *sipmsg.Request, initial bool) {
	t := &l.dialog.Timer
	e := expires{interval: t.Interval}
	switch {
	case initial:
		e.interval = max(l.ua.config.SessionExpires, t.MinSE)
	case t.Ours:
		e.refresher = "uac"
	default:
		e.refresher = "uas"
	}
	if e.interval <= 0 {
		return
	}
	e.interval = max(e.interval, t.MinSE)
	for _, name := range []string{"Session-Expires", "Min-SE"} {
		for req.RemoveHeader(name) {
		}
	}
	req.AppendHeader(e.field())
	if t.MinSE > 0 {
		req.AppendHeader(sipmsg.NewHeader("Min-SE", strconv.Itoa(int(t.MinSE/time.Second))))
	}
}

// tookTimer starts the timer that a 2xx to a request of ours grants, section 7.2.
func (l *Line) tookTimer(res *sipmsg.Response) {
	e := readExpires(res)
	if e.interval > 0 {
		e.interval = max(e.interval, l.ua.config.MinSE)
	}
	l.dialog.Timer.Interval, l.dialog.Timer.Ours = e.interval, e.refresher != "uas"
	l.startTimer()
}

// askForMore remembers what a 422 wants; false when it wants nothing that we
// have not offered already.
func (l *Line) askForMore(req *sipmsg.Request, res *sipmsg.Response) bool {
	least := readMinSE(res)
	if least <= readExpires(req).interval || least <= l.dialog.Timer.MinSE {
		return false
	}
	l.dialog.Timer.MinSE = least
	return true
}

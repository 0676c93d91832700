package sip

import (
	"context"
	"log/slog"
	"net/netip"
	"runtime/debug"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/socket"
)

// errand is a message that waits for its dialog's address.
type errand struct {
	dialog Dialog
	req    *sipmsg.Request // what is to be sent, nil if that is small for sure
	send   func(to target, err error)
}

// reach runs send with the address that requests of d go to: at once where that
// is known, else when names have been looked up and a connection is open, which
// happens beside the Line's goroutine. Errands keep their order.
func (l *Line) reach(d *Dialog, req *sipmsg.Request, send func(to target, err error)) {
	if len(l.errands) == 0 {
		if to, ok := l.ua.near(d); ok && !l.ua.isTooLarge(req, to) {
			send(to, nil)
			return
		}
	}
	l.errands = append(l.errands, errand{*d, req, send})
	if len(l.errands) == 1 {
		l.nextErrand()
	}
}

func (l *Line) nextErrand() {
	d, req := l.errands[0].dialog, l.errands[0].req
	l.aside(func() func() {
		to, err := l.ua.where(l.ctx, &d)
		if err == nil && l.ua.isTooLarge(req, to) {
			to = l.ua.widen(l.ctx, to, d.Socket)
		}
		return func() {
			l.errands[0].send(to, err)
			if l.errands = l.errands[1:]; len(l.errands) > 0 {
				l.nextErrand()
			}
		}
	})
}

// aside runs slow work in a goroutine and its result on the Line's.
func (l *Line) aside(work func() func()) {
	l.ua.work.Add(1) // the Line itself is counted, so the count is not zero
	go func() {
		defer l.ua.work.Done()
		defer l.ua.catch("a look-up")
		l.post(work())
	}()
}

// catch stops a panic at the root of a goroutine.
func (u *UA) catch(where string) {
	if p := recover(); p != nil {
		u.log.Error("panic", slog.String("in", where), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	}
}

// near is where for what needs neither a look-up nor a connection.
func (u *UA) near(d *Dialog) (target, bool) {
	if t, ok := u.alive(d); ok {
		return t, true
	}
	h := d.nextHop()
	addr, err := netip.ParseAddr(h.host)
	if err != nil || addr.Is4() != d.Socket.Addr().Is4() {
		return target{}, false
	}
	t := d.known(target{netip.AddrPortFrom(addr, portFor(h.port, h.transport)), h.transport, h})
	return t, !socket.IsStream(t.transport) || u.connected(t, d.Socket)
}

// besides runs send with the address of d for a Line that is ending or has ended.
func (u *UA) besides(d Dialog, send func(to target)) {
	if to, ok := u.near(&d); ok {
		send(to)
		return
	}
	if !u.begin() {
		return
	}
	go func() {
		defer u.work.Done()
		defer u.catch("a look-up")
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if to, err := u.where(ctx, &d); err == nil {
			send(to)
		}
	}()
}

// request builds a request of ours within d and takes its sequence number.
func (l *Line) request(d *Dialog, method sipmsg.RequestMethod) (*sipmsg.Request, error) {
	req, err := d.request(method, d.LocalSeq+1)
	if err != nil {
		return nil, err
	}
	d.LocalSeq++
	req.AppendHeader(sipmsg.NewHeader("User-Agent", l.ua.config.UserAgent))
	return req, nil
}

// exchange sends a request of ours within d, and runs done on the Line's
// goroutine with the final response: nil when none came. A challenge is answered
// first. The body must be set, if only to nil.
func (l *Line) exchange(d *Dialog, req *sipmsg.Request, done func(*sipmsg.Response)) {
	l.reach(d, req, func(to target, err error) {
		var tx *sipmsg.ClientTx
		if err == nil {
			tx, err = l.ua.transact(req, to, d)
		}
		if err != nil {
			l.log.Warn("a request cannot be sent", "method", string(req.Method), "error", err)
			done(nil)
			return
		}
		l.aside(func() func() {
			res := l.ua.final(tx)
			return func() { l.onFinal(d, req, res, done) }
		})
	})
}

// onFinal answers a challenge, or hands the response over.
func (l *Line) onFinal(d *Dialog, req *sipmsg.Request, res *sipmsg.Response, done func(*sipmsg.Response)) {
	if res == nil || res.StatusCode != 401 && res.StatusCode != 407 {
		done(res)
		return
	}
	next := again(req, d)
	if err := l.auth.answer(next, res); err != nil {
		l.log.Warn("authentication", "error", err)
		done(res)
		return
	}
	l.exchange(d, next, func(res *sipmsg.Response) {
		l.auth.forget()
		done(res)
	})
}

// final waits for a transaction's final response, nil when there is none.
func (u *UA) final(tx *sipmsg.ClientTx) *sipmsg.Response {
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res
			}
		case <-tx.Done():
			return nil
		case <-u.dead:
			return nil
		}
	}
}

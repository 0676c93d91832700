package sip

import (
	"context"
	"net/netip"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/socket"
)

// Large requests, section 18.1.1: what does not fit a packet for sure goes over
// TCP, unless the peer has none; then IP has to cut it up.
const (
	largeRequest = 1300 // bytes
	wideTime     = 1500 * time.Millisecond
	narrowTime   = 10 * time.Minute // how long a peer without TCP is remembered
	maxNarrow    = 4096
)

// narrow remembers peers that do not take TCP.
type narrow struct {
	mu    sync.Mutex
	until map[netip.AddrPort]time.Time
}

func (n *narrow) add(a netip.AddrPort, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.until) >= maxNarrow {
		clear(n.until)
	}
	n.until[a] = now.Add(narrowTime)
}

func (n *narrow) has(a netip.AddrPort, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return now.Before(n.until[a])
}

// wide is a UDP target's TCP side.
func (t target) wide() target {
	t.transport = "tcp"
	return t
}

// isTooLarge says whether a request should not go to a target over UDP. No
// request is never too large.
func (u *UA) isTooLarge(req *sipmsg.Request, t target) bool {
	return req != nil && !socket.IsStream(t.transport) && len(req.String()) > largeRequest && !u.narrow.has(t.addr, time.Now())
}

// widen gives the target's TCP side if it takes a connection, else the target
// as it is.
func (u *UA) widen(ctx context.Context, t target, from netip.AddrPort) target {
	short, cancel := context.WithTimeout(ctx, wideTime)
	defer cancel()
	err := u.connect(short, t.wide(), from)
	if err == nil {
		return t.wide()
	}
	if ctx.Err() == nil {
		u.narrow.add(t.addr, time.Now())
		u.log.Info("a request too large for one packet goes over UDP", "to", t.addr.String(), "error", err)
	}
	return t
}

// fit runs send with the target that a request of ours should go to.
func (l *Line) fit(req *sipmsg.Request, t target, send func(target)) {
	switch {
	case !l.ua.isTooLarge(req, t):
		send(t)
	case l.ua.connected(t.wide(), l.dialog.Socket):
		send(t.wide())
	default:
		from := l.dialog.Socket
		l.aside(func() func() {
			t := l.ua.widen(l.ctx, t, from)
			return func() { send(t) }
		})
	}
}

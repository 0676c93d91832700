package rtp

import (
	"context"
	"errors"
	"net/netip"
	"runtime/debug"
	"time"
)

const (
	// handshakeTimeout bounds a handshake; its messages are repeated after 1, 2 and 4 s.
	handshakeTimeout = 12 * time.Second
	// mostDTLS is how many DTLS datagrams of the peer are looked at in a second.
	mostDTLS = 100
)

// The ports that a handshake is held on: both, unless RTCP is on the RTP port.
const (
	onRTP = iota
	onRTCP
)

// shake is a handshake of a session, under way or done.
type shake struct {
	tunnel *tunnel // nil: there is none
	want   *DTLS
	cancel context.CancelFunc

	since time.Time // the second that count counts in
	count int
}

// isDTLS tells DTLS from RTP and STUN by the first byte, RFC 7983.
func isDTLS(b []byte) bool { return len(b) > 0 && b[0] >= 20 && b[0] <= 63 }

// takeDTLS hands a datagram to the handshake on its port: from where RTP or RTCP
// would be taken, and, while the peer's ports are not sure, from its host.
func (s *Session) takeDTLS(port int, b []byte, from netip.AddrPort, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, peer := &s.in.shakes[port], s.in.latch.source
	near := s.in.latch.open && from.Addr() == peer.Addr()
	if port == onRTCP {
		near = (s.in.latch.open || s.in.latch.learnt) && from.Addr() == peer.Addr()
		peer = s.in.rtcp
	}
	if now.Sub(h.since) >= time.Second {
		h.since, h.count = now, 0
	}
	h.count++
	if h.tunnel == nil || from != peer && !near || h.count > mostDTLS || len(b) > maxPacket {
		s.in.discarded++
		return
	}
	h.tunnel.push(b, from)
}

// shakeLocked begins the handshakes for new parameters, unless those before serve
// them. Keys in force stay until they are done.
func (s *Session) shakeLocked(a, before *agreed) error {
	if s.identity == nil {
		return errors.New("DTLS needs a certificate")
	}
	if !usable(a.Remote) {
		return nil // it begins when the peer says where it is
	}
	moved := before == nil || before.Remote != a.Remote || before.RemoteRTCP != a.RemoteRTCP
	s.beginLocked(onRTP, a.Remote, a.Security.DTLS, moved)
	if !a.Mux {
		s.beginLocked(onRTCP, a.RemoteRTCP, a.Security.DTLS, moved)
	}
	return nil
}

// beginLocked begins a handshake with a peer, or lets the one go on that is
// there; moved: the peer's address is another one.
func (s *Session) beginLocked(port int, peer netip.AddrPort, d *DTLS, moved bool) {
	h := &s.in.shakes[port]
	if h.tunnel != nil && d.sameHandshake(h.want) {
		if moved {
			h.tunnel.aim(peer)
		}
		return
	}
	s.stopShakeLocked(port)
	select {
	case <-s.stop:
		return
	default:
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := newTunnel([]socket{s.rtp, s.rtcp}[port], s.local, peer)
	*h = shake{tunnel: t, want: d, cancel: cancel}
	s.handshakes.Go(func() { s.shake(ctx, port, t, d) })
}

// stopShakeLocked ends a handshake and what is left of it, without waiting.
func (s *Session) stopShakeLocked(port int) {
	if h := &s.in.shakes[port]; h.tunnel != nil {
		h.cancel()
		*h = shake{}
	}
}

func (s *Session) stopShakesLocked() {
	s.stopShakeLocked(onRTP)
	s.stopShakeLocked(onRTCP)
}

// endHandshakes ends the handshakes and waits for their goroutines.
func (s *Session) endHandshakes() {
	s.mu.Lock()
	s.stopShakesLocked()
	s.mu.Unlock()
	s.handshakes.Wait()
}

// shake does one handshake, puts its keys into force, and then keeps the
// connection: the peer may ask for the last flight again.
func (s *Session) shake(ctx context.Context, port int, t *tunnel, d *DTLS) {
	defer t.Close()
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("DTLS panicked", "panic", p, "stack", string(debug.Stack()))
			s.tell(errors.New("an internal error"))
		}
	}()
	conn, err := s.handshake(ctx, t, d)
	if err == nil {
		defer conn.Close()
		err = s.install(conn, port, t, d)
	}
	switch {
	case ctx.Err() != nil: // another one has taken its place, or the session ends
	case port == onRTCP && err != nil: // then there are no reports
		s.log.Info("no DTLS for RTCP", "peer", t.remote(), "error", err)
	case port == onRTP:
		s.tell(err)
	}
	if err == nil {
		linger(ctx, conn)
	}
}

func (s *Session) tell(err error) {
	if s.keyed != nil {
		s.keyed(err)
	}
}

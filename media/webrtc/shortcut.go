package webrtc

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	pion "github.com/pion/webrtc/v4"
)

// Sound takes a short road, past pion: what comes from the address that ICE has
// selected is decrypted by the goroutine that reads the port and handed to its
// InTrack; what goes out is encrypted by the goroutine that writes and sent to
// that address. pion's road takes three goroutines and queues for each packet.
//
// Everything else is pion's: STUN, DTLS, RTCP, pictures, streams and payload
// types not known yet, TCP and relays, and sound as long as anything is missing.
// The two roads may be mixed at any time: numbers, replays, reports and quality
// are counted in one place for both.

// turns says when a packet of a stream that is on the short road shall take
// pion's, so that pion's roll-over counters stay near and ICE sees that the path
// is alive: once in a second, and before the numbers have gone half way round.
type turns struct {
	last  time.Time // zero: none has
	since uint16
}

func (t *turns) due(now time.Time) bool {
	t.since++
	return t.since > 1<<12 || now.Sub(t.last) >= time.Second
}

func (t *turns) taken(now time.Time) { t.last, t.since = now, 0 }

// shortcut is the short road of one Peer.
type shortcut struct {
	socket datagrams
	keys   atomic.Pointer[keys]           // nil before DTLS
	route  atomic.Pointer[netip.AddrPort] // nil: no direct pair is selected

	received, sent atomic.Uint64 // packets

	aiming sync.Mutex // held while the route changes
	closed bool
}

// ready is what to encrypt with and where to send to; nil when the road is not open.
func (s *shortcut) ready() (*keys, netip.AddrPort) {
	k, to := s.keys.Load(), s.route.Load()
	if k == nil || to == nil {
		return nil, netip.AddrPort{}
	}
	return k, *to
}

// doors are the Peers with a short road, by the address they send from.
type doors struct {
	log *slog.Logger

	mu   sync.RWMutex
	open map[netip.AddrPort]*Peer
}

func (d *doors) find(from netip.AddrPort) *Peer {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.open[from]
}

// move makes p's door the one at to; an invalid address closes it.
func (d *doors) move(p *Peer, from, to netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[from] == p {
		delete(d.open, from)
	}
	if to.IsValid() {
		d.open[to] = p
	}
}

// takes hands a datagram that is sound to its track; false: it is for pion.
func (d *doors) takes(b []byte, from netip.AddrPort) (taken bool) {
	if !isRTP(b) {
		return false
	}
	p := d.find(from)
	if p == nil {
		return false
	}
	defer func() {
		if v := recover(); v != nil {
			d.log.Error("webrtc: panic", "in", "UDP port", "panic", v, "stack", string(debug.Stack()))
			taken = true
		}
	}()
	return p.takes(b, time.Now())
}

func (p *Peer) takes(b []byte, now time.Time) bool {
	k := p.shortcut.keys.Load()
	s := p.streams.find(binary.BigEndian.Uint32(b[8:]))
	if k == nil || s == nil {
		return false
	}
	return s.take(b, k.open, &p.shortcut.received, now)
}

// Shortcut counts the packets of sound that have taken the short road, past pion.
func (p *Peer) Shortcut() (received, sent uint64) {
	return p.shortcut.received.Load(), p.shortcut.sent.Load()
}

// isRTP tells SRTP from STUN and DTLS (RFC 7983) and from SRTCP (RFC 5761 section 4).
func isRTP(b []byte) bool {
	return len(b) >= 12 && b[0]>>6 == 2 && (b[1]&0x7f < 64 || b[1]&0x7f > 95)
}

// prepareShortcut begins to follow what ICE and DTLS agree on.
func (p *Peer) prepareShortcut() {
	dtls := p.pc.SCTP().Transport()
	dtls.OnStateChange(func(s pion.DTLSTransportState) { // with pion's lock held: no lock of ours
		defer p.recovered("keys")
		if s != pion.DTLSTransportStateConnected {
			return
		}
		k, err := exportKeys(dtls)
		if err != nil {
			p.log.Warn("webrtc: sound takes the long road", "error", err)
			return
		}
		p.shortcut.keys.Store(k)
	})
	dtls.ICETransport().OnSelectedCandidatePairChange(func(*pion.ICECandidatePair) { p.run("route", p.aim) })
	p.pc.OnICEConnectionStateChange(func(pion.ICEConnectionState) { p.run("route", p.aim) })
}

// aim makes the pair that ICE has selected the route. While a restart looks for
// another pair the last one stays in use.
func (p *Peer) aim() {
	s := &p.shortcut
	s.aiming.Lock()
	defer s.aiming.Unlock()
	if s.closed {
		return
	}
	pair, err := p.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	switch state := p.pc.ICEConnectionState(); {
	case err != nil || state == pion.ICEConnectionStateFailed || state == pion.ICEConnectionStateClosed:
		p.routeLocked(netip.AddrPort{})
	case pair != nil:
		p.routeLocked(p.engine.direct(pair))
	}
}

func (p *Peer) routeLocked(to netip.AddrPort) {
	var before netip.AddrPort
	if r := p.shortcut.route.Load(); r != nil {
		before = *r
	}
	p.engine.doors.move(p, before, to)
	if to.IsValid() {
		p.shortcut.route.Store(&to)
	} else {
		p.shortcut.route.Store(nil)
	}
}

func (p *Peer) closeShortcut() {
	p.shortcut.aiming.Lock()
	defer p.shortcut.aiming.Unlock()
	p.shortcut.closed = true
	p.shortcut.keys.Store(nil)
	p.routeLocked(netip.AddrPort{})
}

// direct is where the other end of a pair is, if our end is the one UDP port.
func (e *Engine) direct(pair *pion.ICECandidatePair) netip.AddrPort {
	local, remote := pair.Local, pair.Remote
	ip, err := netip.ParseAddr(remote.Address)
	if err != nil || ip.Zone() != "" || local.Protocol != pion.ICEProtocolUDP ||
		local.Typ != pion.ICECandidateTypeHost || local.Port != e.udpAddr.Port() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip.Unmap(), remote.Port)
}

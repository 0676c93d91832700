package sip

import (
	"fmt"
	"net/netip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/sip/sdp"
	"github.com/roomline/roomline/sip/text"
)

// openMedia opens the RTP session at the address that the peer is reached from.
func (l *Line) openMedia(peer netip.AddrPort, terms sdp.Terms) error {
	f := l.ua.faceAt(l.dialog.Socket)
	ip, err := ipFor(l.dialog.Socket, peer)
	if err != nil {
		return err
	}
	l.dialog.SentBy = netip.AddrPortFrom(f.shown(ip), l.dialog.Socket.Port())
	if f.Media.IsValid() {
		ip = f.Media
	}
	l.media, err = rtp.Open(l.ctx, rtp.Config{Listen: l.ua.config.Listen, Ports: l.ua.config.Ports, LocalIP: ip, Log: l.log,
		Identity: l.ua.identity, Keyed: l.handshaken})
	if err != nil {
		return fmt.Errorf("open an RTP session: %w", err)
	}
	l.sdp = sdp.New(f.shownMedia(ip), int(l.media.LocalAddr().Port()), terms)
	return nil
}

// agree puts what SDP settled into force.
func (l *Line) agree(a sdp.Agreement) error {
	p := a.Params
	if p.Remote.IsValid() {
		// Latch only where the signalled address cannot be right: it does not
		// reach from here to where the signalling came from (see reachable). The
		// RTP session then learns the address from consistent packets. Until then
		// we send to where the signalling came from and never to a narrower
		// scope, so that nobody can point us at our own loopback or network.
		source, local := l.dialog.Source.Addr(), l.dialog.Socket.Addr()
		if !reachable(p.Remote.Addr(), source, local) {
			p.Latch = true
			p.Remote = netip.AddrPortFrom(source, p.Remote.Port())
			p.RemoteRTCP = netip.AddrPort{}
		}
		if p.RemoteRTCP.IsValid() && !reachable(p.RemoteRTCP.Addr(), source, local) {
			p.RemoteRTCP = netip.AddrPort{}
		}
	} else {
		p.Remote, p.RemoteRTCP = l.media.Params().Remote, l.media.Params().RemoteRTCP
		p.Latch = l.media.Params().Latch
		p.Send = false
	}
	before := l.media.Params()
	if err := l.media.Update(p); err != nil {
		return fmt.Errorf("use the agreed media: %w", err)
	}
	if p.Security != before.Security && l.media.Security() != "" {
		l.log.Info("media is protected", "by", l.media.Security())
	}
	if l.state == talking && before.Codec != media.NoCodec && (p.Codec != before.Codec || p.Ptime != before.Ptime) {
		l.emit(bridge.LineEvent{Kind: bridge.LineRenegotiated})
	}
	return nil
}

// answerOffer settles an offer. Where its media addresses cannot be right (see
// agree), the peer has to begin a DTLS handshake, which shows where it is.
func (l *Line) answerOffer(d *sdp.Description) ([]byte, sdp.Agreement, error) {
	l.sdp.Await = false
	for _, s := range d.Streams {
		l.sdp.Await = l.sdp.Await || s.Kind == "audio" && s.Addr.IsValid() && !s.Nowhere &&
			!reachable(s.Addr, l.dialog.Source.Addr(), l.dialog.Socket.Addr())
	}
	return l.sdp.Answer(d)
}

// handshaken is called by the RTP session: it may not block.
func (l *Line) handshaken(err error) {
	select {
	case l.keyed <- err:
	default:
	}
}

// onKeyed: a DTLS handshake gave keys, or there will be no sound.
func (l *Line) onKeyed(err error) {
	if err != nil {
		l.end(bridge.CauseIncompatible, "the media cannot be protected: "+text.Printable(err.Error(), 160))
		return
	}
	l.log.Info("media is protected", "by", l.media.Security())
	if l.state == talking {
		l.emit(bridge.LineEvent{Kind: bridge.LineRenegotiated})
	}
}

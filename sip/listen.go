package sip

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/emiago/sipgo"
	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/sdp"
)

func init() {
	// sipgo refuses to send more than 1300 bytes over UDP, as RFC 3261 section
	// 18.1.1 asks, but does not take TCP instead. Carriers that give us a UDP
	// address expect UDP; IP fragments the few long requests.
	sipmsg.UDPMTUSize = 64 << 10
	// sipgo logs whole messages, credentials included. What matters comes back
	// to us as errors.
	sipmsg.SetDefaultLogger(slog.New(slog.DiscardHandler))
}

// open listens on every address and starts sipgo on the sockets.
func (u *UA) open(ctx context.Context) error {
	silent := slog.New(slog.DiscardHandler)
	stack, err := sipgo.NewUA(
		sipgo.WithUserAgent(u.config.UserAgent),
		sipgo.WithUserAgentTransportLayerOptions(sipmsg.WithTransportLayerLogger(silent)),
		sipgo.WithUserAgentTransactionLayerOptions(
			sipmsg.WithTransactionLayerLogger(silent),
			sipmsg.WithTransactionLayerUnhandledResponseHandler(u.onStrayResponse),
		),
	)
	if err != nil {
		return fmt.Errorf("sip: %w", err)
	}
	u.stack = stack
	u.transactions().OnRequest(u.onRequest)
	var listeners []net.Listener
	for _, a := range u.config.Addrs {
		l, err := u.listen(ctx, a)
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return err
		}
		listeners = append(listeners, l)
	}
	u.dialler = newDialler(u.streams, listeners[0].Addr())
	for _, l := range listeners {
		u.serveTCP(acceptor{l, u.streams})
	}
	u.serveTCP(u.dialler)
	for _, s := range u.sockets {
		s.serve(s.newReader())
	}
	u.awaitReaders()
	return nil
}

// listen binds UDP and TCP to one address, and to one port if any will do.
func (u *UA) listen(ctx context.Context, address string) (net.Listener, error) {
	want, _ := netip.ParseAddrPort(address)
	network := "tcp4"
	if want.Addr().Is6() {
		network = "tcp6"
	}
	for attempt := 1; ; attempt++ {
		conn, err := listenUDP(ctx, u.config, address)
		if err != nil {
			return nil, fmt.Errorf("listen on UDP %s: %w", address, err)
		}
		got, _ := addrPortOf(conn.LocalAddr())
		got = netip.AddrPortFrom(want.Addr(), got.Port())
		l, err := u.config.ListenTCP(ctx, network, got.String())
		if err != nil {
			conn.Close()
			if want.Port() == 0 && attempt < 20 {
				continue // that port is taken on TCP; another may not be
			}
			return nil, fmt.Errorf("listen on TCP %s: %w", got, err)
		}
		s := newUDPSocket(conn, u.guard)
		s.gone = u.onUnreachable
		s.serve = func(r *udpReader) { u.servers.Go(func() { u.stack.TransportLayer().ServeUDP(r) }) }
		u.sockets = append(u.sockets, s)
		u.addrs = append(u.addrs, got)
		return l, nil
	}
}

func (u *UA) serveTCP(l net.Listener) {
	u.servers.Go(func() { u.stack.TransportLayer().ServeTCP(l) })
	u.servers.Go(func() {
		<-u.dead
		l.Close()
	})
}

// awaitReaders returns when sipgo knows all UDP sockets, so that requests
// leave from them: sipgo opens a socket of its own otherwise.
func (u *UA) awaitReaders() {
	for _, s := range u.sockets {
		<-s.known
	}
}

func (u *UA) closeSockets() {
	for _, s := range u.sockets {
		s.Close()
	}
	u.streams.Close()
}

// face is the local address for a peer: the socket of its family.
func (u *UA) face(peer netip.Addr) (netip.AddrPort, error) {
	for _, a := range u.addrs {
		if a.Addr().Is4() == peer.Is4() {
			return a, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%s is an %s address and no %s address is listened on", peer, sdp.Family(peer), sdp.Family(peer))
}

// ipFor is the one local address that packets to a peer leave from.
func ipFor(socket, peer netip.AddrPort) (netip.Addr, error) {
	if !socket.Addr().IsUnspecified() {
		return socket.Addr(), nil
	}
	return routeTo(peer)
}

// advertised is what a peer is told about our address ip.
func (u *UA) advertised(ip netip.Addr) netip.Addr {
	if p := u.config.PublicIP.Unmap(); p.IsValid() && p.Is4() == ip.Is4() {
		return p
	}
	return ip
}

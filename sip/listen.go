package sip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/emiago/sipgo"
	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/socket"
)

func init() {
	// sipgo refuses to send more than 1300 bytes over UDP, as RFC 3261 section
	// 18.1.1 asks, but does not take TCP instead. We do, see wide.go; responses,
	// and requests to peers without TCP, are cut up by IP.
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
		sipgo.WithUserAgentParser(socket.NewParser()),
		sipgo.WithUserAgentTransportLayerOptions(sipmsg.WithTransportLayerLogger(silent)),
		sipgo.WithUserAgentTransactionLayerOptions(
			sipmsg.WithTransactionLayerLogger(silent),
			sipmsg.WithTransactionLayerUnhandledResponseHandler(u.onStrayResponse),
			sipmsg.WithTransactionLayerTerminateOnConnClose(), // what waits for a broken connection waits in vain
		),
	)
	if err != nil {
		return fmt.Errorf("sip: %w", err)
	}
	u.stack = stack
	u.transactions().OnRequest(u.onRequest)
	var listeners []net.Listener
	err = u.listenAll(ctx, &listeners)
	if err != nil {
		for _, l := range listeners {
			l.Close()
		}
		return err
	}
	for _, transport := range []string{"tcp", "tls"} {
		u.feeds[transport] = socket.NewFeed(u.faces[0].addr)
	}
	for i, f := range u.faces {
		u.serveStreams(listeners[i], f)
		if f.udp != nil {
			f.udp.Serve(f.udp.NewReader())
		}
	}
	u.serveFeeds()
	u.awaitReaders()
	return nil
}

// listenAll opens every face; listeners are theirs, in the same order.
func (u *UA) listenAll(ctx context.Context, listeners *[]net.Listener) error {
	open := func(addresses []string, secure bool) error {
		for _, s := range addresses {
			a, err := ParseAddress(s)
			if err != nil {
				return err
			}
			f, l, err := u.listen(ctx, a, secure)
			if err != nil {
				return err
			}
			u.faces, *listeners = append(u.faces, f), append(*listeners, l)
		}
		return nil
	}
	if err := open(u.config.Addrs, false); err != nil {
		return err
	}
	return open(u.config.TLSAddrs, true)
}

// listen binds UDP and TCP to one address, and to one port if any will do; for
// TLS it binds TCP alone.
func (u *UA) listen(ctx context.Context, a Address, secure bool) (*face, net.Listener, error) {
	if secure {
		l, err := u.listenTCP(ctx, a.Listen)
		if err != nil {
			return nil, nil, fmt.Errorf("listen for TLS on %s: %w", a.Listen, err)
		}
		got, _ := socket.AddrPort(l.Addr())
		return newFace(a, netip.AddrPortFrom(a.Listen.Addr(), got.Port()), true, u.config.PublicIP), l, nil
	}
	for attempt := 1; ; attempt++ {
		conn, err := listenUDP(ctx, u.config, a.Listen.String())
		if err != nil {
			return nil, nil, fmt.Errorf("listen on UDP %s: %w", a.Listen, err)
		}
		got, _ := socket.AddrPort(conn.LocalAddr())
		got = netip.AddrPortFrom(a.Listen.Addr(), got.Port())
		l, err := u.listenTCP(ctx, got)
		if err != nil {
			conn.Close()
			if a.Listen.Port() == 0 && attempt < 20 {
				continue // that port is taken on TCP; another may not be
			}
			return nil, nil, fmt.Errorf("listen on TCP %s: %w", got, err)
		}
		f := newFace(a, got, false, u.config.PublicIP)
		f.index = len(u.faces)
		f.udp = u.newSocket(conn, f)
		return f, l, nil
	}
}

func (u *UA) listenTCP(ctx context.Context, addr netip.AddrPort) (net.Listener, error) {
	network := "tcp4"
	if addr.Addr().Is6() {
		network = "tcp6"
	}
	return u.config.ListenTCP(ctx, network, addr.String())
}

func (u *UA) newSocket(conn net.PacketConn, f *face) *socket.UDP {
	s := socket.NewUDP(conn, f.addr, f.index, u.guard, u.config.Trace)
	s.Gone = u.onUnreachable
	s.Serve = func(r *socket.Reader) { u.servers.Go(func() { u.stack.TransportLayer().ServeUDP(r) }) }
	return s
}

func (u *UA) serveStreams(l net.Listener, f *face) {
	u.servers.Go(func() { u.accept(l, f) })
	u.servers.Go(func() {
		<-u.dead
		l.Close()
	})
}

// serveFeeds has sipgo take connections.
func (u *UA) serveFeeds() {
	tp := u.stack.TransportLayer()
	u.servers.Go(func() { tp.ServeTCP(u.feeds["tcp"]) })
	u.servers.Go(func() { tp.ServeTLS(u.feeds["tls"]) })
	u.servers.Go(func() {
		<-u.dead
		for _, f := range u.feeds {
			f.Close()
		}
	})
}

// awaitReaders returns when sipgo knows all UDP sockets, so that requests
// leave from them: sipgo opens a socket of its own otherwise.
func (u *UA) awaitReaders() {
	for _, f := range u.faces {
		if f.udp != nil {
			<-f.udp.Known
		}
	}
}

func (u *UA) closeSockets() {
	for _, f := range u.faces {
		if f.udp != nil {
			f.udp.Close()
		}
	}
	u.streams.Close()
}

// arrived finds the face that a request came in on.
func (u *UA) arrived(req *sipmsg.Request) (*face, error) {
	transport := sipmsg.NetworkToLower(req.Transport())
	if socket.IsStream(transport) {
		if st := u.streams.Named(transport, req.Source()); st != nil {
			return u.faceAt(st.At), nil
		}
		return nil, errors.New("the connection that it came over is gone")
	}
	if i := socket.FaceIndex(req.Source()); i < len(u.faces) {
		return u.faces[i], nil
	}
	return nil, errors.New("it came in nowhere")
}

// ipFor is the one local address that packets to a peer leave from.
func ipFor(socket, peer netip.AddrPort) (netip.Addr, error) {
	if !socket.Addr().IsUnspecified() {
		return socket.Addr(), nil
	}
	return routeTo(peer)
}

// listenUDP opens a socket of the address's family.
func listenUDP(ctx context.Context, c Config, address string) (net.PacketConn, error) {
	network := "udp4"
	if host, _, err := net.SplitHostPort(address); err == nil {
		if a, err := netip.ParseAddr(host); err == nil && a.Is6() && !a.Is4In6() {
			network = "udp6"
		}
	}
	return c.Listen(ctx, network, address)
}

package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/roomline/roomline/sip/socket"
)

// accept takes in the connections of one listener until it is closed.
func (u *UA) accept(l net.Listener, f *face) {
	transport := "tcp"
	if f.secure {
		transport = "tls"
	}
	for {
		c, err := l.Accept()
		select {
		case <-u.dead:
			if err == nil {
				c.Close()
			}
			return
		default:
		}
		if err != nil { // no descriptors left, or a peer that has gone already
			u.log.Warn("a connection cannot be accepted", "listener", f.addr.String(), "error", err)
			select {
			case <-time.After(50 * time.Millisecond):
			case <-u.dead:
			}
			continue
		}
		if from, ok := socket.AddrPort(c.RemoteAddr()); ok && u.guard.Shuts(from.Addr()) {
			c.Close()
			continue
		}
		if f.secure {
			c = tls.Server(c, u.serverTLS)
		}
		if st, err := u.streams.Add(c, f.addr, transport, socket.Stranger); err == nil {
			go u.greet(st)
		}
	}
}

// greet hands a connection to sipgo when its first message has come.
func (u *UA) greet(st *socket.Stream) {
	defer u.streams.Greeters.Done()
	defer func() {
		if p := recover(); p != nil { // it costs one connection
			u.log.Error("panic while a connection was greeted", "source", st.Remote.String(), "panic", p, "stack", string(debug.Stack()))
			st.Close()
		}
	}()
	if err := st.Greet(); err != nil {
		if st.Transport == "tls" {
			u.log.Debug("a peer's TLS connection came to nothing", "source", st.Remote.String(), "error", err)
		}
		st.Close()
		return
	}
	if !u.feeds[st.Transport].Give(st) {
		st.Close()
	}
}

// dialKey names a connection to be; those who want the same one share it.
type dialKey struct {
	to        netip.AddrPort
	from      netip.AddrPort
	transport string
	host      string // whose certificate is wanted
}

// attempt is a connection being opened.
type attempt struct {
	done chan struct{}
	err  error
}

// stream is a live connection with a target from the face at an address; nil without one.
func (u *UA) stream(t target, from netip.AddrPort) *socket.Stream {
	return u.streams.Find(t.transport, t.addr, t.hop.host, from)
}

// connected says whether there is a live connection for requests to a target
// from the face at an address.
func (u *UA) connected(t target, from netip.AddrPort) bool { return u.stream(t, from) != nil }

// connect makes sure that a TCP or TLS target has its connection; it does
// nothing for UDP. from is the address of the face that the dialog lives on.
// The error says in words what is wrong with the peer or its certificate.
func (u *UA) connect(ctx context.Context, t target, from netip.AddrPort) error {
	if !socket.IsStream(t.transport) || u.connected(t, from) {
		return nil
	}
	key := dialKey{to: t.addr, from: from, transport: t.transport}
	if t.transport == "tls" {
		key.host = t.hop.host
	}
	for {
		u.mu.Lock()
		a, others := u.dials[key]
		if !others {
			a = &attempt{done: make(chan struct{})}
			u.dials[key] = a
		}
		u.mu.Unlock()
		if !others {
			a.err = u.openStream(ctx, t, from)
			u.mu.Lock()
			delete(u.dials, key)
			u.mu.Unlock()
			close(a.done)
			return a.err
		}
		select {
		case <-a.done:
			if !errors.Is(a.err, context.Canceled) {
				return a.err // else who opened it lost interest, not we
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// openStream connects, over TLS verifies who answers, and returns when sipgo can send there.
func (u *UA) openStream(ctx context.Context, t target, from netip.AddrPort) error {
	f := u.faceAt(from)
	if f == nil {
		return fmt.Errorf("%s is not listened on", from)
	}
	ctx, cancel := context.WithTimeout(ctx, socket.DialTime)
	defer cancel()
	var d net.Dialer
	if ip := from.Addr(); !ip.IsUnspecified() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
	}
	c, err := d.DialContext(ctx, "tcp", t.addr.String())
	if err != nil {
		return fmt.Errorf("connect to %s: %w", t, err)
	}
	var secured *tls.Conn
	if t.transport == "tls" {
		if secured, err = u.config.TLS.Secure(ctx, c, t.hop.host); err != nil {
			c.Close()
			return fmt.Errorf("connect to %s: %w", t, err)
		}
		c = secured
	}
	st, err := u.streams.Add(c, from, t.transport, socket.Carrier)
	if err != nil {
		return err
	}
	if secured != nil {
		st.Leaf = secured.ConnectionState().PeerCertificates[0]
	}
	if !u.feeds[t.transport].Give(st) {
		st.Close()
		return net.ErrClosed
	}
	select {
	case <-st.Reading:
		u.log.Debug("connected", slog.String("to", t.String()), slog.String("local", st.Local.String()))
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

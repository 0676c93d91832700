package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/sdp"
)

// lookupTime bounds a name look-up within a dialog.
const lookupTime = 3 * time.Second

// target is one address to try.
type target struct {
	addr      netip.AddrPort
	transport string // udp or tcp
}

func (t target) String() string { return t.transport + ":" + t.addr.String() }

// resolve turns a hop into addresses of one family, RFC 3263 reduced to SRV and
// address records, in the order in which they should be tried.
func resolve(ctx context.Context, h hop, v4 bool) ([]target, error) {
	if addr, err := netip.ParseAddr(h.host); err == nil {
		addr = addr.Unmap()
		if addr.Is4() != v4 {
			return nil, fmt.Errorf("%s is an %s address and this side speaks the other family", addr, sdp.Family(addr))
		}
		return []target{{netip.AddrPortFrom(addr, portOr5060(h.port)), h.transport}}, nil
	}
	var list []target
	if h.port == 0 {
		_, records, _ := net.DefaultResolver.LookupSRV(ctx, "sip", h.transport, h.host)
		for _, r := range records {
			more, _ := lookup(ctx, hop{strings.TrimSuffix(r.Target, "."), int(r.Port), h.transport}, v4)
			list = append(list, more...)
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	return lookup(ctx, h, v4)
}

func lookup(ctx context.Context, h hop, v4 bool) ([]target, error) {
	network := "ip6"
	if v4 {
		network = "ip4"
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, h.host)
	if err != nil {
		return nil, fmt.Errorf("the name %s has no address: %w", h.host, err)
	}
	var list []target
	for _, a := range addrs {
		list = append(list, target{netip.AddrPortFrom(a.Unmap(), portOr5060(h.port)), h.transport})
	}
	return list, nil
}

func portOr5060(port int) uint16 {
	if port <= 0 || port > 65535 {
		return 5060
	}
	return uint16(port)
}

// where finds the address for a request within a dialog. A live connection to
// the peer is used before a new one is opened: its Contact over TCP often
// cannot be connected to.
func (u *UA) where(ctx context.Context, d *Dialog) (target, error) {
	if d.Transport == "tcp" && len(d.RouteSet) == 0 && u.connected(d.Source) {
		return target{d.Source, "tcp"}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	list, err := resolve(ctx, d.nextHop(), d.Socket.Addr().Is4())
	if err != nil {
		return target{}, err
	}
	return list[0], u.connect(ctx, list[0])
}

// connected says whether sipgo holds a TCP connection to an address.
func (u *UA) connected(to netip.AddrPort) bool {
	c := u.stack.TransportLayer().Pool("tcp").Get(to.String())
	if c == nil {
		return false
	}
	c.TryClose()
	return true
}

// connect makes sure that a TCP target has its connection.
func (u *UA) connect(ctx context.Context, t target) error {
	if t.transport != "tcp" || u.connected(t.addr) {
		return nil
	}
	return u.dialler.dial(ctx, t.addr)
}

// aim addresses a request: to the target, from our listening socket.
func aim(req *sipmsg.Request, t target, d *Dialog) {
	req.SetTransport(strings.ToUpper(t.transport))
	req.SetDestination(t.addr.String())
	if via := req.Via(); via != nil {
		via.Transport = strings.ToUpper(t.transport)
	}
	if t.transport == "udp" {
		req.Laddr = sipmsg.Addr{IP: net.IP(d.Socket.Addr().AsSlice()), Port: int(d.Socket.Port())}
	}
}

// transact sends a request in a transaction of its own. Somebody must read the
// transaction's responses until the final one.
func (u *UA) transact(req *sipmsg.Request, t target, d *Dialog) (*sipmsg.ClientTx, error) {
	aim(req, t, d)
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	return u.transactions().Request(ctx, req)
}

// sendAlone sends a request whose answer nobody waits for.
func (u *UA) sendAlone(req *sipmsg.Request, t target, d *Dialog) error {
	if !u.begin() {
		return errStopping
	}
	tx, err := u.transact(req, t, d)
	if err != nil {
		u.work.Done()
		return err
	}
	go func() {
		defer u.work.Done()
		u.final(tx)
	}()
	return nil
}

// sendAck sends an ACK for a 2xx: no transaction, no answer.
func (u *UA) sendAck(ack *sipmsg.Request, t target, d *Dialog) error {
	aim(ack, t, d)
	return u.stack.TransportLayer().WriteMsg(ack)
}

var errNoServer = errors.New("the number needs a trunk with an outbound server")

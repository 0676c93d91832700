package sip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
)

// lookupTime bounds a name look-up within a dialog.
const lookupTime = 3 * time.Second

// target is one address to try.
type target struct {
	addr      netip.AddrPort
	transport string // udp, tcp or tls
	hop       hop    // that it was found for: its host is the name that a TLS certificate must show
}

func (t target) String() string { return t.transport + ":" + t.addr.String() }

// where finds the address for a request within a dialog. A live connection to
// the peer is used before a new one is opened: its Contact over TCP often
// cannot be connected to.
func (u *UA) where(ctx context.Context, d *Dialog) (target, error) {
	if d.Transport == "tcp" && len(d.RouteSet) == 0 && u.connected(d.Source) {
		return target{addr: d.Source, transport: "tcp"}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	list, err := u.names.find(ctx, d.nextHop(), d.Socket.Addr().Is4())
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

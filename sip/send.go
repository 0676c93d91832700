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

	"github.com/roomline/roomline/sip/socket"
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

// where finds the address for a request within a dialog, and opens the
// connection that it needs.
func (u *UA) where(ctx context.Context, d *Dialog) (target, error) {
	if t, ok := u.alive(d); ok {
		return t, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	list, err := u.names.find(ctx, d.nextHop(), d.Socket.Addr().Is4())
	if err != nil {
		return target{}, err
	}
	t := d.known(list[0])
	return t, u.connect(ctx, t, d.Socket)
}

// known puts the name that the peer's certificate has shown in a target's place
// where only an address is known: a Contact names an address, a certificate a domain.
func (d *Dialog) known(t target) target {
	if d.Server != "" && t.addr.Addr() == d.Source.Addr() {
		t.hop.host = d.Server
	}
	return t
}

// alive gives the connection over which the peer's last message came, if it
// still stands and leads to the next hop. It is used before a new one is opened:
// a Contact over TCP often cannot be connected to, and no certificate names it.
func (u *UA) alive(d *Dialog) (target, bool) {
	if !socket.IsStream(d.Transport) {
		return target{}, false
	}
	if len(d.RouteSet) > 0 {
		if h := d.nextHop(); h.transport != d.Transport || h.host != d.Source.Addr().String() {
			return target{}, false
		}
	}
	t := target{addr: d.Source, transport: d.Transport, hop: hop{host: d.Server, transport: d.Transport}}
	return t, u.streams.From(d.Transport, d.Source, d.Socket) != nil
}

// aim addresses a request: to the target, from our listening socket or over the
// connection.
func (u *UA) aim(req *sipmsg.Request, t target, d *Dialog) error {
	req.SetTransport(strings.ToUpper(t.transport))
	req.SetDestination(t.addr.String())
	if via := req.Via(); via != nil {
		via.Transport = strings.ToUpper(t.transport)
	}
	local := d.Socket
	if socket.IsStream(t.transport) {
		st := u.stream(t, d.Socket)
		if st == nil && t.addr == d.Source {
			st = u.streams.From(t.transport, d.Source, d.Socket)
		}
		if st == nil {
			return fmt.Errorf("the connection with %s is gone", t)
		}
		local = st.ID
	}
	req.Laddr = sipmsg.Addr{IP: net.IP(local.Addr().AsSlice()), Port: int(local.Port())}
	return nil
}

// transact sends a request in a transaction of its own. Somebody must read the
// transaction's responses until the final one.
func (u *UA) transact(req *sipmsg.Request, t target, d *Dialog) (*sipmsg.ClientTx, error) {
	if err := u.aim(req, t, d); err != nil {
		return nil, err
	}
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
	if err := u.aim(ack, t, d); err != nil {
		return err
	}
	return u.stack.TransportLayer().WriteMsg(ack)
}

var errNoServer = errors.New("the number needs a trunk with an outbound server")

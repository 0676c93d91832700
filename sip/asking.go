package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/sip/socket"
)

// asking is a request outside of calls that waits for its answer.
type asking struct {
	to      target
	refused chan struct{} // ICMP says that nobody is there; room for one
}

var (
	errSilent  = errors.New("no answer came")
	errRefused = errors.New("nothing listens there (ICMP)")
)

// lookedUp is one server of a trunk and where it leads to.
type lookedUp struct {
	server  string
	hop     hop
	targets []target
	err     error
}

// lookUp finds the addresses of all servers of a trunk, in the plan's order.
func (u *UA) lookUp(ctx context.Context, t dialplan.Trunk) []lookedUp {
	var list []lookedUp
	for _, server := range t.Outbound.Servers {
		l := lookedUp{server: server}
		if l.hop, l.err = serverHop(server, transportOf(t.Outbound)); l.err == nil {
			l.targets, l.err = u.names.find(ctx, l.hop, u.family(l.hop, t.Listen))
			u.trunks.learn(t.Name, server, l.targets)
		}
		list = append(list, l)
	}
	return list
}

// family says whether a server is to be found by its IPv4 address.
func (u *UA) family(h hop, listen string) bool {
	if a, err := netip.ParseAddr(h.host); err == nil {
		return a.Unmap().Is4()
	}
	for _, f := range u.faces {
		if listen != "" && f.named(listen) {
			return f.addr.Addr().Is4()
		}
	}
	return u.faces[0].addr.Addr().Is4()
}

// outside begins what goes to a server outside of calls: From, To and Contact of
// the trunk's account. The dialog has no peer's tag and never gets one.
func (u *UA) outside(t dialplan.Trunk, to target) (Dialog, error) {
	f, err := u.faceTo(to.addr, to.transport, t.Listen)
	if err != nil {
		return Dialog{}, err
	}
	ip, err := ipFor(f.addr, to.addr)
	if err != nil {
		return Dialog{}, err
	}
	d := Dialog{CallID: newCallID(), LocalTag: sipmsg.GenerateTagN(16), Transport: to.transport, Socket: f.addr,
		SentBy: netip.AddrPortFrom(f.shown(ip), f.addr.Port())}
	user := accountUser(t)
	d.Local = "<sip:" + escapeUser(user) + "@" + domainOf(t) + ">"
	d.Remote, d.Target = d.Local, "sip:"+to.hop.hostport()
	d.Contact = d.contact(user)
	return d, nil
}

// accountUser is the user part of a trunk's account.
func accountUser(t dialplan.Trunk) string {
	if o := t.Outbound; o != nil && o.Username != "" {
		return o.Username
	}
	return t.Name
}

// domainOf is the host of a trunk's account.
func domainOf(t dialplan.Trunk) string {
	o := t.Outbound
	if o.Domain != "" {
		return o.Domain
	}
	h, _ := serverHop(o.Servers[0], "udp") // whoever asks has a server
	h.port = 0
	return h.hostport()
}

// ask sends a request outside of calls and waits for its final response.
func (u *UA) ask(ctx context.Context, req *sipmsg.Request, to target, d *Dialog) (*sipmsg.Response, error) {
	if socket.IsStream(to.transport) {
		if err := u.connect(ctx, to, d.Socket); err != nil {
			return nil, err
		}
	}
	a := &asking{to: to, refused: make(chan struct{}, 1)}
	u.trunks.mu.Lock()
	u.trunks.asking[a] = struct{}{}
	u.trunks.mu.Unlock()
	defer func() {
		u.trunks.mu.Lock()
		delete(u.trunks.asking, a)
		u.trunks.mu.Unlock()
	}()
	tx, err := u.transact(req, to, d)
	if err != nil {
		return nil, fmt.Errorf("it cannot be sent: %w", err)
	}
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-a.refused:
			return nil, errRefused
		case <-tx.Done():
			return nil, errSilent
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, errSilent
			}
			return nil, ctx.Err()
		case <-u.dead:
			return nil, errStopping
		}
	}
}

// refusedAt tells who waits for an answer that none will come.
func (s *trunks) refusedAt(addr netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.asking {
		if a.to.transport == "udp" && a.to.addr == addr {
			select {
			case a.refused <- struct{}{}:
			default:
			}
		}
	}
}

// askAs sends a request in the name of a trunk and answers challenges. patience
// is for each answer.
func (u *UA) askAs(ctx context.Context, req *sipmsg.Request, to target, d *Dialog, auth *credentials, patience time.Duration) (*sipmsg.Response, error) {
	auth.forget()
	for {
		one, cancel := context.WithTimeout(ctx, patience)
		res, err := u.ask(one, req, to, d)
		cancel()
		d.LocalSeq = max(d.LocalSeq, req.CSeq().SeqNo)
		if err != nil || res.StatusCode != 401 && res.StatusCode != 407 {
			return res, err
		}
		next := again(req, d)
		if err := auth.answer(next, res); err != nil {
			return res, err
		}
		req = next
	}
}

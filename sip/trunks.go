package sip

import (
	"context"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// trunks is what the UA does for the trunks of its plan beside calls: it keeps
// them registered and asks whether their servers live. run starts one service
// for each trunk that wants either, and waits for all.
type trunks struct {
	ua      *UA
	changed chan struct{} // the plan is another one; room for one

	mu       sync.Mutex
	servers  map[netip.Addr]struct{} // addresses of all trunks' servers, as far as they have been looked up
	found    map[serverKey][]target  // where each server led to, the last time
	services map[string]*service     // by trunk
	asking   map[*asking]struct{}    // requests that wait for an answer
}

// serverKey is one server of a trunk as the plan writes it.
type serverKey struct{ trunk, server string }

// maxServers bounds the addresses that names of the plan may lead to.
const maxServers = 4096

func newTrunks(u *UA) *trunks {
	s := &trunks{ua: u, changed: make(chan struct{}, 1), services: map[string]*service{}, asking: map[*asking]struct{}{}}
	s.reload(u.config.Plan())
	return s
}

// PlanChanged puts the plan in force that Config.Plan returns now: trunks begin,
// change and end to be registered and kept alive. Calls go on as they are.
func (u *UA) PlanChanged() {
	u.trunks.reload(u.config.Plan())
	u.bans.Pardon(u.knows)
	select {
	case u.trunks.changed <- struct{}{}:
	default:
	}
}

// reload takes the numeric servers of a plan; the others follow when they are looked up.
func (s *trunks) reload(plan *dialplan.Plan) {
	servers, found := map[netip.Addr]struct{}{}, map[serverKey][]target{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range plan.Trunks {
		o := plan.Trunks[i].Outbound
		if o == nil {
			continue
		}
		for _, server := range o.Servers {
			key := serverKey{plan.Trunks[i].Name, server}
			h, err := serverHop(server, transportOf(o))
			if addr, bad := netip.ParseAddr(h.host); err == nil && bad == nil {
				found[key] = []target{{netip.AddrPortFrom(addr, portFor(h.port, h.transport)), h.transport, h}}
			} else if old := s.found[key]; old != nil && old[0].transport == h.transport {
				found[key] = old
			}
			for _, t := range found[key] {
				servers[t.addr.Addr()] = struct{}{}
			}
		}
	}
	s.servers, s.found = servers, found
}

// learn keeps where a server of a trunk leads to.
func (s *trunks) learn(trunk, server string, list []target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.servers) < maxServers && len(list) > 0 {
		s.found[serverKey{trunk, server}] = list
		for _, t := range list {
			s.servers[t.addr.Addr()] = struct{}{}
		}
	}
}

// knows says whether a source is somebody we deal with: who may call without a
// password, and the servers that we call. It is no more than that: whether a call
// is let in is decided by Admit.
func (u *UA) knows(a netip.Addr) bool {
	a = a.Unmap()
	if u.config.Known == nil || u.config.Known(a) {
		return true
	}
	u.trunks.mu.Lock()
	defer u.trunks.mu.Unlock()
	_, ok := u.trunks.servers[a]
	return ok
}

// service keeps one trunk registered and asks after its servers, until its
// context ends and it has taken its registration back.
type service struct {
	trunk        dialplan.Trunk
	registration *registration // nil: it does not register
	stop         context.CancelFunc
	done         chan struct{}
}

// run serves the plan's trunks until ctx ends, then takes their registrations back.
func (s *trunks) run(ctx context.Context) {
	for {
		s.reconcile(ctx, s.ua.config.Plan())
		select {
		case <-s.changed:
		case <-ctx.Done():
			s.reconcile(ctx, &dialplan.Plan{})
			return
		}
	}
}

// reconcile ends the services that the plan does not want any more, waits for
// them, and starts those that are new.
func (s *trunks) reconcile(ctx context.Context, plan *dialplan.Plan) {
	wanted := map[string]dialplan.Trunk{}
	for _, t := range plan.Trunks {
		if t.Outbound != nil && len(t.Outbound.Servers) > 0 && (t.Register || keepaliveOf(t) > 0) {
			wanted[t.Name] = t
		}
	}
	var ending []*service
	s.mu.Lock()
	for name, old := range s.services {
		if t, ok := wanted[name]; !ok || !sameService(t, old.trunk) {
			old.stop()
			ending = append(ending, old)
			delete(s.services, name)
		}
	}
	s.mu.Unlock()
	for _, old := range ending {
		<-old.done
	}
	for name, t := range wanted {
		if _, runs := s.services[name]; !runs {
			s.start(ctx, t)
		}
	}
}

func (s *trunks) start(ctx context.Context, t dialplan.Trunk) {
	ctx, stop := context.WithCancel(ctx)
	v := &service{trunk: t, stop: stop, done: make(chan struct{})}
	if t.Register {
		v.registration = newRegistration(s.ua, t)
	}
	s.mu.Lock()
	s.services[t.Name] = v
	s.mu.Unlock()
	go func() {
		defer close(v.done)
		var wg sync.WaitGroup
		defer wg.Wait()
		if every := keepaliveOf(t); every > 0 {
			wg.Go(func() {
				defer s.ua.catch("keepalive of a trunk")
				s.ua.keepAlive(ctx, t, every)
			})
		}
		if v.registration != nil {
			defer s.ua.catch("registration of a trunk")
			v.registration.run(ctx)
		}
	}()
}

// sameService says whether a change of a trunk leaves its service alone.
func sameService(a, b dialplan.Trunk) bool {
	return a.Register == b.Register && a.Keepalive == b.Keepalive && a.Listen == b.Listen && reflect.DeepEqual(a.Outbound, b.Outbound)
}

// keepaliveOf is how often a trunk's servers are asked; 0: never.
func keepaliveOf(t dialplan.Trunk) time.Duration {
	d, err := time.ParseDuration(t.Keepalive)
	if err != nil || d <= 0 {
		return 0
	}
	return max(d, time.Second)
}

func transportOf(o *dialplan.Outbound) string {
	if o.Transport == "" {
		return "udp"
	}
	return o.Transport
}

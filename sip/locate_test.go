package sip

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is a DNS server on loopback with the records that a test gives it.
type nameServer struct {
	t    *testing.T
	conn net.PacketConn

	mu    sync.Mutex
	srv   map[string][]dnsmessage.SRVResource
	a     map[string][]string
	mute  bool // it answers SERVFAIL
	asked int
}

func startNameServer(t *testing.T) *nameServer {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{t: t, conn: conn, srv: map[string][]dnsmessage.SRVResource{}, a: map[string][]string{}}
	var wg sync.WaitGroup
	wg.Go(s.serve)
	t.Cleanup(func() { conn.Close(); wg.Wait() })
	return s
}

// resolver asks this server alone.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp4", s.conn.LocalAddr().String())
	}}
}

func (s *nameServer) addSRV(name string, priority, weight, port uint16, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.srv[name] = append(s.srv[name], dnsmessage.SRVResource{Priority: priority, Weight: weight, Port: port, Target: dnsmessage.MustNewName(to)})
}

func (s *nameServer) addA(name string, ips ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.a[name] = ips
}

func (s *nameServer) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = down
}

func (s *nameServer) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *nameServer) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) == nil && len(m.Questions) == 1 {
			out := s.answer(m)
			if raw, err := out.Pack(); err == nil {
				s.conn.WriteTo(raw, from)
			}
		}
	}
}

func (s *nameServer) answer(m dnsmessage.Message) dnsmessage.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	q := m.Questions[0]
	out := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionAvailable: true}, Questions: m.Questions}
	head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 30}
	name := q.Name.String()
	switch {
	case s.mute:
		out.RCode = dnsmessage.RCodeServerFailure
	case q.Type == dnsmessage.TypeSRV && s.srv[name] != nil:
		for _, r := range s.srv[name] {
			out.Answers = append(out.Answers, dnsmessage.Resource{Header: head, Body: &r})
		}
	case q.Type == dnsmessage.TypeA && s.a[name] != nil:
		for _, ip := range s.a[name] {
			out.Answers = append(out.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: netip.MustParseAddr(ip).As4()}})
		}
	case s.a[name] == nil && s.srv[name] == nil:
		out.RCode = dnsmessage.RCodeNameError
	}
	return out
}

func (n *locator) mustFind(t *testing.T, h hop) []string {
	t.Helper()
	list, err := n.find(t.Context(), h, true)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range list {
		out = append(out, x.String())
	}
	return out
}

// age makes every cached answer older.
func (n *locator) age(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.answers {
		a.mu.Lock()
		a.fetched, a.checked = a.fetched.Add(-d), a.checked.Add(-d)
		a.mu.Unlock()
	}
}

func TestServersAreFoundBySRVInTheOrderOfPriority(t *testing.T) {
	dns := startNameServer(t)
	dns.addSRV("_sip._udp.carrier.example.", 20, 0, 5070, "b.carrier.example.")
	dns.addSRV("_sip._udp.carrier.example.", 10, 0, 5080, "a.carrier.example.")
	dns.addSRV("_sips._tcp.carrier.example.", 10, 0, 5061, "a.carrier.example.")
	dns.addA("a.carrier.example.", "192.0.2.1", "192.0.2.2")
	dns.addA("b.carrier.example.", "192.0.2.3")
	dns.addA("carrier.example.", "192.0.2.9")
	dns.addSRV("_sip._udp.none.example.", 0, 0, 0, ".")
	n := newLocator(dns.resolver())
	for _, c := range []struct {
		h    hop
		want []string
	}{
		{hop{"carrier.example", 0, "udp"}, []string{"udp:192.0.2.1:5080", "udp:192.0.2.2:5080", "udp:192.0.2.3:5070"}},
		{hop{"carrier.example", 0, "tls"}, []string{"tls:192.0.2.1:5061", "tls:192.0.2.2:5061"}},
		{hop{"carrier.example", 0, "tcp"}, []string{"tcp:192.0.2.9:5060"}},
		{hop{"carrier.example", 5062, "udp"}, []string{"udp:192.0.2.9:5062"}},
		{hop{"b.carrier.example", 0, "tls"}, []string{"tls:192.0.2.3:5061"}},
		{hop{"192.0.2.7", 0, "tls"}, []string{"tls:192.0.2.7:5061"}},
	} {
		if got := n.mustFind(t, c.h); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.h, got, c.want)
		}
	}
	for _, h := range []hop{{"none.example", 0, "udp"}, {"nobody.example", 0, "udp"}} {
		if list, err := n.find(t.Context(), h, true); err == nil {
			t.Errorf("%v leads to %v", h, list)
		}
	}
}

func TestSRVWeightsDivideTheCalls(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	records := []*net.SRV{{Target: "a", Weight: 60}, {Target: "b", Weight: 30}, {Target: "c", Weight: 10}, {Target: "z", Priority: 1, Weight: 100}}
	first := map[string]int{}
	const tries = 20000
	for range tries {
		list := shuffleSRV(records, rnd.IntN)
		if len(list) != 4 || list[3].Target != "z" {
			t.Fatalf("the lower priority is not last: %v", list)
		}
		first[list[0].Target]++
	}
	for name, share := range map[string]float64{"a": .6, "b": .3, "c": .1} {
		if got := float64(first[name]) / tries; got < share-.03 || got > share+.03 {
			t.Errorf("%s came first in %.3f of the cases, want %.2f", name, got, share)
		}
	}
	if records[0].Target != "a" {
		t.Error("the records were changed")
	}
}

func TestTheLastGoodAnswerServesWhileDNSIsDown(t *testing.T) {
	dns := startNameServer(t)
	dns.addSRV("_sip._udp.carrier.example.", 10, 0, 5080, "a.carrier.example.")
	dns.addA("a.carrier.example.", "192.0.2.1")
	n := newLocator(dns.resolver())
	h := hop{"carrier.example", 0, "udp"}
	want := n.mustFind(t, h)
	asked := dns.questions()
	n.mustFind(t, h)
	if dns.questions() != asked {
		t.Error("a fresh answer was asked for again")
	}
	dns.setDown(true)
	n.age(time.Hour)
	begin := time.Now()
	if got := n.mustFind(t, h); !slices.Equal(got, want) {
		t.Errorf("while DNS is down: %v, want %v", got, want)
	}
	if d := time.Since(begin); d > 2*lookupShort+time.Second {
		t.Errorf("the old answer took %v", d)
	}
	n.age(answerKeep)
	if list, err := n.find(t.Context(), h, true); err == nil {
		t.Errorf("a day later %v still serves", list)
	}
	dns.setDown(false)
	dns.addA("a.carrier.example.", "192.0.2.2")
	n.age(time.Minute)
	if got := n.mustFind(t, h); !slices.Equal(got, []string{"udp:192.0.2.2:5080"}) {
		t.Errorf("when DNS is back: %v", got)
	}
}

func TestANameThatIsGoneIsBelieved(t *testing.T) {
	dns := startNameServer(t)
	dns.addA("a.carrier.example.", "192.0.2.1")
	n := newLocator(dns.resolver())
	h := hop{"a.carrier.example", 0, "udp"}
	n.mustFind(t, h)
	dns.mu.Lock()
	delete(dns.a, "a.carrier.example.")
	dns.mu.Unlock()
	n.age(2 * answerLife)
	list, err := n.find(t.Context(), h, true)
	var gone *net.DNSError
	if !errors.As(err, &gone) || !gone.IsNotFound {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestServersThatAreDownAreTriedLast(t *testing.T) {
	n := newLocator(nil)
	at := func(s string) target { return target{addr: netip.MustParseAddrPort(s), transport: "udp"} }
	a, b, c := at("192.0.2.1:5060"), at("192.0.2.2:5060"), at("192.0.2.3:5060")
	n.down(a, "silent", time.Minute)
	n.down(b, "silent", -time.Second) // long ago
	if got := n.downLast([]target{a, b, c}); !slices.Equal(got, []target{b, c, a}) {
		t.Errorf("order %v", got)
	}
	n.up(a)
	if got := n.downLast([]target{a, b, c}); got[0] != a {
		t.Errorf("order %v after an answer", got)
	}
}

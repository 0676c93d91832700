package sip

import (
	"container/list"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// worth is how much a connection deserves its place when there are too many.
type worth uint8

const (
	stranger worth = iota // no sound message came from it yet
	speaker               // one did
	carrier               // it carries a call, or we opened it
	worths
)

// sameRemote bounds the connections with one address of a peer.
const sameRemote = 8

// streams holds the open TCP and TLS connections and their bound. When there are
// too many, the least worthy one makes room: the oldest stranger from where most
// strangers are, else the one that has been silent for longest. Thus thousands
// of slow peers keep nobody out who says something.
type streams struct {
	guard *guard
	tap   tap
	max   int

	mu        sync.Mutex
	queues    [worths]*list.List // of *stream, the one silent for longest in front
	strangers map[netip.Addr]int // by network, see sourceOf
	byText    map[string]*stream // by transport and the remote address as sipgo sees it
	lastID    uint64
	closed    bool
	greeters  sync.WaitGroup
}

func newStreams(g *guard, max int, t tap) *streams {
	if max <= 0 {
		max = 1024
	}
	s := &streams{guard: g, tap: t, max: max, strangers: map[netip.Addr]int{}, byText: map[string]*stream{}}
	for i := range s.queues {
		s.queues[i] = list.New()
	}
	return s
}

// add takes a connection in, at worst in another's place. A stranger must be
// greeted afterwards, which ends with greeters.Done.
func (s *streams) add(c net.Conn, f *face, transport string, w worth) (*stream, error) {
	st := newStream(s, c, f, transport)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	if !s.nameLocked(st) {
		c.Close()
		return nil, errors.New("there are too many connections with " + st.remote.String())
	}
	for s.sizeLocked() >= s.max {
		s.dropLeastLocked()
	}
	s.enqueueLocked(st, w)
	if w == stranger {
		s.greeters.Add(1) // its greeter calls Done
	}
	return st, nil
}

// nameLocked gives a connection the names under which sipgo keeps it, which no
// other one has: see stream.RemoteAddr and LocalAddr.
func (s *streams) nameLocked(st *stream) bool {
	for n := range sameRemote {
		text := facedAddr{net.TCPAddrFromAddrPort(st.remote), n}.String()
		if s.byText[st.transport+text] == nil {
			s.lastID++
			st.text, st.id = text, streamID(s.lastID)
			s.byText[st.transport+text] = st
			return true
		}
	}
	return false
}

// streamID is the local address of the n-th connection as sipgo sees it, out of
// the prefix that leads nowhere (RFC 6666): requests are aimed at a connection
// by it, and one that is gone is not found, instead of some other one.
func streamID(n uint64) netip.AddrPort {
	a := [16]byte{0: 1}
	for i := range 8 {
		a[15-i] = byte(n >> (8 * i))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a), 1)
}

// sourceOf is the network that strangers are counted by.
func sourceOf(st *stream) netip.Addr {
	a := st.remote.Addr()
	if a.Is6() {
		p, _ := a.Prefix(64)
		return p.Addr()
	}
	return a
}

func (s *streams) sizeLocked() (n int) {
	for _, q := range s.queues {
		n += q.Len()
	}
	return n
}

func (s *streams) enqueueLocked(st *stream, w worth) {
	st.worth, st.place = w, s.queues[w].PushBack(st)
	if w == stranger {
		s.strangers[sourceOf(st)]++
	}
}

func (s *streams) dequeueLocked(st *stream) {
	if st.place == nil {
		return
	}
	s.queues[st.worth].Remove(st.place)
	st.place = nil
	if st.worth == stranger {
		if s.strangers[sourceOf(st)]--; s.strangers[sourceOf(st)] <= 0 {
			delete(s.strangers, sourceOf(st))
		}
	}
}

func (s *streams) dropLeastLocked() {
	most, crowd := netip.Addr{}, 1
	for source, n := range s.strangers {
		if n > crowd {
			most, crowd = source, n
		}
	}
	for _, q := range s.queues {
		for e := q.Front(); e != nil; e = e.Next() {
			if st := e.Value.(*stream); crowd == 1 || sourceOf(st) == most {
				s.dropLocked(st)
				return
			}
		}
	}
}

func (s *streams) dropLocked(st *stream) {
	s.dequeueLocked(st)
	delete(s.byText, st.transport+st.text)
	st.abort()
}

// heard notes that a sound message came on a connection.
func (s *streams) heard(st *stream) { s.raise(st, speaker) }

// carries notes that a call came over a connection, named as sipgo sees it.
func (s *streams) carries(transport, text string) {
	if st := s.named(transport, text); st != nil {
		s.raise(st, carrier)
	}
}

// raise puts a connection at the end of the queue of its worth, or of w if that is more.
func (s *streams) raise(st *stream, w worth) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.place != nil {
		s.dequeueLocked(st)
		s.enqueueLocked(st, max(st.worth, w))
	}
}

// remove forgets a connection that has ended.
func (s *streams) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dequeueLocked(st)
	if s.byText[st.transport+st.text] == st {
		delete(s.byText, st.transport+st.text)
	}
}

// named finds a connection by its remote address as sipgo saw it.
func (s *streams) named(transport, text string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byText[transport+text]
}

// find gives a live connection with a target: from the face at an address, and
// over TLS with a peer that has shown the target's name. nil without one.
func (s *streams) find(t target, from netip.AddrPort) *stream {
	plain := net.TCPAddrFromAddrPort(t.addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range sameRemote {
		st := s.byText[t.transport+facedAddr{plain, n}.String()]
		if st != nil && st.known() && st.face.addr == from && st.speaksFor(t.hop.host) {
			return st
		}
	}
	return nil
}

// at gives a live connection with an address that the peer's messages come from.
func (s *streams) at(transport string, remote, from netip.AddrPort) *stream {
	plain := net.TCPAddrFromAddrPort(remote)
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range sameRemote {
		st := s.byText[transport+facedAddr{plain, n}.String()]
		if st != nil && st.known() && st.face.addr == from {
			return st
		}
	}
	return nil
}

// Close closes every connection, refuses new ones and waits for those that
// have not been handed to sipgo yet.
func (s *streams) Close() {
	s.mu.Lock()
	s.closed = true
	for _, q := range s.queues {
		for e := q.Front(); e != nil; e = e.Next() {
			e.Value.(*stream).abort()
		}
	}
	s.mu.Unlock()
	s.greeters.Wait()
}

// namedAddr is an address as sipgo sees it.
type namedAddr struct{ text string }

func (a namedAddr) Network() string { return "tcp" }
func (a namedAddr) String() string  { return a.text }

// isStream says whether a transport has connections.
func isStream(transport string) bool { return strings.ToLower(transport) != "udp" }

// The deadlines of connections: a message that has begun must end soon, a
// write must not hang, and a silent connection goes in the end.
const (
	messageTime = 10 * time.Second
	writeTime   = 10 * time.Second
	idleTime    = 30 * time.Minute
	greetTime   = 2 * time.Minute // before the first sound message
	dialTime    = 5 * time.Second
)

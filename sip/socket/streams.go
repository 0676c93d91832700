package socket

import (
	"container/list"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Worth is how much a connection deserves its place when there are too many.
type Worth uint8

// From the least to the most.
const (
	Stranger Worth = iota // no sound message came from it yet
	Speaker               // one did
	Carrier               // it carries a call, or we opened it
	worths
)

// sameRemote bounds the connections with one address of a peer.
const sameRemote = 8

// Streams holds the open TCP and TLS connections and their bound. When there are
// too many, the least worthy one makes room: the oldest stranger from where most
// strangers are, else the one that has been silent for longest. Thus thousands
// of slow peers keep nobody out who says something.
type Streams struct {
	guard *Guard
	tap   Tap
	max   int

	mu        sync.Mutex
	queues    [worths]*list.List // of *stream, the one silent for longest in front
	strangers map[netip.Addr]int // by network, see sourceOf
	byText    map[string]*Stream // by transport and the remote address as sipgo sees it
	lastID    uint64
	closed    bool
	Greeters  sync.WaitGroup
}

// NewStreams makes room for max connections, 1024 where max is 0, whose messages
// the guard looks at and t is shown.
func NewStreams(g *Guard, max int, t Tap) *Streams {
	if max <= 0 {
		max = 1024
	}
	s := &Streams{guard: g, tap: t, max: max, strangers: map[netip.Addr]int{}, byText: map[string]*Stream{}}
	for i := range s.queues {
		s.queues[i] = list.New()
	}
	return s
}

// Add takes a connection in, at worst in another's place. A stranger must be
// greeted afterwards, which ends with Greeters.Done.
func (s *Streams) Add(c net.Conn, at netip.AddrPort, transport string, w Worth) (*Stream, error) {
	st := newStream(s, c, at, transport)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	if !s.nameLocked(st) {
		c.Close()
		return nil, errors.New("there are too many connections with " + st.Remote.String())
	}
	for s.sizeLocked() >= s.max {
		s.dropLeastLocked()
	}
	s.enqueueLocked(st, w)
	if w == Stranger {
		s.Greeters.Add(1) // its greeter calls Done
	}
	return st, nil
}

// nameLocked gives a connection the names under which sipgo keeps it, which no
// other one has: see Stream.RemoteAddr and LocalAddr.
func (s *Streams) nameLocked(st *Stream) bool {
	for n := range sameRemote {
		text := facedAddr{net.TCPAddrFromAddrPort(st.Remote), n}.String()
		if s.byText[st.Transport+text] == nil {
			s.lastID++
			st.text, st.ID = text, streamID(s.lastID)
			s.byText[st.Transport+text] = st
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
func sourceOf(st *Stream) netip.Addr {
	a := st.Remote.Addr()
	if a.Is6() {
		p, _ := a.Prefix(64)
		return p.Addr()
	}
	return a
}

func (s *Streams) sizeLocked() (n int) {
	for _, q := range s.queues {
		n += q.Len()
	}
	return n
}

func (s *Streams) enqueueLocked(st *Stream, w Worth) {
	st.worth, st.place = w, s.queues[w].PushBack(st)
	if w == Stranger {
		s.strangers[sourceOf(st)]++
	}
}

func (s *Streams) dequeueLocked(st *Stream) {
	if st.place == nil {
		return
	}
	s.queues[st.worth].Remove(st.place)
	st.place = nil
	if st.worth == Stranger {
		if s.strangers[sourceOf(st)]--; s.strangers[sourceOf(st)] <= 0 {
			delete(s.strangers, sourceOf(st))
		}
	}
}

func (s *Streams) dropLeastLocked() {
	most, crowd := netip.Addr{}, 1
	for source, n := range s.strangers {
		if n > crowd {
			most, crowd = source, n
		}
	}
	for _, q := range s.queues {
		for e := q.Front(); e != nil; e = e.Next() {
			if st := e.Value.(*Stream); crowd == 1 || sourceOf(st) == most {
				s.dropLocked(st)
				return
			}
		}
	}
}

func (s *Streams) dropLocked(st *Stream) {
	s.dequeueLocked(st)
	delete(s.byText, st.Transport+st.text)
	st.abort()
}

// heard notes that a sound message came on a connection.
func (s *Streams) heard(st *Stream) { s.raise(st, Speaker) }

// Carries notes that a call came over a connection, named as sipgo sees it.
func (s *Streams) Carries(transport, text string) {
	if st := s.Named(transport, text); st != nil {
		s.raise(st, Carrier)
	}
}

// raise puts a connection at the end of the queue of its worth, or of w if that is more.
func (s *Streams) raise(st *Stream, w Worth) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.place != nil {
		s.dequeueLocked(st)
		s.enqueueLocked(st, max(st.worth, w))
	}
}

// remove forgets a connection that has ended.
func (s *Streams) remove(st *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dequeueLocked(st)
	if s.byText[st.Transport+st.text] == st {
		delete(s.byText, st.Transport+st.text)
	}
}

// Named finds a connection by its remote address as sipgo saw it.
func (s *Streams) Named(transport, text string) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byText[transport+text]
}

// Find gives a live connection with a remote address that belongs to the address
// from of ours; over TLS with a peer that has shown host's name. nil without one.
func (s *Streams) Find(transport string, remote netip.AddrPort, host string, from netip.AddrPort) *Stream {
	plain := net.TCPAddrFromAddrPort(remote)
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range sameRemote {
		st := s.byText[transport+facedAddr{plain, n}.String()]
		if st != nil && st.known() && st.At == from && st.speaksFor(host) {
			return st
		}
	}
	return nil
}

// From gives a live connection with an address that the peer's messages come from.
func (s *Streams) From(transport string, remote, from netip.AddrPort) *Stream {
	plain := net.TCPAddrFromAddrPort(remote)
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range sameRemote {
		st := s.byText[transport+facedAddr{plain, n}.String()]
		if st != nil && st.known() && st.At == from {
			return st
		}
	}
	return nil
}

// Cut ends every connection; new ones may come.
func (s *Streams) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutLocked()
}

func (s *Streams) cutLocked() {
	for _, q := range s.queues {
		for e := q.Front(); e != nil; e = e.Next() {
			e.Value.(*Stream).abort()
		}
	}
}

// Size is how many connections there are.
func (s *Streams) Size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sizeLocked()
}

// Close ends every connection, refuses new ones and waits for those that have not
// been handed to sipgo yet.
func (s *Streams) Close() {
	s.mu.Lock()
	s.closed = true
	s.cutLocked()
	s.mu.Unlock()
	s.Greeters.Wait()
}

// namedAddr is an address as sipgo sees it.
type namedAddr struct{ text string }

func (a namedAddr) Network() string { return "tcp" }
func (a namedAddr) String() string  { return a.text }

// IsStream says whether a transport has connections.
func IsStream(transport string) bool { return strings.ToLower(transport) != "udp" }

// The deadlines of connections: a message that has begun must end soon, a
// write must not hang, and a silent connection goes in the end.
const (
	messageTime = 10 * time.Second
	writeTime   = 10 * time.Second
	idleTime    = 30 * time.Minute
	greetTime   = 2 * time.Minute // before the first sound message
)

// DialTime is how long a connection that we open may take, its handshake included.
const DialTime = 5 * time.Second

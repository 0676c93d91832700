package webrtc

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// spreadSocket is the one UDP port on several sockets, over which the kernel
// spreads the peers by their addresses. Each is read by a goroutine, so that sound
// from many peers is decrypted, decoded and sent on by several processors, and a
// slow one holds up only those of its socket. What the short road does not take is
// queued for pion, which has one reader.
type spreadSocket struct {
	datagrams // the first, which sends
	others    []datagrams
	doors     *doors

	inbox   chan *letter
	closed  chan struct{}
	closing sync.Once
	readers sync.WaitGroup
}

// letter is a datagram for pion.
type letter struct {
	n    int
	from netip.AddrPort
	b    [maxPacket]byte
}

// inboxSize is how many datagrams may wait for pion: a tenth of a second of pictures
// from two dozen browsers. More are dropped.
const inboxSize = 512

var letters = sync.Pool{New: func() any { return new(letter) }}

// spread opens up to n-1 more sockets on the port of first, and reads them all.
// Where no more can be opened it is nil, and first as it was.
func spread(ctx context.Context, first *net.UDPConn, n int, d *doors, log *slog.Logger) *spreadSocket {
	own, ok := quick(first)
	if !ok {
		return nil
	}
	s := &spreadSocket{datagrams: own, doors: d, inbox: make(chan *letter, inboxSize), closed: make(chan struct{})}
	more, err := siblings(ctx, first, n-1)
	if err != nil {
		log.Debug("webrtc: the UDP port has fewer sockets than asked for", "sockets", 1+len(more), "error", err)
	}
	for _, c := range more {
		enlarge(c)
		if q, ok := quick(c); ok {
			s.others = append(s.others, q)
		}
	}
	if len(s.others) == 0 {
		return nil
	}
	for _, q := range append([]datagrams{s.datagrams}, s.others...) {
		s.readers.Go(func() { s.read(q) })
	}
	return s
}

// read reads one socket until it is closed.
func (s *spreadSocket) read(q datagrams) {
	next := letters.Get().(*letter)
	for {
		n, from, err := q.ReadFromAddrPort(next.b[:])
		select {
		case <-s.closed:
			return
		default:
		}
		if err != nil {
			time.Sleep(time.Millisecond) // nothing that one could mend; do not burn
			continue
		}
		if s.doors.takes(next.b[:n], from) {
			continue
		}
		next.n, next.from = n, from
		select {
		case s.inbox <- next:
			next = letters.Get().(*letter)
		default: // pion cannot keep up
		}
	}
}

// ReadFromAddrPort implements ice.AddrPortReaderWriter.
func (s *spreadSocket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case l := <-s.inbox:
		n, from := copy(b, l.b[:l.n]), l.from
		letters.Put(l)
		return n, from, nil
	case <-s.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

// Close closes the sockets. It does not wait for the readers.
func (s *spreadSocket) Close() error {
	s.closing.Do(func() { close(s.closed) })
	err := s.datagrams.Close()
	for _, q := range s.others {
		_ = q.Close()
	}
	return err
}

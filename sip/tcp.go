package sip

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// Deadlines of TCP connections: a message that has begun must end soon, a
// write must not hang, and a silent connection goes in the end.
const (
	messageTime = 10 * time.Second
	writeTime   = 10 * time.Second
	idleTime    = 30 * time.Minute
	dialTime    = 5 * time.Second
)

// streams holds the open TCP connections and their bound.
type streams struct {
	guard *guard
	max   int

	mu     sync.Mutex
	conns  map[*tcpStream]struct{}
	closed bool
}

// tcpStream is one TCP connection as sipgo sees it: Read gives whole messages
// that passed the guard and nothing else.
type tcpStream struct {
	net.Conn
	owner   *streams
	remote  netip.AddrPort
	r       *bufio.Reader
	pending []byte
	reading chan struct{} // closed by the first Read: sipgo knows the connection now
	begin   sync.Once
	active  time.Time // guarded by streams.mu
}

func newStreams(g *guard, max int) *streams {
	if max <= 0 {
		max = 1024
	}
	return &streams{guard: g, max: max, conns: map[*tcpStream]struct{}{}}
}

// add takes a connection in; the one idle for longest makes room for it.
func (s *streams) add(c net.Conn) (*tcpStream, error) {
	remote, _ := addrPortOf(c.RemoteAddr())
	st := &tcpStream{Conn: c, owner: s, remote: remote, r: bufio.NewReaderSize(c, 4096),
		reading: make(chan struct{}), active: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	if len(s.conns) >= s.max {
		s.dropIdlestLocked()
	}
	s.conns[st] = struct{}{}
	return st, nil
}

func (s *streams) dropIdlestLocked() {
	var idlest *tcpStream
	for c := range s.conns {
		if idlest == nil || c.active.Before(idlest.active) {
			idlest = c
		}
	}
	if idlest != nil {
		delete(s.conns, idlest)
		idlest.Conn.Close()
	}
}

func (s *streams) touch(c *tcpStream) {
	s.mu.Lock()
	c.active = time.Now()
	s.mu.Unlock()
}

// Close closes every connection and refuses new ones.
func (s *streams) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		c.Conn.Close()
	}
}

// Close ends the connection; sipgo calls it when reading ends.
func (c *tcpStream) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.conns, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// Read gives the next message, in pieces if b is small.
func (c *tcpStream) Read(b []byte) (n int, err error) {
	c.begin.Do(func() { close(c.reading) })
	defer func() {
		if recover() != nil {
			n, err = 0, io.EOF // a panic costs one connection
		}
	}()
	for len(c.pending) == 0 {
		if c.pending, err = c.next(); err != nil {
			return 0, io.EOF
		}
	}
	n = copy(b, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// next reads one message and asks the guard; nil means that it was answered here.
func (c *tcpStream) next() ([]byte, error) {
	if err := c.skipKeepAlive(); err != nil {
		return nil, err
	}
	c.Conn.SetReadDeadline(time.Now().Add(messageTime))
	raw, whole, err := c.frame()
	if err != nil {
		return nil, err
	}
	c.owner.touch(c)
	ok, answer := c.owner.guard.admit(raw, c.remote, "tcp")
	if answer != nil {
		c.Write(answer)
	}
	if !whole {
		return nil, errors.New("the stream cannot be followed any more")
	}
	if !ok {
		return nil, nil
	}
	return raw, nil
}

// skipKeepAlive waits for a message; two CRLF are a ping, answered by one: RFC 5626 section 3.5.1.
func (c *tcpStream) skipKeepAlive() error {
	c.Conn.SetReadDeadline(time.Now().Add(idleTime))
	for ends := 0; ; {
		b, err := c.r.Peek(1)
		if err != nil {
			return err
		}
		if b[0] != '\r' && b[0] != '\n' {
			return nil
		}
		c.r.Discard(1)
		if b[0] == '\n' {
			if ends++; ends%2 == 0 {
				c.Write([]byte("\r\n"))
			}
		}
	}
}

// frame reads one message. whole is false when its end cannot be told: the
// header is too long, or Content-Length is missing or absurd.
func (c *tcpStream) frame() (raw []byte, whole bool, err error) {
	for !bytes.HasSuffix(raw, []byte("\n\r\n")) && !bytes.HasSuffix(raw, []byte("\n\n")) {
		part, err := c.r.ReadSlice('\n')
		raw = append(raw, part...)
		if err != nil && err != bufio.ErrBufferFull {
			return nil, false, err
		}
		if len(raw) > maxMessage {
			return raw, false, nil
		}
	}
	length, n := readHead(raw).get("content-length")
	size, bad := strconv.ParseUint(length, 10, 31)
	if n != 1 || bad != nil || len(raw)+int(size) > maxMessage {
		if n == 1 && bad == nil {
			raw = append(raw, make([]byte, maxMessage)...) // only its length matters: 513
		}
		return raw, false, nil
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(c.r, body); err != nil {
		return nil, false, err
	}
	return append(raw, body...), true, nil
}

// Write sends whole messages with a deadline; a peer that does not read loses the connection.
func (c *tcpStream) Write(b []byte) (int, error) {
	c.Conn.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := c.Conn.Write(c.owner.guard.retag(b)); err != nil {
		c.Conn.Close()
		return 0, err
	}
	return len(b), nil
}

// acceptor is a listener whose connections are wrapped.
type acceptor struct {
	net.Listener
	streams *streams
}

func (a acceptor) Accept() (net.Conn, error) {
	for {
		c, err := a.Listener.Accept()
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				continue
			}
			return nil, err
		}
		if st, err := a.streams.add(c); err == nil {
			return st, nil
		}
	}
}

// dialler hands connections that we open to sipgo as if they had been
// accepted, so that they get the same guard, deadlines and bound.
type dialler struct {
	streams *streams
	addr    net.Addr
	opened  chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newDialler(s *streams, addr net.Addr) *dialler {
	return &dialler{streams: s, addr: addr, opened: make(chan net.Conn), closed: make(chan struct{})}
}

func (d *dialler) Addr() net.Addr { return d.addr }

func (d *dialler) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

func (d *dialler) Accept() (net.Conn, error) {
	select {
	case c := <-d.opened:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// dial opens a connection and returns when sipgo can send on it.
func (d *dialler) dial(ctx context.Context, to netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var nd net.Dialer
	c, err := nd.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return fmt.Errorf("connect to %s: %w", to, err)
	}
	st, err := d.streams.add(c)
	if err != nil {
		return err
	}
	select {
	case d.opened <- st:
	case <-d.closed:
		st.Close()
		return net.ErrClosed
	}
	select {
	case <-st.reading:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package socket

import (
	"bufio"
	"bytes"
	"container/list"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/roomline/roomline/sip/grammar"
)

// Stream is one TCP or TLS connection as sipgo sees it: Read gives whole
// messages that passed the guard and nothing else.
type Stream struct {
	net.Conn  // a *tls.Conn where transport is tls
	owner     *Streams
	At        netip.AddrPort // the address listened on that it belongs to
	Transport string         // tcp or tls
	Local     netip.AddrPort
	Remote    netip.AddrPort
	text      string            // remote as sipgo sees it
	ID        netip.AddrPort    // local as sipgo sees it
	Leaf      *x509.Certificate // the server's, verified; nil on connections that we accepted

	ahead   lookahead
	r       *bufio.Reader // nil between messages
	pending []byte
	Reading chan struct{} // closed by the first Read: sipgo knows the connection now
	begin   sync.Once

	worth Worth         // guarded by streams.mu
	place *list.Element // guarded by streams.mu; nil: taken out
}

func newStream(s *Streams, c net.Conn, at netip.AddrPort, transport string) *Stream {
	st := &Stream{Conn: c, owner: s, At: at, Transport: transport, Reading: make(chan struct{})}
	st.Local, _ = AddrPort(c.LocalAddr())
	st.Remote, _ = AddrPort(c.RemoteAddr())
	st.ahead.from = c
	return st
}

// LocalAddr and RemoteAddr give names that no other connection has. They are
// what sipgo keeps connections by; the real addresses are local and remote.
func (c *Stream) LocalAddr() net.Addr { return namedAddr{c.ID.String()} }

// RemoteAddr is the peer's name, see LocalAddr.
func (c *Stream) RemoteAddr() net.Addr { return namedAddr{c.text} }

// speaksFor says whether requests for a host may leave here.
func (c *Stream) speaksFor(host string) bool {
	return c.Transport != "tls" || c.Leaf != nil && nameFault(c.Leaf, host) == nil
}

// known says whether sipgo has the connection.
func (c *Stream) known() bool {
	select {
	case <-c.Reading:
		return true
	default:
		return false
	}
}

// Close ends the connection; sipgo calls it when reading ends.
func (c *Stream) Close() error {
	c.owner.remove(c)
	c.abort()
	return nil
}

// abort closes the socket without waiting for anything.
func (c *Stream) abort() {
	if t, ok := c.Conn.(*tls.Conn); ok {
		t.NetConn().Close() // Close of a tls.Conn waits for a peer that does not read
		return
	}
	c.Conn.Close()
}

// Greet waits for the first message of a peer that connected; until then sipgo
// does not know of it and it costs little.
func (c *Stream) Greet() error {
	c.Conn.SetReadDeadline(time.Now().Add(greetTime))
	if t, ok := c.Conn.(*tls.Conn); ok {
		ctx, cancel := context.WithTimeout(context.Background(), messageTime)
		defer cancel()
		if err := t.HandshakeContext(ctx); err != nil {
			return err
		}
	}
	for len(c.pending) == 0 {
		var err error
		if c.pending, err = c.next(greetTime); err != nil {
			return err
		}
	}
	return nil
}

// Read gives the next message, in pieces if b is small.
func (c *Stream) Read(b []byte) (n int, err error) {
	c.begin.Do(func() { close(c.Reading) })
	defer func() {
		if recover() != nil {
			n, err = 0, io.EOF // a panic costs one connection
		}
	}()
	for len(c.pending) == 0 {
		if c.pending, err = c.next(idleTime); err != nil {
			return 0, io.EOF
		}
	}
	n = copy(b, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// next reads one message and asks the guard; nil means that it was answered here.
func (c *Stream) next(idle time.Duration) ([]byte, error) {
	if err := c.skipKeepAlive(idle); err != nil {
		return nil, err
	}
	c.Conn.SetReadDeadline(time.Now().Add(messageTime))
	raw, claimed, err := c.frame()
	if err != nil {
		return nil, err
	}
	c.owner.tap.received(raw, c.Transport, c.Local, c.Remote)
	checked := raw
	if claimed > grammar.MaxMessage {
		checked = append(raw, make([]byte, grammar.MaxMessage)...) // only its length matters: 513
	}
	ok, answer := c.owner.guard.Admit(checked, c.Remote, c.Transport)
	if answer != nil {
		c.Write(answer)
	}
	if claimed != len(raw) {
		return nil, errors.New("the stream cannot be followed any more")
	}
	if !ok {
		return nil, nil
	}
	c.owner.heard(c)
	return raw, nil
}

// skipKeepAlive waits for a message; two CRLF are a ping, answered by one: RFC 5626 section 3.5.1.
func (c *Stream) skipKeepAlive(idle time.Duration) error {
	c.Conn.SetReadDeadline(time.Now().Add(idle))
	for ends := 0; ; {
		if err := c.wait(); err != nil {
			return err
		}
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

// buffers are lent to connections while something is coming in.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4096) }}

// wait returns when there is something to read, and gives the buffer back meanwhile.
func (c *Stream) wait() error {
	if c.r != nil && c.r.Buffered() > 0 {
		return nil
	}
	c.giveBack()
	if err := c.ahead.fetch(); err != nil {
		return err
	}
	c.r = buffers.Get().(*bufio.Reader)
	c.r.Reset(&c.ahead)
	return nil
}

// giveBack returns the buffer to those who need one.
func (c *Stream) giveBack() {
	if c.r != nil {
		c.r.Reset(nil)
		buffers.Put(c.r)
		c.r = nil
	}
}

// lookahead reads one byte ahead, so that a connection can wait without a buffer.
type lookahead struct {
	from io.Reader
	b    [1]byte
	full bool
}

func (l *lookahead) fetch() error {
	_, err := io.ReadFull(l.from, l.b[:])
	l.full = err == nil
	return err
}

// Read gives the byte first.
func (l *lookahead) Read(p []byte) (int, error) {
	if l.full && len(p) > 0 {
		p[0], l.full = l.b[0], false
		return 1, nil
	}
	return l.from.Read(p)
}

// frame reads one message, of as many bytes as it claims to have. If it has
// more or says nothing sound, only what was read so far comes back, and where
// the next message begins cannot be told; claimed is 0 in the latter case.
func (c *Stream) frame() (raw []byte, claimed int, err error) {
	for !bytes.HasSuffix(raw, []byte("\n\r\n")) && !bytes.HasSuffix(raw, []byte("\n\n")) {
		part, err := c.r.ReadSlice('\n')
		raw = append(raw, part...)
		if err != nil && err != bufio.ErrBufferFull {
			return nil, 0, err
		}
		if len(raw) > grammar.MaxMessage {
			return raw, 0, nil
		}
	}
	length, n := grammar.Read(raw).Get("content-length")
	size, bad := strconv.ParseUint(length, 10, 31)
	if n != 1 || bad != nil {
		return raw, 0, nil
	}
	claimed = len(raw) + int(size)
	if claimed > grammar.MaxMessage {
		return raw, claimed, nil
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(c.r, body); err != nil {
		return nil, 0, err
	}
	return append(raw, body...), claimed, nil
}

// Write sends whole messages with a deadline; a peer that does not read loses the connection.
func (c *Stream) Write(b []byte) (int, error) {
	c.Conn.SetWriteDeadline(time.Now().Add(writeTime))
	out := c.owner.guard.Retag(b)
	if FaceIndex(c.text) > 0 {
		out = plainPort(out)
	}
	c.owner.tap.sent(out, c.Transport, c.Local, c.Remote)
	if _, err := c.Conn.Write(out); err != nil {
		c.abort()
		return 0, err
	}
	return len(b), nil
}

// SetDeadline and its like are ours to set, not sipgo's.
func (c *Stream) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing, see SetDeadline.
func (c *Stream) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, see SetDeadline.
func (c *Stream) SetWriteDeadline(time.Time) error { return nil }

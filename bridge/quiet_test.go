package bridge

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// quietConn is a socket on which nothing ever arrives. It blocks on channels
// alone, so that tests in a synctest bubble can let time pass.
type quietConn struct {
	port   int
	closed chan struct{}
	once   sync.Once
}

var quietPort atomic.Int32

func listenQuietly(context.Context, string, string) (net.PacketConn, error) {
	return &quietConn{port: 10000 + int(quietPort.Add(1)-1)%40000, closed: make(chan struct{})}, nil
}

func (c *quietConn) ReadFrom([]byte) (int, net.Addr, error)    { <-c.closed; return 0, nil, net.ErrClosed }
func (c *quietConn) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }
func (c *quietConn) Close() error                              { c.once.Do(func() { close(c.closed) }); return nil }
func (c *quietConn) LocalAddr() net.Addr {
	return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.port}
}
func (c *quietConn) SetDeadline(time.Time) error      { return c.Close() }
func (c *quietConn) SetReadDeadline(time.Time) error  { return c.Close() }
func (c *quietConn) SetWriteDeadline(time.Time) error { return nil }

// newQuietLine is a fakeLine whose RTP session has no sockets.
func newQuietLine(t testing.TB) *fakeLine {
	t.Helper()
	s, err := rtp.Open(context.Background(), rtp.Config{Listen: listenQuietly, LocalIP: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	return fakeLineOn(t, s)
}

// BenchmarkCallSetUp is the exchange's share of a call: admitted, ringing,
// answered, seated, ended, with its events and its CDR; in the last case written
// as JSON, too.
func BenchmarkCallSetUp(b *testing.B) {
	for _, c := range []struct {
		name  string
		live  int
		write bool
	}{{"alone", 0, false}, {"beside2000", 2000, false}, {"written", 0, true}} {
		b.Run(c.name, func(b *testing.B) {
			live, text := c.live, func(any) {}
			if c.write {
				text = func(v any) {
					if _, err := json.Marshal(v); err != nil {
						b.Error(err)
					}
				}
			}
			x := &Exchange{Emitted: func(e Event) { text(e) }, Recorded: func(c CDR) { text(c) }, Trusts: TrustedBy(), Plan: planOf(b, `
trunks:
  - {name: carrier, addresses: [203.0.113.0/24], limits: {calls: 5000, cps: 100000}}
routes:
  - {name: a, trunk: carrier, to: "+1666*", room: a}
  - {name: b, trunk: carrier, to: "+1777*", room: b}
  - {name: in, trunk: carrier, to: "+1555*", room: "r-{{call.id}}"}
`)}
			inv := Invite{Source: netip.MustParseAddrPort("203.0.113.9:5060"), From: "+15550100", To: "+15550101"}
			open := func() (*fakeLine, *Call) {
				if r := x.Admit(inv); r != nil {
					b.Fatal(r.Reason)
				}
				l := newQuietLine(b)
				x.Incoming(inv, l)
				<-l.answered
				l.happens(LineAnswered)
				c, _ := x.of(l)
				return l, c
			}
			var lines []*fakeLine
			for range live {
				l, _ := open()
				lines = append(lines, l)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				l, c := open()
				l.ended(LineEvent{Cause: CauseNormal})
				<-c.Done()
			}
			b.StopTimer()
			for _, l := range lines {
				l.ended(LineEvent{Cause: CauseNormal})
			}
			x.running.Wait()
		})
	}
}

var _ media.Listen = listenQuietly

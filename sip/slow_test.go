package sip

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// slowPeers are connections from many loopback addresses that say a byte each
// second, and connect again when they are thrown out.
func slowPeers(t *testing.T, to netip.AddrPort, n int) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	conns := make([]net.Conn, n)
	dial := func(i int) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}, Timeout: patience}
		conns[i], _ = d.DialContext(ctx, "tcp4", to.String())
	}
	var dialling sync.WaitGroup
	for part := range 8 {
		dialling.Go(func() {
			for i := part; i < n; i += 8 {
				dial(i)
			}
		})
	}
	dialling.Wait()
	wg.Go(func() {
		defer func() {
			for _, c := range conns {
				if c != nil {
					c.Close()
				}
			}
		}()
		text := "INVITE sip:lobby@127.0.0.1 SIP/2.0\r\n"
		second := time.NewTicker(time.Second)
		defer second.Stop()
		for at := 0; ; at++ {
			for i, c := range conns {
				if c == nil || writeByte(c, text[at%len(text)]) != nil {
					dial(i)
				}
			}
			select {
			case <-second.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

func writeByte(c net.Conn, b byte) error {
	_, err := c.Write([]byte{b})
	return err
}

// reaches connects as a peer that means it, and says how long an INVITE waited
// for its first response.
func reaches(t *testing.T, b *agent, open func() (net.Conn, error)) time.Duration {
	t.Helper()
	begin := time.Now()
	c, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := &tcpPeer{t, c, bufio.NewReader(c)}
	body := sampleSDP("127.0.0.1", 40000, "")
	fmt.Fprintf(c, "INVITE sip:lobby@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP %s;branch=z9hG4bK%s\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@127.0.0.1;transport=tcp>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		c.LocalAddr(), unique("b"), unique("c"), len(body), body)
	if s := p.status(); s != "SIP/2.0 100 Trying" {
		t.Fatalf("got %q", s)
	}
	took := time.Since(begin)
	b.incoming().End("busy", "")
	for s := "-"; s != "" && !strings.HasPrefix(s, "SIP/2.0 486"); {
		s = p.status()
	}
	return took
}

func TestThousandsOfSlowPeersKeepNobodyOut(t *testing.T) {
	const slow = 5000
	ca := newAuthority(t)
	cert := hold(ca.issue(time.Now().Add(time.Hour), "127.0.0.1"))
	b := startAgent(t, ca.shows(cert))
	before := heap()
	slowPeers(t, b.Addr(), slow)
	slowPeers(t, b.TLSAddr(), slow/5)
	var worst time.Duration
	again := time.NewTicker(200 * time.Millisecond) // past several rounds of bytes and of new connections
	defer again.Stop()
	for range 12 {
		<-again.C
		worst = max(worst,
			reaches(t, b, func() (net.Conn, error) { return net.Dial("tcp4", b.Addr().String()) }),
			reaches(t, b, func() (net.Conn, error) {
				return tls.Dial("tcp4", b.TLSAddr().String(), &tls.Config{RootCAs: ca.pool})
			}))
	}
	used := heap() - before
	t.Logf("with %d slow peers: an INVITE is answered within %v; %d kB of memory more, %d goroutines", slow, worst, used>>10, runtime.NumGoroutine())
	if worst > time.Second {
		t.Errorf("an INVITE waited for %v", worst)
	}
	if used > 48<<20 {
		t.Errorf("%d MB of memory more", used>>20)
	}
}

// heap is the memory in use by objects and stacks.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// Peers that fail at the handshake, or never say anything sound, leave nothing behind.
func TestFailedHandshakesLeaveNothing(t *testing.T) {
	ca := newAuthority(t)
	b := startAgent(t, ca.shows(hold(ca.issue(time.Now().Add(time.Hour), "127.0.0.1"))))
	before := runtime.NumGoroutine()
	for i := range 100 {
		c, err := net.Dial("tcp", b.TLSAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		switch i % 4 {
		case 0:
			fmt.Fprint(c, "OPTIONS sip:127.0.0.1 SIP/2.0\r\n\r\n")
		case 1:
			fmt.Fprint(c, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
		case 2: // speaks no version that we speak
			tls.Client(c, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}).Handshake()
		case 3: // does not believe us
			tls.Client(c, &tls.Config{ServerName: "127.0.0.1"}).Handshake()
		}
		c.Close()
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 1000 { // the UA's own work may hold a goroutine or two at any moment; a leak would hold 25
		if b.streams.Size() == 0 && runtime.NumGoroutine() <= before+3 {
			return
		}
		<-tick.C
	}
	t.Errorf("%d connections and %d goroutines are left", b.streams.Size(), runtime.NumGoroutine()-before)
}

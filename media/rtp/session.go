package rtp

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/roomline/roomline/media"
)

// Config is what a Session needs from its house.
type Config struct {
	Listen  media.Listen // nil: media.ListenUDP
	Ports   *Ports       // nil: any free pair of ports
	LocalIP netip.Addr   // the one address that is bound
	Log     *slog.Logger // with the call's id; nil: silent

	Identity *Identity // our certificate, for Params with DTLS
	// Keyed is told of the end of each DTLS handshake: nil, the leg is protected
	// from now on; else why it is not. It must not block. May be nil.
	Keyed func(error)
}

// Session is one RTP session with one peer. Its methods are safe for
// concurrent use; WritePacket has one caller at a time.
type Session struct {
	log   *slog.Logger
	ports *Ports
	local netip.AddrPort
	ssrc  uint32
	cname string

	rtp, rtcp socket

	agreed    atomic.Pointer[agreed]
	receivers atomic.Pointer[receivers]
	remote    atomic.Pointer[netip.AddrPort] // where RTP goes; nil: nowhere
	broken    atomic.Bool                    // a receiver panicked: nothing is delivered any more

	packet media.Packet // the one being delivered; belongs to the reading goroutine

	mu  sync.Mutex // guards in and out, never held over I/O or a callback
	in  inbound
	out outbound

	writing sync.Mutex // one packet at a time in buffer; guards what sealer holds
	buffer  [maxPacket + tagRoom]byte
	sealer  atomic.Pointer[sealer] // encrypts what is sent; stored with mu held
	// rtcpSealer encrypts RTCP where a DTLS handshake gave that port its own keys.
	rtcpSealer atomic.Pointer[sealer]

	identity   *Identity
	keyed      func(error)
	handshakes sync.WaitGroup

	stop    chan struct{} // closed by Close
	reports sync.WaitGroup
	closing sync.Once
}

type receivers struct {
	packet func(*media.Packet)
	digit  func(Digit)
}

// maxPacket is the largest packet sent and received whole, in bytes.
const maxPacket = 1500

// Open binds a pair of ports and starts to read. Nothing is accepted before
// the first [Session.Update].
func Open(ctx context.Context, c Config) (*Session, error) {
	if c.Listen == nil {
		c.Listen = media.ListenUDP
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Session{log: c.Log, ports: c.Ports, ssrc: rand.Uint32(), cname: crand.Text(),
		identity: c.Identity, keyed: c.Keyed, stop: make(chan struct{})}
	rtp, rtcp, err := bind(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open RTP session on %s: %w", c.LocalIP, err)
	}
	s.local = unmap(localAddr(rtp))
	s.in.lastReceived = time.Now()
	s.rtp = newSocket(rtp, s.receivedRTP, 100)
	s.rtcp = newSocket(rtcp, s.receivedRTCP, 1)
	s.reports.Go(s.sendReports)
	return s, nil
}

// LocalAddr returns the bound RTP address; RTCP has the next port.
func (s *Session) LocalAddr() netip.AddrPort { return s.local }

// SSRC returns the synchronisation source of what we send.
func (s *Session) SSRC() uint32 { return s.ssrc }

// Update replaces the parameters. SSRC and counts go on; the peer's address is
// learnt anew only if Remote changed or Latch came on. An error changes nothing.
func (s *Session) Update(p Params) error {
	a, err := agree(p, s.local.Addr())
	if err != nil {
		return fmt.Errorf("RTP parameters: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.agreed.Load()
	if err := s.protectLocked(a, before); err != nil {
		return fmt.Errorf("RTP parameters: %w", err)
	}
	if before == nil || !before.Receive {
		s.in.lastReceived = time.Now()
	}
	if before == nil || before.Remote != a.Remote || a.Latch && !before.Latch {
		s.in.latch.reset(a.Remote, a.Latch)
		s.in.rtcp = a.RemoteRTCP
		s.sendTo(a.Remote)
	} else if before.RemoteRTCP != a.RemoteRTCP {
		s.in.rtcp = a.RemoteRTCP
	}
	s.agreed.Store(a)
	return nil
}

// Params returns the parameters in force, zero before the first Update. The
// caller must not change its Accept.
func (s *Session) Params() Params {
	if a := s.agreed.Load(); a != nil {
		return a.Params
	}
	return Params{}
}

// Remote returns where packets are sent: the signalled address or the one that
// was learnt; zero while there is none.
func (s *Session) Remote() netip.AddrPort {
	if a := s.remote.Load(); a != nil {
		return *a
	}
	return netip.AddrPort{}
}

// Close says RTCP BYE, closes the sockets, waits until no callback runs and
// gives the ports back. Closing twice is harmless. It must not be called from a callback.
func (s *Session) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.stop)
		s.reports.Wait()
		s.endHandshakes()
		s.rtp.stopReading()
		s.rtcp.stopReading()
		s.sendReport(time.Now(), true)
		err = errors.Join(s.rtp.close(), s.rtcp.close())
		if s.ports != nil {
			s.ports.Free(int(s.local.Port()))
		}
	})
	return err
}

func (s *Session) sendTo(a netip.AddrPort) {
	if usable(a) {
		s.remote.Store(&a)
	} else {
		s.remote.Store(nil)
	}
}

// bind opens an even port and the next one, trying other pairs while somebody
// else has them.
func bind(ctx context.Context, c Config) (rtp, rtcp net.PacketConn, err error) {
	tries := 50
	if c.Ports != nil {
		tries = c.Ports.Pairs() // another program may hold any number of them
	}
	for range tries {
		port := 0
		if c.Ports != nil {
			if port, err = c.Ports.Take(); err != nil {
				return nil, nil, err
			}
		}
		if rtp, rtcp, err = bindPair(ctx, c, port); err == nil {
			return rtp, rtcp, nil
		}
		if c.Ports != nil {
			c.Ports.Free(port)
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, nil, err
}

func bindPair(ctx context.Context, c Config, port int) (rtp, rtcp net.PacketConn, err error) {
	network := "udp4"
	if c.LocalIP.Is6() {
		network = "udp6"
	}
	listen := func(port int) (net.PacketConn, error) {
		return c.Listen(ctx, network, net.JoinHostPort(c.LocalIP.String(), strconv.Itoa(port)))
	}
	if rtp, err = listen(port); err != nil {
		return nil, nil, err
	}
	at := int(localAddr(rtp).Port())
	if at%2 != 0 { // only with any free port
		rtp.Close()
		return nil, nil, fmt.Errorf("port %d is odd: %w", at, syscall.EADDRINUSE)
	}
	if rtcp, err = listen(at + 1); err != nil {
		rtp.Close()
		return nil, nil, err
	}
	return rtp, rtcp, nil
}

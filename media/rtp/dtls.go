package rtp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	piondtls "github.com/pion/dtls/v3"
	"github.com/pion/logging"
	pionsrtp "github.com/pion/srtp/v3"
)

const (
	// handshakeTimeout bounds a handshake; its messages are repeated after 1, 2 and 4 s.
	handshakeTimeout = 12 * time.Second
	// mostDTLS is how many DTLS datagrams of the peer are looked at in a second.
	mostDTLS = 100
)

// The ports that a handshake is held on: both, unless RTCP is on the RTP port.
const (
	onRTP = iota
	onRTCP
)

// shake is a handshake of a session, under way or done.
type shake struct {
	tunnel *tunnel // nil: there is none
	want   *DTLS
	cancel context.CancelFunc

	since time.Time // the second that count counts in
	count int
}

// isDTLS tells DTLS from RTP and STUN by the first byte, RFC 7983.
func isDTLS(b []byte) bool { return len(b) > 0 && b[0] >= 20 && b[0] <= 63 }

// takeDTLS hands a datagram to the handshake on its port: from where RTP or RTCP
// would be taken, and, while the peer's ports are not sure, from its host.
func (s *Session) takeDTLS(port int, b []byte, from netip.AddrPort, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, peer := &s.in.shakes[port], s.in.latch.source
	near := s.in.latch.open && from.Addr() == peer.Addr()
	if port == onRTCP {
		near = (s.in.latch.open || s.in.latch.learnt) && from.Addr() == peer.Addr()
		peer = s.in.rtcp
	}
	if now.Sub(h.since) >= time.Second {
		h.since, h.count = now, 0
	}
	h.count++
	if h.tunnel == nil || from != peer && !near || h.count > mostDTLS || len(b) > maxPacket {
		s.in.discarded++
		return
	}
	h.tunnel.push(b, from)
}

// shakeLocked begins the handshakes for new parameters, unless those before serve
// them. Keys in force stay until they are done.
func (s *Session) shakeLocked(a, before *agreed) error {
	if s.identity == nil {
		return errors.New("DTLS needs a certificate")
	}
	if !usable(a.Remote) {
		return nil // it begins when the peer says where it is
	}
	moved := before == nil || before.Remote != a.Remote || before.RemoteRTCP != a.RemoteRTCP
	s.beginLocked(onRTP, a.Remote, a.Security.DTLS, moved)
	if !a.Mux {
		s.beginLocked(onRTCP, a.RemoteRTCP, a.Security.DTLS, moved)
	}
	return nil
}

// beginLocked begins a handshake with a peer, or lets the one go on that is
// there; moved: the peer's address is another one.
func (s *Session) beginLocked(port int, peer netip.AddrPort, d *DTLS, moved bool) {
	h := &s.in.shakes[port]
	if h.tunnel != nil && d.sameHandshake(h.want) {
		if moved {
			h.tunnel.aim(peer)
		}
		return
	}
	s.stopShakeLocked(port)
	select {
	case <-s.stop:
		return
	default:
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := newTunnel([]socket{s.rtp, s.rtcp}[port], s.local, peer)
	*h = shake{tunnel: t, want: d, cancel: cancel}
	s.handshakes.Go(func() { s.shake(ctx, port, t, d) })
}

// stopShakeLocked ends a handshake and what is left of it, without waiting.
func (s *Session) stopShakeLocked(port int) {
	if h := &s.in.shakes[port]; h.tunnel != nil {
		h.cancel()
		*h = shake{}
	}
}

func (s *Session) stopShakesLocked() {
	s.stopShakeLocked(onRTP)
	s.stopShakeLocked(onRTCP)
}

// endHandshakes ends the handshakes and waits for their goroutines.
func (s *Session) endHandshakes() {
	s.mu.Lock()
	s.stopShakesLocked()
	s.mu.Unlock()
	s.handshakes.Wait()
}

// shake does one handshake, puts its keys into force, and then keeps the
// connection: the peer may ask for the last flight again.
func (s *Session) shake(ctx context.Context, port int, t *tunnel, d *DTLS) {
	defer t.Close()
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("DTLS panicked", "panic", p, "stack", string(debug.Stack()))
			s.tell(errors.New("an internal error"))
		}
	}()
	conn, err := s.handshake(ctx, t, d)
	if err == nil {
		defer conn.Close()
		err = s.install(conn, port, t, d)
	}
	switch {
	case ctx.Err() != nil: // another one has taken its place, or the session ends
	case port == onRTCP && err != nil: // then there are no reports
		s.log.Info("no DTLS for RTCP", "peer", t.remote(), "error", err)
	case port == onRTP:
		s.tell(err)
	}
	if err == nil {
		linger(ctx, conn)
	}
}

func (s *Session) tell(err error) {
	if s.keyed != nil {
		s.keyed(err)
	}
}

var errFingerprint = errors.New("the peer's certificate is not the one that its SDP names")

// handshake runs it to its end, as client or server, RFC 5764 section 4.
func (s *Session) handshake(ctx context.Context, t *tunnel, d *DTLS) (*piondtls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	fits := false
	options := []piondtls.Option{
		piondtls.WithCertificates(s.identity.certificate),
		piondtls.WithSRTPProtectionProfiles(piondtls.SRTP_AEAD_AES_128_GCM, piondtls.SRTP_AEAD_AES_256_GCM,
			piondtls.SRTP_AES128_CM_HMAC_SHA1_80, piondtls.SRTP_AES128_CM_HMAC_SHA1_32),
		piondtls.WithLoggerFactory(&logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}),
		piondtls.WithExtendedMasterSecret(piondtls.RequestExtendedMasterSecret),
		piondtls.WithInsecureSkipVerify(true), // the fingerprint is what is verified
		piondtls.WithVerifyPeerCertificate(func(certificates [][]byte, _ [][]*x509.Certificate) error {
			fits = len(certificates) > 0 && d.fits(certificates[0])
			if !fits {
				return errFingerprint
			}
			return nil
		}),
	}
	conn, err := begin(t, d, options)
	if err != nil {
		return nil, err
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, explain(err)
	}
	if !fits {
		conn.Close()
		return nil, errFingerprint
	}
	return conn, nil
}

func begin(t *tunnel, d *DTLS, common []piondtls.Option) (*piondtls.Conn, error) {
	peer := net.UDPAddrFromAddrPort(t.remote())
	if d.Active {
		options := make([]piondtls.ClientOption, 0, len(common))
		for _, o := range common {
			options = append(options, o)
		}
		return piondtls.ClientWithOptions(t, peer, options...)
	}
	options := []piondtls.ServerOption{piondtls.WithClientAuth(piondtls.RequireAnyClientCert)}
	for _, o := range common {
		options = append(options, o)
	}
	return piondtls.ServerWithOptions(t, peer, options...)
}

// explain words the end of a handshake.
func explain(err error) error {
	switch {
	case errors.Is(err, errFingerprint):
		return errFingerprint
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the peer did not complete the DTLS handshake within %v", handshakeTimeout)
	}
	return fmt.Errorf("the DTLS handshake failed: %w", err)
}

// install takes the keys out of a finished handshake, RFC 5764 section 4.2.
func (s *Session) install(conn *piondtls.Conn, port int, t *tunnel, d *DTLS) error {
	profile, ok := conn.SelectedSRTPProtectionProfile()
	state, done := conn.ConnectionState()
	suite := suiteOf(pionsrtp.ProtectionProfile(profile))
	if !ok || !done || suite == NoSuite {
		return errors.New("the peer takes no SRTP profile in the DTLS handshake")
	}
	c := pionsrtp.Config{Profile: pionsrtp.ProtectionProfile(profile)}
	if err := c.ExtractSessionKeysFromDTLS(&state, d.Active); err != nil {
		return fmt.Errorf("take keys out of the DTLS handshake: %w", err)
	}
	send := slices.Concat(c.Keys.LocalMasterKey, c.Keys.LocalMasterSalt)
	receive := slices.Concat(c.Keys.RemoteMasterKey, c.Keys.RemoteMasterSalt)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.in.shakes[port].tunnel != t {
		return net.ErrClosed
	}
	if port == onRTCP {
		return s.useRTCPLocked(suite, send, receive, t.remote())
	}
	if from := t.remote(); s.in.latch.open {
		s.in.latch.source, s.in.latch.open, s.in.latch.learnt = from, false, true
		s.sendTo(from)
		s.in.rtcp = s.agreed.Load().rtcpOf(from)
	}
	return s.useLocked(suite, send, receive, "dtls ")
}

// useRTCPLocked puts the keys of the RTCP port into force.
func (s *Session) useRTCPLocked(suite Suite, send, receive Secret, peer netip.AddrPort) error {
	sealer, err := newSealer(suite, send)
	if err != nil {
		return err
	}
	keys := &keyring{}
	if err := keys.change(suite, receive, 0, time.Now()); err != nil {
		return err
	}
	s.rtcpSealer.Store(sealer)
	s.in.rtcpKeys, s.in.rtcp = keys, peer
	return nil
}

// linger reads what comes after a handshake, which is nothing of interest.
func linger(ctx context.Context, conn *piondtls.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	b := make([]byte, maxPacket)
	for failures := 0; failures < mostDTLS && ctx.Err() == nil; failures++ {
		_, err := conn.Read(b)
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, piondtls.ErrConnClosed) {
			return
		}
	}
}

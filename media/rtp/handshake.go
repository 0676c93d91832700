package rtp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	piondtls "github.com/pion/dtls/v3"
	"github.com/pion/logging"
	pionsrtp "github.com/pion/srtp/v3"
)

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

package rtp

import (
	"bytes"
	"errors"
	"net/netip"
	"time"
)

// Security says what protects the leg: "sdes AES_CM_128_HMAC_SHA1_80", "dtls
// AEAD_AES_128_GCM" and so on; empty while nothing does.
func (s *Session) Security() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.name
}

var errDowngrade = errors.New("a leg that was protected stays so")

// protectLocked puts the protection of new parameters into force, or begins the
// handshake that will. Keys that stay the same keep their counters.
func (s *Session) protectLocked(a, before *agreed) error {
	switch {
	case a.Security == nil && before != nil && before.Security != nil:
		return errDowngrade
	case a.Security == nil:
		return nil
	case a.Security.DTLS != nil:
		return s.shakeLocked(a, before)
	}
	s.stopShakesLocked()
	return s.useLocked(a.Security.Suite, a.Security.Send, a.Security.Receive, "sdes ")
}

// useLocked puts keys into force in both directions.
func (s *Session) useLocked(suite Suite, send, receive Secret, how string) error {
	sealer := s.sealer.Load()
	if sealer == nil || sealer.suite != suite || !bytes.Equal(sealer.secret, send) {
		var err error
		if sealer, err = newSealer(suite, send); err != nil {
			return err
		}
	}
	if s.in.keys == nil {
		s.in.keys = &keyring{}
	}
	if k := s.in.keys.now; k == nil || k.suite != suite || !bytes.Equal(k.secret, receive) {
		if err := s.in.keys.change(suite, receive, s.in.reception.ssrc, time.Now()); err != nil {
			return err
		}
	}
	s.sealer.Store(sealer)
	s.in.name = how + suite.String()
	return nil
}

// openLocked decrypts an RTP packet of a leg that is protected, and gives back
// any other as it is; false for what is not to be taken.
func (s *Session) openLocked(b []byte, from netip.AddrPort, now time.Time) ([]byte, bool) {
	if a := s.agreed.Load(); a == nil || a.Security == nil {
		return b, a != nil
	}
	k := s.in.keys
	if k == nil || from != s.in.latch.source && !k.tries.allow(from, now) {
		return nil, false
	}
	return k.open(b, now)
}

// openRTCPLocked is openLocked for compound packets.
func (s *Session) openRTCPLocked(b []byte, from netip.AddrPort, known, muxed bool, now time.Time) ([]byte, bool) {
	a := s.agreed.Load()
	if a.Security == nil {
		return b, true
	}
	k := s.in.keys
	if a.ownRTCPKeys() && !muxed {
		k = s.in.rtcpKeys
	}
	if k == nil || !known && !k.tries.allow(from, now) {
		return nil, false
	}
	return k.openRTCP(b)
}

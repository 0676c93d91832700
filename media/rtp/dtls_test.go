package rtp

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// shaker is a session with a certificate, and what it tells of handshakes.
type shaker struct {
	*Session
	id    *Identity
	keyed chan error
	apart bool // RTCP has its own port
}

func newShaker(t *testing.T) shaker {
	t.Helper()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	keyed := make(chan error, 4)
	s, err := Open(context.Background(), Config{LocalIP: loopback, Identity: id, Keyed: func(err error) { keyed <- err }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return shaker{Session: s, id: id, keyed: keyed}
}

// meet tells s about its peer.
func (s shaker) meet(t *testing.T, peer shaker, active bool, f Fingerprint) {
	t.Helper()
	p := telephone(peer.LocalAddr())
	p.Mux = !s.apart
	p.Security = &Security{DTLS: &DTLS{Active: active, Fingerprints: []Fingerprint{{"sha-1", "00"}, f}}}
	if err := s.Update(p); err != nil {
		t.Fatal(err)
	}
}

// hears proves that sound goes from one to the other.
func hears(t *testing.T, from, to shaker, mark byte) {
	t.Helper()
	got := make(chan byte, 64)
	to.Receive(func(p *media.Packet) {
		select {
		case got <- p.Payload[0]:
		default:
		}
	}, nil)
	deadline := time.Now().Add(5 * time.Second)
	for n := uint16(0); time.Now().Before(deadline); n++ {
		if err := from.WritePacket(&media.Packet{Codec: media.PCMU, SequenceNumber: uint16(mark)<<8 + n, Payload: bytes.Repeat([]byte{mark}, 160)}); err != nil {
			t.Fatal(err)
		}
		select {
		case b := <-got:
			if b == mark {
				return
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatal("nothing was heard")
}

func TestHandshakeGivesKeys(t *testing.T) {
	for _, apart := range []bool{false, true} {
		a, b := newShaker(t), newShaker(t)
		a.apart, b.apart = apart, apart
		handshakeGivesKeys(t, a, b)
	}
}

func handshakeGivesKeys(t *testing.T, a, b shaker) {
	a.meet(t, b, true, b.id.Fingerprint())
	if err := a.WritePacket(&media.Packet{Codec: media.PCMU, Payload: []byte("early")}); err != nil {
		t.Error(err)
	}
	if a.Quality().PacketsSent != 0 || a.Security() != "" {
		t.Error("something was sent before there were keys")
	}
	b.meet(t, a, false, a.id.Fingerprint())
	for _, s := range []shaker{a, b} {
		if err := want(t, s.keyed, "keys"); err != nil {
			t.Fatal(err)
		}
		if got := s.Security(); got != "dtls AEAD_AES_128_GCM" {
			t.Errorf("protected by %q", got)
		}
	}
	hears(t, a, b, 1)
	hears(t, b, a, 2)
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		// The RTCP port's keys may come later; only who has sent reports on it.
		a.WritePacket(&media.Packet{Codec: media.PCMU, SequenceNumber: 400, Payload: make([]byte, 160)})
		a.sendReport(time.Now(), false)
		b.mu.Lock()
		got := b.in.reportID
		b.mu.Unlock()
		if got != 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no report; RTCP apart: %v", a.apart)
		}
	}
	// The same again keeps the keys, another certificate makes new ones.
	a.meet(t, b, true, b.id.Fingerprint())
	hears(t, b, a, 3)
	if len(a.keyed) > 0 {
		t.Error("the handshake was done again")
	}
	c := newShaker(t)
	c.apart = a.apart
	a.meet(t, c, true, c.id.Fingerprint())
	c.meet(t, a, false, a.id.Fingerprint())
	if err := want(t, a.keyed, "new keys"); err != nil {
		t.Fatal(err)
	}
	hears(t, c, a, 4)
}

func TestHandshakeWithAnotherCertificateFails(t *testing.T) {
	for _, active := range []bool{true, false} {
		a, b := newShaker(t), newShaker(t)
		a.meet(t, b, active, a.id.Fingerprint()) // not the peer's
		b.meet(t, a, !active, a.id.Fingerprint())
		if err := want(t, a.keyed, "failure"); err == nil || !strings.Contains(err.Error(), "certificate is not the one") {
			t.Errorf("active %v: %v", active, err)
		}
		if a.Security() != "" {
			t.Errorf("active %v: protected by %q", active, a.Security())
		}
		a.WritePacket(&media.Packet{Codec: media.PCMU, Payload: []byte("plain")})
		if a.Quality().PacketsSent != 0 {
			t.Errorf("active %v: something was sent", active)
		}
	}
}

func TestSessionClosesInTheMiddleOfAHandshake(t *testing.T) {
	a := newShaker(t)
	phone := socketAt(t, "127.0.0.1")
	p := telephone(addr(phone))
	p.Security = &Security{DTLS: &DTLS{Active: true, Fingerprints: []Fingerprint{a.id.Fingerprint()}}}
	if err := a.Update(p); err != nil {
		t.Fatal(err)
	}
	if b := read(t, phone); !isDTLS(b) {
		t.Fatalf("the first datagram is %x", b[:1])
	}
	begin := time.Now()
	a.Close()
	if d := time.Since(begin); d > time.Second {
		t.Errorf("closing took %v", d)
	}
	if len(a.keyed) > 0 {
		t.Error("a handshake that was cut off is told of")
	}
}

func TestDTLSFromStrangersAndFloodsIsDropped(t *testing.T) {
	a, b := newShaker(t), newShaker(t)
	a.meet(t, b, false, b.id.Fingerprint())
	junk := append([]byte{22, 254, 253}, make([]byte, 60)...)
	stranger, now := socketAt(t, "127.0.0.3"), time.Now()
	for range 10000 {
		a.receivedRTP(junk, addr(stranger), now)
		a.receivedRTP(junk, b.LocalAddr(), now)
		now = now.Add(100 * time.Microsecond)
	}
	b.meet(t, a, true, a.id.Fingerprint())
	if err := want(t, a.keyed, "keys"); err != nil {
		t.Fatal(err)
	}
	hears(t, b, a, 9)
}

func FuzzProtectedRoad(f *testing.F) {
	id, err := NewIdentity()
	if err != nil {
		f.Fatal(err)
	}
	p := keyedPhone(AES128GCM)
	peer := newFar(f, AES128GCM, p.Security.Receive)
	f.Add(peer.packet(1, 7))
	f.Add([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0})
	f.Add([]byte{0, 1, 0, 0})
	f.Add([]byte{0x90, 200, 0, 1, 0, 0, 0, 0, 0, 0})
	s, err := Open(context.Background(), Config{LocalIP: loopback, Identity: id})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	d, err := Open(context.Background(), Config{LocalIP: loopback, Identity: id})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { d.Close() })
	if err := s.Update(p); err != nil {
		f.Fatal(err)
	}
	q := telephone(phoneAddr)
	q.Security = &Security{DTLS: &DTLS{Fingerprints: []Fingerprint{id.Fingerprint()}}}
	if err := d.Update(q); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range []*Session{s, d} {
			s.receivedRTP(bytes.Clone(b), phoneAddr, time.Now())
			s.receivedRTCP(bytes.Clone(b), phoneAddr, time.Now())
			if s.broken.Load() {
				t.Fatal("a packet broke the session")
			}
		}
	})
}

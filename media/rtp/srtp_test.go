package rtp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	pionrtp "github.com/pion/rtp"
	pionsrtp "github.com/pion/srtp/v3"

	"github.com/roomline/roomline/media"
)

func everySuite() (list []Suite) {
	for s := NoSuite + 1; int(s) < len(suites); s++ {
		list = append(list, s)
	}
	return list
}

// keyedPhone is a telephone with keys of SDP.
func keyedPhone(suite Suite) Params {
	p := telephone(phoneAddr)
	p.Security = &Security{Suite: suite, Send: suite.NewSecret(), Receive: suite.NewSecret()}
	return p
}

// far is the other end of a leg with keys, by the library alone.
type far struct {
	testing.TB
	seal *pionsrtp.Context
}

func newFar(t testing.TB, suite Suite, secret Secret) *far {
	t.Helper()
	c, err := suite.context(secret)
	if err != nil {
		t.Fatal(err)
	}
	return &far{t, c}
}

func (f *far) packet(sequence uint16, ssrc uint32, change ...func(*pionrtp.Packet)) []byte {
	f.Helper()
	b, err := f.seal.EncryptRTP(nil, wire(f.TB, 0, sequence, uint32(sequence)*160, ssrc, bytes.Repeat([]byte{0x55}, 160), change...), nil)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func TestEverySuiteCarriesSoundBothWays(t *testing.T) {
	for _, suite := range everySuite() {
		a, b := open(t, telephone(phoneAddr)), open(t, telephone(phoneAddr))
		one, two := suite.NewSecret(), suite.NewSecret()
		heard := make(chan media.Packet, 4)
		b.Receive(func(p *media.Packet) {
			kept := *p
			kept.Payload = bytes.Clone(p.Payload)
			heard <- kept
		}, nil)
		for _, end := range []struct {
			s    *Session
			to   netip.AddrPort
			keys Security
		}{{a, b.LocalAddr(), Security{Suite: suite, Send: one, Receive: two}}, {b, a.LocalAddr(), Security{Suite: suite, Send: two, Receive: one}}} {
			p := telephone(end.to)
			p.Security = &end.keys
			if err := end.s.Update(p); err != nil {
				t.Fatal(err)
			}
			if got := end.s.Security(); got != "sdes "+suite.String() {
				t.Errorf("protected by %q", got)
			}
		}
		payload := bytes.Repeat([]byte{1, 2, 3, 4}, 40)
		if err := a.WritePacket(&media.Packet{Codec: media.PCMU, SequenceNumber: 65535, Payload: payload}); err != nil {
			t.Fatal(err)
		}
		if p := want(t, heard, "packet under "+suite.String()); !bytes.Equal(p.Payload, payload) {
			t.Errorf("%s: other sound", suite)
		}
		a.sendReport(time.Now(), false)
		for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
			b.mu.Lock()
			got := b.in.reportID
			b.mu.Unlock()
			if got != 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: no report arrived", suite)
			}
		}
	}
}

func TestProtectedPacketsOnTheWireShowNothing(t *testing.T) {
	phone := socketAt(t, "127.0.0.1")
	p := keyedPhone(AES128GCM)
	p.Remote = addr(phone)
	s := open(t, p)
	payload := bytes.Repeat([]byte("secret"), 20)
	if err := s.WritePacket(&media.Packet{Codec: media.PCMU, Payload: payload}); err != nil {
		t.Fatal(err)
	}
	if b := read(t, phone); bytes.Contains(b, []byte("secret")) || len(b) != headerSize+len(payload)+16 {
		t.Errorf("%d bytes: %q", len(b), b)
	}
}

func TestPlainAndForgedPacketsAreNotHeardOnAProtectedLeg(t *testing.T) {
	for _, suite := range everySuite() {
		p := keyedPhone(suite)
		r := newRoad(t, p)
		good, wrong := newFar(t, suite, p.Security.Receive), newFar(t, suite, suite.NewSecret())
		r.sound(1, 160, 7) // in the clear
		r.in(wrong.packet(2, 7))
		first := good.packet(3, 7)
		r.in(bytes.Clone(first))
		r.in(bytes.Clone(first)) // a replay
		forged := good.packet(4, 7)
		forged[len(forged)-1] ^= 1
		r.in(forged)
		forged = good.packet(5, 7)
		forged[3]++ // the sequence number
		r.in(forged)
		r.in(good.packet(6, 7))
		r.in([]byte{0x80, 0})
		r.in(nil)
		if len(r.packets) != 2 {
			t.Errorf("%s: %d packets were heard", suite, len(r.packets))
		}
		if q := r.s.Quality(); q.Discarded != 7 {
			t.Errorf("%s: %d discarded", suite, q.Discarded)
		}
	}
}

func TestPlainReportsAreNotBelievedOnAProtectedLeg(t *testing.T) {
	p := keyedPhone(AES128CMSHA1With80)
	r := newRoad(t, p)
	plain := open(t, telephone(phoneAddr))
	plain.mu.Lock()
	packets := plain.report(time.Now(), true)
	plain.mu.Unlock()
	var b []byte
	for _, rep := range packets {
		one, _ := rep.Marshal()
		b = append(b, one...)
	}
	rtcp := netip.AddrPortFrom(r.from.Addr(), r.from.Port()+1)
	r.s.receivedRTCP(bytes.Clone(b), rtcp, r.now)
	if q := r.s.Quality(); q.Discarded != 1 {
		t.Errorf("a plain report: %d discarded", q.Discarded)
	}
	sealed, err := newFar(t, AES128CMSHA1With80, p.Security.Receive).seal.EncryptRTCP(nil, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.s.receivedRTCP(bytes.Clone(sealed), rtcp, r.now)
	r.s.receivedRTCP(bytes.Clone(sealed), rtcp, r.now) // a replay
	if q := r.s.Quality(); q.Discarded != 2 {
		t.Errorf("a sealed report and its replay: %d discarded", q.Discarded)
	}
}

func TestSequenceWrapsAndNewStreamsAreFollowed(t *testing.T) {
	for _, suite := range everySuite() {
		p := keyedPhone(suite)
		r := newRoad(t, p)
		peer := newFar(t, suite, p.Security.Receive)
		n := uint16(65000)
		const total = 140000 // two wraps
		for range total {
			r.packets = r.packets[:0]
			r.now = r.now.Add(20 * time.Millisecond)
			r.in(peer.packet(n, 7))
			if len(r.packets) != 1 {
				t.Fatalf("%s: lost at %d", suite, n)
			}
			if n++; testing.Short() && n > 2000 && n < 65000 {
				break
			}
		}
		r.packets = r.packets[:0]
		r.in(peer.packet(40000, 8))
		if len(r.packets) != 1 {
			t.Errorf("%s: a new stream is not heard", suite)
		}
		if !testing.Short() && suite == AES128CMSHA1With80 {
			break // the others wrap in the same code of ours; one long run will do
		}
	}
}

// Who starts to count just below 65536 has passed it when our first packet comes
// after some were lost.
func TestCounterPassedBeforeTheFirstPacket(t *testing.T) {
	p := keyedPhone(AES128CMSHA1With80)
	r := newRoad(t, p)
	peer := newFar(t, AES128CMSHA1With80, p.Security.Receive)
	for n := uint16(65530); n != 3; n++ {
		peer.packet(n, 7) // lost
	}
	for n := uint16(3); n < 20; n++ {
		r.in(peer.packet(n, 7))
	}
	if len(r.packets) != 17 {
		t.Errorf("%d of 17 packets were heard", len(r.packets))
	}
}

func TestKeysChangeMidCallWithoutLoss(t *testing.T) {
	for _, keepsCounter := range []bool{false, true} {
		p := keyedPhone(AES128CMSHA1With80)
		r := newRoad(t, p)
		old := newFar(t, p.Security.Suite, p.Security.Receive)
		old.seal.SetROC(7, 0)
		for n := uint16(65500); n != 10; n++ {
			r.in(old.packet(n, 7))
		}
		late := old.packet(10, 7)
		next := p
		next.Security = &Security{Suite: AES256GCM, Send: AES256GCM.NewSecret(), Receive: AES256GCM.NewSecret()}
		if err := r.s.Update(next); err != nil {
			t.Fatal(err)
		}
		fresh := newFar(t, AES256GCM, next.Security.Receive)
		if keepsCounter {
			fresh.seal.SetROC(7, 1)
		}
		r.in(late)
		for n := uint16(11); n < 30; n++ {
			r.in(fresh.packet(n, 7))
		}
		if len(r.packets) != 66 {
			t.Errorf("counter kept %v: %d of 66 packets were heard", keepsCounter, len(r.packets))
		}
		r.now = time.Now().Add(oldKeys + time.Second)
		r.in(old.packet(31, 7))
		if len(r.packets) != 66 {
			t.Error("the old key still opens")
		}
	}
}

func TestSameKeysGoOnOverAnUpdate(t *testing.T) {
	phone := socketAt(t, "127.0.0.1")
	p := keyedPhone(AES128CMSHA1With80)
	p.Remote = addr(phone)
	s := open(t, p)
	peer, err := p.Security.Suite.context(p.Security.Send)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint16(65530); n != 6; n++ {
		if n == 2 {
			again := p
			again.Security = &Security{Suite: p.Security.Suite, Send: bytes.Clone(p.Security.Send), Receive: bytes.Clone(p.Security.Receive)}
			if err := s.Update(again); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.WritePacket(&media.Packet{Codec: media.PCMU, SequenceNumber: n, Payload: make([]byte, 160)}); err != nil {
			t.Fatal(err)
		}
		if _, err := peer.DecryptRTP(nil, read(t, phone), nil); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
	}
}

func TestNoDowngradeAndNoBadKeys(t *testing.T) {
	p := keyedPhone(AES128CMSHA1With80)
	s := open(t, p)
	for name, change := range map[string]func(*Params){
		"plain":       func(p *Params) { p.Security = nil },
		"a short key": func(p *Params) { p.Security = &Security{Suite: AES128GCM, Send: make(Secret, 28), Receive: Secret{1}} },
		"no suite":    func(p *Params) { p.Security = &Security{} },
		"one key for both": func(p *Params) {
			p.Security = &Security{Suite: AES128GCM, Send: make(Secret, 28), Receive: make(Secret, 28)}
		},
		"no fingerprint": func(p *Params) { p.Security = &Security{DTLS: &DTLS{}} },
		"both ways": func(p *Params) {
			p.Security = &Security{Suite: AES128GCM, DTLS: &DTLS{Fingerprints: []Fingerprint{{}}}}
		},
	} {
		next := p
		change(&next)
		if err := s.Update(next); err == nil {
			t.Errorf("%s was taken", name)
		}
		if s.Params().Security != p.Security || s.Security() != "sdes AES_CM_128_HMAC_SHA1_80" {
			t.Errorf("%s changed the leg", name)
		}
	}
}

func TestOnlyAuthenticPacketsTeachAnAddress(t *testing.T) {
	p := keyedPhone(AES128GCM)
	p.Latch = true
	r := newRoad(t, p)
	peer := newFar(t, AES128GCM, p.Security.Receive)
	stranger := netip.MustParseAddrPort("127.0.0.9:9")
	impostor := newFar(t, AES128GCM, AES128GCM.NewSecret())
	for n := range uint16(50) {
		r.s.receivedRTP(impostor.packet(n, 7), stranger, r.now)
		r.s.receivedRTP(wire(t, 0, n, 0, 7, make([]byte, 160)), stranger, r.now)
	}
	if r.s.Remote() != p.Remote {
		t.Fatal("a stranger was taken for the peer")
	}
	behindNAT := netip.MustParseAddrPort("127.0.0.8:8")
	r.now = r.now.Add(time.Second)
	for n := range uint16(3) {
		r.s.receivedRTP(peer.packet(n, 7), behindNAT, r.now)
	}
	if r.s.Remote() != behindNAT {
		t.Errorf("remote is %s", r.s.Remote())
	}
}

// A crowd of strangers cannot keep the peer's address from being learnt.
func TestAddressIsLearntAmidACrowd(t *testing.T) {
	p := keyedPhone(AES128CMSHA1With80)
	p.Latch = true
	r := newRoad(t, p)
	peer, impostor := newFar(t, p.Security.Suite, p.Security.Receive), newFar(t, p.Security.Suite, p.Security.Suite.NewSecret())
	junk := impostor.packet(9, 9)
	behindNAT := netip.MustParseAddrPort("127.0.0.8:8")
	for n := range uint16(50) { // a second, with 10,000 bad packets
		for i := range 200 {
			r.s.receivedRTP(junk, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(n), byte(i)}), 7), r.now)
			r.now = r.now.Add(100 * time.Microsecond)
		}
		r.s.receivedRTP(peer.packet(n, 7), behindNAT, r.now)
	}
	if r.s.Remote() != behindNAT || len(r.packets) < 40 {
		t.Errorf("the peer is taken to be at %s, and %d of its packets were heard", r.s.Remote(), len(r.packets))
	}
}

func TestAuthenticationForStrangersIsBounded(t *testing.T) {
	var few, many tries
	now := time.Now()
	one, all := 0, 0
	for i := range 100000 { // within 100 ms
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), uint16(i))
		if few.allow(phoneAddr, now) {
			one++
		}
		if many.allow(from, now) {
			all++
		}
	}
	if one != triesEach || all > triesEach*len(many.spent) {
		t.Errorf("one source was tried %d times, a crowd %d times", one, all)
	}
}

func TestProtectedRoadDoesNotAllocate(t *testing.T) {
	for _, suite := range everySuite() {
		phone := socketAt(t, "127.0.0.1")
		p := keyedPhone(suite)
		p.Remote = addr(phone)
		s := open(t, p)
		s.Receive(func(*media.Packet) {}, nil)
		peer := newFar(t, suite, p.Security.Receive)
		packets := make([][]byte, 300)
		for n := range packets {
			packets[n] = peer.packet(uint16(n), 7)
		}
		out := media.Packet{Codec: media.PCMU, Payload: make([]byte, 160)}
		now, n := time.Now(), 0
		if allocated := testing.AllocsPerRun(200, func() {
			s.receivedRTP(packets[n], p.Remote, now)
			n++
			out.SequenceNumber++
			s.WritePacket(&out)
		}); allocated > 0 && !raceOn {
			t.Errorf("%s: %v allocations per packet", suite, allocated)
		}
		if q := s.Quality(); q.Discarded > 0 || q.PacketsSent == 0 {
			t.Errorf("%s: %+v", suite, q)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	secret := Secret("0123456789abcdefghijklmnopqrst")
	s := Security{Suite: AES128CMSHA1With80, Send: secret, Receive: secret}
	p := Params{Security: &s}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret, "security", s, "params", p)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret, "security", s, "params", p)
	encoded, _ := json.Marshal(s)
	for _, text := range []string{
		fmt.Sprintf("%v %+v %#v %s %x %q %d", secret, secret, secret, secret, secret, secret, secret),
		fmt.Sprintf("%v %+v %#v", s, s, s), fmt.Sprintf("%v %+v", &s, &s), fmt.Sprintln(p, s, secret), log.String(), string(encoded),
	} {
		if strings.Contains(text, "0123") || strings.Contains(text, "30313233") || strings.Contains(text, "48 49 50") || !strings.Contains(text, "secret") {
			t.Errorf("printed: %s", text)
		}
	}
}

func BenchmarkSRTP(b *testing.B) {
	for _, suite := range everySuite() {
		b.Run(suite.String(), func(b *testing.B) {
			p := keyedPhone(suite)
			s := open(b, p)
			s.Receive(func(*media.Packet) {}, nil)
			peer := newFar(b, suite, p.Security.Receive)
			packets := make([][]byte, b.N)
			for i := range packets {
				packets[i] = peer.packet(uint16(i), 7)
			}
			k, err := newSealer(suite, p.Security.Send)
			if err != nil {
				b.Fatal(err)
			}
			out := make([]byte, headerSize+160, maxPacket+tagRoom)
			now := time.Now()
			b.ReportAllocs()
			b.ResetTimer()
			for i, in := range packets {
				s.receivedRTP(in, phoneAddr, now)
				put(out, &media.Packet{Codec: media.PCMU, SequenceNumber: uint16(i)}, 0, 7)
				if _, err := k.seal(out); err != nil {
					b.Fatal(err)
				}
			}
			if s.Quality().Discarded != 0 {
				b.Fatal("packets were discarded")
			}
		})
	}
}

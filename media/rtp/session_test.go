package rtp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pionrtcp "github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"

	"github.com/roomline/roomline/media"
)

func TestTwoSessionsTalk(t *testing.T) {
	a, b := open(t, telephone(netip.AddrPort{})), open(t, telephone(netip.AddrPort{}))
	for _, pair := range [][2]*Session{{a, b}, {b, a}} {
		if err := pair[0].Update(telephone(pair[1].LocalAddr())); err != nil {
			t.Fatal(err)
		}
	}
	sound, keys := make(chan string, 100), make(chan rune, 10)
	b.Receive(func(p *media.Packet) { sound <- string(p.Payload) }, func(d Digit) { keys <- d.Key })
	send := func(p *media.Packet) {
		t.Helper()
		if err := a.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	send(&media.Packet{Codec: media.PCMU, SequenceNumber: 65535, Payload: []byte("hello")})
	var d DigitSender
	d.Start('#', 0)
	for n := uint16(0); ; n++ {
		step, ok := d.Next()
		if !ok {
			break
		}
		send(&media.Packet{Codec: media.TelephoneEvent, Marker: step.Marker, SequenceNumber: n, Timestamp: 160, Payload: step.Payload})
	}
	send(&media.Packet{Codec: media.PCMU, SequenceNumber: 7, Timestamp: 320, Payload: []byte("again")})
	if got := want(t, sound, "sound") + want(t, sound, "sound"); got != "helloagain" {
		t.Errorf("heard %q", got)
	}
	if got := want(t, keys, "key"); got != '#' || len(keys) != 0 {
		t.Errorf("key %q and %d more", got, len(keys))
	}
	a.sendReport(time.Now(), false)
	b.Close() // its BYE carries what it heard
	a.Close()
	if q := a.Quality(); q.PacketsSent != 9 {
		t.Errorf("%+v", q)
	}
	if q := b.Quality(); q.PacketsReceived != 9 || q.PacketsLost != 0 || q.MOS < 4.3 {
		t.Errorf("%+v", q)
	}
}

func TestWhatGoesOverTheWire(t *testing.T) {
	phone := socketAt(t, "127.0.0.1")
	s := open(t, telephone(addr(phone)))
	for _, tt := range []struct {
		codec media.Codec
		pt    uint8
	}{{media.PCMU, 0}, {media.TelephoneEvent, 101}, {media.ComfortNoise, 13}} {
		if err := s.WritePacket(&media.Packet{Codec: tt.codec, Marker: true, SequenceNumber: 5, Timestamp: 6, Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		var p pionrtp.Packet
		if err := p.Unmarshal(read(t, phone)); err != nil {
			t.Fatal(err)
		}
		if p.PayloadType != tt.pt || !p.Marker || p.SequenceNumber != 5 || p.Timestamp != 6 || p.SSRC != s.SSRC() || string(p.Payload) != "x" {
			t.Errorf("%s: %v", tt.codec, p)
		}
	}
	if err := s.WritePacket(&media.Packet{Codec: media.Opus}); err == nil || !strings.Contains(err.Error(), "not agreed to opus") {
		t.Errorf("a codec nobody agreed to: %v", err)
	}
	if err := s.WritePacket(&media.Packet{Codec: media.PCMU, Payload: make([]byte, 1490)}); err == nil {
		t.Error("a packet of 1502 bytes was sent")
	}
	p := telephone(addr(phone))
	p.Send = false
	s.Update(p)
	if err := s.WritePacket(&media.Packet{Codec: media.PCMU}); err != nil || s.Quality().PacketsSent != 3 {
		t.Errorf("on hold: %v, %d sent", err, s.Quality().PacketsSent)
	}
}

func TestCloseSaysBye(t *testing.T) {
	rtp, rtcp := socketAt(t, "127.0.0.1"), socketAt(t, "127.0.0.1")
	p := telephone(addr(rtp))
	p.RemoteRTCP = addr(rtcp)
	s := open(t, p)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	packets, err := pionrtcp.Unmarshal(read(t, rtcp))
	if err != nil {
		t.Fatal(err)
	}
	bye, ok := packets[len(packets)-1].(*pionrtcp.Goodbye)
	if err := pionrtcp.CompoundPacket(packets).Validate(); err != nil || !ok || bye.Sources[0] != s.SSRC() {
		t.Errorf("%v, %v", packets, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if err := s.WritePacket(&media.Packet{Codec: media.PCMU}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("written after Close: %v", err)
	}
}

func TestCloseWaitsForTheCallback(t *testing.T) {
	phone := socketAt(t, "127.0.0.1")
	s := open(t, telephone(addr(phone)))
	entered, release := make(chan bool), make(chan bool)
	var left atomic.Bool
	s.Receive(func(*media.Packet) { entered <- true; <-release; left.Store(true) }, nil)
	phone.WriteToUDPAddrPort(wire(t, 0, 1, 160, 7, []byte("x")), s.LocalAddr())
	want(t, entered, "callback")
	closed := make(chan bool, 1)
	go func() { s.Close(); closed <- left.Load() }()
	select {
	case <-closed:
		t.Error("closed while a callback runs")
	case <-time.After(30 * time.Millisecond):
	}
	release <- true
	if !want(t, closed, "end of Close") {
		t.Error("Close returned before the callback")
	}
}

func TestPortsComeBackAndBusyOnesAreSkipped(t *testing.T) {
	busy := socketAt(t, "127.0.0.1")
	low := int(addr(busy).Port()) &^ 1
	ports, err := NewPorts(low-4, low+5)
	if err != nil {
		t.Fatal(err)
	}
	var mine []*Session
	for {
		s, err := Open(context.Background(), Config{LocalIP: loopback, Ports: ports})
		if err != nil {
			if !strings.Contains(err.Error(), "in use") {
				t.Error(err)
			}
			break
		}
		if p := int(s.LocalAddr().Port()); p == low || p%2 != 0 || p < low-4 || p > low+4 {
			t.Errorf("bound %d in %d-%d without %d", p, low-4, low+5, low)
		}
		mine = append(mine, s)
	}
	if len(mine) < 1 || ports.InUse() < len(mine) {
		t.Errorf("%d sessions, %d pairs in use", len(mine), ports.InUse())
	}
	for _, s := range mine {
		s.Close()
	}
	if ports.InUse() != 0 {
		t.Errorf("%d pairs still in use", ports.InUse())
	}
}

// The peer's defect: RTP bound to all interfaces though one was configured.
func TestPeerDefect12BindsOneAddress(t *testing.T) {
	var asked []string
	var lock sync.Mutex
	listen := func(ctx context.Context, network, address string) (net.PacketConn, error) {
		lock.Lock()
		defer lock.Unlock()
		asked = append(asked, network+" "+address)
		return media.ListenUDP(ctx, network, address)
	}
	s, err := Open(context.Background(), Config{Listen: listen, LocalIP: loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, a := range asked {
		if !strings.HasPrefix(a, "udp4 127.0.0.1:") {
			t.Errorf("asked for %s", a)
		}
	}
	if s.LocalAddr().Addr() != loopback || s.LocalAddr().Port()%2 != 0 {
		t.Errorf("bound %v", s.LocalAddr())
	}
}

// A Listen may hand in what is no *net.UDPConn.
func TestAnyPacketConn(t *testing.T) {
	type plain struct{ net.PacketConn }
	listen := func(ctx context.Context, network, address string) (net.PacketConn, error) {
		c, err := media.ListenUDP(ctx, network, address)
		return plain{c}, err
	}
	s, err := Open(context.Background(), Config{Listen: listen, LocalIP: loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	phone := socketAt(t, "127.0.0.1")
	s.Update(telephone(addr(phone)))
	heard := make(chan string, 1)
	s.Receive(func(p *media.Packet) { heard <- string(p.Payload) }, nil)
	phone.WriteToUDPAddrPort(wire(t, 0, 1, 160, 7, []byte("in")), s.LocalAddr())
	if got := want(t, heard, "packet"); got != "in" {
		t.Errorf("heard %q", got)
	}
	s.WritePacket(&media.Packet{Codec: media.PCMU, Payload: []byte("out")})
	if b := read(t, phone); !bytes.HasSuffix(b, []byte("out")) {
		t.Errorf("sent %q", b)
	}
}

func TestIPv6(t *testing.T) {
	s, err := Open(context.Background(), Config{LocalIP: netip.IPv6Loopback()})
	if err != nil {
		t.Skip("no IPv6 here:", err)
	}
	defer s.Close()
	phone, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer phone.Close()
	if err := s.Update(telephone(addr(phone))); err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	s.Receive(func(p *media.Packet) { heard <- string(p.Payload) }, nil)
	phone.WriteToUDPAddrPort(wire(t, 0, 1, 160, 7, []byte("in")), s.LocalAddr())
	if got := want(t, heard, "packet"); got != "in" {
		t.Errorf("heard %q", got)
	}
	s.WritePacket(&media.Packet{Codec: media.PCMU, Payload: []byte("out")})
	if b := read(t, phone); !bytes.HasSuffix(b, []byte("out")) {
		t.Errorf("sent %q", b)
	}
	if err := s.Update(telephone(phoneAddr)); err == nil || !strings.Contains(err.Error(), "family") {
		t.Errorf("an IPv4 peer on an IPv6 socket: %v", err)
	}
}

func TestUpdateRefusesAndChangesNothing(t *testing.T) {
	s := open(t, telephone(phoneAddr))
	for name, change := range map[string]func(*Params){
		"ptime 5":       func(p *Params) { p.Ptime = 5 * time.Millisecond },
		"ptime 80":      func(p *Params) { p.Ptime = 80 * time.Millisecond },
		"payload type":  func(p *Params) { p.PayloadType = 128 },
		"accepted type": func(p *Params) { p.Accept = []PayloadCodec{{200, media.PCMU, 0}} },
		"RTCP family":   func(p *Params) { p.RemoteRTCP = netip.MustParseAddrPort("[::1]:5") },
		"no codec":      func(p *Params) { p.Codec = media.NoCodec },
	} {
		p := telephone(strangerAddr)
		change(&p)
		if err := s.Update(p); err == nil || s.Params().Remote != phoneAddr || s.Remote() != phoneAddr {
			t.Errorf("%s: %v, remote now %v", name, err, s.Params().Remote)
		}
	}
	if s.Params().Ptime != 20*time.Millisecond || s.Params().RemoteRTCP != phoneRTCP {
		t.Errorf("%+v", s.Params())
	}
}

// Garbage, valid RTP and reports of strangers rain down while the phone speaks:
// every packet of the phone is heard, none of theirs, and nobody is answered.
func TestFloodOfStrangersHarmsNobody(t *testing.T) {
	phone, stranger := socketAt(t, "127.0.0.1"), socketAt(t, "127.0.0.2")
	s := open(t, telephone(addr(phone)))
	heard := make(chan uint16, 1000)
	s.Receive(func(p *media.Packet) {
		if string(p.Payload) != "phone" {
			t.Errorf("heard %q", p.Payload)
		}
		heard <- p.SequenceNumber
	}, func(Digit) { t.Error("heard a key") })
	garbage := [][]byte{
		{}, {0x80}, bytes.Repeat([]byte{0xFF}, 1400), wire(t, 0, 1, 1, 7, []byte("evil")),
		wire(t, 101, 2, 2, 7, event('1', true, 800)), {0x80, 203, 0, 1, 0, 0, 0, 7}, []byte("\x00\x01\x00\x00\x21\x12\xa4\x42"),
	}
	rtcp := netip.AddrPortFrom(s.LocalAddr().Addr(), s.LocalAddr().Port()+1)
	for i := range uint16(200) {
		for _, b := range garbage {
			stranger.WriteToUDPAddrPort(b, s.LocalAddr())
			stranger.WriteToUDPAddrPort(b, rtcp)
		}
		phone.WriteToUDPAddrPort(wire(t, 0, i, uint32(i)*160, 7, []byte("phone")), s.LocalAddr())
		if got := want(t, heard, "packet of the phone"); got != i {
			t.Fatalf("heard %d, want %d", got, i)
		}
	}
	if q := s.Quality(); q.PacketsReceived != 200 || q.PacketsLost != 0 || q.Discarded < 200*6 {
		t.Errorf("%+v", q)
	}
	stranger.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := stranger.Read(make([]byte, 100)); err == nil {
		t.Errorf("the stranger was answered with %d bytes", n)
	}
}

func TestSendingDoesNotAllocate(t *testing.T) {
	sink := socketAt(t, "127.0.0.1")
	s := open(t, telephone(addr(sink)))
	p := &media.Packet{Codec: media.PCMU, Payload: make([]byte, 160)}
	if n := testing.AllocsPerRun(1000, func() {
		p.SequenceNumber++
		if err := s.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

// Everything at once, for the race detector.
func TestAllMethodsTogether(t *testing.T) {
	phone := socketAt(t, "127.0.0.1")
	s := open(t, telephone(addr(phone)))
	b := wire(t, 0, 1, 160, 7, []byte("x"))
	var wait sync.WaitGroup
	for _, f := range []func(){
		func() { phone.WriteToUDPAddrPort(b, s.LocalAddr()) },
		func() { s.Update(telephone(addr(phone))) },
		func() { s.Receive(func(*media.Packet) {}, nil) },
		func() { s.WritePacket(&media.Packet{Codec: media.PCMU, Payload: []byte("y")}) },
		func() { s.Quality(); s.LastReceived(); s.Params(); s.Remote() },
		func() { s.sendReport(time.Now(), false) },
	} {
		wait.Go(func() {
			for range 300 {
				f()
			}
		})
	}
	wait.Wait()
	wait.Go(func() { s.Close() })
	wait.Go(func() { s.Close() })
	wait.Wait()
}

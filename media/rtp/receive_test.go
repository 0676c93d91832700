package rtp

import (
	"bytes"
	"slices"
	"testing"
	"time"

	pionrtp "github.com/pion/rtp"

	"github.com/roomline/roomline/media"
)

// The peer's defect: a leg whose clock starts at 0 is held 120 ms for the whole
// call. Here every packet is out within the call that brought it in.
func TestPeerDefect06TimestampZero(t *testing.T) {
	for name, start := range map[string]struct {
		sequence  uint16
		timestamp uint32
	}{
		"all zero": {0, 0}, "sequence 65535": {65535, 0}, "time 65535": {0, 65535},
		"both about to wrap": {65534, 0xFFFFFFFF - 159}, "time at the end": {1, 0xFFFFFFFF}, "middle": {0x7FFF, 0x7FFFFFFF},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoad(t, telephone(phoneAddr))
			for i := range uint32(10) {
				r.sound(start.sequence+uint16(i), start.timestamp+160*i, 7)
				if len(r.packets) != int(i)+1 {
					t.Fatalf("%d packets out after %d in", len(r.packets), i+1)
				}
				p := r.packets[i]
				if p.SequenceNumber != start.sequence+uint16(i) || p.Timestamp != start.timestamp+160*i || p.Marker != (i == 0) {
					t.Errorf("packet %d: %+v", i, p)
				}
				if p.Arrived != r.now || p.Codec != media.PCMU || len(p.Payload) != 160 {
					t.Errorf("packet %d: %+v", i, p)
				}
			}
			if q := r.s.Quality(); q.PacketsReceived != 10 || q.PacketsLost != 0 || q.Discarded != 0 || q.JitterMS > 0.2 {
				t.Errorf("%+v", q)
			}
		})
	}
}

// The peer's defect: 40 ms packets get silence between them. We hand on what came.
func TestPeerDefect02LongPackets(t *testing.T) {
	for _, ms := range []int{10, 20, 30, 40, 60} {
		r := newRoad(t, telephone(phoneAddr))
		payload := bytes.Repeat([]byte{byte(ms)}, ms*8)
		for i := range 50 {
			r.now = r.now.Add(time.Duration(ms) * time.Millisecond)
			r.in(wire(t, 0, uint16(i), uint32(i*ms*8), 7, payload))
		}
		if len(r.packets) != 50 || !bytes.Equal(r.packets[49].Payload, payload) || r.packets[49].Timestamp != uint32(49*ms*8) {
			t.Errorf("%d ms: %d packets, last %+v", ms, len(r.packets), r.packets[len(r.packets)-1])
		}
		if q := r.s.Quality(); q.JitterMS > 0.2 || q.PacketsLost != 0 {
			t.Errorf("%d ms: %+v", ms, q)
		}
	}
}

func TestHeadersWithEverythingInThem(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	r.in(wire(t, 8, 1, 0, 7, []byte("sound"), func(p *pionrtp.Packet) {
		p.CSRC, p.Padding, p.Header.PaddingSize = []uint32{1, 2}, true, 9
		p.SetExtension(1, []byte{1, 2})
	}))
	if len(r.packets) != 1 || string(r.packets[0].Payload) != "sound" || r.packets[0].Codec != media.PCMA {
		t.Errorf("%+v", r.packets)
	}
}

func TestWhatIsNotSoundIsNotDelivered(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	r.sound(1, 160, 7)
	good := wire(t, 0, 2, 320, 7, []byte("sound"))
	for name, b := range map[string][]byte{
		"empty": {}, "cut short": good[:9], "version 1": append([]byte{0x40}, good[1:]...),
		"payload type not agreed": wire(t, 111, 2, 320, 7, []byte("sound")),
		"too long":                wire(t, 0, 2, 320, 7, make([]byte, 1600)),
	} {
		before := r.s.Quality()
		r.in(b)
		if q := r.s.Quality(); q.Discarded != before.Discarded+1 || q.PacketsReceived != before.PacketsReceived || len(r.packets) != 1 {
			t.Errorf("%s: %+v", name, q)
		}
	}
	r.in(wire(t, 0, 2, 320, 7, nil)) // keep-alive: taken, not heard, no gap
	r.sound(3, 480, 7)
	if !slices.Equal(r.numbers(), []uint16{1, 2}) || r.s.Quality().PacketsLost != 0 {
		t.Errorf("numbers %v, %+v", r.numbers(), r.s.Quality())
	}
	r.in(wire(t, 13, 4, 640, 7, []byte{40}))
	if last := r.packets[len(r.packets)-1]; last.Codec != media.ComfortNoise {
		t.Errorf("comfort noise: %+v", last)
	}
}

func TestDigitsLeaveNoGapInTheSound(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	r.sound(65530, 0, 7)
	r.sound(65531, 160, 7)
	for i := range uint16(8) { // across the wrap, on both agreed payload types
		r.now = r.now.Add(20 * time.Millisecond)
		r.in(wire(t, []uint8{101, 96}[i%2], 65532+i, 320, 7, event('5', i > 4, 160*(i+1))))
	}
	r.sound(4, 1600, 7)
	r.sound(6, 1920, 7) // 5 is lost or late
	r.sound(5, 1760, 7)
	if r.digits != "5" {
		t.Errorf("keys %q, want 5", r.digits)
	}
	if want := []uint16{65530, 65531, 65532, 65534, 65533}; !slices.Equal(r.numbers(), want) {
		t.Errorf("numbers %v, want %v", r.numbers(), want)
	}
	t.Run("sound overtaken by a digit keeps its number", func(t *testing.T) {
		r := newRoad(t, telephone(phoneAddr))
		r.sound(10, 0, 7)
		r.in(wire(t, 101, 12, 320, 7, event('1', false, 160)))
		r.sound(11, 160, 7)
		r.in(wire(t, 101, 13, 320, 7, event('1', true, 320)))
		r.sound(14, 480, 7)
		if want := []uint16{10, 11, 12}; !slices.Equal(r.numbers(), want) {
			t.Errorf("numbers %v, want %v", r.numbers(), want)
		}
	})
	t.Run("a late digit does not make two packets of one number", func(t *testing.T) {
		r := newRoad(t, telephone(phoneAddr))
		r.sound(10, 0, 7)
		r.sound(12, 320, 7)
		r.in(wire(t, 101, 11, 160, 7, event('1', true, 160)))
		r.sound(13, 480, 7)
		if want := []uint16{10, 12, 13}; !slices.Equal(r.numbers(), want) || r.digits != "1" {
			t.Errorf("numbers %v, want %v; keys %q", r.numbers(), want, r.digits)
		}
	})
}

func TestNewStreamContinuesTheOldOne(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	for i := range uint32(5) {
		r.sound(uint16(100+i), 1000+160*i, 7)
	}
	r.in(wire(t, 101, 105, 1800, 7, event('1', true, 160)))
	for i := range uint32(5) {
		r.sound(uint16(60000+i), 0xFFFFFF00+160*i, 8)
	}
	r.sound(105, 2000, 7) // an old one that was late
	r.sound(60005, 544, 8)
	for i, p := range r.packets {
		if p.SequenceNumber != uint16(100+i) {
			t.Errorf("packet %d has number %d", i, p.SequenceNumber)
		}
		if i > 0 {
			step := p.Timestamp - r.packets[i-1].Timestamp
			if lateBefore := i == 10; step != 160 && !lateBefore {
				t.Errorf("packet %d is %d units after the one before", i, step)
			}
		}
		if p.Marker != (i == 0 || i == 5) {
			t.Errorf("packet %d: marker %v", i, p.Marker)
		}
	}
	if q := r.s.Quality(); len(r.packets) != 11 || q.PacketsLost != 0 || q.Discarded != 1 {
		t.Errorf("%d packets, %+v", len(r.packets), q)
	}
}

func TestTwoStreamsDoNotTakeTurns(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	for i := range uint32(20) {
		r.sound(uint16(i), 160*i, 7)
		r.sound(uint16(5000+i), 160*i, 8)
	}
	if q := r.s.Quality(); q.Discarded != 19 || len(r.packets) != 21 {
		t.Errorf("%d heard, %+v", len(r.packets), q)
	}
	for i := range uint32(5) { // the first one stays alone and is taken up again
		r.sound(uint16(20+i), 160*(20+i), 7)
	}
	if len(r.packets) != 24 {
		t.Errorf("%d heard, want 24", len(r.packets))
	}
}

func TestSequenceJumpIsNoLoss(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	numbers := []uint16{10, 11, 13, 30000, 30001, 30003, 5, 6}
	for i, n := range numbers {
		r.sound(n, uint32(160*i), 7)
	}
	if q := r.s.Quality(); q.PacketsLost != 2 || q.PacketsReceived != 8 {
		t.Errorf("%+v, want 2 lost of 10", q)
	}
	if want := []uint16{10, 11, 13, 14, 15, 17, 18, 19}; !slices.Equal(r.numbers(), want) {
		t.Errorf("numbers %v, want %v", r.numbers(), want)
	}
}

func TestClockJumpWithinAStream(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	r.sound(1, 0, 7)
	r.sound(2, 160, 7)
	r.sound(3, 0x80000000, 7)
	r.sound(4, 0x80000000+160, 7)
	for i, p := range r.packets {
		if p.Timestamp != uint32(160*i) {
			t.Errorf("packet %d at %d", i, p.Timestamp)
		}
	}
	if q := r.s.Quality(); q.JitterMS > 1 {
		t.Errorf("a jump of the peer's clock counts as jitter: %+v", q)
	}
}

func TestHeldStreamIsAcceptedButNotHeard(t *testing.T) {
	p := telephone(phoneAddr)
	p.Receive = false
	r := newRoad(t, p)
	r.sound(1, 160, 7)
	r.in(wire(t, 101, 2, 320, 7, event('5', true, 160)))
	if len(r.packets) != 0 || r.digits != "" || r.s.Quality().PacketsReceived != 2 || !r.s.LastReceived().Equal(r.now) {
		t.Errorf("%d packets, keys %q, %+v", len(r.packets), r.digits, r.s.Quality())
	}
	p.Receive = true
	before := time.Now()
	if err := r.s.Update(p); err != nil {
		t.Fatal(err)
	}
	if r.s.LastReceived().Before(before) {
		t.Error("the silence while held counts against the peer")
	}
	r.sound(3, 480, 7)
	if len(r.packets) != 1 {
		t.Errorf("%d packets heard after the hold", len(r.packets))
	}
}

func TestReceiverThatPanicsCostsOneSession(t *testing.T) {
	r, other := newRoad(t, telephone(phoneAddr)), newRoad(t, telephone(phoneAddr))
	calls := 0
	r.s.Receive(func(*media.Packet) { calls++; panic("broken decoder") }, nil)
	for i := range uint32(3) {
		r.sound(uint16(i), 160*i, 7)
		other.sound(uint16(i), 160*i, 7)
	}
	if calls != 1 || len(other.packets) != 3 {
		t.Errorf("called %d times, the other session heard %d", calls, len(other.packets))
	}
}

func TestNothingIsAcceptedBeforeUpdate(t *testing.T) {
	r := newRoad(t, Params{})
	r.sound(1, 160, 7)
	if q := r.s.Quality(); q.PacketsReceived != 0 || q.Discarded != 1 || q.MOS != 0 {
		t.Errorf("%+v", q)
	}
}

func TestReceivingDoesNotAllocate(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	heard := 0
	r.s.Receive(func(*media.Packet) { heard++ }, nil)
	b := wire(t, 0, 0, 0, 7, make([]byte, 160), func(p *pionrtp.Packet) { p.CSRC = []uint32{1}; p.SetExtension(1, []byte{1}) })
	n := uint16(0)
	if allocs := testing.AllocsPerRun(1000, func() {
		n++
		b[2], b[3] = byte(n>>8), byte(n)
		r.s.receivedRTP(b, r.from, r.now)
	}); allocs != 0 || heard < 1000 {
		t.Errorf("%v allocations per packet, %d heard", allocs, heard)
	}
}

func FuzzReceiveRTP(f *testing.F) {
	f.Add(wire(f, 0, 1, 2, 3, []byte("sound")), wire(f, 101, 2, 2, 3, event('1', true, 800)), uint16(20))
	f.Add(wire(f, 0, 65535, 0xFFFFFFFF, 3, []byte("sound")), wire(f, 0, 30000, 2, 4, nil), uint16(9999))
	f.Add([]byte{0x80, 200, 0, 6}, []byte{0x80, 201, 0, 1, 0, 0, 0, 1}, uint16(0))
	s := open(f, telephone(phoneAddr))
	var now time.Time
	s.Receive(func(p *media.Packet) {
		if len(p.Payload) == 0 || len(p.Payload) > maxPacket || !p.Codec.Audio() && p.Codec != media.ComfortNoise {
			panic("bad packet")
		}
	}, func(Digit) {})
	f.Fuzz(func(t *testing.T, a, b []byte, ms uint16) {
		for _, datagram := range [][]byte{a, b, a, b, b} {
			now = now.Add(time.Duration(ms) * time.Millisecond)
			s.receivedRTP(datagram, phoneAddr, now)
		}
		if s.broken.Load() {
			t.Fatal("a panic on the road")
		}
		if q := s.Quality(); q.LossPercent < 0 || q.LossPercent > 100 || q.JitterMS < 0 || q.PacketsLost > 1<<40 {
			t.Fatalf("%+v", q)
		}
	})
}

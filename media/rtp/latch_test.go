package rtp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var strangerAddr = netip.MustParseAddrPort("192.0.2.66:7000")

func nat() Params {
	p := telephone(netip.MustParseAddrPort("10.0.0.5:4000"))
	p.Latch = true
	return p
}

func TestStrictSourceWithoutLatch(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	for _, from := range []string{"127.0.0.1:4001", "127.0.0.2:4000", "192.0.2.66:4000"} {
		r.from = netip.MustParseAddrPort(from)
		for i := range uint32(10) {
			r.sound(uint16(i), 160*i, 7)
		}
	}
	if q := r.s.Quality(); q.PacketsReceived != 0 || q.Discarded != 30 || r.s.Remote() != phoneAddr {
		t.Errorf("%+v, sending to %v", q, r.s.Remote())
	}
}

func TestLatchLearnsAfterThreeConsistentPackets(t *testing.T) {
	r := newRoad(t, nat())
	signalled := r.s.Remote()
	for i := range uint32(3) {
		if r.s.Remote() != signalled {
			t.Fatalf("learnt after %d packets", i)
		}
		r.sound(uint16(65535+i), 160*i, 7)
	}
	if r.s.Remote() != phoneAddr || len(r.packets) != 1 {
		t.Fatalf("sending to %v, %d heard; want %v and the third packet", r.s.Remote(), len(r.packets), phoneAddr)
	}
	for _, other := range []netip.AddrPort{strangerAddr, signalled} { // strict for ever, also against the signalled one
		r.from = other
		for i := range uint32(10) {
			r.sound(uint16(i), 160*i, 8)
		}
	}
	if r.s.Remote() != phoneAddr || len(r.packets) != 1 {
		t.Errorf("captured: sending to %v, %d heard", r.s.Remote(), len(r.packets))
	}
}

func TestLatchPrefersTheSignalledAddress(t *testing.T) {
	r := newRoad(t, nat())
	r.sound(1, 160, 7)
	r.sound(2, 320, 7) // a stranger, two packets
	phone := r.from
	r.from = r.s.Remote()
	r.sound(50, 160, 9) // the signalled address speaks: closed
	r.from = phone
	for i := range uint32(5) {
		r.sound(uint16(3+i), 160*i, 7)
	}
	if r.s.Remote() == phone || len(r.packets) != 1 {
		t.Errorf("sending to %v, %d heard", r.s.Remote(), len(r.packets))
	}
}

func TestLatchWantsConsistency(t *testing.T) {
	for name, play := range map[string]func(*road){
		"gaps":     func(r *road) { r.sound(1, 0, 7); r.sound(3, 0, 7); r.sound(5, 0, 7); r.sound(7, 0, 7) },
		"SSRCs":    func(r *road) { r.sound(1, 0, 7); r.sound(2, 0, 8); r.sound(3, 0, 9); r.sound(4, 0, 10) },
		"repeated": func(r *road) { r.sound(1, 0, 7); r.sound(1, 0, 7); r.sound(1, 0, 7); r.sound(1, 0, 7) },
		"slow": func(r *road) {
			for i := range uint16(6) {
				r.now = r.now.Add(300 * time.Millisecond)
				r.sound(i, 0, 7)
			}
		},
		"payload type": func(r *road) {
			for i := range uint16(6) {
				r.in(wire(r.T, 77, i, 0, 7, []byte("x")))
			}
		},
		"sources": func(r *road) {
			for i := range uint16(6) {
				r.from = netip.AddrPortFrom(r.from.Addr(), 4000+i)
				r.sound(i, 0, 7)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoad(t, nat())
			play(r)
			if len(r.packets) != 0 || r.s.Remote() != nat().Remote {
				t.Errorf("learnt %v", r.s.Remote())
			}
		})
	}
}

func TestLatchLearnsInAFloodOfStrangers(t *testing.T) {
	r := newRoad(t, nat())
	phone := r.from
	for i := range uint32(3) {
		for j := range uint32(60) { // 3,000 a second, each from another source
			r.from = netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:%d", j, 1000+i*60+j))
			r.in(wire(t, 0, uint16(i*60+j), 0, j, make([]byte, 160)))
		}
		r.from = phone
		r.sound(uint16(i), 160*i, 7)
	}
	if r.s.Remote() != phone {
		t.Errorf("sending to %v", r.s.Remote())
	}
}

func TestUpdateKeepsWhatWasLearntUnlessTheAddressChanges(t *testing.T) {
	r := newRoad(t, nat())
	for i := range uint32(3) {
		r.sound(uint16(i), 160*i, 7)
	}
	p := nat()
	p.PayloadType, p.Codec = 8, 2
	if err := r.s.Update(p); err != nil || r.s.Remote() != phoneAddr {
		t.Errorf("%v, sending to %v", err, r.s.Remote())
	}
	p.Remote = netip.MustParseAddrPort("10.0.0.5:4002")
	if err := r.s.Update(p); err != nil || r.s.Remote() != p.Remote {
		t.Errorf("%v, sending to %v", err, r.s.Remote())
	}
	r.sound(3, 480, 7)
	if len(r.packets) != 1 {
		t.Error("the old source is still heard")
	}
	r.sound(4, 640, 7)
	r.sound(5, 800, 7)
	if r.s.Remote() != phoneAddr || len(r.packets) != 2 {
		t.Errorf("not learnt anew: %v", r.s.Remote())
	}
}

func TestHoldByAddressZeroSendsNowhereAndLearnsNothing(t *testing.T) {
	p := nat()
	p.Remote = netip.MustParseAddrPort("0.0.0.0:4000")
	r := newRoad(t, p)
	for i := range uint32(5) {
		r.sound(uint16(i), 160*i, 7)
	}
	if r.s.Remote().IsValid() || len(r.packets) != 0 {
		t.Errorf("sending to %v, %d heard", r.s.Remote(), len(r.packets))
	}
}

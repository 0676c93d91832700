package webrtc

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"
	"github.com/pion/transport/v4/packetio"

	"github.com/roomline/roomline/media"
)

func controlOf(all *streams, ssrc uint32) *control {
	return all.buffer(packetio.RTCPBufferPacket, ssrc).(*control)
}

func write(t *testing.T, c *control, p rtcp.Packet) {
	t.Helper()
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Write(b); n != len(b) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestControlIsUnderstoodWhereItArrives(t *testing.T) {
	all, s, in := soundStream(t, func(*media.Packet) {})
	report := &rtcp.SenderReport{SSRC: 7, NTPTime: 5 << 32}
	write(t, controlOf(all, 7), report) // before the track is known
	s.owner.Store(in)
	write(t, controlOf(all, 7), &rtcp.SenderReport{SSRC: 8, NTPTime: 6 << 32}) // of another stream
	if in.received.lastSR != 0 {
		t.Error("another stream's report was taken")
	}
	write(t, controlOf(all, 7), report)
	if in.received.lastSR != 5<<16 {
		t.Errorf("last sender report %x", in.received.lastSR)
	}

	out := boundTrack()
	out.peer.streams = all
	all.send(1, out)
	loss := &rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: 1, FractionLost: 64}}}
	write(t, controlOf(all, 1), loss)
	if out.sent.loss != 25 {
		t.Errorf("loss %v %%", out.sent.loss)
	}
	out.detach()
	out.sent.loss = 0
	write(t, controlOf(all, 1), loss)
	if out.sent.loss != 0 {
		t.Error("a track that was removed got a report")
	}
	if n, err := controlOf(all, 7).Write([]byte{1, 2, 3}); n != 3 || err != nil {
		t.Error("what is no RTCP:", n, err)
	}
}

// What is about pictures waits for the interceptors; a panic ends nothing.
func TestControlOfPictures(t *testing.T) {
	all := newStreams(slog.New(slog.DiscardHandler))
	out := boundTrack()
	out.kind = Video
	all.send(1, out)
	c := controlOf(all, 1)
	write(t, c, &rtcp.PictureLossIndication{MediaSSRC: 1})
	if c.Count() != 1 {
		t.Errorf("%d packets wait", c.Count())
	}
	out.kind = Audio
	out.OnKeyframeRequest(func() { panic("on purpose") })
	write(t, c, &rtcp.PictureLossIndication{MediaSSRC: 1})
}

// FuzzDoor throws datagrams at an open door, one byte of them choosing whether
// they are sealed before: nothing that is not authentic may be heard.
func FuzzDoor(f *testing.F) {
	f.Add(byte(1), sound(111, 1))
	f.Add(byte(0), sound(111, 2))
	f.Add(byte(1), []byte{0xb0, 111, 0, 3, 0, 0, 0, 1, 0, 0, 0, 7, 0xbe, 0xde, 0, 1, 1, 2, 3, 4, 9})
	f.Add(byte(1), []byte{0xaf, 111, 0, 3, 0, 0, 0, 1, 0, 0, 0, 7})
	f.Fuzz(func(t *testing.T, seal byte, b []byte) {
		if len(b) > maxPacket-tagRoom {
			return
		}
		ours, theirs, _ := pair(t, srtp.ProtectionProfileAeadAes128Gcm)
		heard := 0
		all, s, in := soundStream(t, func(*media.Packet) { heard++ })
		s.attach(in)
		s.window.saw(0)
		s.order.settled = true
		s.pion.taken(time.Now())
		from := netip.MustParseAddrPort("192.0.2.1:5000")
		p := &Peer{streams: all}
		p.shortcut.keys.Store(theirs)
		d := &doors{log: slog.New(slog.DiscardHandler), open: map[netip.AddrPort]*Peer{from: p}}
		sealed := false
		if seal&1 == 1 && isRTP(b) {
			if c, err := ours.seal.seal(append(make([]byte, 0, maxPacket), b...), 7, 0); err == nil {
				b, sealed = c, true
			}
		}
		d.takes(b, from)
		if heard > 0 && !sealed || heard > 1 {
			t.Errorf("heard %d, sealed %v", heard, sealed)
		}
	})
}

package rtp

import (
	"bytes"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// BenchmarkReorder is the step between a session and a decoder: one packet in
// order, or two that have changed places.
func BenchmarkReorder(b *testing.B) {
	for name, swap := range map[string]uint16{"inOrder": 0, "swapped": 1} {
		b.Run(name, func(b *testing.B) {
			r := NewReorder(2, 30*time.Millisecond)
			p := &media.Packet{Codec: media.PCMU, Payload: make([]byte, 160), Arrived: time.Now()}
			out := 0
			emit := func(*media.Packet, int) { out++ }
			b.ReportAllocs()
			for n := uint16(0); b.Loop(); n++ {
				p.SequenceNumber = n ^ swap
				r.Push(p, emit)
			}
			if out < b.N-2 {
				b.Fatalf("%d of %d came out", out, b.N)
			}
		})
	}
}

// BenchmarkSeal is encryption of one packet of G.711, authentication with it.
func BenchmarkSeal(b *testing.B) {
	for _, suite := range []Suite{AES128CMSHA1With80, AES128GCM} {
		b.Run(suite.String(), func(b *testing.B) {
			k, err := newSealer(suite, suite.NewSecret())
			if err != nil {
				b.Fatal(err)
			}
			out := make([]byte, headerSize+160, maxPacket+tagRoom)
			p := &media.Packet{Codec: media.PCMU}
			b.ReportAllocs()
			for b.Loop() {
				p.SequenceNumber++
				put(out, p, 0, 7)
				if _, err := k.seal(out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen is decryption of one packet of G.711.
func BenchmarkOpen(b *testing.B) {
	for _, suite := range []Suite{AES128CMSHA1With80, AES128GCM} {
		b.Run(suite.String(), func(b *testing.B) {
			secret := suite.NewSecret()
			k, err := newOpener(suite, secret)
			if err != nil {
				b.Fatal(err)
			}
			peer := newFar(b, suite, secret)
			const ahead = 1 << 15
			packets := make([][]byte, ahead)
			to := make([]byte, 0, maxPacket+1)
			b.ReportAllocs()
			for i := range b.N {
				if i%ahead == 0 { // no packet may come twice, and none may be kept in millions
					b.StopTimer()
					for j := range packets {
						packets[j] = peer.packet(uint16(i+j), 7)
					}
					b.StartTimer()
				}
				if _, ok := k.open(to, packets[i%ahead], 7); !ok {
					b.Fatalf("packet %d was refused", i)
				}
			}
		})
	}
}

// BenchmarkWire is one packet from one session to another over loopback: built,
// sent, found by a poller, read, accounted for. One packet is under way at a time,
// so the poller's going to sleep and waking are in it, too.
func BenchmarkWire(b *testing.B) {
	from, to := open(b, telephone(phoneAddr)), open(b, telephone(phoneAddr))
	for s, other := range map[*Session]*Session{from: to, to: from} {
		if err := s.Update(telephone(other.LocalAddr())); err != nil {
			b.Fatal(err)
		}
	}
	arrived := make(chan struct{}, 1)
	to.Receive(func(*media.Packet) { arrived <- struct{}{} }, nil)
	p := &media.Packet{Codec: media.PCMU, Payload: bytes.Repeat([]byte{0x55}, 160)}
	b.ReportAllocs()
	for b.Loop() {
		p.SequenceNumber++
		p.Timestamp += 160
		if err := from.WritePacket(p); err != nil {
			b.Fatal(err)
		}
		<-arrived
	}
}

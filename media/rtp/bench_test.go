package rtp

import (
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

func BenchmarkReceive(b *testing.B) {
	s := open(b, telephone(phoneAddr))
	s.Receive(func(*media.Packet) {}, nil)
	packet := wire(b, 0, 0, 0, 7, make([]byte, 160))
	now := time.Now()
	b.ReportAllocs()
	for n := uint16(0); b.Loop(); n++ {
		packet[2], packet[3] = byte(n>>8), byte(n)
		s.receivedRTP(packet, phoneAddr, now)
	}
}

func BenchmarkSend(b *testing.B) {
	s := open(b, telephone(addr(socketAt(b, "127.0.0.1"))))
	p := &media.Packet{Codec: media.PCMU, Payload: make([]byte, 160)}
	b.ReportAllocs()
	for b.Loop() {
		p.SequenceNumber++
		s.WritePacket(p)
	}
}

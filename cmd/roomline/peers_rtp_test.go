package main

import (
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/phone"
)

// rtpPeer is the media of a sipPeer: it hears everything that comes to its port
// and says a sound with the numbers that the test wants.
type rtpPeer struct {
	*phone.Ear
	t    *testing.T
	conn net.PacketConn

	mu        sync.Mutex
	to        *net.UDPAddr
	codec     media.Codec
	ptime     time.Duration
	sequence  uint16 // of the first packet
	timestamp uint32
	based     bool
	baseSeq   uint16
	baseTS    uint32
	types     []byte // payload types that came, each change once
}

func newRTPPeer(t *testing.T) *rtpPeer {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rtpPeer{Ear: phone.NewEar(time.Minute), t: t, conn: conn, codec: media.PCMU, ptime: 20 * time.Millisecond, sequence: 1000, timestamp: 5000}
	done := make(chan struct{})
	go func() { defer close(done); r.listen() }()
	t.Cleanup(func() { conn.Close(); <-done; r.Ear.Close() })
	return r
}

func (r *rtpPeer) port() int { return r.conn.LocalAddr().(*net.UDPAddr).Port }

func (r *rtpPeer) listen() {
	buf := make([]byte, 2000)
	for {
		n, _, err := r.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if n < 12 || buf[0] != 0x80 {
			continue
		}
		kind := buf[1] & 0x7f
		r.mu.Lock()
		if len(r.types) == 0 || r.types[len(r.types)-1] != kind {
			r.types = append(r.types, kind)
		}
		r.mu.Unlock()
		codec, ok := map[byte]media.Codec{0: media.PCMU, 8: media.PCMA}[kind]
		if !ok {
			continue
		}
		r.Packet(&media.Packet{Codec: codec, SequenceNumber: binary.BigEndian.Uint16(buf[2:]), Timestamp: binary.BigEndian.Uint32(buf[4:]),
			Payload: buf[12:n], Arrived: time.Now()})
	}
}

// lastType is the payload type of what came last.
func (r *rtpPeer) lastType() byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.types) == 0 {
		return 255
	}
	return r.types[len(r.types)-1]
}

// Params implements phone.Wire.
func (r *rtpPeer) Params() rtp.Params {
	r.mu.Lock()
	defer r.mu.Unlock()
	return rtp.Params{Codec: r.codec, Ptime: r.ptime, Send: true}
}

// WritePacket implements media.Writer.
func (r *rtpPeer) WritePacket(p *media.Packet) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.to == nil {
		return nil
	}
	if !r.based {
		r.based, r.baseSeq, r.baseTS = true, p.SequenceNumber, p.Timestamp
	}
	kind := map[media.Codec]byte{media.PCMU: 0, media.PCMA: 8}[p.Codec]
	if p.Marker {
		kind |= 0x80
	}
	_, err := r.conn.WriteTo(rtpPacket(kind, r.sequence+p.SequenceNumber-r.baseSeq, r.timestamp+p.Timestamp-r.baseTS, 77, p.Payload), r.to)
	return err
}

// says sends a tone to a port of the gateway for the length of the test.
func (r *rtpPeer) says(port int, tone phone.Source) *phone.Mouth {
	r.t.Helper()
	r.aim(port, media.PCMU)
	mouth := phone.NewMouth(r)
	mouth.Speak(tone)
	quiet, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); mouth.Run(quiet) }()
	r.t.Cleanup(func() { close(quiet); <-done })
	return mouth
}

// aim changes where and in which codec it speaks.
func (r *rtpPeer) aim(port int, codec media.Codec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to, r.codec = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, codec
}

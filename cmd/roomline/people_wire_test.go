package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/zaf/g711"

	"github.com/roomline/roomline/media"
)

// wire is the network under a gateway or a phone: it can be listened to, and cut.
type wire struct {
	mu    sync.Mutex
	cut   string // local address whose packets are lost
	every int    // of so many µ-law packets that go out one is lost; 0: none
	sent  int
	heard map[bool]map[uint32]*stream // by direction, then SSRC
	order map[bool][]uint32
}

// stream is one RTP stream as it was on the wire.
type stream struct {
	packets []wirePacket
}

type wirePacket struct {
	at        time.Time
	sequence  uint16
	timestamp uint32
	payload   []byte
}

func newWire() *wire {
	return &wire{heard: map[bool]map[uint32]*stream{false: {}, true: {}}, order: map[bool][]uint32{}}
}

// listen is a media.Listen whose sockets go over the wire.
func (w *wire) listen(ctx context.Context, network, address string) (net.PacketConn, error) {
	c, err := media.ListenUDP(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := c.(*net.UDPConn)
	return &wiredConn{conn, w, conn.LocalAddr().String()}, nil
}

// lose drops everything that comes to or goes from a local address; empty for none.
func (w *wire) lose(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = address
}

// thin loses one of every n µ-law packets that go out; 0 for none.
func (w *wire) thin(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.every = n
}

// passes notes a packet and says whether it gets through.
func (w *wire) passes(c *wiredConn, b []byte, out bool) bool {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut == c.local {
		return false
	}
	if len(b) < 12 || b[0]>>6 != 2 || b[1]&0x7f != 0 { // µ-law, RFC 3551
		return true
	}
	if out {
		if w.sent++; w.every > 0 && w.sent%w.every == 0 {
			return false
		}
	}
	ssrc := binary.BigEndian.Uint32(b[8:])
	s := w.heard[out][ssrc]
	if s == nil {
		s = &stream{}
		w.heard[out][ssrc] = s
		w.order[out] = append(w.order[out], ssrc)
	}
	s.packets = append(s.packets, wirePacket{now, binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]), bytes.Clone(b[12:])})
	return true
}

// streams returns copies of the µ-law streams so far, in order of appearance.
func (w *wire) streams(out bool) (all []stream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ssrc := range w.order[out] {
		all = append(all, stream{append([]wirePacket(nil), w.heard[out][ssrc].packets...)})
	}
	return all
}

// forget starts the notes anew.
func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard, w.order = map[bool]map[uint32]*stream{false: {}, true: {}}, map[bool][]uint32{}
}

// sound decodes a stream, placed by its timestamps, with the time of each packet.
func (s stream) sound() *heard {
	h := &heard{rateHz: media.NarrowbandHz}
	for _, p := range s.packets {
		at := int(int32(p.timestamp - s.packets[0].timestamp))
		if at < 0 || at > 600*media.NarrowbandHz {
			continue
		}
		for len(h.pcm) < at+len(p.payload) {
			h.pcm = append(h.pcm, 0)
		}
		copy(h.pcm[at:], p.sound())
		h.origins = append(h.origins, origin{at, p.at.Add(-samplesAt(at, h.rateHz))})
	}
	return h
}

// sound decodes the packet.
func (p wirePacket) sound() []int16 {
	pcm := make([]int16, len(p.payload))
	for i, b := range p.payload {
		pcm[i] = g711.DecodeUlawFrame(b)
	}
	return pcm
}

// wiredConn is a socket on the wire.
type wiredConn struct {
	*net.UDPConn
	wire  *wire
	local string
}

func (c *wiredConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := c.UDPConn.ReadFromUDPAddrPort(b)
		if err != nil || c.wire.passes(c, b[:n], false) {
			return n, from, err
		}
	}
}

func (c *wiredConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.UDPConn.ReadFrom(b)
		if err != nil || c.wire.passes(c, b[:n], false) {
			return n, from, err
		}
	}
}

func (c *wiredConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if !c.wire.passes(c, b, true) {
		return len(b), nil
	}
	return c.UDPConn.WriteToUDPAddrPort(b, to)
}

func (c *wiredConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if !c.wire.passes(c, b, true) {
		return len(b), nil
	}
	return c.UDPConn.WriteTo(b, to)
}

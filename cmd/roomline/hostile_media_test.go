package main

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
)

// rtpPacket writes a packet by RFC 3550.
func rtpPacket(payloadType byte, seq uint16, timestamp, ssrc uint32, payload []byte) []byte {
	b := []byte{0x80, payloadType, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], timestamp)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return append(b, payload...)
}

// rtpGarbage is what no decoder should trip over.
func rtpGarbage() (list [][]byte) {
	for n := range 64 {
		b := make([]byte, n*23%1400)
		rand.Read(b)
		list = append(list, b)
	}
	loud := slices.Repeat([]byte{0x00}, 160) // µ-law at full scale
	whole := rtpPacket(0, 1, 160, 7, loud)
	for _, n := range []int{1, 4, 11, 12} {
		list = append(list, whole[:n])
	}
	change := func(at int, v byte) { b := slices.Clone(whole); b[at] = v; list = append(list, b) }
	change(0, 0x00) // version 0
	change(0, 0xa0) // padding that is longer than the packet
	change(0, 0x9f) // an extension that is not there
	change(0, 0x8f) // 15 CSRC
	change(1, 96)   // a payload type that nobody agreed to
	for _, event := range []byte{0, 11, 16, 255} {
		list = append(list, rtpPacket(101|0x80, 9, 160, 7, []byte{event, 0x8a, 0x03, 0x20}), rtpPacket(101, 9, 160, 7, []byte{event}))
	}
	list = append(list, []byte{0x80, 203, 0, 1, 0, 0, 0, 7}, []byte{0x80, 200, 0xff, 0xff}, []byte{0x81, 201, 0, 0}) // RTCP: BYE, lies
	for i := range uint16(100) {
		list = append(list, rtpPacket(0, i, uint32(i)*160, 7, loud))
	}
	return list
}

func TestRTPFromStrangersIsNotHeard(t *testing.T) {
	h := startHouse(t, "")
	events := h.follow()
	call := h.steady()
	to := call.phone.Session().Params().Remote
	// A burst of all at once would fill the kernel's buffer, which drops good packets too.
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for _, from := range []string{"127.0.0.1:0", "127.0.0.2:0"} {
		stranger, err := net.ListenPacket("udp4", from)
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
		for _, port := range []uint16{to.Port(), to.Port() + 1} {
			for i, b := range rtpGarbage() {
				stranger.WriteTo(b, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to.Addr(), port)))
				if i%16 == 15 {
					<-pace.C
				}
			}
		}
	}
	h.until("the strangers' packets are counted", func() bool {
		q := h.call(call.id).Quality
		return q != nil && q.Discarded > 100
	})
	call.unharmed()
	if slices.Contains(events.of(call.id), "dtmf.received") {
		t.Error("a stranger pressed a key")
	}
	call.grownBack()
}

// The caller itself goes mad: its own call suffers, nobody else's.
func TestRTPGarbageFromTheCallerHarmsNobodyElse(t *testing.T) {
	h := startHouse(t, "")
	events := h.follow()
	call := h.steady()
	mad, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mad.Close()
	w := h.newPeer()
	d, ok := w.call("asylum", mad.LocalAddr().(*net.UDPAddr).Port)
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sdpPort(t, ok.body)}
	for range 5 {
		for _, b := range rtpGarbage() {
			mad.WriteTo(b, to)
		}
	}
	var id string
	for _, c := range h.exchange.Calls() {
		if c.Room == "asylum" {
			id = c.ID
		}
	}
	// After all that the call still works: a key is understood.
	for i := range uint16(5) {
		mad.WriteTo(rtpPacket(101|0x80, 5000+i, 900000, 99, []byte{5, 0x8a, 0x03, 0x20}), to)
	}
	h.until("the key is reported", func() bool { return slices.Contains(events.of(id), "dtmf.received") })
	if rec := h.call(id); rec.State != bridge.StateActive {
		t.Errorf("the mad call is %s: %s", rec.State, rec.Reason)
	}
	w.bye(&d, ok)
	if c := h.cdr(id); c.Cause != bridge.CauseNormal {
		t.Errorf("CDR %+v", c)
	}
	call.unharmed()
	call.grownBack()
}

func TestGarbageAtTheBrowsersPortIsNotHeard(t *testing.T) {
	h := startHouse(t, "")
	call := h.steady()
	to := net.UDPAddrFromAddrPort(h.engine.Addr())
	for range 20 { // sources, each with its own state if the gateway kept some
		stranger, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range append(rtpGarbage(), stunGarbage()...) {
			stranger.WriteTo(b, to)
		}
		stranger.Close()
	}
	call.unharmed()
	call.grownBack()
	h.enter("steady", "late").heard.Close() // and the port still takes new browsers
}

// stunGarbage are STUN and DTLS messages of nobody whom the gateway knows.
func stunGarbage() (list [][]byte) {
	binding := func(attributes ...byte) []byte {
		b := []byte{0, 1, 0, byte(len(attributes)), 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		rand.Read(b[8:20])
		return append(b, attributes...)
	}
	user := append([]byte{0, 6, 0, 8}, "abcd:efg"...)
	list = append(list, binding(), binding(user...), binding(0, 6, 0xff, 0xff), binding(append([]byte{0, 6, 0, 0}, user...)...),
		binding(0, 8, 0, 4, 1, 2, 3, 4), binding()[:19], append(binding(), 1, 2, 3))
	for _, kind := range []byte{20, 21, 22, 23, 63} {
		hello := append([]byte{kind, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48}, make([]byte, 48)...)
		rand.Read(hello[25:])
		list = append(list, hello, hello[:13], hello[:3])
	}
	return list
}

// A call that falls silent ends by itself; one that is held does not.
func TestSilentCallEndsWithItsOwnCause(t *testing.T) {
	h := startHouse(t, "", func(s *settings) { s.MediaTimeout = "1s" })
	p := softphone(t, phone.Config{})
	c := h.calls(p, "lobby", phone.DialOptions{})
	c.Speak(phone.Tone(phoneHz, phoneDB))
	hold := h.calls(p, "hold", phone.DialOptions{})
	if err := hold.Hold(within(t, 10*time.Second), true); err != nil {
		t.Fatal(err)
	}
	h.until("the phone was heard", func() bool { return c.Report().PacketsSent > 20 })
	c.Mute(true)
	select {
	case <-c.Ended():
	case <-time.After(15 * time.Second):
		t.Fatal("the silent call does not end")
	}
	for _, cdr := range h.cdrs(1) {
		if cdr.Cause != bridge.CauseMediaTimeout || cdr.Room != "lobby" || !strings.Contains(cdr.Reason, "RTP") {
			t.Errorf("CDR %+v", cdr)
		}
	}
	h.until("only the held call is left", func() bool {
		calls := h.exchange.Calls()
		return len(calls) == 1 && calls[0].State == bridge.StateHeld
	})
}

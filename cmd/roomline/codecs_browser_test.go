package main

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc/whip"
	"github.com/roomline/roomline/phone"
)

// TestBrowsersSpeakG711ByPolicy: with --webrtc-codecs PCMU what a µ-law phone says
// reaches a browser byte by byte, and the other way round.
func TestBrowsersSpeakG711ByPolicy(t *testing.T) {
	net := newWire()
	h := startHouse(t, "", func(s *settings) { s.Listen, s.WebRTCCodecs = net.listen, []string{"PCMU"} })
	caller := h.calls(softphone(t, phone.Config{}), "lobby", phone.DialOptions{From: "caller"})
	caller.Speak(phone.Tone(440, -20))
	token, _ := h.token("lobby", "ann", bridge.RoleGuest)
	at := h.url() + "/v1/rooms/lobby"

	var mu sync.Mutex
	var heard [][]byte
	foreign := 0
	listener, err := whip.Listen(within(t, 20*time.Second), at+"/whep", token, func(p *media.Packet) {
		mu.Lock()
		defer mu.Unlock()
		if p.Codec != media.PCMU {
			foreign++
		}
		heard = append(heard, bytes.Clone(p.Payload))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	speaker, err := whip.Publish(within(t, 20*time.Second), at+"/whip", token)
	if err != nil {
		t.Fatal(err)
	}
	defer speaker.Close()
	h.until("the gateway asks for PCMU", func() bool { return speaker.Codec() == media.PCMU })
	defer saysNumbered(speaker)()

	h.until("the browser hears the phone", func() bool {
		said := payloads(net, false)
		mu.Lock()
		defer mu.Unlock()
		return foreign == 0 && longestRun(said, heard) >= 50
	})
	h.until("the phone hears the browser", func() bool {
		var said [][]byte
		for i := range 1000 {
			said = append(said, spoken(i))
		}
		return longestRun(said, payloads(net, true)) >= 50
	})
	if foreign != 0 {
		t.Errorf("%d packets were no PCMU", foreign)
	}
}

// spoken is a payload that no other sound looks like.
func spoken(i int) []byte { return bytes.Repeat([]byte{0x21, byte(i), byte(i >> 8), 0x55}, 40) }

// saysNumbered writes a payload each 20 ms until stopped.
func saysNumbered(out media.Writer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(media.FrameDuration)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-tick.C
			out.WritePacket(&media.Packet{Codec: media.PCMU, SequenceNumber: uint16(i), Timestamp: uint32(i) * 160, Payload: spoken(i)})
		}
	})
	return func() { cancel(); done.Wait() }
}

// payloads are those of the phone's µ-law on the wire: a browser's are longer, by
// the tag of SRTP.
func payloads(net *wire, out bool) (all [][]byte) {
	for _, s := range net.streams(out) {
		for _, p := range s.packets {
			if len(p.payload) == 160 {
				all = append(all, p.payload)
			}
		}
	}
	return all
}

// longestRun is the longest run of what was heard that was said in that order.
func longestRun(said, heard [][]byte) (longest int) {
	place := map[string][]int{}
	for i, p := range said {
		place[string(p)] = append(place[string(p)], i)
	}
	runs := map[int]int{} // by the place of the last payload
	for _, p := range heard {
		next := map[int]int{}
		for _, i := range place[string(p)] {
			next[i] = runs[i-1] + 1
			longest = max(longest, next[i])
		}
		runs = next
	}
	return longest
}

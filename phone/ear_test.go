package phone

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// stream draws packets of a tone, 20 ms each, arriving on time.
func stream(n int, sequence uint16, timestamp uint32) []*media.Packet {
	e, err := transcode.NewEncoder(media.PCMU, media.NarrowbandHz, transcode.OpusSettings{})
	if err != nil {
		panic(err)
	}
	defer e.Close()
	tone, start := media.Sine(440, media.NarrowbandHz, -20), time.Unix(1000, 0)
	var list []*media.Packet
	for i := range n {
		pcm, payload := make([]int16, 160), make([]byte, 160)
		tone.Fill(pcm)
		if _, err := e.Encode(pcm, payload); err != nil {
			panic(err)
		}
		list = append(list, &media.Packet{Codec: media.PCMU, SequenceNumber: sequence + uint16(i), Timestamp: timestamp + uint32(160*i),
			Payload: payload, Arrived: start.Add(time.Duration(i) * 20 * time.Millisecond)})
	}
	return list
}

func hear(packets []*media.Packet) *Ear {
	e := NewEar(time.Minute)
	reused := make([]byte, 160) // as a socket's buffer is
	for _, p := range packets {
		q := *p
		q.Payload = reused[:copy(reused, p.Payload)]
		e.Packet(&q)
	}
	e.Close()
	return e
}

// pure reports how much of pcm is not the tone, in dB below it.
func pure(pcm []int16) float64 {
	return media.ToneLevel(pcm, media.NarrowbandHz, 440) - media.Level(pcm)
}

// A stream whose clock begins at any number is heard whole, at once.
func TestPeerDefect06TimestampZero(t *testing.T) {
	for _, begin := range []uint32{0, 1, 65535, 1 << 31, math.MaxUint32, math.MaxUint32 - 4000, math.MaxUint32 - 160} {
		for _, sequence := range []uint16{0, 65535, 65500} {
			e := hear(stream(100, sequence, begin))
			if n := len(e.Heard()); n != 16000 {
				t.Errorf("begin %d, %d: %d samples, want 16000", begin, sequence, n)
			}
			if p := pure(e.Heard()); p < -0.2 {
				t.Errorf("begin %d, %d: the tone is %.2f dB of all", begin, sequence, p)
			}
			if g := e.Gaps(); g.Count != 0 {
				t.Errorf("begin %d, %d: %+v", begin, sequence, g)
			}
		}
	}
}

// Packets out of order and twice are put right, though the socket's buffer is
// used again for the next one.
func TestPeerDefect01ReorderedBuffers(t *testing.T) {
	packets := stream(100, 65500, 0)
	var shuffled []*media.Packet
	for i := 0; i < len(packets); i += 4 {
		shuffled = append(shuffled, packets[i], packets[i+2], packets[i+1], packets[i+2], packets[i+3])
	}
	for i, p := range shuffled { // they arrive in the order of the list
		q := *p
		q.Arrived = packets[0].Arrived.Add(time.Duration(i) * 16 * time.Millisecond)
		shuffled[i] = &q
	}
	e := hear(shuffled)
	if want := hear(packets).Heard(); !slices.Equal(e.Heard(), want) {
		t.Error("it sounds different")
	}
	if g := e.Gaps(); g.Count != 0 {
		t.Errorf("gaps %+v", g)
	}
}

func TestLossLeavesSilenceInItsPlace(t *testing.T) {
	packets := stream(100, 0, 0)
	e := hear(append(slices.Clone(packets[:40]), packets[43:]...))
	pcm := e.Heard()
	if len(pcm) != 16000 || media.Level(pcm[40*160:43*160]) != media.Silence {
		t.Errorf("%d samples, %.1f dBov in the gap", len(pcm), media.Level(pcm[40*160:43*160]))
	}
	if p := pure(pcm[43*160:]); p < -0.2 {
		t.Errorf("behind the gap the tone is %.2f dB of all", p)
	}
	if g := e.Gaps(); g.Count != 1 || g.Longest != 60*time.Millisecond || g.Total != g.Longest || g.Pause != 80*time.Millisecond {
		t.Errorf("gaps %+v", g)
	}
}

func TestSilenceThatSomebodyAskedForIsNoGap(t *testing.T) {
	packets := stream(200, 0, 0)
	pause := func(before func(*Ear)) Gaps {
		e := NewEar(time.Minute)
		for _, p := range packets[:50] {
			e.Packet(p)
		}
		before(e)
		for i, p := range packets[100:] {
			q := *p
			q.SequenceNumber = uint16(50 + i)
			e.Packet(&q)
		}
		return e.Gaps()
	}
	if g := pause(func(*Ear) {}); g.Count != 1 || g.Longest != time.Second {
		t.Errorf("an unasked pause: %+v", g)
	}
	if g := pause((*Ear).keyPressed); g.Count != 0 {
		t.Errorf("a key: %+v", g)
	}
	if g := pause(func(e *Ear) { e.excuse(true) }); g.Count != 0 {
		t.Errorf("a hold: %+v", g)
	}
	comfort := func(e *Ear) {
		e.Packet(&media.Packet{Codec: media.ComfortNoise, SequenceNumber: 50, Timestamp: 8000, Payload: []byte{60}, Arrived: packets[50].Arrived})
		for i := range packets[100:] {
			packets[100+i].SequenceNumber++
		}
	}
	if g := pause(comfort); g.Count != 0 {
		t.Errorf("comfort noise: %+v", g)
	}
}

func TestClockThatJumpsIsPlacedByArrival(t *testing.T) {
	for _, jump := range []uint32{1 << 30, math.MaxUint32 - 1<<29, 100000} {
		packets := stream(100, 0, 12345)
		for _, p := range packets[50:] {
			p.Timestamp += jump
		}
		if n := len(hear(packets).Heard()); n < 15900 || n > 16200 {
			t.Errorf("a jump by %d: %d samples, want 16000", jump, n)
		}
	}
}

func TestEarKeepsNoMoreThanItMay(t *testing.T) {
	e := NewEar(time.Second)
	for _, p := range stream(100, 0, 0) {
		e.Packet(p)
	}
	if n := len(e.Heard()); n != 8000 {
		t.Errorf("%d samples kept, want 8000", n)
	}
	none := NewEar(0)
	for _, p := range stream(100, 0, 0) {
		none.Packet(p)
	}
	if len(none.Heard()) != 0 || len(none.Arrivals()) != 100 {
		t.Errorf("%d samples, %d arrivals", len(none.Heard()), len(none.Arrivals()))
	}
}

func TestRingKeepsTheNewest(t *testing.T) {
	var r ring
	for i := range ringSize + 10 {
		r.add(Packet{Position: i})
	}
	list := r.list()
	if len(list) != ringSize || list[0].Position != 10 || list[ringSize-1].Position != ringSize+9 {
		t.Errorf("%d packets from %d to %d", len(list), list[0].Position, list[len(list)-1].Position)
	}
}

func TestDelays(t *testing.T) {
	at := func(ms ...int) (list []time.Time) {
		for _, m := range ms {
			list = append(list, time.Unix(0, 0).Add(time.Duration(m)*time.Millisecond))
		}
		return list
	}
	tests := []struct {
		said, heard []time.Time
		want        []time.Duration
	}{
		{at(0, 1000, 2000), at(8, 1009, 2007), []time.Duration{8, 9, 7}},
		{at(0, 1000, 2000), at(8, 2007), []time.Duration{8, 7}},         // one was lost
		{at(0, 1000), at(8, 300, 1009), []time.Duration{8, 9}},          // something else was heard
		{at(0, 1000), at(700, 1009), []time.Duration{9}},                // too late
		{at(500, 1000), at(100, 200, 508, 1009), []time.Duration{8, 9}}, // from before
		{at(0), nil, nil},
	}
	for i, tt := range tests {
		for k := range tt.want {
			tt.want[k] *= time.Millisecond
		}
		if got := Delays(tt.said, tt.heard, 500*time.Millisecond); !slices.Equal(got, tt.want) {
			t.Errorf("%d: delays %v, want %v", i, got, tt.want)
		}
	}
}

// Onsets are found at their sample, wherever they lie in a packet, and only after silence.
func TestOnsets(t *testing.T) {
	for _, offset := range []int{0, 1, 79, 150, 159} {
		pcm := make([]int16, 20*160)
		media.Sine(1000, media.NarrowbandHz, -12).Fill(pcm[8*160+offset:][:480])
		media.Sine(1000, media.NarrowbandHz, -12).Fill(pcm[13*160+offset:][:480]) // too soon after the first
		var o onsets
		for i := 0; i < len(pcm); i += 160 {
			o.push(pcm[i:i+160], time.Unix(0, 0).Add(timeOf(i)))
		}
		if len(o.times) != 1 {
			t.Fatalf("offset %d: onsets at %v", offset, o.times)
		}
		if at := samplesIn(o.times[0].Sub(time.Unix(0, 0))); at < 8*160+offset || at > 8*160+offset+2 {
			t.Errorf("offset %d: onset at %d, want %d", offset, at, 8*160+offset)
		}
	}
}

func TestFindTone(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	for _, freq := range []float64{100, 101, 440, 619, 1251, 3599} {
		for _, n := range []int{1600, 20000} {
			pcm := make([]int16, n)
			media.Sine(freq, media.NarrowbandHz, -30).Fill(pcm)
			for i := range pcm {
				pcm[i] += int16(noise.IntN(101) - 50)
			}
			got, level, ok := FindTone(pcm)
			if !ok || math.Abs(got-freq) > 1 || math.Abs(level+30) > 0.5 {
				t.Errorf("%v Hz in %d samples: found %v Hz at %.1f (%v)", freq, n, got, level, ok)
			}
		}
	}
	speech, err := decodeMuLaw(media.Speech())
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at+8000 < len(speech); at += 8000 {
		if f, l, ok := FindTone(speech[at:][:8000]); ok {
			t.Errorf("a tone of %v Hz at %.1f dBov in speech", f, l)
		}
	}
	if _, _, ok := FindTone(make([]int16, 8000)); ok {
		t.Error("a tone in silence")
	}
	if _, _, ok := FindTone(nil); ok {
		t.Error("a tone in nothing")
	}
}

func FuzzEar(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 20, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, now := NewEar(time.Second), time.Unix(0, 0)
		for len(b) >= 8 {
			n := min(int(b[7]), len(b)-8)
			codec := [...]media.Codec{media.PCMU, media.PCMA, media.ComfortNoise, media.Opus, media.NoCodec}[b[0]%5]
			now = now.Add(time.Duration(b[0]) * time.Millisecond)
			e.Packet(&media.Packet{Codec: codec, SequenceNumber: binary.BigEndian.Uint16(b[1:]),
				Timestamp: binary.BigEndian.Uint32(b[3:]), Payload: b[8 : 8+n], Arrived: now})
			b = b[8+n:]
		}
		e.Close()
		if len(e.Heard()) > media.NarrowbandHz {
			t.Fatal(fmt.Sprint("kept ", len(e.Heard())))
		}
	})
}

// A mouth and an ear can be joined by Opus, whose clock is six times as fast.
func TestMouthAndEarSpeakOpus(t *testing.T) {
	e := NewEar(time.Minute)
	w := &joined{to: e}
	synctest.Test(t, func(t *testing.T) {
		m, quiet, ended := NewMouth(Track(w, media.Opus)), make(chan struct{}), make(chan error, 1)
		go func() { ended <- m.Run(quiet) }()
		m.Speak(Bursts(1000, -12, 500*time.Millisecond))
		time.Sleep(3*time.Second + 10*time.Millisecond)
		close(quiet)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := len(e.Heard()); n != 151*160 {
			t.Errorf("%d samples of 151 packets", n)
		}
		if g := e.Gaps(); g.Count != 0 || g.Pause != 20*time.Millisecond {
			t.Errorf("gaps %+v", g)
		}
		delays := Delays(m.Onsets(), e.Onsets(), 500*time.Millisecond)
		if len(delays) != 6 {
			t.Fatalf("%d delays of %d and %d onsets", len(delays), len(m.Onsets()), len(e.Onsets()))
		}
		for _, d := range delays { // Opus looks ahead 6.5 ms; its attack is not sharp
			if d < 3*time.Millisecond || d > 9*time.Millisecond {
				t.Errorf("Opus adds %s", d)
			}
		}
		t.Log(delays)
	})
	e.Close()
}

// joined hands what is written to an ear at once.
type joined struct{ to *Ear }

func (j *joined) WritePacket(p *media.Packet) error {
	q := *p
	q.Arrived = time.Now()
	j.to.Packet(&q)
	return nil
}

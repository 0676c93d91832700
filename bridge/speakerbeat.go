package bridge

import (
	"sync"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// fadeBeats is for how many beats a voice goes on when there is nothing to say: it
// fades out, and lets decoders end in silence.
const fadeBeats = 3

// speakerStage is what the beat needs to play a voice.
type speakerStage struct {
	mu     sync.Mutex // one beat at a time: a seat that moves may be in two rooms' for a moment
	packet media.Packet
	sound  [media.FrameSamples]byte
	beat   uint64
	at     time.Time
	left   int  // beats to go on for without sound
	sends  bool // the last beat did
	talked bool
	losing bool // the last sound was made up
	silent bool // what is made up is silence
	recent past

	decoder transcode.Decoder
	encoder transcode.Encoder
	pcm     [pastLength]int16
}

func (g *speakerStage) open(codec media.Codec) (err error) {
	g.packet.Codec, g.packet.Payload = codec, g.sound[:]
	if g.decoder, err = transcode.NewDecoder(codec, media.NarrowbandHz); err != nil {
		return err
	}
	g.encoder, err = transcode.NewEncoder(codec, media.NarrowbandHz, transcode.OpusSettings{})
	return err
}

// tick plays the next 20 ms. Marks are told when the packet before them is over: on
// the beat after the one that sent it.
func (v *Speaker) tick(now time.Time, beat uint64) {
	g := &v.stage
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advance(now, beat)
	v.mu.Lock()
	due, sent := !v.held && v.marks.ripen(v.played), g.sends
	g.sends = v.next(now)
	began, rested := v.talking && !g.talked, g.talked && !v.talking
	g.talked = v.talking
	v.mu.Unlock()
	if due {
		v.tell()
	}
	if began && v.spec.Began != nil {
		v.spec.Began()
	}
	if g.sends {
		g.packet.Marker, g.packet.Arrived = began, now
		g.packet.SequenceNumber++
		v.source.Push(&g.packet)
	} else if sent {
		v.source.rest()
	}
	if rested && v.spec.Rested != nil {
		v.spec.Rested()
	}
}

// advance takes the timestamp to this beat. It goes by the beat's number, lest a late
// beat change it, and by time after a long stall and in another room.
func (g *speakerStage) advance(now time.Time, beat uint64) {
	frames, passed := int64(beat-g.beat), int64((now.Sub(g.at)+media.FrameDuration/2)/media.FrameDuration)
	if off := frames - passed; frames < 1 || max(off, -off) > int64(beatStall/media.FrameDuration) {
		frames = max(1, passed)
	}
	g.beat, g.at = beat, now
	g.packet.Timestamp += uint32(frames * media.FrameSamples)
}

// next makes the next packet, and reports whether there is one. v.mu is held.
func (v *Speaker) next(now time.Time) bool {
	g, n := &v.stage, min(media.FrameSamples, v.waiting.n)
	if v.held {
		n = 0
	}
	whole := v.marks.last == v.written // a mark says that all is there that belongs together
	switch {
	case v.cut:
		v.cut, g.left = false, fadeBeats-1
		g.finish(g.sound[:], true)
	case n > 0 && (v.flowing || whole || v.cushion.ready(now, v.waiting.n, !v.talking)):
		v.talking, v.flowing, g.left = true, n == media.FrameSamples, fadeBeats
		v.leaveOut()
		v.waiting.pull(g.sound[:n])
		v.slack.beat(now, v.waiting.n, v.written, v.cushion.last)
		v.played += int64(n)
		v.sent, v.flight = now, n
		g.play(n)
		g.finish(g.sound[n:], whole)
	case g.left > 0:
		v.flowing = false
		v.slack.over()
		g.left--
		g.finish(g.sound[:], whole || now.Sub(v.cushion.last) >= cushionPause)
	default:
		v.talking, g.losing, g.silent = false, false, false
		return false
	}
	return true
}

// play takes the first n bytes of the packet. They are as they were written unless
// something was missing before them.
func (g *speakerStage) play(n int) {
	sound := g.sound[:n]
	if g.losing && !g.silent { // fade from what was made up
		_, _ = g.decoder.Decode(sound, g.pcm[:])
		_, _ = g.encoder.Encode(g.pcm[:n], sound)
	}
	g.losing, g.silent = false, false
	g.recent.sent(g.packet.Codec, sound)
}

// finish fills the rest of the packet where there is no sound: the last one goes on
// and fades out, within 60 ms where more may come, within 5 ms where it ends.
func (g *speakerStage) finish(rest []byte, ends bool) {
	if len(rest) == 0 {
		return
	}
	if !g.losing {
		_, _ = g.decoder.Decode(g.recent.payload[:], g.pcm[:])
		g.losing = true
	}
	pcm := g.pcm[:len(rest)]
	if _, _ = g.decoder.Conceal(pcm); g.silent {
		clear(pcm)
	}
	if ends && !g.silent {
		for i := range pcm {
			pcm[i] = int16(int(pcm[i]) * max(0, joinSamples-i) / joinSamples)
		}
		g.silent = true
	}
	_, _ = g.encoder.Encode(pcm, rest)
}

// rest says that a voice has come to its end for now: nothing is missing, and phones
// hear a quiet line at once.
func (s *Source) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake.Store(0)
	for _, k := range s.fan.Load().listeners {
		k.rest(s)
	}
}

func (k *Sink) rest(s *Source) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fills && !k.mixing && k.driver.Load() == s {
		k.filling = true
	}
}

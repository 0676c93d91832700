package bridge

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// program hears what an agent's program does: frames, and when they came.
type program struct {
	t      *testing.T
	frames Frames
	sound  []byte
	at     []time.Time
}

func newProgram(t *testing.T) *program {
	g := &program{t: t}
	g.frames.Take = func(frame []byte, n int64) {
		if len(frame) != media.FrameSamples || n != int64(len(g.at)) {
			t.Errorf("frame %d of %d bytes came after %d", n, len(frame), len(g.at))
		}
		g.sound, g.at = append(g.sound, frame...), append(g.at, time.Now())
	}
	return g
}

// punctual fails unless a frame came for every 20 ms from the first one on, none of
// them more than late after its time.
func (g *program) punctual(late time.Duration) {
	g.t.Helper()
	synctest.Wait() // for a beat at this moment
	passed, had := time.Since(g.at[0]), time.Duration(len(g.at))*media.FrameDuration
	if had < passed-late || had > passed+late {
		g.t.Errorf("%s of frames in %s", had, passed)
	}
	for i, at := range g.at {
		if off := at.Sub(g.at[0]) - time.Duration(i)*media.FrameDuration; off > late || off < -late {
			g.t.Fatalf("frame %d came %s off its time", i, off)
		}
	}
}

func TestFramesAreCutFromPacketsOfAnyLength(t *testing.T) {
	g := newProgram(t)
	ts, said := uint32(1<<32-300), []byte(nil)
	for i := range 40 {
		p := &media.Packet{Codec: media.PCMU, Timestamp: ts, Payload: make([]byte, 7+i*13)}
		for j := range p.Payload {
			p.Payload[j] = byte(i + j)
		}
		said = append(said, p.Payload...)
		ts += uint32(len(p.Payload))
		_ = g.frames.WritePacket(p)
		if i == 20 {
			_ = g.frames.WritePacket(&media.Packet{Codec: media.TelephoneEvent, Timestamp: ts, Payload: make([]byte, 4)})
		}
	}
	if !bytes.Equal(g.sound, said[:len(g.sound)]) || len(said)-len(g.sound) >= media.FrameSamples {
		t.Errorf("%d bytes were written, and %d others came out", len(said), len(g.sound))
	}
}

func TestJumpsOfTimestampsBecomeSilence(t *testing.T) {
	for _, c := range []struct{ jump, frames int }{{0, 2}, {80, 2}, {160, 3}, {8000, 52}, {800000, 52}, {-80, 1}, {-160, 1}, {-80000, 2}} {
		g := newProgram(t)
		payload := bytes.Repeat([]byte{1}, media.FrameSamples)
		_ = g.frames.WritePacket(&media.Packet{Codec: media.PCMU, Timestamp: 500, Payload: payload})
		_ = g.frames.WritePacket(&media.Packet{Codec: media.PCMU, Timestamp: uint32(660 + c.jump), Payload: payload})
		if len(g.at) != c.frames {
			t.Errorf("a jump of %d makes %d frames, want %d", c.jump, len(g.at), c.frames)
		}
		if silent := bytes.Count(g.sound[160:], []byte{0xFF}); c.jump > 0 && silent < min(c.jump, 8000)-160 {
			t.Errorf("a jump of %d leaves %d samples silent", c.jump, silent)
		}
	}
}

func TestFramesCostNoAllocation(t *testing.T) {
	f := &Frames{Take: func([]byte, int64) {}}
	p := &media.Packet{Codec: media.PCMU, Payload: make([]byte, 240)}
	if n := testing.AllocsPerRun(100, func() { _ = f.WritePacket(p); p.Timestamp += 400 }); n > 0 {
		t.Errorf("%.1f allocations per packet", n)
	}
}

// An agent is sent a frame for every 20 ms, whatever becomes of the caller's stream.
func TestAnAgentGetsFramesOnTime(t *testing.T) {
	for _, c := range []struct {
		codec  media.Codec
		ms     int
		rateHz int
	}{
		{media.PCMU, 20, 8000}, {media.PCMU, 10, 8000}, {media.PCMU, 30, 8000}, {media.PCMU, 40, 8000}, {media.PCMU, 60, 8000},
		{media.PCMA, 20, 8000}, {media.PCMA, 30, 8000}, {media.G722, 20, 16000}, {media.Opus, 20, 16000}, {media.Opus, 60, 8000},
	} {
		for _, trouble := range []string{"none", "loss", "jitter", "outage", "held", "second phone"} {
			name := fmt.Sprintf("%s of %d ms, %s", c.codec, c.ms, trouble)
			t.Run(name, func(t *testing.T) {
				withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
					g := newProgram(t)
					join(t, r, "agent", KindAgent).Listen(&g.frames, media.PCMU, media.FrameDuration)
					phone := join(t, r, "phone", KindPhone)
					v := newVoiceAt(t, phone, c.codec, 440, c.rateHz*c.ms/1000, c.rateHz)
					v.say(time.Second)
					n := int(time.Second / v.packetTime())
					switch trouble {
					case "none":
						v.say(time.Second)
					case "loss":
						v.carry(n, func(i int) fate { return fate{lost: i%4 == 1} })
					case "jitter":
						v.carry(n, func(int) fate { return fate{delay: time.Duration(v.dice.IntN(30)) * time.Millisecond} })
					case "outage":
						time.Sleep(time.Second)
					case "held":
						phone.hold(true)
						v.say(time.Second)
						phone.hold(false)
					case "second phone":
						other := newVoice(t, join(t, r, "other", KindPhone), media.PCMA, 700, 160)
						var wg sync.WaitGroup
						wg.Go(func() { other.say(time.Second) })
						v.say(time.Second)
						wg.Wait()
					}
					v.say(2 * time.Second)
					late := mostPatience + time.Duration(c.ms)*time.Millisecond
					g.punctual(late)
					if db := toneDB(soundOf(t, g.sound[len(g.sound)-4800:]), 440); db < voiceDB-2 {
						t.Errorf("in the end the caller is heard at %.1f dB", db)
					}
				})
			})
		}
	}
}

// soundOf decodes µ-law.
func soundOf(t *testing.T, mulaw []byte) (pcm []int16) {
	t.Helper()
	d, err := transcode.NewDecoder(media.PCMU, media.NarrowbandHz)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	pcm = make([]int16, len(mulaw))
	if _, err := d.Decode(mulaw, pcm); err != nil {
		t.Fatal(err)
	}
	return pcm
}

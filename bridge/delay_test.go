package bridge

import (
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// What the direct road adds between a packet that comes in and the same sound in a
// packet that goes out, by the onset of a tone: the codecs' look-ahead, and nothing
// for waiting.
func TestTheDirectRoadAddsLookAheadAlone(t *testing.T) {
	for _, c := range []struct {
		from, to media.Codec
		most     time.Duration
	}{
		{media.PCMU, media.Opus, 8 * time.Millisecond}, // phone to room
		{media.Opus, media.PCMU, time.Millisecond},     // room to phone
		{media.PCMU, media.PCMA, 0},
		{media.Opus, media.Opus, 0},
	} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			w := &wire{}
			join(t, r, "b", KindPhone).Listen(w, c.to, 20*time.Millisecond)
			v := newVoice(t, join(t, r, "a", KindPhone), c.from, 400, 160)
			time.Sleep(time.Millisecond) // never at the same moment as a beat
			var in []media.Packet
			say := func(d time.Duration) {
				for range int(d / v.packetTime()) {
					p := v.next()
					in = append(in, *p)
					before := len(w.all())
					v.src.Push(p)
					if out := len(w.all()) - before; out != 1 {
						t.Fatalf("%s to %s: %d packets go out at once for one that comes in", c.from, c.to, out)
					}
					time.Sleep(v.packetTime())
				}
			}
			say(time.Second)
			v.freq = 0
			say(300 * time.Millisecond)
			v.freq, v.n = 400, 0
			say(300 * time.Millisecond)
			out := w.all()
			out = out[len(out)-len(in):]
			came, went := heardAt(t, decoded(t, in), 8000), heardAt(t, decoded(t, out), 8000)
			if added := lasting(went - came); added > c.most {
				t.Errorf("%s to %s: %v added, want at most %v", c.from, c.to, added, c.most)
			}
		})
	}
}

package media

// Loop plays a recording round and round; its ends are faded, so that it comes
// back without a click. Not safe for concurrent use; many may share a recording.
type Loop struct {
	pcm []int16
	at  int
}

// loopFade is the length of the fade at either end, in samples: 20 ms at 8 kHz.
const loopFade = FrameSamples

// NewLoop plays pcm from its beginning. It is kept and not changed.
func NewLoop(pcm []int16) *Loop { return &Loop{pcm: pcm} }

// Fill writes the next len(out) samples, silence where there is no recording. It
// does not allocate.
func (l *Loop) Fill(out []int16) {
	if len(l.pcm) == 0 {
		clear(out)
		return
	}
	for i := range out {
		edge := min(l.at, len(l.pcm)-1-l.at, loopFade)
		out[i] = int16(int(l.pcm[l.at]) * edge / loopFade)
		if l.at++; l.at == len(l.pcm) {
			l.at = 0
		}
	}
}

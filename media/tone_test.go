package media

import (
	"slices"
	"testing"
)

func TestSineGoesOnWithoutAJump(t *testing.T) {
	whole := sine(1234, -9, 1000)
	tone := Sine(1234, NarrowbandHz, -9)
	var parts []int16
	for _, n := range []int{1, 159, 160, 7, 673} {
		part := make([]int16, n)
		tone.Fill(part)
		parts = append(parts, part...)
	}
	if !slices.Equal(whole, parts) {
		t.Error("frames drawn in parts differ from the whole")
	}
}

func TestLoudestSineDoesNotWrap(t *testing.T) {
	pcm := sine(250, 0, 8000) // +3 dB over what fits
	for i := 1; i < len(pcm); i++ {
		if d := int(pcm[i]) - int(pcm[i-1]); d > 12000 || d < -12000 {
			t.Fatalf("jump of %d at sample %d", d, i)
		}
	}
}

func TestCadences(t *testing.T) {
	const second = NarrowbandHz
	tests := []struct {
		name  string
		tone  *Tone
		freqs []float64
		level float64 // each
		on    []float64
		off   []float64 // seconds, from the start
	}{
		{"ringback US", Ringback("us", second), []float64{440, 480}, -25, []float64{0.1, 1.9, 6.1}, []float64{2.1, 5.9}},
		{"ringback unknown", Ringback("", second), []float64{440, 480}, -25, []float64{0.1}, []float64{2.1}},
		{"ringback DE", Ringback("DE", second), []float64{425}, -19, []float64{0.1, 0.9, 5.1}, []float64{1.1, 4.9}},
		{"ringback GB", Ringback("GB", second), []float64{400, 450}, -25, []float64{0.1, 0.7, 3.1}, []float64{0.45, 1.1, 2.9}},
		{"busy US", Busy("US", second), []float64{480, 620}, -30, []float64{0.1, 1.1}, []float64{0.6, 1.6}},
		{"busy FR", Busy("FR", second), []float64{425}, -19, []float64{0.1, 1.1}, []float64{0.6}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pcm := make([]int16, 8*second)
			for beat := range slices.Chunk(pcm, FrameSamples) {
				tt.tone.Fill(beat)
			}
			at := func(s float64) []int16 { return pcm[int(s*second)-400 : int(s*second)+400] }
			for _, s := range tt.on {
				for _, f := range tt.freqs {
					// 100 ms tell 425 from silence; two close tones need the long look below
					if got := ToneLevel(at(s), second, f); got < tt.level-9 {
						t.Errorf("%g Hz at %g s: %.1f dBov", f, s, got)
					}
				}
			}
			for _, s := range tt.off {
				within(t, "silence", Level(at(s)), Silence, 0)
			}
			if tt.freqs[0] == 440 {
				within(t, "440 Hz", ToneLevel(pcm[second/2:3*second/2], second, 440), tt.level, 0.2)
				within(t, "480 Hz", ToneLevel(pcm[second/2:3*second/2], second, 480), tt.level, 0.2)
			}
		})
	}
}

func TestFillDoesNotAllocate(t *testing.T) {
	tone, pcm := Ringback("US", NarrowbandHz), make([]int16, FrameSamples)
	if n := testing.AllocsPerRun(100, func() { tone.Fill(pcm) }); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

func BenchmarkTone(b *testing.B) {
	tone, pcm := Ringback("US", NarrowbandHz), make([]int16, FrameSamples)
	for b.Loop() {
		tone.Fill(pcm)
	}
}

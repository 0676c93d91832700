package transcode

import (
	"math"
	"testing"
)

func TestResamplersKeepLevelsAndHoldAliasesDown(t *testing.T) {
	const amplitude = 16000
	level := toneDB(sine(1000, 16000, 16000, amplitude), 16000, 1000)
	for f := 50.0; f < 8000; f += 50 {
		in := sine(f, 16000, 16000, amplitude)
		out := make([]int16, 8000)
		new(Downsampler).Process(in, out)
		switch out = out[100:]; {
		case f <= 3400:
			if db := toneDB(out, 8000, f); math.Abs(db-level) > 0.1 {
				t.Errorf("down: %.0f Hz at %.2f dB, want %.2f", f, db, level)
			}
		case f >= 4600:
			if db := rmsDB(out); db > level-60 {
				t.Errorf("down: %.0f Hz leaves an alias at %.1f dB below", f, level-db)
			}
		}
		if f > 3400 {
			continue
		}
		in, out = sine(f, 8000, 8000, amplitude), make([]int16, 16000)
		new(Upsampler).Process(in, out)
		out = out[100:]
		if db := toneDB(out, 16000, f); math.Abs(db-level) > 0.1 {
			t.Errorf("up: %.0f Hz at %.2f dB, want %.2f", f, db, level)
		}
		if db := toneDB(out, 16000, 8000-f); db > level-60 {
			t.Errorf("up: %.0f Hz leaves an image at %.1f dB below", f, level-db)
		}
	}
}

func TestResamplersDoNotCareHowSoundIsCut(t *testing.T) {
	in := vowels(16000, 3200)
	whole, cut := make([]int16, 1600), make([]int16, 1600)
	new(Downsampler).Process(in, whole)
	var d Downsampler
	for at, n := 0, 0; at < len(in); at += n {
		n = min(2+at%502/2*2, len(in)-at)
		d.Process(in[at:at+n], cut[at/2:])
	}
	for i := range whole {
		if whole[i] != cut[i] {
			t.Fatalf("sample %d of 8 kHz differs", i)
		}
	}
	up, upCut := make([]int16, 3200), make([]int16, 3200)
	new(Upsampler).Process(whole, up)
	var u Upsampler
	for at, n := 0, 0; at < len(whole); at += n {
		n = min(1+at%301, len(whole)-at)
		u.Process(whole[at:at+n], upCut[2*at:])
	}
	for i := range up {
		if up[i] != upCut[i] {
			t.Fatalf("sample %d of 16 kHz differs", i)
		}
	}
}

func TestResamplersAllocateNothing(t *testing.T) {
	narrow, wide := make([]int16, 160), vowels(16000, 320)
	var d Downsampler
	var u Upsampler
	if n := testing.AllocsPerRun(100, func() { d.Process(wide, narrow); u.Process(narrow, wide) }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkResample(b *testing.B) {
	narrow, wide := make([]int16, 160), vowels(16000, 320)
	b.Run("down", func(b *testing.B) {
		var d Downsampler
		defer cpu(b)()
		for b.Loop() {
			d.Process(wide, narrow)
		}
	})
	b.Run("up", func(b *testing.B) {
		var u Upsampler
		defer cpu(b)()
		for b.Loop() {
			u.Process(narrow, wide)
		}
	})
}

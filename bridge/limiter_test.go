package bridge

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/roomline/roomline/media"
)

// limit mixes sounds of one length beat by beat.
func limit(sounds ...[]int16) []int16 {
	out, _ := limitedBy(sounds)
	return out
}

// limitedBy returns with the mix the gain in dB at the end of each beat.
func limitedBy(sounds [][]int16) (out []int16, gains []float64) {
	var m mixBuffer
	for at := 0; at+media.FrameSamples <= len(sounds[0]); at += media.FrameSamples {
		m.clear(media.NarrowbandHz)
		for _, s := range sounds {
			m.add(s[at : at+media.FrameSamples])
		}
		out = append(out, m.limited()...)
		gains = append(gains, 20*math.Log10(float64(1-m.limiter.cut)))
	}
	return out, gains
}

// loudTalkers are parts of recorded speech at a level on average, all at once; what
// passes full scale in itself is clipped, as a phone does that is shouted into.
func loudTalkers(t *testing.T, talkers int, levelDB float64, samples int) (sounds [][]int16) {
	t.Helper()
	speech := spoken(t)
	for k := range talkers {
		pcm := make([]int16, samples)
		for i := range pcm {
			pcm[i] = speech(i + k*17000)
		}
		gain := math.Pow(10, (levelDB-media.Level(pcm))/20)
		for i, v := range pcm {
			pcm[i] = int16(min(max(gain*float64(v), -32768), 32767))
		}
		sounds = append(sounds, pcm)
	}
	return sounds
}

func TestFiveLoudTalkersAreTurnedDownWithoutPumping(t *testing.T) {
	for _, levelDB := range []float64{-20, -15, -9} {
		sounds := append(loudTalkers(t, 5, levelDB, 96000), sineOf(3700, -35, 96000)) // somebody quiet, where speech has little
		out, gains := limitedBy(sounds)
		bent, up, mean := 0, 0.0, 0.0
		for _, v := range out {
			if v > limitLevel+1 || v < -limitLevel-1 {
				bent++
			}
			if v >= fullScale || v <= -fullScale {
				t.Fatalf("five talkers of %v dBov: a sample of %d", levelDB, v)
			}
		}
		for i, g := range gains {
			mean += g / float64(len(gains))
			if i > 0 {
				up = max(up, g-gains[i-1])
			}
		}
		least, most := 0.0, -99.0
		for at := 8000; at < len(out); at += 8000 {
			db := media.ToneLevel(out[at:at+8000], 8000, 3700) + 35
			least, most = min(least, db), max(most, db)
		}
		t.Logf("five talkers of %v dBov: turned down by %.1f dB on average and %.1f at most, up by %.2f dB in a beat; %d of %d samples bent; somebody quiet at %.1f to %.1f dB",
			levelDB, -mean, -slices.Min(gains), up, bent, len(out), least, most)
		if up > 1.05 {
			t.Errorf("five talkers of %v dBov: up by %.2f dB in a beat, want 1 at most", levelDB, up)
		}
		if bent > len(out)/10000 {
			t.Errorf("five talkers of %v dBov: %d of %d samples are bent", levelDB, bent, len(out))
		}
		if most-least > 6 || least < mean-4 {
			t.Errorf("five talkers of %v dBov: somebody quiet is heard at %.1f to %.1f dB from one second to the next", levelDB, least, most)
		}
	}
}

func sineOf(freqHz, levelDB float64, samples int) []int16 {
	pcm := make([]int16, samples)
	media.Sine(freqHz, media.NarrowbandHz, levelDB).Fill(pcm)
	return pcm
}

// residue is what is left of pcm, a second or more, without its tones, in dB below it.
func residue(pcm []int16, freqs ...float64) float64 {
	left := make([]float64, len(pcm))
	for i, v := range pcm {
		left[i] = float64(v)
	}
	for _, f := range freqs { // whole periods in whole seconds: the tones are orthogonal
		var re, im float64
		for i, v := range pcm {
			sin, cos := math.Sincos(2 * math.Pi * f * float64(i) / 8000)
			re, im = re+float64(v)*cos, im+float64(v)*sin
		}
		re, im = 2*re/float64(len(pcm)), 2*im/float64(len(pcm))
		for i := range left {
			sin, cos := math.Sincos(2 * math.Pi * f * float64(i) / 8000)
			left[i] -= re*cos + im*sin
		}
	}
	var noise, all float64
	for i, v := range pcm {
		noise, all = noise+left[i]*left[i], all+float64(v)*float64(v)
	}
	return 10 * math.Log10(noise/all)
}

func TestTheLimiterLeavesOneLoudTalkerAlone(t *testing.T) {
	loud := sineOf(440, -3.3, 16000)
	if !slices.Equal(limit(loud, make([]int16, len(loud))), loud) {
		t.Error("a talker of -3.3 dBov is changed by a mix with silence")
	}
}

func TestLoudTalkersAreTurnedDownNotBent(t *testing.T) {
	mixes := map[string][]float64{"two": {440, 1000}, "five": {300, 440, 700, 1000, 1700}}
	for name, freqs := range mixes {
		var sounds [][]int16
		for _, f := range freqs {
			sounds = append(sounds, sineOf(f, -6, 32000))
		}
		out := limit(sounds...)[16000:24000]
		if db := residue(out, freqs...); db > -35 {
			t.Errorf("%s talkers of -6 dBov: distortion and noise at %.1f dB", name, db)
		} else {
			t.Logf("%s talkers of -6 dBov: distortion and noise at %.1f dB", name, db)
		}
		for _, v := range out {
			if v > limitLevel+1 || v < -limitLevel-1 {
				t.Fatalf("%s talkers: a sample of %d once the level is found", name, v)
			}
		}
	}
}

func TestTheMeasureOfDistortionSeesAClippedMix(t *testing.T) {
	a, b := sineOf(440, -6, 8000), sineOf(1000, -6, 8000)
	for i, v := range b {
		a[i] = int16(min(max(int(a[i])+int(v), -32768), 32767))
	}
	if db := residue(a, 440, 1000); db < -30 {
		t.Errorf("a clipped mix has distortion at %.1f dB only: the measure sees none", db)
	}
}

func TestNothingClipsAtAnyLevel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var l limiter
	for range 2000 {
		var sum [320]int32
		for i := range sum {
			sum[i] = int32(rng.NormFloat64() * 1000 * float64(rng.IntN(80)))
		}
		samples := 160 * (1 + rng.IntN(2))
		var pcm [320]int16
		l.apply(sum[:samples], pcm[:samples])
		for i, v := range sum[:samples] {
			if int32(pcm[i]) > max(v, 0) || int32(pcm[i]) < min(v, 0) {
				t.Fatalf("%d became %d", v, pcm[i])
			}
		}
	}
}

func TestTheLevelComesBack(t *testing.T) {
	quiet, burst := sineOf(440, -20, 40000), make([]int16, 40000)
	media.Sine(700, media.NarrowbandHz, 0).Fill(burst[:8000])
	copy(quiet[:8000], sineOf(440, -3, 8000))
	if db := media.ToneLevel(limit(quiet, burst)[32000:], 8000, 440); math.Abs(db+20) > 0.1 {
		t.Errorf("3 s after a loud moment: %.2f dBov, want -20", db)
	}
}

func BenchmarkLimiter(b *testing.B) {
	var sum [160]int32
	var pcm [160]int16
	var l limiter
	for _, height := range []int32{10000, 60000} {
		name := "below"
		if height > fullScale {
			name = "above"
		}
		for i := range sum {
			sum[i] = int32(float64(height) * math.Sin(float64(i)/7))
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.apply(sum[:], pcm[:])
			}
		})
	}
}

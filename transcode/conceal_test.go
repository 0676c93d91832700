package transcode

import (
	"testing"

	"github.com/roomline/roomline/media"
)

// lossy decodes PCMU frames of 20 ms, concealing those for which lost says so.
func lossy(t *testing.T, pcm []int16, lost func(frame int) bool) []int16 {
	t.Helper()
	packets := encodeAll(t, openEncoder(t, media.PCMU, 8000, OpusSettings{}), pcm, 160)
	d := openDecoder(t, media.PCMU, 8000)
	var heard []int16
	for i, p := range packets {
		buf := make([]int16, 160)
		var err error
		if lost(i) {
			_, err = d.Conceal(buf)
		} else {
			_, err = d.Decode(p, buf)
		}
		if err != nil {
			t.Fatal(err)
		}
		heard = append(heard, buf...)
	}
	return heard
}

// steepest returns the largest change of slope from sample to sample: a click
// is a corner or a jump, and shows there before it shows anywhere else.
func steepest(pcm []int16) int {
	most := 0
	for i := 2; i < len(pcm); i++ {
		bend := int(pcm[i]) - 2*int(pcm[i-1]) + int(pcm[i-2])
		most = max(most, bend, -bend)
	}
	return most
}

func TestConcealmentDoesNotClick(t *testing.T) {
	sounds := map[string][]int16{
		"tone of 203 Hz":   sine(203, 8000, 8000, 12000),
		"tone of 440 Hz":   sine(440, 8000, 8000, 12000),
		"tone of 1,004 Hz": sine(1004, 8000, 8000, 12000),
		"speech":           vowels(8000, 32000),
	}
	never := func(int) bool { return false }
	losses := map[string]func(int) bool{
		"one in five":     func(i int) bool { return i%5 == 4 },
		"two in seven":    func(i int) bool { return i%7 > 4 },
		"eight in thirty": func(i int) bool { return i%30 > 21 },
	}
	for sound, pcm := range sounds {
		clean := steepest(lossy(t, pcm, never))
		for name, lost := range losses {
			// A packet left out, or silence in its place, bends the tones by
			// 12000 and more.
			if got, bound := steepest(lossy(t, pcm, lost)), clean+clean/2+300; got > bound {
				t.Errorf("%s, %s lost: bends by %d, at most %d without loss", sound, name, got, clean)
			}
		}
	}
}

func TestSilenceInPlaceOfALossClicks(t *testing.T) {
	pcm := lossy(t, sine(203, 8000, 8000, 12000), func(int) bool { return false })
	clean := steepest(pcm)
	clear(pcm[4010:4170])
	if got := steepest(pcm); got < 3*clean+300 {
		t.Errorf("silence bends by %d, clean sound by %d: the measure sees no clicks", got, clean)
	}
}

func TestConcealmentKeepsTheToneAndItsPitch(t *testing.T) {
	for _, freq := range []float64{203, 440, 1004} {
		pcm := sine(freq, 8000, 1600, 12000)
		heard := lossy(t, pcm, func(i int) bool { return i == 5 })[800:960]
		want := toneDB(pcm[800:960], 8000, freq)
		if got := toneDB(heard, 8000, freq); got < want-4 || got > want+0.5 {
			t.Errorf("%v Hz: %.1f dB in the first 20 ms of a loss, %.1f before it", freq, got, want)
		}
	}
}

func TestConcealmentFadesToSilence(t *testing.T) {
	heard := lossy(t, sine(440, 8000, 3200, 12000), func(i int) bool { return i >= 10 })[1600:]
	last := 0.0
	for at := 0; at < 480; at += 80 {
		level := rmsDB(heard[at : at+80])
		if at > 80 && level > last-1 {
			t.Errorf("level %.1f dB at %d ms, %.1f before it", level, at/8, last)
		}
		last = level
	}
	for i, v := range heard[480:] {
		if v != 0 {
			t.Fatalf("sample %d is %d, 60 ms after the loss began", i+480, v)
		}
	}
}

func TestConcealmentFadesInAgain(t *testing.T) {
	pcm := sine(440, 8000, 4800, 12000)
	heard := lossy(t, pcm, func(i int) bool { return i >= 5 && i < 15 })
	if got := rmsDB(heard[2400+80:]); got < rmsDB(pcm[2480:])-0.1 {
		t.Errorf("level %.1f dB after the loss", got)
	}
	if d := snrDB(pcm[2480:], heard[2480:]); d < 30 {
		t.Errorf("%.1f dB between what was sent and heard, 10 ms after the loss", d)
	}
}

func TestConcealmentBeforeAnySoundIsSilence(t *testing.T) {
	for _, codec := range []media.Codec{media.PCMU, media.PCMA, media.Opus} {
		pcm := sine(440, 8000, 160, 9000)
		d := openDecoder(t, codec, 8000)
		if n, err := d.Conceal(pcm); n != len(pcm) || err != nil {
			t.Fatalf("%s: %d, %v", codec, n, err)
		}
		if rmsDB(pcm) > -90 {
			t.Errorf("%s: %.1f dB out of nothing", codec, rmsDB(pcm))
		}
	}
}

package bench

import (
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

func testSound(t *testing.T, codec media.Codec, rateHz int) *sound {
	t.Helper()
	s, err := newSound(codec, rateHz, 32000)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryMarkIsHeardAndNothingElse(t *testing.T) {
	for _, c := range []struct {
		codec     media.Codec
		rateHz    int
		low, high float64 // ms into the frame
	}{{media.PCMU, 8000, 0, 0.3}, {media.Opus, 8000, 4, 8}, {media.Opus, 16000, 4, 8}, {media.Opus, 48000, 4, 8}} {
		s := testSound(t, c.codec, c.rateHz)
		each := quietFront + markFrames + quietBack + stretch
		for i, onset := range s.onsetMS {
			isMark := i%each == quietFront
			if isMark != (onset >= 0) {
				t.Errorf("%s at %d Hz: frame %d, mark %v, heard at %.1f ms", c.codec, c.rateHz, i, isMark, onset)
			}
			if isMark && (onset < c.low || onset > c.high) {
				t.Errorf("%s at %d Hz: mark %.1f ms into its frame, want %.1f to %.1f", c.codec, c.rateHz, onset, c.low, c.high)
			}
		}
	}
}

// run sends count packets through a lane; gate says what becomes of each: how
// long it takes, and its sequence number, or that it is lost.
func run(t *testing.T, l *lane, count int, gate func(i int) (delay time.Duration, sequence uint16, lost bool)) (from, to time.Time) {
	t.Helper()
	from = time.Now()
	for i := range count {
		at := from.Add(time.Duration(i) * beat)
		payload := l.next(at)
		if delay, sequence, lost := gate(i); !lost {
			l.arrived(&media.Packet{Codec: l.heard, SequenceNumber: sequence, Payload: payload, Arrived: at.Add(delay)})
		}
	}
	return from, from.Add(time.Duration(count) * beat)
}

func testLane(t *testing.T, s *sound, heard media.Codec) *lane {
	t.Helper()
	l, err := newLane(s, 150, heard, 2000)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLaneFindsTheDelayOfEachPacket(t *testing.T) {
	l := testLane(t, testSound(t, media.PCMU, 8000), media.PCMU)
	from, to := run(t, l, 700, func(i int) (time.Duration, uint16, bool) {
		return time.Duration(i%10) * time.Millisecond, uint16(65000 + i), false // wraps
	})
	f := l.judge(from, to)
	got := spread(f.transitMS)
	if got.N != 700 || got.P50 != 4 || got.Max != 9 || f.lost != 0 || f.unmatched != 0 || f.sent != 700 {
		t.Errorf("%+v, %d lost, %d unmatched of %d", got, f.lost, f.unmatched, f.sent)
	}
	if len(f.codecMS) < 3 || spread(f.codecMS).Max != 0 {
		t.Errorf("codec delay %v of a road without codec", f.codecMS)
	}
}

func TestLaneCountsLostPackets(t *testing.T) {
	l := testLane(t, testSound(t, media.PCMU, 8000), media.PCMU)
	from, to := run(t, l, 700, func(i int) (time.Duration, uint16, bool) {
		return time.Millisecond, uint16(i), i%100 == 99
	})
	if f := l.judge(from, to); f.lost != 7 || f.unmatched != 0 {
		t.Errorf("%d lost, %d unmatched, want 7 and 0", f.lost, f.unmatched)
	}
}

func TestLaneDistrustsWhatLiesBetweenMarksThatDisagree(t *testing.T) {
	l := testLane(t, testSound(t, media.PCMU, 8000), media.PCMU)
	from, to := run(t, l, 700, func(i int) (time.Duration, uint16, bool) {
		if i > 400 {
			i += 3 // the gateway put three packets of its own in
		}
		return time.Millisecond, uint16(i), false
	})
	f := l.judge(from, to)
	if got := spread(f.transitMS); got.Max != 1 {
		t.Errorf("a delay of %v ms was made up", got.Max)
	}
	if f.unmatched == 0 || f.unmatched > 250 || f.lost != 0 {
		t.Errorf("%d unmatched, %d lost", f.unmatched, f.lost)
	}
}

func TestLaneMeasuresTheCodec(t *testing.T) {
	s := testSound(t, media.PCMU, 8000)
	l := testLane(t, s, media.Opus)
	d, err := transcode.NewDecoder(media.PCMU, 8000)
	if err != nil {
		t.Fatal(err)
	}
	e, err := transcode.NewEncoder(media.Opus, 8000, transcode.DefaultOpus())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	defer e.Close()
	pcm, out := make([]int16, 160), make([]byte, transcode.MaxPayload)
	from := time.Now()
	for i := range 700 {
		at := from.Add(time.Duration(i) * beat)
		payload := l.next(at)
		if _, err := d.Decode(payload, pcm); err != nil {
			t.Fatal(err)
		}
		n, err := e.Encode(pcm, out)
		if err != nil {
			t.Fatal(err)
		}
		l.arrived(&media.Packet{Codec: media.Opus, SequenceNumber: uint16(i), Payload: out[:n], Arrived: at.Add(time.Millisecond)})
	}
	f := l.judge(from, from.Add(700*beat))
	// Opus looks 6.5 ms ahead.
	if got := spread(f.codecMS).P50; len(f.codecMS) < 3 || got < 5 || got > 8 {
		t.Errorf("codec delay %v", f.codecMS)
	}
	if f.lost != 0 || f.unmatched != 0 {
		t.Errorf("%d lost, %d unmatched", f.lost, f.unmatched)
	}
}

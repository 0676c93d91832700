package bridge

import (
	"math"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// measured is a leg whose counters a test moves on, second by second.
type measured struct {
	media.Quality
	meter
	now   time.Time
	turns []qualityTurn
}

func newMeasured() *measured {
	m := &measured{now: time.Unix(1_800_000_000, 0)}
	m.Quality = media.Quality{Codec: media.PCMU, Packet: 20 * time.Millisecond}
	m.pass(0, 0)
	return m
}

// pass lets time go by with lost of each 50 packets lost, in runs of two.
func (m *measured) pass(seconds int, lost uint64) media.Quality {
	q := m.Quality
	for range max(1, seconds) {
		if seconds > 0 {
			m.now = m.now.Add(time.Second)
			m.PacketsReceived += 50 - lost
			m.PacketsLost += lost
			m.Pattern = m.Pattern.Plus(media.LossPattern{Received: 50 - lost, Lost: lost, Runs: (lost + 1) / 2})
		}
		q = m.Quality
		q.Rate()
		if turn := m.take(&q, m.now); turn != nil {
			m.turns = append(m.turns, *turn)
		}
	}
	return q
}

func TestABadMinuteShowsLiveAndRecovers(t *testing.T) {
	m := newMeasured()
	good := m.pass(120, 0)
	bad := m.pass(60, 10)
	after := m.pass(600, 0)
	if good.Live.MOS < 4.3 || bad.Live.MOS > 3 || bad.Live.Loss != 20 || after.Live.MOS < 4.3 || after.Live.Loss != 0 {
		t.Errorf("live: good %+v, bad %+v, after %+v", good.Live, bad.Live, after.Live)
	}
	if bad.MOS < float64(bad.Live.MOS) || after.MOS < 3.8 {
		t.Errorf("the whole call: MOS %.2f after the bad minute, %.2f at the end", bad.MOS, after.MOS)
	}
	if math.Abs(after.LowestMOS-float64(bad.Live.MOS)) > 0.01 || after.MeanMOS < 4.1 || after.MeanMOS > 4.35 {
		t.Errorf("MOS %.2f at least, %.2f in the mean", after.LowestMOS, after.MeanMOS)
	}
	points := m.history()
	if len(points) != 156 { // 780 s
		t.Fatalf("%d points", len(points))
	}
	for i, p := range points {
		if lossy := i >= 24 && i < 36; lossy != (p.MOS < 3) {
			t.Errorf("point %d: %+v", i, p)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	m := newMeasured()
	m.pass(5*(qualityPoints+10), 0)
	points := m.history()
	if len(points) != qualityPoints || !points[len(points)-1].At.Equal(m.now) {
		t.Fatalf("%d points until %v", len(points), points[len(points)-1].At)
	}
	for i := range points[1:] {
		if d := points[i+1].At.Sub(points[i].At); d != qualityEvery {
			t.Fatalf("point %d comes %v after the one before", i+1, d)
		}
	}
}

func TestClassTurnsWithHysteresis(t *testing.T) {
	for _, c := range []struct {
		was  QualityClass
		r    float64
		want QualityClass
	}{
		{QualityGood, 80, QualityGood}, {QualityGood, 79.9, QualityFair}, {QualityGood, 59, QualityBad},
		{QualityFair, 82, QualityFair}, {QualityFair, 83, QualityGood}, {QualityFair, 69, QualityPoor},
		{QualityBad, 62, QualityBad}, {QualityBad, 63, QualityPoor}, {QualityBad, 93, QualityGood}, {QualityBad, 81, QualityFair},
	} {
		if got := classAfter(c.was, c.r); got != c.want {
			t.Errorf("%s at R %g becomes %s, want %s", c.was, c.r, got, c.want)
		}
	}
}

func TestTurnsAreToldOnceAndNotTooOften(t *testing.T) {
	m := newMeasured()
	m.pass(60, 0)
	if len(m.turns) != 0 {
		t.Fatalf("a good leg tells %+v", m.turns)
	}
	m.pass(60, 10)
	if len(m.turns) != 1 || m.turns[0].from != QualityGood || m.turns[0].to != QualityBad || m.turns[0].point.Loss != 20 {
		t.Fatalf("a bad minute tells %+v", m.turns)
	}
	for range 24 { // good and bad in turns of five seconds
		m.pass(5, 0)
		m.pass(5, 10)
	}
	if n := len(m.turns); n > 25 {
		t.Errorf("%d turns in 240 s", n)
	}
	before := len(m.turns)
	m.pass(60, 0)
	if n := len(m.turns); n-before > 1 || m.turns[n-1].to != QualityGood {
		t.Errorf("it recovers with %+v", m.turns[before:])
	}
}

func TestASilentLegHasNoRating(t *testing.T) {
	m := newMeasured()
	m.pass(60, 0)
	for range 4 { // on hold: nothing comes
		m.now = m.now.Add(5 * time.Second)
		q := m.Quality
		q.Rate()
		m.take(&q, m.now)
	}
	points := m.history()
	if last := points[len(points)-1]; last.R != 0 || last.MOS != 0 {
		t.Errorf("%+v", last)
	}
	if m.lowest < 4.3 || len(m.turns) != 0 {
		t.Errorf("silence counts as MOS %.2f, turns %+v", m.lowest, m.turns)
	}
}

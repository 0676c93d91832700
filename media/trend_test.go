package media

import (
	"encoding/json"
	"testing"
	"time"
)

func TestATrendCoversAnyCallInSixtyValues(t *testing.T) {
	began := time.Unix(1_800_000_000, 0).UTC()
	for _, points := range []int{1, 59, 60, 61, 120, 121, 1000, 8640} { // up to 12 hours
		var trend QualityTrend
		bad := points / 2
		for i := range points {
			p := QualityPoint{At: began.Add(time.Duration(i+1) * 5 * time.Second), R: 93, DelayMS: 40}
			if i == bad {
				p.R, p.Loss = 50, 20
			}
			trend.Add(&p, 5*time.Second)
		}
		n := len(trend.R)
		if n > trendMost || points >= trendMost && n < trendMost/2 {
			t.Errorf("%d points make %d values", points, n)
		}
		covered := time.Duration(n) * time.Duration(trend.StepMS) * time.Millisecond
		if whole := time.Duration(points) * 5 * time.Second; covered < whole || covered-whole >= time.Duration(trend.StepMS)*time.Millisecond {
			t.Errorf("%d points: %v of %v covered", points, covered, whole)
		}
		lows := 0
		for _, p := range trend.Points() {
			if p.R == 50 && p.Loss == 20 && p.MOS > 2.5 && p.MOS < 2.6 {
				lows++
			} else if p.R != 93 || p.Loss != 0 {
				t.Errorf("%d points: %+v", points, p)
			}
		}
		if lows != 1 {
			t.Errorf("%d points: the bad one is seen %d times", points, lows)
		}
	}
}

func TestATrendIsSmallAndComesBackFromJSON(t *testing.T) {
	var trend QualityTrend
	for i := range 500 {
		trend.Add(&QualityPoint{At: time.Unix(1_800_000_000+int64(i)*5, 0), R: 91.24, RemoteR: 90.15, Loss: 0.4, Concealed: 0.5, JitterMS: 12.3, DelayMS: 101.2, BufferMS: 20}, 5*time.Second)
	}
	text, err := json.Marshal(trend)
	if err != nil || len(text) > 2500 {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	var back QualityTrend
	if err := json.Unmarshal(text, &back); err != nil || len(back.Points()) != len(trend.Points()) {
		t.Fatal(err)
	}
	back.Loss = nil
	if n := len(back.Points()); n != 0 {
		t.Errorf("%d points of a crooked trend", n)
	}
}

func TestATrendKeepsWhatIsNotKnown(t *testing.T) {
	var trend QualityTrend
	for range 121 {
		trend.Add(&QualityPoint{At: time.Now(), RemoteR: 80}, 5*time.Second)
	}
	for _, p := range trend.Points() {
		if p.R != 0 || p.MOS != 0 || p.RemoteR != 80 || p.RemoteMOS < 4 {
			t.Fatalf("%+v", p)
		}
	}
}

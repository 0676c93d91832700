package bench

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func scaleOptions(near int) ScaleOptions {
	return ScaleOptions{From: 1, To: 1000, Near: near, Limit: time.Minute, Scene: Scene{Duration: time.Second}}
}

func TestScaleFindsTheBorder(t *testing.T) {
	var tried []int
	s := &ScaleReport{}
	err := s.search(scaleOptions(10), func(calls int) (Step, error) {
		tried = append(tried, calls)
		return Step{Calls: calls, Holds: calls <= 217, Why: "too many"}, nil
	})
	if err != nil || s.Largest > 217 || s.Failed <= 217 || s.Failed-s.Largest > 10 || s.Why != "too many" {
		t.Errorf("%d holds, %d fails (%s), %v", s.Largest, s.Failed, s.Why, err)
	}
	if want := []int{1, 10, 50, 100, 150, 200, 250}; !slices.Equal(tried[:len(want)], want) || len(tried) > len(want)+4 {
		t.Errorf("tried %v", tried)
	}
}

func TestScaleEnds(t *testing.T) {
	for _, c := range []struct{ holds, largest, failed int }{{0, 0, 1}, {5000, 1000, 0}, {1, 1, 5}} {
		s := &ScaleReport{}
		_ = s.search(scaleOptions(4), func(calls int) (Step, error) { return Step{Calls: calls, Holds: calls <= c.holds}, nil })
		if s.Largest != c.largest || s.Failed != c.failed {
			t.Errorf("%d hold: found %d and %d", c.holds, s.Largest, s.Failed)
		}
	}
	broken := errors.New("broken")
	s := &ScaleReport{}
	if err := s.search(scaleOptions(1), func(int) (Step, error) { return Step{}, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestStepSaysWhatDoesNotHold(t *testing.T) {
	good := func() *Report {
		r := newReport(Options{Calls: 2})
		r.Calls.Answered, r.Calls.Alive = 2, 2
		r.PhoneToRoom.Added, r.RoomToPhone.Added = Spread{N: 9, P99: 19}, Spread{N: 9, P99: 1}
		return r
	}
	for why, spoil := range map[string]func(*Report){
		"":               func(*Report) {},
		"not answered":   func(r *Report) { r.Calls.Failed = 1 },
		"silent":         func(r *Report) { r.Calls.Alive = 1 },
		"lost":           func(r *Report) { r.RoomToPhone.LossPercent = 0.1 },
		"phone → room":   func(r *Report) { r.PhoneToRoom.Added.P99 = 20 },
		"room → phone":   func(r *Report) { r.RoomToPhone.Added.P99 = 20 },
		"no delay could": func(r *Report) { r.RoomToPhone.Added = Spread{} },
	} {
		r := good()
		spoil(r)
		s := newStep(2, r)
		if s.Holds != (why == "") || !strings.Contains(s.Why, why) {
			t.Errorf("%q: %v, %q", why, s.Holds, s.Why)
		}
	}
}

func TestScaleReportsWhatItHasWhenStopped(t *testing.T) {
	var b bytes.Buffer
	s := &ScaleReport{Largest: 50}
	s.summary(&b, context.Canceled)
	if !strings.Contains(b.String(), "50 calls hold") || !strings.Contains(b.String(), "stopped early") {
		t.Error(b.String())
	}
	if _, err := RunScale(context.Background(), ScaleOptions{From: 2, To: 1}); err == nil {
		t.Error("from 2 to 1 was accepted")
	}
}

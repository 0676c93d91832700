package media

import (
	"testing"
	"time"
)

// lossy is a leg with 2 % of random loss, 10 ms of jitter and 60 ms of round trip.
func lossy(codec Codec) Quality {
	return Quality{
		Codec: codec, Packet: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, RoundTripMS: 60,
		PacketsReceived: 980, PacketsLost: 20, Pattern: LossPattern{980, 20, 20},
	}
}

func TestRateAtTwoPercentOfLoss(t *testing.T) {
	for name, c := range map[string]struct {
		codec                      Codec
		heard, recovered, conceals float64
		least, most                float64
	}{
		"G.711, concealed":          {PCMU, 20_000, 0, 400, 83, 86},
		"G.711, nobody decodes":     {PCMA, 0, 0, 0, 83, 86},
		"G.722, concealed":          {G722, 20_000, 0, 400, 83, 86},
		"Opus, nobody decodes":      {Opus, 0, 0, 0, 77, 80},
		"Opus, half has redundancy": {Opus, 20_000, 200, 200, 81, 84},
		"Opus, all has redundancy":  {Opus, 20_000, 400, 0, 88, 91},
		"late for the buffer too":   {PCMU, 20_000, 0, 2000, 60, 68},
		"long gaps stay silent":     {PCMU, 20_000, 0, 60, 83, 86},
	} {
		q := lossy(c.codec)
		q.HeardMS, q.RecoveredMS, q.ConcealedMS = c.heard, c.recovered, c.conceals
		if q.Rate(); q.R < c.least || q.R > c.most || q.LossPercent != 2 {
			t.Errorf("%s: R %.1f, want %g to %g; %+v", name, q.R, c.least, c.most, q)
		}
	}
}

func TestRateKnowsOfRedundantPackets(t *testing.T) {
	q := lossy(Opus)
	q.Mended = 19 // of 20; nobody decodes
	q.Rate()
	p := q.Since(&Quality{}, time.Time{})
	if q.LossPercent != 2 || q.R < 88 || p.Recovered != 1.9 || p.R < 88 {
		t.Errorf("%+v\n%+v", q, p)
	}
}

func TestRateCountsTheBufferOnce(t *testing.T) {
	q := lossy(Opus)
	q.Rate()
	within(t, "delay without a buffer", q.DelayMS, 30+20+6.5+2*10, 1e-9)
	q.BufferMS = 45
	q.Rate()
	within(t, "delay with our buffer", q.DelayMS, 30+20+6.5+45, 1e-9)
}

func TestRateKnowsWhatItDoesNotKnow(t *testing.T) {
	var q Quality
	if q.Rate(); q.R != 0 || q.MOS != 0 || q.RemoteR != 0 || q.RemoteMOS != 0 {
		t.Errorf("of nothing: %+v", q)
	}
	q = Quality{Codec: Opus, Reported: true, RemoteLoss: 20, RemoteJitterMS: 30}
	if q.Rate(); q.R != 0 || q.RemoteR < 20 || q.RemoteR > 50 {
		t.Errorf("of a listener: %+v", q)
	}
	for _, p := range []struct{ r, remote, worst float32 }{{0, 0, 0}, {80, 0, 80}, {0, 70, 70}, {90, 60, 60}, {50, 60, 50}} {
		if got := (&QualityPoint{R: p.r, RemoteR: p.remote}).Worst(); got != float64(p.worst) {
			t.Errorf("worst of %g and %g is %g", p.r, p.remote, got)
		}
	}
}

func TestBurstsRateLower(t *testing.T) {
	random, bursts := lossy(PCMU), lossy(PCMU)
	bursts.Pattern.Runs = 4
	random.Rate()
	bursts.Rate()
	within(t, "BurstR", bursts.Burst, 5*0.98, 1e-9)
	if bursts.R >= random.R {
		t.Errorf("R %.2f of bursts, %.2f of single losses", bursts.R, random.R)
	}
}

// Two packets lost of the 50 of one report are no bad line: all reports count.
func TestSinceTakesAllReports(t *testing.T) {
	before := Quality{Codec: Opus, Reported: true, RemoteLoss: 0, RemoteExpected: 1000, RemoteLost: 100}
	after := before
	after.RemoteLoss, after.RemoteExpected, after.RemoteLost = 4, 1250, 102
	after.Rate()
	if p := after.Since(&before, time.Time{}); p.RemoteLoss != 0.8 || p.RemoteR < 85 || after.RemoteR > 60 {
		t.Errorf("%+v in a call of R %.1f", p, after.RemoteR)
	}
	if p := after.Since(&after, time.Time{}); p.RemoteLoss != 4 { // no report came: the last one holds
		t.Errorf("%+v", p)
	}
}

// A bad minute is seen while it lasts, though the whole call hardly shows it.
func TestSinceShowsABadTimeAlone(t *testing.T) {
	before := lossy(PCMU)
	before.PacketsReceived, before.PacketsLost, before.Pattern = 100_000, 0, LossPattern{100_000, 0, 0}
	after := before
	after.PacketsReceived, after.PacketsLost, after.Pattern = 100_200, 50, LossPattern{100_200, 50, 25}
	after.Rate()
	at := time.Unix(1_800_000_000, 0)
	p := after.Since(&before, at)
	if p.Loss != 20 || p.Burst != 1.6 || p.R > 55 || after.R < 88 || !p.At.Equal(at) {
		t.Errorf("%+v in a call of R %.1f", p, after.R)
	}
	if p := before.Since(&after, at); p.Loss != 0 || p.R != 0 {
		t.Errorf("counters that were taken back: %+v", p)
	}
}

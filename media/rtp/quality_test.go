package rtp

import (
	"math"
	"testing"
	"time"

	pionrtcp "github.com/pion/rtcp"
)

// A phone that sends packets of 60 ms and loses every sixth time three in a row.
func TestQualityKnowsBurstsAndPackets(t *testing.T) {
	r := newRoad(t, telephone(phoneAddr))
	if q := r.s.Quality(); q.R != 0 || q.RemoteR != 0 || q.Packet != 20*time.Millisecond {
		t.Fatalf("before the first packet: %+v", q)
	}
	for n := range uint16(600) {
		if n%18 < 15 || n >= 594 {
			r.sound(n, 480*uint32(n), 9) // 20 ms go by
			r.now = r.now.Add(40 * time.Millisecond)
		} else {
			r.now = r.now.Add(60 * time.Millisecond)
		}
	}
	q := r.s.Quality()
	loss := 99.0 / 600
	if q.PacketsLost != 99 || math.Abs(q.Burst-3*(1-loss)) > 0.1 || q.Packet != 60*time.Millisecond || q.JitterMS > 1 {
		t.Errorf("%+v", q)
	}
	if q.DelayMS < 60 || q.DelayMS > 62 || q.R > 60 || q.R < 20 {
		t.Errorf("R %.1f with a delay of %.1f ms", q.R, q.DelayMS)
	}
	// 240 units are 30 ms of jitter there, once our clock is known.
	r.s.out.rateHz = 8000
	r.s.receivedRTCP(compound(t, &pionrtcp.ReceiverReport{SSRC: 9, Reports: []pionrtcp.ReceptionReport{{SSRC: r.s.SSRC(), FractionLost: 26, Jitter: 240}}}), phoneRTCP, r.now)
	if q = r.s.Quality(); q.RemoteJitterMS != 30 || q.RemoteR > 70 || q.RemoteR < 55 {
		t.Errorf("the other way: %+v", q)
	}
	r.s.receivedRTCP(compound(t, &pionrtcp.ReceiverReport{SSRC: 9, Reports: []pionrtcp.ReceptionReport{{SSRC: r.s.SSRC(), Jitter: math.MaxUint32}}}), phoneRTCP, r.now)
	if q = r.s.Quality(); q.RemoteJitterMS != 30 || q.RemoteR < 85 {
		t.Errorf("nonsense is taken for jitter: %+v", q)
	}
}

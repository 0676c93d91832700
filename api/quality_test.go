package api

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

// trendOf is a call of good seconds with a bad one in the middle.
func trendOf(points int) *media.QualityTrend {
	var trend media.QualityTrend
	for i := range points {
		p := media.QualityPoint{At: time.Unix(1_800_000_000+int64(i)*5, 0).UTC(), R: 92, MOS: 4.38}
		if i == points/2 {
			p.R, p.MOS, p.Loss = 50, 2.58, 12.5
		}
		trend.Add(&p, 5*time.Second)
	}
	return &trend
}

func TestQualityOfACallOverTime(t *testing.T) {
	h := newHouse(t)
	live := &media.QualityPoint{At: time.Now().UTC(), R: 81.5, MOS: 4.08, Loss: 1.25, BufferMS: 45}
	h.exchange.put(&fakeCall{
		record: bridge.CallRecord{ID: "call_live", State: bridge.StateActive, Quality: &media.Quality{MOS: 4.2, LowestMOS: 3.9, Live: live}},
		points: []media.QualityPoint{{MOS: 4.4}, *live},
	})
	h.exchange.put(&fakeCall{record: bridge.CallRecord{ID: "call_rings", State: bridge.StateRinging}})
	h.store.cdrs = []bridge.CDR{
		{CallRecord: bridge.CallRecord{ID: "call_ended", Quality: &media.Quality{MOS: 4.1}}, Trend: trendOf(200)},
		{CallRecord: bridge.CallRecord{ID: "call_short"}},
	}
	h.Recorded(bridge.CDR{CallRecord: bridge.CallRecord{ID: "call_just"}, Trend: trendOf(3)})

	q := into[callQuality](h.ask(t, "GET", "/v1/calls/call_live/quality", "").is(200))
	if q.CallID != "call_live" || len(q.Items) != 2 || q.Items[1].BufferMS != 45 || q.Quality.LowestMOS != 3.9 || q.Quality.Live.R != 81.5 {
		t.Errorf("live: %+v", q)
	}
	q = into[callQuality](h.ask(t, "GET", "/v1/calls/call_ended/quality", "").is(200))
	bad := 0
	for _, p := range q.Items {
		if p.R == 50 && p.Loss == 12.5 {
			bad++
		}
	}
	if len(q.Items) != 50 || bad != 1 || q.Quality.MOS != 4.1 {
		t.Errorf("ended: %d points, %d of them bad", len(q.Items), bad)
	}
	if q = into[callQuality](h.ask(t, "GET", "/v1/calls/call_just/quality", "").is(200)); len(q.Items) != 3 {
		t.Errorf("just ended: %+v", q)
	}
	for _, id := range []string{"call_rings", "call_short"} {
		if a := h.ask(t, "GET", "/v1/calls/"+id+"/quality", "").is(200); !strings.Contains(a.body, `"items":[]`) {
			t.Errorf("%s: %s", id, a.body)
		}
	}
	h.ask(t, "GET", "/v1/calls/none/quality", "").is(404).says("", "none")
	h.store.setAway(errAway)
	h.ask(t, "GET", "/v1/calls/call_ended/quality", "").is(503)
}

func TestQualityOfARoomOverTime(t *testing.T) {
	h := newHouse(t)
	h.exchange.quality = map[string][]bridge.ParticipantQuality{"lobby": {
		{Participant: "p_1", Kind: "phone", CallID: "call_1", Points: []media.QualityPoint{{MOS: 4.4}}},
		{Participant: "p_2", Kind: "browser", Points: []media.QualityPoint{}},
	}}
	a := h.ask(t, "GET", "/v1/rooms/lobby/quality", "").is(200)
	got := into[list[bridge.ParticipantQuality]](a)
	if len(got.Items) != 2 || got.Items[0].CallID != "call_1" || got.Items[0].Points[0].MOS != 4.4 || !strings.Contains(a.body, `"points":[]`) {
		t.Errorf("%s", a.body)
	}
	h.ask(t, "GET", "/v1/rooms/none/quality", "").is(404)
}

func TestMetricsOfQuality(t *testing.T) {
	h := newHouse(t)
	leg := func(kind string, p media.QualityPoint) bridge.ParticipantRecord {
		return bridge.ParticipantRecord{Kind: kind, Quality: &media.Quality{Live: &p}}
	}
	h.exchange.rooms = []bridge.RoomRecord{{Name: "a", Participants: []bridge.ParticipantRecord{
		leg("phone", media.QualityPoint{R: 92, MOS: 4.4, Loss: 0, JitterMS: 4, DelayMS: 40}),
		leg("phone", media.QualityPoint{R: 72, MOS: 3.6, Loss: 5, JitterMS: 12, DelayMS: 80, BufferMS: 60}),
		leg("phone", media.QualityPoint{}), // on hold: not in any mean
		leg("whep", media.QualityPoint{RemoteR: 55, RemoteMOS: 2.5}),
		{Kind: "browser"},
	}}}
	h.Recorded(bridge.CDR{CallRecord: bridge.CallRecord{ID: "call_1", Direction: bridge.Inbound, Cause: bridge.CauseNormal,
		Quality: &media.Quality{MOS: 4.2, LowestMOS: 2.4, LossPercent: 1.5, ConcealedPercent: 0.5, JitterMS: 6, DelayMS: 120}}})
	h.Recorded(bridge.CDR{CallRecord: bridge.CallRecord{ID: "call_2", Direction: bridge.Outbound}}) // never had sound
	w := httptest.NewRecorder()
	h.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text := w.Body.String()
	for _, line := range []string{
		`roomline_legs_by_quality{class="good",kind="phone"} 1`, `roomline_legs_by_quality{class="fair",kind="phone"} 1`,
		`roomline_legs_by_quality{class="bad",kind="phone"} 0`, `roomline_legs_by_quality{class="bad",kind="whep"} 1`,
		`roomline_leg_mos{kind="phone"} 4`, `roomline_leg_jitter_seconds{kind="phone"} 0.008`, `roomline_leg_remote_mos{kind="whep"} 2.5`,
		`roomline_leg_buffer_seconds{kind="phone"} 0.03`,
		`roomline_call_mos_bucket{direction="inbound",le="4.03"} 0`, `roomline_call_mos_bucket{direction="inbound",le="4.34"} 1`,
		`roomline_call_mos_min_bucket{direction="inbound",le="2.58"} 1`, `roomline_call_loss_ratio_bucket{direction="inbound",le="0.02"} 1`,
		`roomline_call_concealed_ratio_sum{direction="inbound"} 0.005`, `roomline_call_delay_seconds_sum{direction="inbound"} 0.12`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %q", line)
		}
	}
	for _, none := range []string{`roomline_leg_mos{kind="whep"}`, `roomline_call_mos_count{direction="outbound"}`, "call_1", `kind="browser",class`} {
		if strings.Contains(text, none) {
			t.Errorf("%q is shown", none)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "roomline_leg") || strings.HasPrefix(line, "roomline_call_") {
				t.Log(strings.TrimSpace(line))
			}
		}
	}
}

package simulate

import (
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

func turn(from, to time.Duration) Turn { return Turn{Span: Span{from, to}, Awaited: true} }

func TestReactions(t *testing.T) {
	const s = time.Second
	asked := turn(2*s, 3*s)
	for name, tt := range map[string]struct {
		agent      []Span
		turns      []Turn
		hungUp     bool
		latency    time.Duration // -1: none
		yield      time.Duration // -1: none
		unanswered int
	}{
		"an answer after 700 ms":          {agent: []Span{{0, s}, {3700 * ms, 5 * s}}, turns: []Turn{asked}, latency: 700 * ms, yield: -1},
		"none":                            {agent: []Span{{0, s}}, turns: []Turn{asked}, latency: -1, yield: -1, unanswered: 1},
		"none, and nobody waited":         {turns: []Turn{{Span: asked.Span}}, latency: -1, yield: -1},
		"none asked for":                  {turns: []Turn{{Span: asked.Span, Awaited: true, Aside: true}}, latency: -1, yield: -1},
		"hanging up is an answer":         {turns: []Turn{asked}, hungUp: true, latency: -1, yield: -1},
		"it belongs to the next question": {agent: []Span{{6 * s, 7 * s}}, turns: []Turn{asked, turn(4*s, 5*s)}, latency: -1, yield: -1, unanswered: 1},
		"they yield after 300 ms":         {agent: []Span{{s, 2300 * ms}, {4 * s, 5 * s}}, turns: []Turn{asked}, latency: s, yield: 300 * ms},
		"they do not yield":               {agent: []Span{{s, 6 * s}}, turns: []Turn{asked}, latency: -1, yield: 4 * s, unanswered: 1},
		"a key that they answer at once":  {agent: []Span{{s, 6 * s}}, turns: []Turn{{Span: asked.Span, Awaited: true, Keys: true}}, latency: -1, yield: -1},
		"they only take a breath":         {agent: []Span{{s, 2300 * ms}, {2800 * ms, 6 * s}}, turns: []Turn{asked}, latency: -1, yield: 4 * s, unanswered: 1},
		"they begin too early":            {agent: []Span{{2800 * ms, 5 * s}}, turns: []Turn{asked}, latency: 0, yield: -1},
		"a word in between is no answer":  {agent: []Span{{2200 * ms, 2400 * ms}, {3500 * ms, 4 * s}}, turns: []Turn{asked}, latency: 500 * ms, yield: -1},
	} {
		t.Run(name, func(t *testing.T) {
			talk := Talk{Agent: tt.agent, Turns: tt.turns, Length: 10 * s, HungUp: tt.hungUp}
			f := measure(&talk, phone.Report{})
			r := talk.reactions()[0]
			if r.Blurred {
				r.Answered, r.Over = false, false
			}
			if r.Answered != (tt.latency >= 0) || r.Answered && r.Latency != tt.latency {
				t.Errorf("answered %v after %s, want %s", r.Answered, r.Latency, tt.latency)
			}
			if r.Over != (tt.yield >= 0) || r.Over && r.Yield != tt.yield {
				t.Errorf("over %v, yield %s, want %s", r.Over, r.Yield, tt.yield)
			}
			if f.Unanswered != tt.unanswered {
				t.Errorf("%d unanswered, want %d", f.Unanswered, tt.unanswered)
			}
		})
	}
}

// From two painted waveforms come the figures that they were painted with.
func TestFiguresOfAPaintedConversation(t *testing.T) {
	const s = time.Second
	caller := painted(12*s, -127, -20, Span{2 * s, 3 * s}, Span{6 * s, 7 * s})
	agent := painted(12*s, -67, -22, Span{400 * ms, 1500 * ms}, Span{3650 * ms, 6320 * ms}, Span{7900 * ms, 9 * s})
	talk := Talk{Caller: Spans(caller), Agent: Spans(agent), Length: 12 * s}
	talk.Turns = turns([]saying{{Span: Span{1990 * ms, 3020 * ms}, step: 0}, {Span: Span{5980 * ms, 7010 * ms}, step: 2}},
		talk.Caller, []Step{{Action: Say}, {Action: Await}, {Action: Say}, {Action: Await}})
	f := measure(&talk, phone.Report{Quality: media.Quality{MOS: 4.2, LossPercent: 1}})
	for name, want := range map[string]float64{
		"greeting": 400, "latency_p50": 650, "latency_p99": 900, "yield": 320, "unanswered": 0,
		"overlap": 320, "overlap_max": 320, "silence_max": 3000, "mos": 4.2, "loss": 1,
	} {
		if got, ok := measured[name].of(&f); !ok || got < want-20 || got > want+20 {
			t.Errorf("%s is %g, want %g", name, got, want)
		}
	}
}

func TestPercentiles(t *testing.T) {
	var list []time.Duration
	for i := range 100 {
		list = append(list, time.Duration(100-i)*ms)
	}
	for p, want := range map[float64]time.Duration{50: 50 * ms, 95: 95 * ms, 99: 99 * ms, 100: 100 * ms} {
		if got, _ := percentile(list, p); got != want {
			t.Errorf("p%g is %s, want %s", p, got, want)
		}
	}
	if _, ok := percentile(nil, 50); ok {
		t.Error("nothing has a percentile")
	}
}

func TestStepsThatFollowEachOtherAreOneTurn(t *testing.T) {
	const s = time.Second
	said := []saying{{Span: Span{s, 2 * s}, step: 1}, {Span: Span{2 * s, 3 * s}, step: 2, keys: true}, {Span: Span{5 * s, 6 * s}, step: 4}}
	steps := []Step{{Action: Await}, {Action: Say}, {Action: Digits}, {Action: Await}, {Action: Say}, {Action: Hangup}}
	list := turns(said, []Span{{1100 * ms, 1900 * ms}}, steps)
	if len(list) != 2 || list[0].From != 1100*ms || list[0].To != 3*s || !list[0].Awaited || list[1].Awaited {
		t.Errorf("%+v", list)
	}
}

func TestAFirstPacketThatIsLateMovesNothing(t *testing.T) {
	began := time.Now()
	var packets []phone.Packet
	for i := range 50 {
		p := phone.Packet{Position: 160 * i, At: began.Add(time.Duration(i) * 20 * ms)}
		if i < 8 {
			p.At = began.Add(150 * ms) // all at once
		}
		packets = append(packets, p)
	}
	if got := beginning(packets, began.Add(150*ms)); !got.Equal(began) {
		t.Errorf("it began %s late", got.Sub(began))
	}
	if got := beginning(nil, began); !got.Equal(began) {
		t.Error(got)
	}
}

func TestLimits(t *testing.T) {
	f := Figures{Calls: 1, Latencies: []time.Duration{900 * ms}, MOS: 3.9}
	for _, tt := range []struct {
		limit Limit
		kept  bool
	}{
		{Limit{Figure: "latency_p95", Bound: 1000}, true},
		{Limit{Figure: "latency_p95", Bound: 800}, false},
		{Limit{Figure: "mos", Bound: 3.8}, true},
		{Limit{Figure: "mos", Bound: 4.1}, false},
		{Limit{Figure: "yield", Bound: 1}, true},        // nobody was interrupted
		{Limit{Figure: "greeting", Bound: 5000}, false}, // nothing was heard
		{Limit{Figure: "unanswered", Bound: 0}, true},
	} {
		if expected, got := tt.limit.broken(&f); (expected == "") != tt.kept {
			t.Errorf("%+v: expected %q, got %q", tt.limit, expected, got)
		}
	}
}

package simulate

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/roomline/roomline/phone"
)

// Figures are what was measured, of one scenario or of a suite. Lists are in the
// order of the calls.
type Figures struct {
	Calls      int             // answered
	Latencies  []time.Duration // of what was spoken and had an answer
	KeyDelays  []time.Duration // of keys that had one
	Yields     []time.Duration // of turns that began while the other side spoke
	Greetings  []time.Duration // answer to the first sound, of calls where there was some
	Setups     []time.Duration // INVITE to answer
	Turns      int
	Unanswered int
	Overlap    time.Duration // both speak, all together
	OverlapMax time.Duration // at a stretch
	SilenceMax time.Duration // nobody speaks, at a stretch
	Loss       float64       // of RTP packets, percent; the worst call
	Jitter     float64       // ms, RFC 3550; the worst call
	MOS        float64       // the worst call, 1 to 4.5; 0: unknown
}

// measure makes the figures of one call.
func measure(t *Talk, r phone.Report) Figures {
	f := Figures{Calls: 1, Turns: len(t.Turns), Loss: r.LossPercent, Jitter: r.JitterMS, MOS: r.MOS,
		Setups: []time.Duration{time.Duration(r.SetupMS * float64(time.Millisecond))}}
	for i, reaction := range t.reactions() {
		switch {
		case !reaction.Answered || reaction.Blurred:
		case reaction.Keys:
			f.KeyDelays = append(f.KeyDelays, reaction.Latency)
		default:
			f.Latencies = append(f.Latencies, reaction.Latency)
		}
		if reaction.Over && !reaction.Blurred {
			f.Yields = append(f.Yields, reaction.Yield)
		}
		if t.unanswered(i, reaction) {
			f.Unanswered++
		}
	}
	if len(t.Agent) > 0 {
		f.Greetings = []time.Duration{max(0, t.Agent[0].From)}
	}
	both := overlaps(t.Caller, t.Agent)
	f.Overlap, f.OverlapMax = totalOf(both), longestOf(both)
	f.SilenceMax = longestOf(silences(t.Length, slices.Concat(t.Caller, t.Agent, spansOf(t.Turns))...))
	return f
}

func spansOf(turns []Turn) []Span {
	list := make([]Span, len(turns))
	for i, t := range turns {
		list[i] = t.Span
	}
	return list
}

// add joins the figures of another call.
func (f *Figures) add(o Figures) {
	f.Calls += o.Calls
	f.Latencies = append(f.Latencies, o.Latencies...)
	f.KeyDelays = append(f.KeyDelays, o.KeyDelays...)
	f.Yields = append(f.Yields, o.Yields...)
	f.Greetings = append(f.Greetings, o.Greetings...)
	f.Setups = append(f.Setups, o.Setups...)
	f.Turns += o.Turns
	f.Unanswered += o.Unanswered
	f.Overlap += o.Overlap
	f.OverlapMax = max(f.OverlapMax, o.OverlapMax)
	f.SilenceMax = max(f.SilenceMax, o.SilenceMax)
	f.Loss, f.Jitter = max(f.Loss, o.Loss), max(f.Jitter, o.Jitter)
	if o.MOS > 0 && (f.MOS == 0 || o.MOS < f.MOS) {
		f.MOS = o.MOS
	}
}

// percentile is the smallest value that p percent of all are not above; false
// when there is none.
func percentile(list []time.Duration, p float64) (time.Duration, bool) {
	if len(list) == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[max(0, int(math.Ceil(p/100*float64(len(sorted))))-1)], true
}

// unit is what a figure is counted in.
type unit string

const (
	aTime    unit = "time"
	aCount   unit = "count"
	aPercent unit = "percent"
	aScore   unit = "score"
)

// figure is one that a limit can be put on: what is measured has to be at most the
// bound, or at least.
type figure struct {
	unit  unit
	least bool
	of    func(*Figures) (float64, bool) // false: there is nothing to measure
}

func timed(p float64, list func(*Figures) []time.Duration) figure {
	return figure{unit: aTime, of: func(f *Figures) (float64, bool) {
		d, ok := percentile(list(f), p)
		return inMS(d), ok
	}}
}

func lasting(d func(*Figures) time.Duration) figure {
	return figure{unit: aTime, of: func(f *Figures) (float64, bool) { return inMS(d(f)), f.Calls > 0 }}
}

func inMS(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func latencies(f *Figures) []time.Duration { return f.Latencies }
func keyDelays(f *Figures) []time.Duration { return f.KeyDelays }
func yields(f *Figures) []time.Duration    { return f.Yields }
func greetings(f *Figures) []time.Duration { return f.Greetings }
func setups(f *Figures) []time.Duration    { return f.Setups }

// measured are the figures by the names that they have in files and reports.
var measured = map[string]figure{
	"latency_p50": timed(50, latencies), "latency_p95": timed(95, latencies),
	"latency_p99": timed(99, latencies), "latency_max": timed(100, latencies),
	"key_latency": timed(100, keyDelays),
	"yield":       timed(100, yields), "yield_p95": timed(95, yields),
	"greeting": timed(100, greetings), "setup": timed(100, setups),
	"overlap":     lasting(func(f *Figures) time.Duration { return f.Overlap }),
	"overlap_max": lasting(func(f *Figures) time.Duration { return f.OverlapMax }),
	"silence_max": lasting(func(f *Figures) time.Duration { return f.SilenceMax }),
	"unanswered":  {unit: aCount, of: func(f *Figures) (float64, bool) { return float64(f.Unanswered), f.Calls > 0 }},
	"loss":        {unit: aPercent, of: func(f *Figures) (float64, bool) { return f.Loss, f.Calls > 0 }},
	"jitter":      {unit: aTime, of: func(f *Figures) (float64, bool) { return f.Jitter, f.Calls > 0 }},
	"mos":         {unit: aScore, least: true, of: func(f *Figures) (float64, bool) { return f.MOS, f.MOS > 0 }},
}

// FigureNames are the names of all figures that can be bounded, sorted.
func FigureNames() []string { return slices.Sorted(maps.Keys(measured)) }

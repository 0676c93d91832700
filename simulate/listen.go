package simulate

import (
	"slices"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// lag is how late sound may come and still be heard in its place: what has not
// come by then counts as silence.
const lag = 400 * time.Millisecond

// listener follows what a call hears while it goes on. It belongs to the
// goroutine of its scenario.
type listener struct {
	call   *phone.Call
	origin time.Time     // of times: the answer
	lead   time.Duration // of sound that came before the answer, negative or 0

	known    bool          // the first packet has come
	first    time.Duration // its place, from lead on
	pcm      []int16       // heard, from lead on
	detector detector
	over     bool          // nothing more will come
	now      time.Duration // up to here it is known what was heard, from the answer
}

func listen(c *phone.Call, answered time.Time) *listener {
	l := &listener{call: c, origin: answered}
	if since := c.HeardSince(); !since.IsZero() && since.Before(answered) {
		l.lead = since.Sub(answered)
	}
	return l
}

// follow takes in what has come since the last time.
func (l *listener) follow() {
	l.take()
	for at := l.detector.frames * frameSamples; at+frameSamples <= len(l.pcm); at += frameSamples {
		level := media.Level(l.pcm[at : at+frameSamples])
		l.detector.learn(level)
		l.detector.push(level, l.detector.threshold())
	}
	l.now = max(l.now, time.Duration(l.detector.frames)*frame+l.lead, time.Since(l.origin)-lag)
}

// take appends what the phone has heard.
func (l *listener) take() {
	if !l.known {
		since := l.call.HeardSince()
		if since.IsZero() {
			return
		}
		l.known, l.first = true, max(0, since.Sub(l.origin)-l.lead)
		l.pcm = append(l.pcm, make([]int16, max(0, samplesIn(l.first)-len(l.pcm)))...)
	}
	from := len(l.pcm) - samplesIn(l.first)
	l.pcm = append(l.pcm, l.call.HeardFrom(max(0, from))...)
}

// spans are what was heard, in time from the answer.
func (l *listener) spans() []Span { return shifted(l.detector.spans, l.lead) }

// since are the spans that begin at a time or later.
func (l *listener) since(at time.Duration) []Span {
	return slices.DeleteFunc(l.spans(), func(s Span) bool { return s.From < at })
}

// utterances are the spans that begin at a time or later, joined where there is
// less than pause between them. With over, the rest of one that was under way then
// is one as well: who is interrupted by a key may answer without a pause. whole is
// false while the last one may go on.
func (l *listener) utterances(at, pause time.Duration, over bool) (list []Span, whole bool) {
	spans := l.since(at)
	if i := slices.IndexFunc(l.spans(), func(s Span) bool { return s.From < at && s.To >= at+shortestAnswer }); over && i >= 0 {
		spans = slices.Insert(spans, 0, Span{at, l.spans()[i].To})
	}
	list = merged(spans, pause)
	if len(list) == 0 {
		return nil, true
	}
	return list, l.over || l.now-list[len(list)-1].To >= pause
}

// shortestAnswer is how long sound has to go on after a key to be an answer.
const shortestAnswer = 250 * time.Millisecond

// talking reports whether they speak right now.
func (l *listener) talking() bool { return l.detector.open && !l.over }

// around is what belongs to a span's sound on either side.
const around = 100 * time.Millisecond

// sound is what was heard in a span, with a moment around it.
func (l *listener) sound(s Span) []int16 {
	return cut(l.pcm, Span{s.From - l.lead - around, s.To - l.lead + around})
}

// shifted moves spans in time.
func shifted(spans []Span, by time.Duration) []Span {
	out := make([]Span, len(spans))
	for i, s := range spans {
		out[i] = Span{s.From + by, s.To + by}
	}
	return out
}

package phone

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

// Report says how a call went, as far as this end knows. Times are in
// milliseconds, levels in dBov (-127 for silence).
type Report struct {
	CallID    string `json:"call_id"`
	SIPCallID string `json:"sip_call_id"`
	Direction string `json:"direction"` // outbound | inbound
	From      string `json:"from"`
	To        string `json:"to"`

	Answered   bool         `json:"answered"`
	RingMS     float64      `json:"ring_ms,omitempty"` // from the start to the first ringing
	SetupMS    float64      `json:"setup_ms"`          // from the start to the answer, 0 without one
	DurationMS float64      `json:"duration_ms"`       // from the answer to the end or to now
	Cause      bridge.Cause `json:"cause,omitempty"`   // empty while the call lives
	SIPCode    int          `json:"sip_code,omitempty"`
	Reason     string       `json:"reason,omitempty"`

	Codec   string  `json:"codec,omitempty"`
	PtimeMS float64 `json:"ptime_ms,omitempty"` // of what was sent
	LateMS  float64 `json:"late_ms"`            // of our own packets at worst, behind their deadlines
	media.Quality

	HeardMS       float64 `json:"heard_ms"`            // from the first packet's sound to the last one's
	HeardLevel    float64 `json:"heard_dbov"`          // of all that was kept
	HeardLoudest  float64 `json:"heard_loudest_dbov"`  // of its loudest second
	ToneHz        float64 `json:"tone_hz,omitempty"`   // if its loudest second is a tone
	ToneLevel     float64 `json:"tone_dbov,omitempty"` //
	Gaps          int     `json:"gaps"`                // interruptions of what was heard
	LongestGapMS  float64 `json:"longest_gap_ms"`      // by RTP time
	GapsMS        float64 `json:"gaps_ms"`             // all of them
	LongestWaitMS float64 `json:"longest_wait_ms"`     // between two arrivals
	Digits        string  `json:"digits_received"`     // keys that the other side pressed
	Exit          int     `json:"exit"`                // the command's exit status for this call
	Expectation   string  `json:"unmet,omitempty"`     // what was asked for and did not happen
}

// audibleLevel is what --expect-audio wants the loudest second to reach, in dBov.
const audibleLevel = -55

// Report tells how the call went so far; it is complete once the call has Ended.
func (c *Call) Report() Report {
	r := Report{CallID: c.id, SIPCallID: c.line.SIPCallID(), Direction: "outbound", From: c.from, To: c.to}
	if c.inbound {
		r.Direction = "inbound"
	}
	r.Quality = c.session.Quality()
	r.LateMS = milliseconds(c.mouth.Late())
	c.timing(&r)
	if r.Answered {
		p := c.session.Params()
		r.Codec, r.PtimeMS = p.Codec.String(), milliseconds(p.Ptime)
		if c.mouth.ptime != 0 {
			r.PtimeMS = milliseconds(c.mouth.ptime)
		}
	}
	r.hear(c.Heard(), c.ear.Gaps())
	r.Exit = r.status()
	return r
}

// timing fills in what the signalling knows.
func (c *Call) timing(r *Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Answered = !c.answerAt.IsZero()
	r.Digits = string(c.pressed)
	r.Cause, r.SIPCode, r.Reason = c.end.Cause, c.end.SIPCode, c.end.Reason
	if !c.rangAt.IsZero() {
		r.RingMS = milliseconds(c.rangAt.Sub(c.began))
	}
	if !r.Answered {
		return
	}
	end := c.endAt
	if end.IsZero() {
		end = time.Now()
	}
	r.SetupMS, r.DurationMS = milliseconds(c.answerAt.Sub(c.began)), milliseconds(end.Sub(c.answerAt))
}

// hear judges the sound.
func (r *Report) hear(pcm []int16, g Gaps) {
	loud := loudest(pcm, media.NarrowbandHz)
	r.HeardMS, r.HeardLevel = milliseconds(timeOf(len(pcm))), round(media.Level(pcm))
	r.HeardLoudest = round(media.Level(loud))
	if freq, level, ok := FindTone(loud); ok {
		r.ToneHz, r.ToneLevel = freq, round(level)
	}
	r.Gaps, r.LongestGapMS, r.GapsMS = g.Count, milliseconds(g.Longest), milliseconds(g.Total)
	r.LongestWaitMS = milliseconds(g.Pause)
}

// loudest returns the loudest stretch of n samples, in steps of a quarter; all
// of pcm if it is shorter.
func loudest(pcm []int16, n int) []int16 {
	if len(pcm) <= n {
		return pcm
	}
	best, level := pcm[:n], media.Silence-1
	for at := 0; at+n <= len(pcm); at += n / 4 {
		if l := media.Level(pcm[at : at+n]); l > level {
			best, level = pcm[at:at+n], l
		}
	}
	return best
}

// FindTone finds the one sine, 100 to 3600 Hz, that makes up nearly all of pcm
// (8 kHz, 100 ms at least, the first second is looked at), to 1 Hz, and its
// level in dBov.
func FindTone(pcm []int16) (freqHz, levelDB float64, ok bool) {
	const coarse = 20 // Hz; a Hann window of 50 ms is two such bins wide on each side
	pcm = pcm[:min(len(pcm), media.NarrowbandHz)]
	level := media.Level(pcm)
	if len(pcm) < media.NarrowbandHz/10 || level < audibleLevel-10 {
		return 0, 0, false
	}
	middle := pcm[len(pcm)/2:][:media.NarrowbandHz/coarse]
	freqHz, _ = strongest(middle, 100, 3600, coarse)
	freqHz, levelDB = strongest(pcm, freqHz-coarse, freqHz+coarse, 1)
	return freqHz, levelDB, levelDB > level-1
}

// strongest returns the frequency with the most sound among those asked for.
func strongest(pcm []int16, from, to, step float64) (freqHz, levelDB float64) {
	levelDB = media.Silence - 1
	for f := from; f <= to; f += step {
		if l := media.ToneLevel(pcm, media.NarrowbandHz, f); l > levelDB {
			freqHz, levelDB = f, l
		}
	}
	return freqHz, levelDB
}

// Write tells the report to a person.
func (r Report) Write(w io.Writer) {
	if !r.Answered {
		fmt.Fprintf(w, "not answered: %s\n", r.ending())
		return
	}
	fmt.Fprintf(w, "talked for %.1f s (set up in %.0f ms, %s every %.0f ms), ended: %s\n",
		r.DurationMS/1000, r.SetupMS, r.Codec, r.PtimeMS, r.ending())
	fmt.Fprintf(w, "sent %d packets, received %d, lost %d (%.2f %%), jitter %.1f ms, round trip %.1f ms, MOS %.2f\n",
		r.PacketsSent, r.PacketsReceived, r.PacketsLost, r.LossPercent, r.JitterMS, r.RoundTripMS, r.MOS)
	fmt.Fprintf(w, "heard %.1f s at %.1f dBov%s, %d gaps (longest %.0f ms)\n", r.HeardMS/1000, r.HeardLevel, r.tone(), r.Gaps, r.LongestGapMS)
	if r.LateMS > 40 {
		fmt.Fprintf(w, "this machine was too busy: packets left up to %.0f ms late\n", r.LateMS)
	}
	if r.Digits != "" {
		fmt.Fprintf(w, "digits received: %s\n", r.Digits)
	}
	if r.Expectation != "" {
		fmt.Fprintf(w, "but %s\n", r.Expectation)
	}
}

func (r Report) tone() string {
	if r.ToneHz == 0 {
		return ""
	}
	return fmt.Sprintf(", a tone of %.0f Hz at %.1f dBov", r.ToneHz, r.ToneLevel)
}

func (r Report) ending() string { return endingWords(r.Cause, r.SIPCode, r.Reason) }

// endingWords joins what is known of an end; a reason may begin with the code already.
func endingWords(cause bridge.Cause, code int, reason string) string {
	words := []string{string(cause)}
	if code != 0 {
		words = append(words, fmt.Sprintf("SIP %d", code))
	}
	if reason = strings.TrimPrefix(reason, fmt.Sprintf("%d ", code)); reason != "" {
		words = append(words, reason)
	}
	return strings.Join(words, ", ")
}

func milliseconds(d time.Duration) float64 { return round(float64(d) / float64(time.Millisecond)) }

// round keeps two decimals.
func round(v float64) float64 { return math.Round(v*100) / 100 }

// Package amd tells who has answered a call by the sound of the first seconds: a
// person, an answering machine, a fax machine; and it finds the beep after which a
// machine records. It is arithmetic on samples alone: no goroutine, no clock.
//
// How it decides, with the usual [Settings]:
//
//   - A person says something short and waits: at most 1.9 s of voice, then 650 ms
//     without any. That decides for human.
//   - A machine talks on: 1.9 s of voice without such a pause decide for machine.
//   - At the limit, 2.5 s after the answer, what is known has to do: nobody who
//     has spoken is unknown; who has for 700 ms and has paused for less than
//     330 ms, or for 1,240 ms and has paused for less than 500 ms, is a machine;
//     else it is a person.
//   - 1100 Hz of 300 ms (CNG) or 2100 Hz of 300 ms (CED, ITU-T T.30 section 4) is
//     a fax machine, whenever it comes.
//   - A steady tone of 120 to 2,000 ms between 380 and 2,200 Hz is a beep. It makes a
//     machine of who was unknown. Tones of ringing (two at once, or 425 Hz) are neither
//     beep nor voice.
//
// Voice is what is 8 dB louder than the line's noise and above -50 dBov. Music counts
// as voice: people do not answer with it.
package amd

import "time"

// Verdict is who has answered.
type Verdict string

// Verdicts.
const (
	Undecided Verdict = ""        // so far
	Human     Verdict = "human"   // a person who waits for an answer
	Machine   Verdict = "machine" // an announcement
	Fax       Verdict = "fax"
	Unknown   Verdict = "unknown" // nothing was said within the limit
)

// Settings are the thresholds. Zero values take the usual ones.
type Settings struct {
	Limit   time.Duration // after the answer, for a verdict: 2.5 s
	Talk    time.Duration // of voice that no person answers with: 1.9 s
	Pause   time.Duration // after which a person waits: 650 ms
	Ongoing time.Duration // of voice that goes on at the limit, for a machine: 700 ms
}

func (s Settings) filled() Settings {
	usual := func(d *time.Duration, u time.Duration) {
		if *d <= 0 {
			*d = u
		}
	}
	usual(&s.Limit, 2500*time.Millisecond)
	usual(&s.Talk, 1900*time.Millisecond)
	usual(&s.Pause, 650*time.Millisecond)
	usual(&s.Ongoing, 700*time.Millisecond)
	return s
}

// Detector listens to one call. One goroutine uses it at a time.
type Detector struct {
	settings Settings
	verdict  Verdict
	after    time.Duration
	frame    frame
	talk     talk
	tones    tones
}

// New makes a detector for a call that is answered at time 0.
func New(s Settings) *Detector { return &Detector{settings: s.filled()} }

// Hear takes sound at 8 kHz that begins at a time since the answer. What is missing
// between two sounds counts as silence. It does not keep pcm, and does not allocate.
func (d *Detector) Hear(pcm []int16, at time.Duration) {
	if missing := at - d.frame.end(); missing > frameTime {
		d.skip(missing)
	}
	for len(pcm) > 0 {
		n, full := d.frame.take(pcm)
		pcm = pcm[n:]
		if full {
			d.judge(d.frame.measure())
		}
	}
}

// Pass says that no sound has come until a time since the answer, so that silence
// too comes to its end.
func (d *Detector) Pass(at time.Duration) {
	if missing := at - d.frame.end(); missing > 0 {
		d.skip(missing)
	}
}

// skip counts what is missing as silence.
func (d *Detector) skip(missing time.Duration) {
	for range min(int(missing/frameTime), mostSkipped) {
		d.frame.n++
		d.judge(measure{db: silent})
	}
	d.frame.n += max(0, int(missing/frameTime)-mostSkipped)
}

// Verdict returns who has answered, and when that was known, since the answer. It may
// still change from Unknown, and to Fax.
func (d *Detector) Verdict() (v Verdict, after time.Duration) { return d.verdict, d.after }

// Beep returns when the last beep ended, since the answer; ok is false where there
// has been none. A beep is known of 60 ms after its end.
func (d *Detector) Beep() (ended time.Duration, ok bool) { return d.tones.beeped, d.tones.beeped > 0 }

// judge takes the next 20 ms.
func (d *Detector) judge(m measure) {
	now := d.frame.end()
	tone := d.tones.hear(m, now)
	d.talk.hear(m, tone)
	switch s := d.settings; {
	case d.tones.fax:
		d.decide(Fax, now)
	case d.verdict != Undecided && d.verdict != Unknown:
	case d.tones.beeped > 0, d.talk.voiced >= s.Talk:
		d.decide(Machine, now)
	case d.talk.voiced >= leastVoice && d.talk.pause >= s.Pause:
		d.decide(Human, now)
	case now < s.Limit || d.verdict == Unknown:
	case d.talk.voiced < leastVoice:
		d.decide(Unknown, now)
	case d.talk.goesOn(s.Ongoing):
		d.decide(Machine, now)
	default:
		d.decide(Human, now)
	}
}

func (d *Detector) decide(v Verdict, now time.Duration) {
	if d.verdict != v {
		d.verdict, d.after = v, now
	}
}

package simulate

import (
	"fmt"
	"strings"
	"time"
)

// Suite is one file: scenarios and what they have in common.
type Suite struct {
	File        string // as it was named, for messages
	Name        string
	Vocabulary  []string // all phrases that an answer may be, beside those that scenarios expect
	Limits      []Limit  // of the figures of all scenarios together
	Scenarios   []Scenario
	speechNamed []string // phrases of all expectations
}

// Settings are what a scenario may have of its own, or from the suite's defaults.
type Settings struct {
	To      string            // whom to call, a SIP URI
	From    string            // who calls: a user part or SIP URI
	Voice   string            // of the synthesiser, empty for its default
	Within  time.Duration     // how long an expectation waits that does not say so
	Ring    time.Duration     // how long to wait for the answer
	Timeout time.Duration     // of the whole scenario
	Pause   time.Duration     // silence that ends an utterance
	Headers map[string]string // X- header fields of the INVITE
}

func defaultSettings() Settings {
	return Settings{Within: 5 * time.Second, Ring: 30 * time.Second, Timeout: 2 * time.Minute, Pause: 800 * time.Millisecond}
}

// Scenario is one call, step after step.
type Scenario struct {
	Settings
	Name   string
	Line   int
	Steps  []Step
	Limits []Limit // of this call's figures, looked at when it is over
}

// Action is what a step does.
type Action string

// The actions, named as in the file.
const (
	Say     Action = "say"      // text through the synthesiser
	WAV     Action = "wav"      // a file
	Tone    Action = "tone"     // a sine
	Digits  Action = "digits"   // keys
	Wait    Action = "wait"     // nothing for a while
	Await   Action = "expect"   // what is to be heard
	BargeIn Action = "barge_in" // speaking while they speak
	Hold    Action = "hold"     // the other side on hold for a while
	Hangup  Action = "hangup"   // by the caller
	Assert  Action = "assert"   // the figures so far
)

// Step is one thing that a caller does. Which fields matter, Action says.
type Step struct {
	Line    int
	Action  Action
	Sound   Sound         // Say, WAV, Tone, BargeIn
	Keys    string        // Digits
	Least   time.Duration // Wait, Hold: how long; BargeIn: how long after they began
	Most    time.Duration // Wait: up to this, by chance; 0: exactly Least
	Yield   time.Duration // BargeIn: how soon they have to be silent; 0: not looked at
	Aside   bool          // speech that asks for no answer
	Expect  Expect
	Limits  []Limit // Assert
	written string  // as in the file, in short
}

// String is the step in words, as short as in the file.
func (s Step) String() string { return s.written }

// Sound is what a caller says: one of text, file and tone.
type Sound struct {
	Text, Voice string
	File        string // as named, from the suite file's folder on
	Hz          float64
	Lasts       time.Duration // of a tone
}

// Event is what an expectation waits for.
type Event string

// The events, named as in the file.
const (
	Speech   Event = "speech"  // one of some phrases
	Noise    Event = "sound"   // anything that is louder than the line
	ToneOf   Event = "tone"    // a sine
	Beep     Event = "beep"    // a sine and then silence
	Silence  Event = "silence" // so long
	HungUp   Event = "hangup"  // by the other side
	Pressed  Event = "digits"  // by the other side
	Declined Event = "refused" // no answer; the first step only
)

// Expect is an expectation.
type Expect struct {
	Event   Event
	Phrases []string      // Speech: any of them will do
	Hz      float64       // ToneOf
	Lasts   time.Duration // Noise, ToneOf, Silence: at least
	Keys    string        // Pressed
	Cause   string        // Declined: a SIP code or cause; empty for any
	Within  time.Duration // from the step's beginning to the event's, 0: the scenario's
}

// String says in words what is expected.
func (e Expect) String() string {
	switch e.Event {
	case Speech:
		quoted := make([]string, len(e.Phrases))
		for i, p := range e.Phrases {
			quoted[i] = fmt.Sprintf("%q", p)
		}
		return "to hear " + strings.Join(quoted, " or ")
	case Noise:
		return fmt.Sprintf("to hear a sound of %s or more", e.Lasts)
	case ToneOf:
		return fmt.Sprintf("to hear a tone of %g Hz for %s", e.Hz, e.Lasts)
	case Beep:
		return "to hear a beep"
	case Silence:
		return fmt.Sprintf("silence for %s", e.Lasts)
	case HungUp:
		return "the other side to hang up"
	case Pressed:
		return fmt.Sprintf("the keys %q from the other side", e.Keys)
	case Declined:
		if e.Cause == "" {
			return "the call to be refused"
		}
		return "the call to be refused as " + e.Cause
	}
	return string(e.Event)
}

// Limit bounds one of the figures.
type Limit struct {
	Line   int
	Figure string  // a name of [FigureNames]
	Bound  float64 // milliseconds, percent or a count, as the figure is
}

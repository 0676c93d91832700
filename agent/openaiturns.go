package agent

import (
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

// turns is whose turn it is. The server makes one response at a time.
type turns struct {
	asked   bool   // for a response that has not begun
	active  bool   // a response is being made
	current string // its id
	wanted  bool   // another one, when that is over
	failed  int    // responses in a row

	speaking bool     // the caller
	speech   []speech // the caller's last turns, the newest last
}

// speech is a turn of the caller.
type speech struct {
	item       string
	start, end time.Duration // on the call's media clock
	words      string        // that have come so far
}

// keptSpeech is how many turns of the caller are remembered until their words come.
const keptSpeech = 16

func (o *openai) speechStarted(e *realtimeEvent) error {
	t := &o.turns
	t.speaking = true
	if len(t.speech) == keptSpeech {
		t.speech = append(t.speech[:0], t.speech[1:]...)
	}
	t.speech = append(t.speech, speech{item: e.ItemID, start: o.callTime(e.AudioStartMS)})
	return o.interrupt(false)
}

func (o *openai) speechStopped(e *realtimeEvent) error {
	o.turns.speaking = false
	if turn := o.turnOf(e); turn != nil {
		turn.end = max(turn.start, o.callTime(e.AudioEndMS))
	}
	return nil
}

// callTime makes the call's media time of a recent time of the server, which
// counts the sound that it was sent.
func (o *openai) callTime(ms int64) time.Duration {
	behind := media.FrameDuration*time.Duration(o.sent) - milliseconds(ms)
	return max(0, o.mediaTime()-max(0, behind))
}

// callerSays takes words of a turn that may still change.
func (o *openai) callerSays(e *realtimeEvent) error {
	if turn := o.turnOf(e); turn != nil && len(turn.words)+len(e.Delta) <= mostWords {
		turn.words += e.Delta
		o.leg.transcribe(said{text: turn.words, start: turn.start, end: turn.end})
	}
	return nil
}

// callerSaid takes the words of a turn, which come when they come.
func (o *openai) callerSaid(e *realtimeEvent) error {
	s := said{text: e.Transcript, final: true}
	if turn := o.turnOf(e); turn != nil {
		s.start, s.end = turn.start, turn.end
	}
	o.leg.transcribe(s)
	return nil
}

// turnOf is the caller's turn of an event; nil: it is not remembered.
func (o *openai) turnOf(e *realtimeEvent) *speech {
	for i := range o.turns.speech {
		if o.turns.speech[i].item == e.ItemID {
			return &o.turns.speech[i]
		}
	}
	return nil
}

// respond has the model speak, now or when it has finished what it says.
func (o *openai) respond(about string) error {
	if o.turns.asked || o.turns.active {
		o.turns.wanted = true
		return nil
	}
	o.turns.asked, o.turns.wanted = true, false
	event := map[string]any{"type": "response.create"}
	if about != "" {
		event["response"] = map[string]any{"instructions": o.briefing + "\n\nGreet the caller now. " + about}
	}
	return o.send(event)
}

func (o *openai) responseCreated(e *realtimeEvent) error {
	o.turns.asked, o.turns.active, o.turns.current = false, true, e.Response.ID
	return nil
}

// mostFailures is how many responses in a row may fail.
const mostFailures = 2

func (o *openai) responseDone(e *realtimeEvent) error {
	o.turns.active = false
	if err := o.completeAll(); err != nil {
		return err
	}
	if e.Response.Status != "failed" {
		o.turns.failed = 0
	} else if err := o.failed(e.Response.Details.Error); err != nil {
		return err
	}
	if o.turns.wanted {
		return o.respond("")
	}
	return nil
}

// failed asks again, once.
func (o *openai) failed(e realtimeError) error {
	if o.turns.failed++; limited(e) {
		return faulty(bridge.FaultRefused, "the model's server refuses for its limits: %s", clean(e))
	} else if o.turns.failed >= mostFailures {
		return faulty(bridge.FaultGone, "the model has failed %d times in a row: %s", o.turns.failed, clean(e))
	}
	o.turns.wanted = true
	return nil
}

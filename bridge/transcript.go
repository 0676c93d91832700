package bridge

import "time"

// Utterance is something that was said on a call, in words.
type Utterance struct {
	Seq         int    `json:"seq"`         // counts those of a call from 1, in the order of their ends
	Participant string `json:"participant"` // id; empty when it has left
	Identity    string `json:"identity"`
	Kind        string `json:"kind"` // phone, browser, agent …
	Text        string `json:"text"`
	Final       bool   `json:"final"`    // else it may still change; only final ones are kept
	StartMS     int64  `json:"start_ms"` // on the media clock of the call: since it was answered
	EndMS       int64  `json:"end_ms"`
	Cut         bool   `json:"cut,omitempty"` // it was interrupted: Text is what was heard of it
}

// Bounds of a call's transcript.
const (
	mostUtterances  = 2000
	longestSentence = 4000 // bytes of one utterance
)

// Transcribe adds something that was said to the call's transcript, and tells
// it as an event, transcript.partial or transcript.final. Partial ones are shown
// to the room alone. Text that is too long is cut; Seq is given here.
func (c *Call) Transcribe(u Utterance) {
	u.Text = printable(u.Text, longestSentence)
	if u.Text == "" {
		return
	}
	kind := "transcript.partial"
	c.mu.Lock()
	if u.Seq = c.said.seq + 1; u.Final {
		kind, c.said.seq = "transcript.final", u.Seq
		if len(c.said.all) == mostUtterances {
			c.said.all = append(c.said.all[:0:0], c.said.all[mostUtterances/4:]...)
		}
		c.said.all = append(c.said.all, u)
	}
	room := c.rec.Room
	c.mu.Unlock()
	e := Event{Type: kind, CallID: c.id, Room: room, Data: map[string]any{"utterance": u}}
	if u.Final {
		c.x.emit(e)
	} else if r, open := c.x.Room(room); open {
		r.Tell(e)
	}
}

// Transcript returns what was said on the call so far, oldest first.
func (c *Call) Transcript() []Utterance {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Utterance{}, c.said.all...)
}

// MediaTime is how long the call has been answered for: the clock of its
// transcript. It is 0 before.
func (c *Call) MediaTime() time.Duration {
	rec := c.Record()
	if rec.AnsweredAt == nil {
		return 0
	}
	return time.Since(*rec.AnsweredAt)
}

// transcript is what was said on a call.
type transcript struct {
	seq int
	all []Utterance
}

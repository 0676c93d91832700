package agent

import (
	"strings"
	"time"
)

// interrupt drops what waits to be heard, and tells the server what was heard of
// it. cancel: the server does not know that it is interrupted.
func (o *openai) interrupt(cancel bool) error {
	if cancel && o.turns.active {
		if err := o.send(map[string]any{"type": "response.cancel"}); err != nil {
			return err
		}
	}
	if err := o.stay(); err != nil {
		return err
	}
	if o.turns.active {
		o.voiced.discarded = o.turns.current
	}
	o.voiced.written -= o.leg.clear()
	heard, now := o.leg.heardOf(), o.mediaTime()
	items := o.voiced.items
	o.voiced.items = nil
	for _, i := range items {
		if err := o.truncate(i, min(max(heard-i.start, 0), i.length), now); err != nil {
			return err
		}
	}
	return nil
}

// truncate tells where an item was interrupted.
func (o *openai) truncate(i *spoken, heard, now time.Duration) error {
	cut := !i.complete || heard < i.length
	words := i.words
	if cut && i.length > 0 {
		words = upTo(words, float64(heard)/float64(i.length))
	}
	o.leg.transcribe(said{text: words, final: true, cut: words != i.words, byAgent: true, start: max(now-heard, 1), end: max(now, 1)})
	if !cut || i.length == 0 { // without sound the server has nothing to truncate
		return nil
	}
	return o.send(map[string]any{
		"type": "conversation.item.truncate", "item_id": i.id, "content_index": i.content, "audio_end_ms": heard.Milliseconds(),
	})
}

// upTo is the part of a text that fits into a share of its time, in whole words:
// one counts when most of it fits.
func upTo(text string, share float64) string {
	at := int(share * float64(len(text)))
	if at >= len(text) {
		return text
	}
	from := strings.LastIndexByte(text[:at], ' ') + 1
	to := len(text)
	if next := strings.IndexByte(text[at:], ' '); next >= 0 {
		to = at + next
	}
	if 2*(at-from) > to-from {
		return text[:to]
	}
	return strings.TrimSpace(text[:from])
}

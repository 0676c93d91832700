package agent

import (
	"encoding/base64"
	"errors"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

// voiced is what the agent says: items that have not yet been heard to their end.
type voiced struct {
	items     []*spoken
	written   time.Duration // sound that the Speaker was given and has not dropped, as it counts what was played
	discarded string        // a response that was interrupted: what still comes of it is dropped
}

// spoken is one item of the conversation that is being said.
type spoken struct {
	id       string
	content  int
	start    time.Duration // where it begins, as the Speaker counts
	length   time.Duration // that has come of it so far
	complete bool          // no more comes
	words    string        // that have come so far
}

// Bounds of what the agent says.
const (
	mostItems = 100      // that wait to be heard
	mostWords = 64 << 10 // bytes of one item
	itemMark  = "i"      // before the id of an item whose end is to be heard
)

func (o *openai) audioDelta(e *realtimeEvent) error {
	if e.ResponseID != "" && e.ResponseID == o.voiced.discarded {
		return nil
	}
	sound, err := base64.StdEncoding.DecodeString(e.Delta)
	if err != nil {
		return errors.New("an audio delta is no base64")
	}
	i, err := o.item(e)
	if err != nil {
		return err
	}
	length := time.Duration(len(sound)) * time.Second / media.NarrowbandHz
	i.length += length
	o.voiced.written += length
	return o.leg.say(sound)
}

// item finds the item of an event, or begins it.
func (o *openai) item(e *realtimeEvent) (*spoken, error) {
	if i, known := o.known(e); known {
		return i, nil
	}
	if len(o.voiced.items) >= mostItems {
		return nil, faulty(bridge.FaultFlood, "more than %d items wait to be heard", mostItems)
	}
	i := &spoken{id: e.ItemID, content: e.ContentIndex, start: o.voiced.written}
	o.voiced.items = append(o.voiced.items, i)
	return i, nil
}

// known is the item of an event, if it has not been heard or interrupted.
func (o *openai) known(e *realtimeEvent) (*spoken, bool) {
	for _, i := range o.voiced.items {
		if i.id == e.ItemID && i.content == e.ContentIndex {
			return i, true
		}
	}
	return nil, false
}

func (o *openai) wordsDelta(e *realtimeEvent) error {
	if e.ResponseID != "" && e.ResponseID == o.voiced.discarded {
		return nil
	}
	i, err := o.item(e)
	if err != nil || len(i.words)+len(e.Delta) > mostWords {
		return err
	}
	i.words += e.Delta
	o.leg.transcribe(said{text: i.words, byAgent: true})
	return nil
}

func (o *openai) wordsDone(e *realtimeEvent) error {
	if i, known := o.known(e); known && len(e.Transcript) <= mostWords {
		i.words = e.Transcript
	}
	return nil
}

func (o *openai) audioDone(e *realtimeEvent) error {
	if i, known := o.known(e); known {
		return o.complete(i)
	}
	return nil
}

// completeAll says that no more comes of anything.
func (o *openai) completeAll() error {
	for _, i := range o.voiced.items {
		if err := o.complete(i); err != nil {
			return err
		}
	}
	return nil
}

// complete says that no more comes of an item, and has its end marked.
func (o *openai) complete(i *spoken) error {
	if i.complete {
		return nil
	}
	i.complete = true
	return o.leg.mark(itemMark + i.id)
}

// played is told when the end of an item, or the place of a function call, has
// been heard or dropped.
func (o *openai) played(mark string) error {
	if tool, is := o.tools[mark]; is {
		delete(o.tools, mark)
		tool.do()
		return nil
	}
	for n, i := range o.voiced.items {
		if itemMark+i.id == mark {
			o.voiced.items = append(o.voiced.items[:n:n], o.voiced.items[n+1:]...)
			now := o.mediaTime()
			o.leg.transcribe(said{text: i.words, final: true, byAgent: true, start: max(now-i.length, 1), end: max(now, 1)})
			return nil
		}
	}
	return nil
}

package agent

import (
	"context"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
)

// outbox is a row of messages in one buffer, so that many need no allocation.
type outbox struct {
	bytes []byte
	ends  []cut
}

type cut struct {
	at   int // in bytes
	text bool
}

// put adds a message.
func (o *outbox) put(text bool, message []byte) bool {
	if len(o.bytes)+len(message) > mostUnsent {
		return false
	}
	o.bytes = append(o.bytes, message...)
	o.ends = append(o.ends, cut{len(o.bytes), text})
	return true
}

// emptied returns the outbox with room for the next messages.
func (o *outbox) emptied() outbox {
	if cap(o.bytes) > keepBuffer {
		o.bytes = nil
	}
	return outbox{o.bytes[:0], o.ends[:0]}
}

// flush sends all messages. It blocks while the agent does not read; closing the
// connection ends it.
func (o *outbox) flush(conn *websocket.Conn) error {
	from := 0
	for _, c := range o.ends {
		kind := websocket.MessageBinary
		if c.text {
			kind = websocket.MessageText
		}
		// No context of its own: one that can end costs allocations for every message.
		if err := conn.Write(context.Background(), kind, o.bytes[from:c.at]); err != nil {
			return faulty(bridge.FaultGone, "the connection to the agent broke: %s", innermost(err))
		}
		from = c.at
	}
	*o = o.emptied()
	return nil
}

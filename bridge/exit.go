package bridge

import (
	"runtime/debug"
	"time"
)

// exit is the one way out of a call.
func (c *Call) exit() {
	defer c.tell()
	defer func() { c.ringing.over(c.Record()) }()
	defer c.vanish() // also after a panic
	defer func() {
		if v := recover(); v != nil {
			c.log.Error("call panicked at its end", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	now := time.Now().UTC()
	c.release()
	if c.line != nil {
		c.leave()
	}
	c.slot.leave(now)
	reason := c.explained(c.ending)
	c.note(func(r *CallRecord) {
		r.State, r.EndedAt, r.Cause, r.Reason = StateEnded, &now, c.ending.cause, reason
		if c.ending.code != 0 {
			r.SIPCode = c.ending.code
		}
	})
	rec := c.Record()
	c.log.Info("call ended", "cause", rec.Cause, "reason", rec.Reason, "room", rec.Room, "code", rec.SIPCode)
	if c.x.Recorded != nil {
		d := cdrOf(rec)
		d.Hearing = c.Heard()
		if m := c.meter.Load(); m != nil {
			d.Trend = m.whole()
		}
		c.x.Recorded(d)
	}
	c.vanish()
	c.emit("call.ended", map[string]any{"cause": string(rec.Cause), "reason": rec.Reason, "sip_code": rec.SIPCode})
}

// vanish takes the call out of the exchange, once.
func (c *Call) vanish() {
	c.x.mu.Lock()
	_, live := c.x.calls[c.id]
	delete(c.x.calls, c.id)
	delete(c.x.lines, c.line)
	c.x.mu.Unlock()
	if live {
		close(c.done)
	}
}

// leave takes the media out of the room and ends the Line.
func (c *Call) leave() {
	if m := c.line.Media(); m != nil {
		c.measure(time.Now())
		m.Receive(nil, nil)
	}
	c.stand()
	if !c.ending.byPeer {
		c.line.End(c.ending.cause, c.ending.reason)
		c.drainLine()
	}
}

// drainLine waits for the Line's own end, so that its response code is known.
func (c *Call) drainLine() {
	timeout := time.NewTimer(5 * time.Second)
	defer timeout.Stop()
	for {
		select {
		case e, ok := <-c.events:
			if !ok {
				return
			}
			if e.Kind == LineEnded {
				c.ending.code = e.SIPCode
				return
			}
		case <-timeout.C:
			return
		}
	}
}

func cdrOf(rec CallRecord) CDR {
	d := CDR{CallRecord: rec}
	until := *rec.EndedAt
	if rec.AnsweredAt != nil {
		d.DurationMS = rec.EndedAt.Sub(*rec.AnsweredAt).Milliseconds()
		until = *rec.AnsweredAt
	}
	d.RingMS = until.Sub(rec.CreatedAt).Milliseconds()
	return d
}

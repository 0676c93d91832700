package bridge

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// ackTimeout is how long an answered inbound call waits for its ACK; SIP gives up after 32 s by itself.
const ackTimeout = 40 * time.Second

// Call is the legs joined from first INVITE to CDR. One goroutine runs it, one
// method per state; see [State] for the diagram. Whatever happens, it leaves by
// one exit, which writes the CDR.
type Call struct {
	x    *Exchange
	id   string
	log  *slog.Logger
	ask  chan func() // requests, run by the call's goroutine
	stop chan ending // hang-ups from outside
	keys chan rtp.Digit
	done chan struct{}

	mu  sync.Mutex // guards rec
	rec CallRecord

	// The goroutine's own.
	line     Line
	events   <-chan LineEvent
	ring     time.Duration // how long an outbound call rings
	headers  map[string]string
	trunk    dialplan.Trunk
	decision dialplan.Decision
	seat     *Participant
	sink     *Sink
	source   *Source
	ending   ending
}

// ending is why and how a call ends.
type ending struct {
	cause  Cause
	code   int // SIP response, 0 if none
	reason string
	byPeer bool // the Line has ended by itself
}

// step is one state: it returns the next one, nil for the end.
type step func() step

// Incoming makes an admitted INVITE a Call and returns at once.
func (x *Exchange) Incoming(inv Invite, line Line) {
	x.init()
	trunk, decision := x.decide(inv)
	c := x.newCall(CallRecord{
		State: StateRinging, Direction: Inbound, From: inv.From, To: inv.To, Trunk: trunk.Name,
		Route: decision.Route, SIPCallID: inv.SIPCallID,
	})
	c.trunk, c.decision = trunk, decision
	c.attach(line)
	x.start(c, c.incoming)
}

func (x *Exchange) newCall(rec CallRecord) *Call {
	rec.ID, rec.CreatedAt = NewID("call"), time.Now().UTC()
	return &Call{
		x: x, id: rec.ID, rec: rec, log: x.Log.With("call", rec.ID),
		ask: make(chan func()), stop: make(chan ending, 1), keys: make(chan rtp.Digit, 64), done: make(chan struct{}),
	}
}

func (x *Exchange) start(c *Call, first step) {
	x.mu.Lock()
	x.calls[c.id] = c
	x.running.Add(1)
	x.mu.Unlock()
	c.emit("call.created", nil)
	go c.run(first)
}

func (c *Call) run(first step) {
	defer c.x.running.Done()
	defer c.exit()
	defer func() {
		if v := recover(); v != nil {
			c.log.Error("call panicked", "panic", v, "stack", string(debug.Stack()))
			c.ending = ending{cause: CauseInternal, reason: "internal error"}
		}
	}()
	for s := first; s != nil; s = s() {
	}
}

func (c *Call) attach(line Line) { c.line, c.events = line, line.Events() }

// incoming: an INVITE has come; the dial plan says where it goes.
func (c *Call) incoming() step {
	if err := c.line.Ring(); err != nil {
		return c.end(CauseSignalling, "ringing: "+err.Error())
	}
	c.emit("call.ringing", nil)
	return c.target(c.decision.Target)
}

// target sends the call where a target says.
func (c *Call) target(t dialplan.Target) step {
	room, err := dialplan.Expand(t.Room, map[string]string{"call.id": c.id, "call.to": c.rec.To, "call.from": c.rec.From})
	switch {
	case t.Reject != "":
		return c.end(Cause(t.Reject), "the dial plan rejects it")
	case err != nil:
		return c.end(CauseNoRoute, err.Error())
	}
	c.note(func(r *CallRecord) { r.Room = room })
	if t.Answer == "ready" {
		return func() step { return c.awaitListener(room) }
	}
	return func() step { return c.answer(room) }
}

// awaitListener rings until somebody in the room can hear the caller.
func (c *Call) awaitListener(room string) step {
	ready, cancel := c.x.whenHeard(room)
	defer cancel()
	timeout := time.NewTimer(c.x.ReadyTimeout)
	defer timeout.Stop()
	for {
		switch _, what := c.wait(ready, timeout.C); what {
		case over:
			return nil
		case isReady:
			return func() step { return c.answer(room) }
		case timeUp:
			return c.otherwise()
		}
	}
}

// otherwise takes the route's else after a target that could not take the call.
func (c *Call) otherwise() step {
	if t := c.decision.Else; t != nil {
		c.decision.Else = nil
		return c.target(*t)
	}
	return c.end(CauseNoAnswer, "nobody in the room was ready to listen")
}

// answer seats the caller and accepts the call.
func (c *Call) answer(room string) step {
	if err := c.sit(room); err != nil {
		return c.end(CauseInternal, err.Error())
	}
	if err := c.line.Answer(); err != nil {
		return c.end(CauseSignalling, "answering: "+err.Error())
	}
	timeout := time.NewTimer(ackTimeout)
	defer timeout.Stop()
	for {
		switch e, what := c.wait(nil, timeout.C); {
		case what == over:
			return nil
		case what == timeUp:
			return c.end(CauseSignalling, "the answer was never acknowledged")
		case e.Kind == LineAnswered:
			return c.answered
		}
	}
}

// dialing: an outbound call leaves.
func (c *Call) dialing() step {
	rec := c.Record()
	line, err := c.x.Dialer.Dial(DialSpec{
		CallID: c.id, Trunk: c.trunk, To: rec.To, From: rec.From, Headers: c.headers, RingTimeout: c.ring,
	})
	if err != nil {
		return c.end(CauseUnreachable, err.Error())
	}
	c.attach(line)
	c.note(func(r *CallRecord) { r.State, r.SIPCallID = StateDialing, line.SIPCallID() })
	return c.progress
}

// progress: the called side has not answered yet.
func (c *Call) progress() step {
	for {
		e, what := c.wait(nil, nil)
		if what == over {
			return nil
		}
		switch e.Kind {
		case LineRinging:
			c.to(StateRinging, "call.ringing")
			continue
		case LineEarly:
			c.note(func(r *CallRecord) { r.State = StateEarly })
		case LineAnswered:
		default:
			continue
		}
		if err := c.sit(c.Record().Room); err != nil {
			return c.end(CauseInternal, err.Error())
		}
		if e.Kind == LineAnswered {
			return c.answered
		}
	}
}

func (c *Call) answered() step {
	now := time.Now().UTC()
	c.note(func(r *CallRecord) { r.AnsweredAt = &now })
	c.recode() // the answer may differ from early media; a late offer is answered by the ACK
	c.to(StateActive, "call.answered")
	return c.active
}

// active: both sides talk, or one holds.
func (c *Call) active() step {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		switch e, what := c.wait(nil, second.C); {
		case what == over:
			return nil
		case what == told:
			c.changed(e)
		case c.silent(time.Now()):
			return c.end(CauseMediaTimeout, "no RTP came from the phone for "+c.x.MediaTimeout.String())
		}
	}
}

// happening is why [Call.wait] returned.
type happening uint8

const (
	told    happening = iota // the line told something
	isReady                  // what was waited for
	timeUp
	over // the call has ended; how is noted
)

// wait serves the call until something happens that its state must know.
func (c *Call) wait(ready <-chan struct{}, timeout <-chan time.Time) (LineEvent, happening) {
	for {
		select {
		case <-ready:
			return LineEvent{}, isReady
		case <-timeout:
			return LineEvent{}, timeUp
		case d := <-c.keys:
			c.digit(d)
		case f := <-c.ask:
			f()
		case e := <-c.stop:
			c.stopped(e)
			return LineEvent{}, over
		case e, ok := <-c.events:
			if c.gone(e, ok) {
				return e, over
			}
			return e, told
		}
	}
}

// changed follows what the peer did to the dialog.
func (c *Call) changed(e LineEvent) {
	switch e.Kind {
	case LineHeld:
		c.seat.hold(true)
		c.to(StateHeld, "call.held")
	case LineResumed:
		c.seat.hold(false)
		c.recode()
		c.to(StateActive, "call.resumed")
	case LineRenegotiated:
		c.recode()
	}
}

// recode follows a codec that a re-INVITE has changed.
func (c *Call) recode() {
	p := c.line.Media().Params()
	if p.Codec == media.NoCodec {
		return
	}
	c.sink.Recode(p.Codec, p.Ptime)
	c.note(func(r *CallRecord) { r.Codec = p.Codec.String() })
}

// silent measures the leg, and reports whether its RTP has stopped for too long.
func (c *Call) silent(now time.Time) bool {
	m := c.line.Media()
	q := m.Quality()
	c.seat.SetQuality(q)
	c.note(func(r *CallRecord) { r.Quality = &q })
	return c.x.MediaTimeout > 0 && c.Record().State == StateActive && m.Params().Receive &&
		now.Sub(m.LastReceived()) > c.x.MediaTimeout
}

func (c *Call) digit(d rtp.Digit) {
	c.emit("dtmf.received", map[string]any{
		"digit": string(d.Key), "duration_ms": d.Duration.Milliseconds(), "participant": c.seat.ID(),
	})
}

// gone reports whether the Line has ended, and notes why.
func (c *Call) gone(e LineEvent, ok bool) bool {
	switch {
	case !ok:
		c.ending = ending{cause: CauseSignalling, reason: "the line was lost", byPeer: true}
	case e.Kind == LineEnded:
		c.ending = ending{cause: e.Cause, code: e.SIPCode, reason: e.Reason, byPeer: true}
	default:
		return false
	}
	return true
}

// stopped ends the call from outside. What the line had told before comes first,
// so that an answer, or an end by the peer, is not lost to the moment.
func (c *Call) stopped(s ending) {
	for {
		select {
		case e, ok := <-c.events:
			if c.gone(e, ok) {
				return
			}
			if e.Kind == LineAnswered {
				now := time.Now().UTC()
				c.note(func(r *CallRecord) { r.AnsweredAt = &now })
			}
		default:
			c.ending = s
			return
		}
	}
}

// end is the last step of a call that we end.
func (c *Call) end(cause Cause, reason string) step {
	c.ending = ending{cause: cause, reason: reason}
	return nil
}

// Record returns the call as outsiders see it.
func (c *Call) Record() CallRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rec
}

func (c *Call) note(f func(r *CallRecord)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.rec)
}

func (c *Call) to(s State, event string) {
	c.note(func(r *CallRecord) { r.State = s })
	c.emit(event, nil)
}

// emit publishes an event of this call with the call as it stands.
func (c *Call) emit(kind string, data map[string]any) {
	rec := c.Record()
	if data == nil {
		data = map[string]any{}
	}
	if kind != "dtmf.received" {
		data["call"] = rec
	}
	c.x.emit(Event{Type: kind, CallID: c.id, Room: rec.Room, Data: data})
}

// do runs f in the call's goroutine and waits for it.
func (c *Call) do(ctx context.Context, f func() error) error {
	answer := make(chan error, 1)
	select {
	case c.ask <- func() { answer <- f() }:
		return <-answer
	case <-c.done:
		return refuse(NotFound, "id", "call %s has ended", c.id)
	case <-ctx.Done():
		return ctx.Err()
	}
}

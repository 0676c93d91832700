package bridge

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
)

// Call is the legs joined from first INVITE to CDR. One goroutine runs it, one
// method per state; see [State] for the diagram. Whatever happens, it leaves by
// one exit, which writes the CDR.
//
// Its events carry the call as it stands: call.created, .ringing, .answered,
// .held, .resumed, .ended (with cause, reason and sip_code), .verified (verstat
// and reason: how sure the caller's number is) and .transferred: it is in another
// room, or another call took its place (replaces), or its peer sent the others on
// (to, by, new_call_id) or took it back (to). agent.silent and agent.replaced tell
// of the AI voice that serves it (agent, worker, fault, reason).
type Call struct {
	x     *Exchange
	id    string
	log   *slog.Logger
	ask   chan func() // requests, run by the call's goroutine
	stop  chan ending // hang-ups from outside
	keys  chan press
	pass  chan press    // keys of the call that this one is connected with, to be played
	news  chan struct{} // holds one when the record has changed, for the call that supervises this one
	done  chan struct{}
	stirs chan struct{} // holds one when the phone's room has changed, or the queue in which it waits

	mu   sync.Mutex // guards rec and said
	rec  CallRecord
	said transcript

	meter atomic.Pointer[meter]      // of the phone's seat, once it has one
	heard atomic.Pointer[hearingLog] // of the phone's seat, once it has one

	// Guarded by Exchange.mu.
	other    *Call // ends with this one
	leaving  bool  // it has no other any more
	parked   bool  // we hold the phone
	replaced bool  // another call takes its place
	adopted  bool  // it is placed for who is in its room: the call that asked for it has ended

	// The goroutine's own.
	line      Line
	events    <-chan LineEvent
	emergency bool
	hops      Hops    // of the INVITE
	name      string  // its display name
	tended    *tended // by whom in a browser took it from a queue; nil: by nobody
	urgency   string  // of its route: high, low, or empty
	trunk     dialplan.Trunk
	slot      *slot
	way       way      // how an outbound call leaves
	errand    *errand  // the call that is placed for this one
	tale      []string // what was tried before
	failed    Cause    // how the last of it failed
	turned    int      // how many targets could not take it
	seat      *Participant
	sink      *Sink
	hush      func() // ends what the gateway plays to the phone; nil: nothing
	source    *Source
	pin       *keyedPIN
	ringing   *ringing           // a queue has placed it to find somebody; nil: none
	asking    *asking            // what the phone was called for, if it may say no
	warm      *warm              // the warm transfer that is under way
	talking   bool               // in state active
	onward    step               // where a request takes the call, out of whatever state it is in
	departs   string             // why the phone leaves, having transferred its call
	screening *screening         // who has answered; nil: nobody asks
	then      *dialplan.Target   // of an outbound call: where it goes on when it is answered
	handover  *Handover          // what whoever takes the call next gets to know; nil: there was nothing before
	agent     *attendance        // that serves the call; nil: none
	copilots  []AgentLeg         // that stayed when somebody else took the call
	fallbacks []*dialplan.Target // of agents that were named, not yet taken
	fellBack  []string           // those agents
	filling   bool               // what hush ends is an agent's filler
	redirects int
	called    []string // trunks and addresses that were tried
	echoes    echoes
	infos     chan infoKey // made with the first key that goes by INFO
	givenUp   bool         // somebody has hung up from outside
	ending    ending
}

// ending is why and how a call ends.
type ending struct {
	cause    Cause
	code     int // SIP response, 0 if none
	reason   string
	byPeer   bool     // the Line has ended by itself
	contacts []string // where a 3xx response points to
}

// step is one state: it returns the next one, nil for the end.
type step func() step

func (x *Exchange) newCall(rec CallRecord) *Call {
	rec.ID, rec.CreatedAt = NewID("call"), time.Now().UTC()
	return &Call{
		x: x, id: rec.ID, rec: rec, log: x.Log.With("call", rec.ID),
		ask: make(chan func()), stop: make(chan ending, 1), keys: make(chan press, 64), pass: make(chan press, 64),
		news: make(chan struct{}, 1), done: make(chan struct{}),
		stirs: make(chan struct{}, 1),
	}
}

func (x *Exchange) start(c *Call, first step) {
	x.mu.Lock()
	x.calls[c.id] = c
	x.running.Add(1)
	stopping := x.stopping
	x.mu.Unlock()
	c.emit("call.created", nil)
	go c.run(first)
	if stopping { // too late to be among those that Run hangs up
		c.Hangup(CauseShutdown, "the gateway is shutting down")
	}
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
	for s := first; s != nil; s = c.next(s) {
	}
}

// next takes a step, and says which one comes after it.
func (c *Call) next(s step) step {
	s = s()
	if s == nil {
		s, c.onward = c.onward, nil
	}
	return s
}

// attach makes line the call's; the one before, if there was one, has ended.
func (c *Call) attach(line Line) {
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	delete(c.x.lines, c.line)
	c.line, c.events = line, line.Events()
	c.x.lines[line] = c
}

// of finds the live call whose Line it is.
func (x *Exchange) of(line Line) (*Call, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c, ok := x.lines[line]
	return c, ok
}

// answered: the peer has our answer, or we have its. A call that was answered
// before, and goes on to another target, changes nothing by it.
func (c *Call) answered() step {
	if c.isAnswered() {
		return c.active
	}
	c.begin()
	c.recode() // the answer may differ from early media; a late offer is answered by the ACK
	c.to(StateActive, "call.answered")
	c.admit()
	if c.isParked() { // it took the seat of a phone on hold
		c.seat.hold(true)
		c.holdSound(true)
		c.to(StateHeld, "call.held")
	}
	return c.active
}

// active: the phone is connected. Both sides talk, or one holds, or it waits for
// whom it is to talk to: a number that is dialled for it, an agent that comes.
func (c *Call) active() step {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	c.talking = true
	defer func() { c.talking = false }()
	for {
		c.asking.put(c, time.Now())
		if next, leaves := c.attended(); leaves {
			return next
		}
		if next := c.forsaken(time.Now()); next != nil {
			return next
		}
		switch e, what := c.wait(nil, second.C); {
		case what == over:
			return nil
		case what == told && e.Kind == LineReferred:
			if c.letAnswer(e.Referral) {
				return nil
			}
			if c.referred(e.Referral); c.departs != "" {
				return c.depart
			}
		case what == told:
			c.changed(e)
		case what == isReady:
			if next, leaves := c.follow(); leaves {
				return next
			}
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
	over // the state has: with the call, and how is noted, or because a request takes the call elsewhere
)

// wait serves the call until something happens that its state must know.
func (c *Call) wait(ready <-chan struct{}, timeout <-chan time.Time) (LineEvent, happening) {
	for {
		select {
		case <-ready:
			return LineEvent{}, isReady
		case <-c.errand.news():
			return LineEvent{}, isReady
		case <-c.warm.news():
			if c.consult() {
				return LineEvent{}, told
			}
		case <-c.warm.clock():
			if c.consult() {
				return LineEvent{}, told
			}
		case e, ok := <-c.warm.agentNews():
			c.warm.taker.(*agentAsked).heard(e, ok)
			if c.consult() {
				return LineEvent{}, told
			}
		case <-timeout:
			return LineEvent{}, timeUp
		case e, ok := <-c.agent.events():
			if c.agentTold(e, ok) {
				return LineEvent{}, isReady
			}
		case t := <-c.agent.heardTurns():
			c.callerTurned(t)
		case now := <-c.agent.due():
			if c.agentDue(now) {
				return LineEvent{}, isReady
			}
		case <-c.screening.news():
			if e, ends := c.screen(false); ends {
				c.stopped(e)
				return LineEvent{}, over
			}
			return LineEvent{}, isReady
		case <-c.screening.due():
			if e, ends := c.screen(true); ends {
				c.stopped(e)
				return LineEvent{}, over
			}
			return LineEvent{}, isReady
		case p := <-c.keys:
			if c.key(p) {
				return LineEvent{}, isReady
			}
		case p := <-c.pass:
			c.play(p)
		case f := <-c.ask:
			if f(); c.onward != nil {
				return LineEvent{}, over
			}
		case e := <-c.stop:
			c.stopped(e)
			return LineEvent{}, over
		case e, ok := <-c.events:
			if c.gone(e, ok) {
				return e, over
			}
			switch e.Kind {
			case LineDigit:
				if c.key(press{e.Digit, byInfo}) {
					return LineEvent{}, isReady
				}
			case LineReferred:
				if c.talking {
					return e, told
				}
				c.notNow(e.Referral)
			case LineVerified:
				c.note(func(r *CallRecord) { r.Verstat = printable(e.Verstat, longestAttribute) })
				c.emit("call.verified", map[string]any{"verstat": e.Verstat, "reason": e.Reason})
				return e, told
			default:
				return e, told
			}
		}
	}
}

// changed follows what the peer did to the dialog.
func (c *Call) changed(e LineEvent) {
	if c.seat == nil {
		return
	}
	switch e.Kind {
	case LineHeld:
		c.seat.hold(true)
		c.to(StateHeld, "call.held")
	case LineResumed:
		c.seat.hold(c.warm != nil)
		c.recode()
		c.to(StateActive, "call.resumed")
	case LineRenegotiated:
		c.recode()
	}
}

// recode follows a codec that a re-INVITE has changed.
func (c *Call) recode() {
	p := c.line.Media().Params()
	if p.Codec == media.NoCodec || c.sink == nil {
		return
	}
	c.source.Recode(p.Codec)
	c.sink.Ask(p.Opus)
	c.sink.Recode(p.Codec, p.Ptime)
	c.listenForTones()
	security := c.line.Media().Security()
	c.note(func(r *CallRecord) { r.Codec, r.Security = p.Codec.String(), security })
}

// silent measures the leg, and reports whether its RTP has stopped for too long.
func (c *Call) silent(now time.Time) bool {
	m := c.line.Media()
	c.measure(now)
	return c.x.MediaTimeout > 0 && c.Record().State == StateActive && m.Params().Receive &&
		now.Sub(m.LastReceived()) > c.x.MediaTimeout
}

// measure notes how the leg's sound travels.
func (c *Call) measure(now time.Time) {
	q := c.line.Media().Quality()
	if c.seat != nil {
		q = c.seat.SetQuality(q, now)
	}
	c.note(func(r *CallRecord) { r.Quality = &q })
}

// QualityHistory returns how the phone's sound has travelled, see
// [Participant.QualityHistory].
func (c *Call) QualityHistory() []media.QualityPoint {
	if m := c.meter.Load(); m != nil {
		return m.history()
	}
	return nil
}

// key takes a key that the phone pressed, however it came, and reports whether
// the call waits for it.
func (c *Call) key(p press) (wanted bool) {
	return !c.echoes.repeats(p, time.Now()) && c.keyed(p)
}

func (c *Call) digit(d press) {
	if c.seat == nil { // an INFO before there is any sound
		return
	}
	c.emit("dtmf.received", map[string]any{
		"digit": string(d.Key), "duration_ms": d.Duration.Milliseconds(), "participant": c.seat.ID(),
	})
	if !c.seat.pressed(d.Digit) {
		c.agent.missed(d.Digit)
	}
	c.relay(d)
}

// gone reports whether the Line has ended, and notes why.
func (c *Call) gone(e LineEvent, ok bool) bool {
	switch {
	case !ok:
		c.ending = ending{cause: CauseSignalling, reason: "the line was lost", byPeer: true}
	case e.Kind == LineEnded:
		c.ending = ending{cause: e.Cause, code: e.SIPCode, reason: e.Reason, byPeer: true, contacts: e.Contacts}
	default:
		return false
	}
	return true
}

// stopped ends the call from outside. What the line had told before comes first,
// so that an answer, or an end by the peer, is not lost to the moment.
func (c *Call) stopped(s ending) {
	c.givenUp = true
	for {
		select {
		case e, ok := <-c.events:
			if c.gone(e, ok) {
				return
			}
			if e.Kind == LineAnswered {
				c.begin()
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

func (c *Call) isAnswered() bool { return c.Record().AnsweredAt != nil }

// begin notes that the call is answered.
func (c *Call) begin() {
	now := time.Now().UTC()
	c.note(func(r *CallRecord) { r.AnsweredAt = &now })
	if c.rec.Direction == Outbound {
		c.slot.begin(now)
	}
}

func (c *Call) to(s State, event string) {
	c.note(func(r *CallRecord) { r.State = s })
	c.emit(event, nil)
	c.tell()
}

// tell wakes who supervises the call.
func (c *Call) tell() {
	select {
	case c.news <- struct{}{}:
	default: // it has not yet looked at the last change
	}
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

package bridge

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// States of a warm transfer:
//
//	ringing ─→ briefing ─→ accepted
//	   └──────────┴──────→ failed
const (
	TransferRinging  = "ringing"  // the call is offered
	TransferBriefing = "briefing" // whom it is offered to is there and has not decided
	TransferAccepted = "accepted"
	TransferFailed   = "failed" // why is its Cause
)

// Why a warm transfer failed, beside causes of calls: CauseBusy, CauseNoAnswer,
// CauseRejected, CauseUnreachable, CauseLimit, CauseShutdown and their like.
const (
	CauseTimeout    Cause = "timeout"     // somebody was there and did not decide in time
	CauseCallerLeft Cause = "caller_left" // the caller hung up meanwhile
)

// TransferRecord is a call's newest warm transfer as outsiders see it.
type TransferRecord struct {
	ID          string     `json:"id"`
	State       string     `json:"state"` // ringing, briefing, accepted or failed
	To          string     `json:"to,omitempty"`
	Room        string     `json:"room,omitempty"`
	Agent       string     `json:"agent,omitempty"`
	Queue       string     `json:"queue,omitempty"`
	Participant string     `json:"participant,omitempty"` // identity that it is offered to
	By          string     `json:"by,omitempty"`          // who hands over
	CallID      string     `json:"call_id,omitempty"`     // that was placed for it
	Cause       Cause      `json:"cause,omitempty"`       // of a failure
	Reason      string     `json:"reason,omitempty"`      // the cause in words
	StartedAt   time.Time  `json:"started_at"`
	EndedAt     *time.Time `json:"ended_at,omitempty"`
}

// Bounds of what is passed on with a transfer, and of its times.
const (
	MostHandover    = 16 << 10 // bytes of data
	LongestSummary  = 4000     // bytes of summary
	offerTime       = 30 * time.Second
	briefingTime    = 60 * time.Second
	longestTransfer = 10 * time.Minute
)

// warm is a warm transfer that is under way. The call's goroutine owns it.
//
// The caller keeps their seat, on hold. Who hands over moves to a room of its own,
// where the taker comes as well, and the two may talk. When the taker accepts they
// come to the caller; when not, who handed over does.
type warm struct {
	req      TransferRequest
	handover Handover
	taker    taker
	guides   []guide
	tick     *time.Ticker
	until    time.Time
}

// guide is somebody who hands the call over, moved away from the caller meanwhile.
type guide struct{ seat *Participant }

// taker is whom a call is offered to. Its methods are called by the call's goroutine.
type taker interface {
	// news wakes the call when something may have changed; nil: never.
	news() <-chan struct{}
	// look says how it stands. cause and reason count when it is lost.
	look() (s standing, cause Cause, reason string)
	// take brings taker and caller together. The caller is on hold yet.
	take(c *Call) error
	// drop ends the offer.
	drop(reason string)
}

// standing is how a taker stands.
type standing uint8

const (
	isAway  standing = iota // asked, not there yet
	isThere                 // and may be briefed
	isWilling
	isLost
)

// warmTransfer begins a warm transfer, in the call's goroutine.
func (c *Call) warmTransfer(req TransferRequest) error {
	if err := req.checkWarm(); err != nil {
		return err
	}
	if c.isParked() {
		return refuse(Conflict, "", "call %s is on hold; take it back before it is transferred", c.id)
	}
	if c.x.Draining() {
		return refuse(Unavailable, "", "the gateway is shutting down and transfers no calls")
	}
	w := &warm{req: req, handover: c.handoverOf(req)}
	rec := TransferRecord{
		ID: NewID("transfer"), State: TransferRinging, To: req.To, Room: req.Room, Agent: req.Agent, Queue: req.Queue,
		Participant: req.Participant, By: w.handover.By, StartedAt: time.Now().UTC(),
	}
	w.guides = c.guides(req.By)
	var err error
	if w.taker, err = c.takerOf(w, &rec); err != nil {
		return err
	}
	c.warm = w
	w.tick, w.until = time.NewTicker(time.Second), time.Now().Add(orElse(req.RingTime, offerTime))
	c.seat.hold(true)
	c.holdSound(true)
	for _, g := range w.guides {
		g.move(c.consultRoom())
	}
	c.note(func(r *CallRecord) { r.Transfer = &rec })
	c.emitTransfer("transfer.started")
	c.consult()
	return nil
}

func (r *TransferRequest) checkWarm() error {
	named := 0
	for _, s := range []string{r.Room, r.To, r.Agent, r.Queue, r.Participant} {
		if s != "" {
			named++
		}
	}
	switch {
	case named != 1:
		return refuse(Invalid, "to", "a warm transfer needs one of to, room, agent, queue and participant")
	case r.RingTime < 0 || r.RingTime > longestTransfer || r.BriefTime < 0 || r.BriefTime > longestTransfer:
		return refuse(Invalid, "ring_timeout", "the times of a transfer are between 0 and %s", longestTransfer)
	case r.Room != "":
		if _, err := dialplan.RoomName(r.Room); err != nil {
			return refuse(Invalid, "room", "%s", err)
		}
	}
	return r.Handover.check()
}

func (h *Handover) check() error {
	if h == nil {
		return nil
	}
	data := bytes.TrimSpace(h.Data)
	switch {
	case len(h.Summary) > LongestSummary:
		return refuse(Invalid, "summary", "the summary has %d bytes, at most %d are passed on", len(h.Summary), LongestSummary)
	case len(data) > MostHandover:
		return refuse(Invalid, "context", "the context has %d bytes, at most %d are passed on", len(data), MostHandover)
	case len(data) > 0 && (data[0] != '{' || !json.Valid(data)):
		return refuse(Invalid, "context", "the context must be a JSON object")
	}
	return nil
}

// handoverOf is what the taker gets to know.
func (c *Call) handoverOf(req TransferRequest) Handover {
	var h Handover
	if req.Handover != nil {
		h = *req.Handover
	}
	if h.By == "" {
		h.By = req.By
	}
	if h.By == "" && c.agent != nil {
		h.By = c.agent.agent.Name
	}
	if h.Transcript == nil {
		h.Transcript = c.Transcript()
	}
	return h
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// consultRoom is where the taker is briefed.
func (c *Call) consultRoom() string { return "consult-" + c.id }

// guides finds who hands over in the caller's room: the agent that serves the
// call, and who is named by identity or id.
func (c *Call) guides(by string) (out []guide) {
	room := c.seat.Room()
	var agent *Participant
	if c.agent != nil && c.agent.leg != nil {
		agent = c.agent.leg.Participant()
	}
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	for _, p := range room.members {
		if p != c.seat && (p == agent || by != "" && (p.id == by || p.spec.Identity == by)) {
			out = append(out, guide{p})
		}
	}
	return out
}

// move takes a guide elsewhere; one that has left stays away.
func (g guide) move(room string) {
	if g.seat.spec.Kind == KindPhone {
		g.seat.x.moveSeat(g.seat, room)
		return
	}
	_ = g.seat.Move(room)
}

// news wakes the call when the taker may have changed.
func (w *warm) news() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.taker.news()
}

// clock is when a transfer looks at its time.
func (w *warm) clock() <-chan time.Time {
	if w == nil {
		return nil
	}
	return w.tick.C
}

// consult looks how a warm transfer goes, and reports whether it is over.
func (c *Call) consult() (done bool) {
	w := c.warm
	if w == nil {
		return true
	}
	at, cause, reason := w.taker.look()
	late := !time.Now().Before(w.until)
	state := c.Record().Transfer.State
	switch {
	case at == isLost:
		c.transferFailed(cause, reason)
	case at == isWilling:
		c.merge()
	case at == isThere && state == TransferRinging:
		w.until = time.Now().Add(orElse(w.req.BriefTime, briefingTime))
		c.noteTransfer(func(t *TransferRecord) { t.State = TransferBriefing })
		c.tellAgent("You now speak with the person who is asked to take the call over. The caller does not hear you. Say briefly what it is about.")
		c.emitTransfer("transfer.briefing")
	case at == isAway && late:
		c.transferFailed(CauseNoAnswer, "nobody answered in time")
	case late:
		c.transferFailed(CauseTimeout, "nobody took the call in time")
	}
	return c.warm == nil
}

// merge: the taker has accepted.
func (c *Call) merge() {
	w := c.warm
	if err := w.taker.take(c); err != nil {
		c.transferFailed(CauseRejected, err.Error())
		return
	}
	c.backFromHold()
	if _, ok := w.taker.(*agentAsked); !ok {
		c.handedOver(w)
	}
	c.endTransfer(TransferAccepted, CauseNone, "")
	c.emitTransfer("transfer.accepted")
	c.warm = nil
	w.tick.Stop()
	c.emit("call.transferred", nil)
	c.goOn()
}

// handedOver: the agent is done, or stays as co-pilot; a person comes back to the
// caller's room and leaves when they like.
func (c *Call) handedOver(w *warm) {
	for _, g := range w.guides {
		if c.isServedBy(g.seat) && w.req.CoPilot {
			c.standDown(g.seat)
			_ = g.seat.SetHeardBy(HeardByHumans)
		}
		if !c.isServedBy(g.seat) {
			g.move(c.Record().Room)
		}
	}
	c.dismiss("the call was handed over")
}

// relieve ends the call that the caller was connected with, whom somebody else has
// relieved; one that hands over stays until it hangs up. It is harmless on nil.
func (c *Call) relieve(other *Call) {
	for _, g := range c.warm.guides {
		if other != nil && g.seat.spec.CallID == other.id {
			return
		}
	}
	if other != nil {
		other.Hangup(CauseNormal, "the call was handed over")
	}
}

// transferFailed: the caller goes on with who wanted to hand over.
func (c *Call) transferFailed(cause Cause, reason string) {
	w := c.warm
	w.taker.drop("the transfer has ended: " + reason)
	for _, g := range w.guides {
		g.move(c.Record().Room)
	}
	if cause != CauseCallerLeft {
		c.backFromHold()
	}
	reason = printable(reason, longestReason)
	c.tellAgent("Nobody takes the call over: " + reason + ". You speak with the caller again.")
	c.endTransfer(TransferFailed, cause, reason)
	c.log.Info("a warm transfer failed", "cause", string(cause), "reason", reason)
	if cause == CauseRejected {
		c.emitTransfer("transfer.declined")
	}
	c.emitTransfer("transfer.failed")
	c.warm = nil
	w.tick.Stop()
}

// tellAgent tells the agent that serves the call what has happened, in words, where
// its protocol can.
func (c *Call) tellAgent(words string) {
	if c.agent == nil || c.agent.over != nil {
		return
	}
	if leg, ok := c.agent.leg.(Informed); ok {
		leg.Inform(words)
	}
}

// backFromHold lets the caller hear and speak again, unless the peer holds.
func (c *Call) backFromHold() {
	c.quiet()
	c.seat.hold(c.Record().State == StateHeld)
}

// forsake ends the transfer of a call that ends.
func (c *Call) forsake() {
	if c.warm == nil {
		return
	}
	cause, reason := CauseCallerLeft, "the caller hung up"
	if c.ending.cause == CauseShutdown {
		cause, reason = CauseShutdown, "the gateway is shutting down"
	}
	c.transferFailed(cause, reason)
}

func (c *Call) endTransfer(state string, cause Cause, reason string) {
	now := time.Now().UTC()
	c.noteTransfer(func(t *TransferRecord) { t.State, t.Cause, t.Reason, t.EndedAt = state, cause, reason, &now })
}

// noteTransfer changes the record's transfer; records that were read keep the old one.
func (c *Call) noteTransfer(f func(t *TransferRecord)) {
	c.note(func(r *CallRecord) {
		t := *r.Transfer
		f(&t)
		r.Transfer = &t
	})
}

// emitTransfer tells how a transfer goes, with what is handed over but the transcript.
func (c *Call) emitTransfer(kind string) {
	data := map[string]any{"transfer": c.Record().Transfer}
	if w := c.warm; w != nil {
		h := w.handover
		h.Transcript = nil
		data["handover"] = h
	}
	c.emit(kind, data)
}

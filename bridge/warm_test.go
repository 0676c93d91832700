package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media/rtp"
)

const warmPlan = `
trunks:
  - {name: carrier, addresses: [203.0.113.0/24], outbound: {servers: [sip.carrier.example]}, limits: {prefixes: ["+1"]}}
routes:
  - {name: out, from_room: true, to: "+1*", trunk: carrier}
`

// warmth is a caller in a room with a voice that hands over, and what is told of it.
type warmth struct {
	*house
	line   *fakeLine
	call   *Call
	guide  *Participant
	page   *Participant // a browser at a desk, free
	agents *stubAgents

	mu     sync.Mutex
	offers []Offer
	events []Event
	heard  []string // keys that the guide was told
}

// stubAgents sends agents that do what the test says.
type stubAgents struct {
	x    *Exchange
	full bool
	legs []*stubLeg
}

type stubLeg struct {
	spec   AgentSpec
	x      *Exchange
	events chan AgentEvent
	seat   *Participant
	on     bool
	over   atomic.Bool
}

func (s *stubAgents) Send(spec AgentSpec) (AgentLeg, error) {
	if s.full {
		return nil, refuse(LimitReached, "agent", "all are busy")
	}
	l := &stubLeg{spec: spec, x: s.x, events: make(chan AgentEvent, 8)}
	s.legs = append(s.legs, l)
	return l, nil
}

func (l *stubLeg) Events() <-chan AgentEvent { return l.events }
func (l *stubLeg) Participant() *Participant { return l.seat }
func (l *stubLeg) Worker() string            { return "stub" }
func (l *stubLeg) Admit()                    { l.on = true }
func (l *stubLeg) End(string)                { l.end(FaultNone) }
func (l *stubLeg) end(f Fault) {
	if l.over.Swap(true) {
		return
	}
	if l.seat != nil {
		l.seat.Leave()
	}
	l.events <- AgentEvent{Kind: AgentEnded, Fault: f, Reason: "so"}
	close(l.events)
}

func (l *stubLeg) ready(t *testing.T) {
	r, err := l.x.OpenRoom(l.spec.Room)
	if err != nil {
		t.Fatal(err)
	}
	if l.seat, err = r.Join(JoinSpec{Identity: l.spec.Agent, Person: NewID("a"), Kind: KindAgent, Role: RoleAgent}); err != nil {
		t.Fatal(err)
	}
	l.events <- AgentEvent{Kind: AgentReady}
}

func openWarm(t *testing.T) *warmth {
	w := &warmth{agents: &stubAgents{}}
	w.house = openQuiet(t, warmPlan, func(x *Exchange) { x.Agents = w.agents })
	w.agents.x = w.Exchange
	w.line, w.call = w.from(carrier, "lobby")
	w.guide = w.join("lobby", JoinSpec{Identity: "helper", Kind: KindAgent, Role: RoleAgent, Keys: func(_ *Participant, k rtp.Digit) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.heard = append(w.heard, string(k.Key))
	}})
	leg := &stubLeg{x: w.Exchange, events: make(chan AgentEvent, 8), seat: w.guide}
	w.agents.legs = append(w.agents.legs, leg)
	if err := w.call.do(t.Context(), func() error { w.call.served("helper", leg); return nil }); err != nil {
		t.Fatal(err)
	}
	w.page = w.sitsDown("desk", "ann")
	sub := w.Subscribe("")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range sub.Events {
			w.mu.Lock()
			w.events = append(w.events, e)
			w.mu.Unlock()
		}
	}()
	t.Cleanup(func() { sub.Close(); <-done })
	return w
}

func (w *warmth) join(room string, spec JoinSpec) *Participant {
	r, err := w.OpenRoom(room)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := r.Join(spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *warmth) sitsDown(room, identity string) *Participant {
	return w.join(room, JoinSpec{Identity: identity, Kind: KindBrowser, Role: RoleDispatcher, Offered: func(o Offer) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.offers = append(w.offers, o)
	}})
}

func (w *warmth) offered() []Offer {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.offers)
}

func (w *warmth) transfer(req TransferRequest) {
	w.t.Helper()
	req.Warm = true
	if err := w.call.Transfer(context.Background(), req); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

func (w *warmth) answer(who, answer string) {
	w.t.Helper()
	if err := w.call.AnswerTransfer(context.Background(), who, answer); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// told are the kinds of a transfer's events.
func (w *warmth) told() (kinds []string) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if kind, ok := strings.CutPrefix(e.Type, "transfer."); ok {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// waits holds the caller to being on hold with nobody, and the guide to being away.
func (w *warmth) waits() {
	w.t.Helper()
	rec := w.call.Record()
	if !w.call.seat.Record().Held || rec.Room != "lobby" || w.guide.Room().Name() != "consult-"+w.call.id {
		w.t.Errorf("the caller does not wait: held %v in %s, the guide is in %s", w.call.seat.Record().Held, rec.Room, w.guide.Room().Name())
	}
}

// back holds everything to being as it was before the transfer, but for why it failed.
func (w *warmth) back(cause Cause) {
	w.t.Helper()
	synctest.Wait()
	rec := w.call.Record()
	switch {
	case rec.State != StateActive || rec.Room != "lobby" || w.call.seat.Record().Held:
		w.t.Errorf("the caller is not back: %+v", rec)
	case !slices.Contains(w.guide.Record().Hears, w.call.seat.ID()):
		w.t.Error("who wanted to hand over does not hear the caller")
	case rec.Transfer.State != TransferFailed || rec.Transfer.Cause != cause || rec.Transfer.EndedAt == nil:
		w.t.Errorf("the transfer: %+v, want cause %s", rec.Transfer, cause)
	}
	if _, open := w.Room("consult-" + w.call.id); open {
		w.t.Error("the room for briefing is still open")
	}
}

// together holds the caller to hearing somebody, and to nobody else having stayed.
func (w *warmth) together(other *Participant) {
	w.t.Helper()
	synctest.Wait()
	rec := w.call.Record()
	if rec.Transfer.State != TransferAccepted || !slices.Contains(w.call.seat.Record().Hears, other.ID()) || !slices.Contains(other.Record().Hears, w.call.seat.ID()) {
		w.t.Errorf("they do not hear each other: %+v", rec.Transfer)
	}
	if w.guide.present() {
		w.t.Error("the agent that handed over stays")
	}
}

func (w *warmth) callerLeaves() {
	w.line.ended(LineEvent{Cause: CauseNormal})
	w.cdr(w.call)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.events[len(w.events)-1].Data
	for _, e := range w.events {
		if e.Type == "transfer.failed" {
			last = e.Data
		}
	}
	if rec, ok := last["transfer"].(*TransferRecord); !ok || rec.Cause != CauseCallerLeft {
		w.t.Errorf("what was told last: %v", last)
	}
}

func (w *warmth) done() {
	w.guide.Leave()
	w.page.Leave()
	for _, l := range w.agents.legs {
		l.end(FaultNone)
	}
	w.over()
}

func TestWarmTransferToAPhone(t *testing.T) {
	const to = "+12025550123"
	pressed := func(c *Call, key rune) {
		c.pressed(rtp.Digit{Key: key, Duration: 100 * time.Millisecond}, byEvent)
		synctest.Wait()
	}
	for name, run := range map[string]func(w *warmth, l *fakeLine, leg *Call){
		"accepted": func(w *warmth, l *fakeLine, leg *Call) {
			l.happens(LineAnswered)
			time.Sleep(time.Second)
			w.waits()
			if !slices.Contains(w.guide.Record().Hears, leg.seat.ID()) || w.call.Record().Transfer.State != TransferBriefing {
				w.t.Error("nobody can brief the phone")
			}
			pressed(leg, '5')
			pressed(leg, '1')
			w.together(leg.seat)
			if len(w.heard) != 0 || len(w.line.keysSent()) != 0 {
				w.t.Errorf("keys of who was briefed went on: %q", w.heard)
			}
			for _, e := range w.events {
				if e.Type == "dtmf.received" {
					w.t.Error("a key of who was briefed is an event")
				}
			}
			if got := w.told(); !slices.Equal(got, []string{"started", "briefing", "accepted"}) {
				w.t.Errorf("told %q", got)
			}
			l.ended(LineEvent{Cause: CauseNormal})
			if d := w.cdr(w.call); d.Cause != CauseNormal || d.Transfer.State != TransferAccepted {
				w.t.Errorf("the caller ends with %+v", d)
			}
		},
		"declined by key": func(w *warmth, l *fakeLine, leg *Call) {
			l.happens(LineAnswered)
			synctest.Wait()
			pressed(leg, '2')
			w.back(CauseRejected)
			w.cdr(leg)
			if got := w.told(); !slices.Equal(got, []string{"started", "briefing", "declined", "failed"}) {
				w.t.Errorf("told %q", got)
			}
		},
		"declined by hanging up": func(w *warmth, l *fakeLine, _ *Call) {
			l.happens(LineAnswered)
			synctest.Wait()
			l.ended(LineEvent{Cause: CauseNormal})
			w.back(CauseRejected)
		},
		"declined by its phone": func(w *warmth, l *fakeLine, _ *Call) {
			l.ended(LineEvent{Cause: CauseRejected, SIPCode: 603})
			w.back(CauseRejected)
		},
		"unanswered": func(w *warmth, l *fakeLine, leg *Call) {
			l.happens(LineRinging)
			time.Sleep(31 * time.Second)
			w.back(CauseNoAnswer)
			w.cdr(leg)
		},
		"undecided": func(w *warmth, l *fakeLine, leg *Call) {
			l.happens(LineAnswered)
			time.Sleep(62 * time.Second)
			w.back(CauseTimeout)
			w.cdr(leg)
		},
		"busy": func(w *warmth, l *fakeLine, _ *Call) {
			l.ended(LineEvent{Cause: CauseBusy, SIPCode: 486})
			w.back(CauseBusy)
		},
		"unreachable": func(w *warmth, l *fakeLine, _ *Call) {
			l.ended(LineEvent{Cause: CauseUnreachable})
			w.back(CauseUnreachable)
		},
		"the caller leaves while it rings": func(w *warmth, l *fakeLine, leg *Call) {
			l.happens(LineRinging)
			synctest.Wait()
			w.callerLeaves()
			w.cdr(leg)
		},
		"the caller leaves during the briefing": func(w *warmth, l *fakeLine, leg *Call) {
			l.happens(LineAnswered)
			time.Sleep(5 * time.Second)
			w.callerLeaves()
			w.cdr(leg)
		},
		"the agent dies, the human takes the call": func(w *warmth, l *fakeLine, leg *Call) {
			l.happens(LineAnswered)
			synctest.Wait()
			w.guide.Leave()
			pressed(leg, '1')
			w.together(leg.seat)
		},
		"the agent dies, the human declines": func(w *warmth, l *fakeLine, leg *Call) {
			l.happens(LineAnswered)
			synctest.Wait()
			w.agents.legs[0].end(FaultGone)
			synctest.Wait()
			if len(w.agents.legs) != 1 {
				w.t.Error("another agent came while somebody was asked")
			}
			pressed(leg, '2')
			if len(w.agents.legs) != 2 || w.agents.legs[1].spec.Handover == nil {
				w.t.Error("no other agent came when nobody took the call")
			}
		},
		"the agent stays as co-pilot": func(w *warmth, l *fakeLine, leg *Call) {
			pressed(leg, '2') // nobody has answered yet
			w.call.warmRequest(func(r *TransferRequest) { r.CoPilot = true })
			l.happens(LineAnswered)
			synctest.Wait()
			pressed(leg, '1')
			if !slices.Contains(leg.seat.Record().Hears, w.guide.ID()) || slices.Contains(w.call.seat.Record().Hears, w.guide.ID()) || len(w.guide.Record().Hears) != 2 {
				w.t.Error("the co-pilot is not heard by the human alone, or does not hear both")
			}
			l.ended(LineEvent{Cause: CauseNormal})
			w.cdr(w.call)
			if w.guide.present() {
				w.t.Error("the co-pilot stays when everybody has left")
			}
		},
		"both at one moment": func(w *warmth, l *fakeLine, leg *Call) {
			l.happens(LineAnswered)
			synctest.Wait()
			leg.pressed(rtp.Digit{Key: '1'}, byEvent)
			l.ended(LineEvent{Cause: CauseNormal})
			synctest.Wait()
			if s := w.call.Record().Transfer.State; s == TransferAccepted {
				w.cdr(w.call)
			} else {
				w.back(CauseRejected)
			}
		},
		"the peer holds meanwhile": func(w *warmth, l *fakeLine, leg *Call) {
			w.line.happens(LineHeld)
			synctest.Wait()
			w.line.happens(LineResumed)
			l.happens(LineAnswered)
			synctest.Wait()
			w.waits()
			pressed(leg, '1')
			w.together(leg.seat)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := openWarm(t)
				w.transfer(TransferRequest{To: to})
				w.waits()
				l := w.legs(1)[0]
				leg, _ := w.of(l)
				run(w, l, leg)
				w.done()
			})
		})
	}
}

// warmRequest changes what was asked for.
func (c *Call) warmRequest(f func(r *TransferRequest)) {
	c.do(context.Background(), func() error { f(&c.warm.req); return nil })
}

func TestWarmTransferToAPage(t *testing.T) {
	for name, run := range map[string]func(w *warmth){
		"accepted": func(w *warmth) {
			w.answer("ann", AnswerAccept)
			w.together(w.page)
		},
		"accepted after a talk": func(w *warmth) {
			w.answer(w.page.ID(), AnswerBrief)
			w.waits()
			if !slices.Contains(w.guide.Record().Hears, w.page.ID()) {
				w.t.Error("nobody can brief the page")
			}
			w.answer(w.page.ID(), AnswerAccept)
			w.together(w.page)
		},
		"declined": func(w *warmth) {
			w.answer("", AnswerDecline)
			w.back(CauseRejected)
		},
		"declined after a talk": func(w *warmth) {
			w.answer(w.page.ID(), AnswerBrief)
			w.answer(w.page.ID(), AnswerDecline)
			w.back(CauseRejected)
			if w.page.Room().Name() != "desk" {
				w.t.Error("the page is not where it was")
			}
		},
		"unanswered": func(w *warmth) {
			time.Sleep(31 * time.Second)
			w.back(CauseNoAnswer)
		},
		"leaves": func(w *warmth) {
			w.page.Leave()
			time.Sleep(2 * time.Second)
			w.back(CauseUnreachable)
		},
		"the caller leaves": func(w *warmth) { w.callerLeaves() },
		"the caller leaves during the briefing": func(w *warmth) {
			w.answer("ann", AnswerBrief)
			w.callerLeaves()
			if w.page.Room().Name() != "desk" {
				w.t.Error("the page is not where it was")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := openWarm(t)
				w.transfer(TransferRequest{Participant: "ann", Handover: &Handover{Summary: "wants a refund", Data: json.RawMessage(`{"order":17}`)}})
				w.waits()
				if o := w.offered(); len(o) != 1 || o[0].Handover.Summary != "wants a refund" || o[0].CallID != w.call.id || !o[0].Briefing {
					t.Fatalf("offered %+v", o)
				}
				run(w)
				if o := w.offered(); o[len(o)-1].State != w.call.Record().Transfer.State || o[len(o)-1].Handover != nil || w.page.offered != "" {
					t.Errorf("the page was told %+v", o)
				}
				w.done()
			})
		})
	}
	t.Run("busy", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := openWarm(t)
			other, _ := w.from(carrier, "desk")
			w.transfer(TransferRequest{Participant: "ann"})
			w.back(CauseBusy)
			other.ended(LineEvent{Cause: CauseNormal})
			w.transfer(TransferRequest{Participant: "bob"})
			w.back(CauseUnreachable)
			w.done()
		})
	})
}

func TestWarmTransferToARoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openWarm(t)
		bob := w.sitsDown("desk", "bob")
		w.transfer(TransferRequest{Room: "desk"})
		w.answer("ann", AnswerDecline)
		if err := w.call.AnswerTransfer(t.Context(), "ann", AnswerAccept); err == nil {
			t.Error("who declined took the call")
		}
		w.answer("bob", AnswerAccept)
		w.together(bob)
		if w.call.Record().Room != "desk" {
			t.Errorf("the caller is in %s", w.call.Record().Room)
		}
		bob.Leave()
		w.done()
	})
}

func TestWarmTransferToAnAgent(t *testing.T) {
	for name, run := range map[string]func(w *warmth, l *stubLeg){
		"accepted": func(w *warmth, l *stubLeg) {
			l.ready(w.t)
			synctest.Wait()
			w.together(l.seat)
			if !l.on || !l.spec.Withheld {
				w.t.Error("the agent was not withheld, or is still")
			}
		},
		"declined":   func(w *warmth, l *stubLeg) { l.end(FaultRefused); w.back(CauseRejected) },
		"gone":       func(w *warmth, l *stubLeg) { l.end(FaultGone); w.back(CauseUnreachable) },
		"slow":       func(w *warmth, l *stubLeg) { l.end(FaultTimeout); w.back(CauseNoAnswer) },
		"unanswered": func(w *warmth, l *stubLeg) { time.Sleep(31 * time.Second); w.back(CauseNoAnswer) },
		"the caller leaves": func(w *warmth, l *stubLeg) {
			w.callerLeaves()
			if !l.over.Load() {
				w.t.Error("the agent was not ended")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := openWarm(t)
				w.transfer(TransferRequest{Agent: "billing"})
				w.waits()
				run(w, w.agents.legs[1])
				w.done()
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // busy
		w := openWarm(t)
		w.agents.full = true
		var e *Error
		if err := w.call.Transfer(t.Context(), TransferRequest{Agent: "billing", Warm: true}); !errors.As(err, &e) || e.Code != LimitReached {
			t.Errorf("a full pool: %v", err)
		}
		if w.call.seat.Record().Held || w.guide.Room().Name() != "lobby" {
			t.Error("something changed")
		}
		w.done()
	})
}

func TestWarmTransferIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openWarm(t)
		for _, req := range []TransferRequest{
			{}, {To: "+12025550123", Room: "x"}, {Room: "a b"}, {To: "+12025550123", RingTime: -1}, {To: "+442079460000"},
			{Participant: "ann", Handover: &Handover{Data: json.RawMessage(`[1]`)}}, {Participant: "ann", Handover: &Handover{Data: json.RawMessage(`{`)}},
			{Participant: "ann", Handover: &Handover{Summary: strings.Repeat("x", LongestSummary+1)}},
			{Participant: "ann", Handover: &Handover{Data: json.RawMessage(`{"x":"` + strings.Repeat("x", MostHandover) + `"}`)}},
		} {
			req.Warm = true
			var e *Error
			if err := w.call.Transfer(t.Context(), req); !errors.As(err, &e) {
				t.Errorf("%+v: %v", req, err)
			}
		}
		if w.call.warm != nil || w.call.seat.Record().Held || w.guide.Room().Name() != "lobby" {
			t.Error("something changed")
		}
		w.transfer(TransferRequest{Participant: "ann"})
		for what, err := range map[string]error{
			"twice": w.call.Transfer(t.Context(), TransferRequest{Participant: "ann", Warm: true}),
			"blind": w.call.Transfer(t.Context(), TransferRequest{Room: "x"}), "hold": w.call.Hold(t.Context(), true),
			"bob": w.call.AnswerTransfer(t.Context(), "bob", AnswerAccept), "what": w.call.AnswerTransfer(t.Context(), "ann", "perhaps"),
		} {
			if err == nil {
				t.Errorf("%s: no error", what)
			}
		}
		w.answer("ann", AnswerDecline)
		w.done()
	})
}

// TestADispatcherHandsOver: a person briefs a phone, comes back to both, and leaves
// when they like; then a supervisor gives the call to an agent.
func TestADispatcherHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openWarm(t)
		if err := w.call.do(t.Context(), func() error { w.call.dismiss("not needed"); return nil }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		dana := w.join("lobby", JoinSpec{Identity: "dana", Kind: KindBrowser, Role: RoleDispatcher})
		w.transfer(TransferRequest{To: "+12025550123", By: "dana"})
		l := w.legs(1)[0]
		leg, _ := w.of(l)
		l.happens(LineAnswered)
		synctest.Wait()
		if !slices.Contains(dana.Record().Hears, leg.seat.ID()) || len(w.call.seat.Record().Hears) != 0 {
			t.Error("the dispatcher does not brief the phone, or the caller hears them")
		}
		leg.pressed(rtp.Digit{Key: '1'}, byEvent)
		synctest.Wait()
		if n := len(w.call.seat.Record().Hears); n != 2 || dana.Room().Name() != "lobby" {
			t.Errorf("the caller hears %d, the dispatcher is in %s", n, dana.Room().Name())
		}
		w.transfer(TransferRequest{Agent: "billing", By: "dana"})
		w.agents.legs[1].ready(t)
		synctest.Wait()
		if !slices.Contains(w.call.seat.Record().Hears, w.agents.legs[1].seat.ID()) || w.call.Record().Agent != "billing" {
			t.Error("the agent did not take the call")
		}
		w.cdr(leg) // it was relieved
		if w.call.Record().State != StateActive {
			t.Error("the caller went with who was relieved")
		}
		dana.Leave()
		w.done()
	})
}

func TestACallerInAQueueIsNotHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, warmPlan+"  - {name: line, to: line, queue: desk}\nqueues:\n  - {name: desk}\n")
		_, c := h.from(carrier, "line")
		var e *Error
		if err := c.Transfer(t.Context(), TransferRequest{Warm: true, To: "+12025550123"}); !errors.As(err, &e) || e.Code != Conflict {
			t.Error(err)
		}
		h.over()
	})
}

func TestAShutdownEndsATransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openWarm(t)
		w.transfer(TransferRequest{To: "+12025550123"})
		w.draining.Store(true)
		w.legs(1)[0].ended(LineEvent{Cause: CauseBusy})
		w.back(CauseBusy)
		if err := w.call.Transfer(t.Context(), TransferRequest{Participant: "ann", Warm: true}); err == nil {
			t.Error("a transfer began while the gateway drains")
		}
		w.draining.Store(false)
		w.transfer(TransferRequest{Participant: "ann"})
		w.call.Hangup(CauseShutdown, "the gateway is shutting down")
		if d := w.cdr(w.call); d.Transfer.Cause != CauseShutdown {
			t.Errorf("%+v", d.Transfer)
		}
		w.done()
	})
}

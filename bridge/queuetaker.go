package bridge

import (
	"errors"
	"slices"
	"time"
)

// queueAsked is a taker that is a queue: whoever of its people accepts takes the
// call. They come to where who hands over is, and from there to the caller.
type queueAsked struct {
	x    *Exchange
	o    *queued
	wake chan struct{}
}

func (c *Call) queueTaker(w *warm) (taker, error) {
	h := &queueAsked{x: c.x, wake: make(chan struct{}, 1)}
	o, err := c.x.queues.join(queueSpec{
		queue: w.req.Queue, call: c, room: c.consultRoom(), handover: &w.handover, priority: c.priority(), way: c.wayToPeople(),
		tell: func() {
			select {
			case h.wake <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		return nil, err
	}
	h.o = o
	return h, nil
}

func (h *queueAsked) news() <-chan struct{} { return h.wake }

func (h *queueAsked) look() (standing, Cause, string) {
	at := h.o.outlook()
	switch {
	case at.state == inLine && at.nobody:
		return isLost, CauseUnreachable, "queue " + h.o.spec.queue + ": " + vainWords["nobody"]
	case at.state == inLine:
		return isAway, CauseNone, ""
	case at.by.gone:
		h.o.back("who had accepted left at once")
	case h.present(at.by):
		return isWilling, CauseNone, ""
	case at.by.leg == nil && time.Since(at.by.at) >= arrives:
		h.o.back("who had accepted did not come")
	}
	return isAway, CauseNone, ""
}

// present reports whether who has accepted is where the call is handed over.
func (h *queueAsked) present(by acceptance) bool {
	if by.leg != nil {
		return by.here
	}
	return h.x.attends(h.o.spec.room, by.identity)
}

func (h *queueAsked) take(c *Call) error {
	by, room := h.o.outlook().by, c.Record().Room
	other := c.x.part(c)
	if by.leg != nil {
		seat := c.x.phoneIn(h.o.spec.room, by.leg.id)
		if seat == nil || !c.x.pair(c, by.leg) {
			return errors.New(by.label() + " hung up")
		}
		c.x.moveSeat(seat, room)
	} else {
		for _, p := range c.x.seatsOf(h.o.spec.room, by.identity) {
			_ = p.Move(room)
		}
	}
	waited := h.o.waited().Milliseconds()
	c.note(func(r *CallRecord) { r.Queue, r.AcceptedBy, r.WaitedMS = h.o.spec.queue, by.label(), max(waited, 1) })
	h.o.settle()
	c.relieve(other)
	return nil
}

func (h *queueAsked) drop(string) { h.o.leave("withdrawn") }

// seatsOf finds somebody who is in a room by browser or WHIP.
func (x *Exchange) seatsOf(room, identity string) (all []*Participant) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.rooms[room]
	if r == nil {
		return nil
	}
	all = slices.Clone(r.members)
	return slices.DeleteFunc(all, func(p *Participant) bool {
		return p.spec.Identity != identity || p.spec.Kind == KindPhone || p.spec.Kind == KindAgent
	})
}

// attends reports whether somebody is in a room by browser or WHIP and can be
// heard there: who brings no microphone is given a moment to connect.
func (x *Exchange) attends(room, identity string) bool {
	seats := x.seatsOf(room, identity)
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.ContainsFunc(seats, func(p *Participant) bool {
		return time.Since(p.joined) >= connects || slices.ContainsFunc(p.sources, func(s *Source) bool { return s.Codec().Audio() })
	})
}

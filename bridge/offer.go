package bridge

import (
	"context"
	"slices"
	"time"
)

// Offer is a call that somebody in a browser may take over. They answer by
// [Call.AnswerTransfer].
type Offer struct {
	ID          string    `json:"id"` // of the transfer
	CallID      string    `json:"call_id"`
	From        string    `json:"from"`                  // who calls
	State       string    `json:"state"`                 // ringing, briefing, accepted or failed
	Briefing    bool      `json:"briefing"`              // somebody is there to talk to before it is taken
	Participant string    `json:"participant,omitempty"` // who talks, or took it
	Reason      string    `json:"reason,omitempty"`      // of a failure, in words
	Handover    *Handover `json:"handover,omitempty"`    // while it may be answered
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
}

// Answers to an offer.
const (
	AnswerAccept  = "accept"  // the caller comes at once
	AnswerDecline = "decline" //
	AnswerBrief   = "brief"   // first talk to who hands over
)

// AnswerTransfer answers the warm transfer that is under way, on behalf of one of
// those in a browser whom the call is offered to. who is a participant's id or
// identity, empty for whoever it is. Phones answer by keys.
func (c *Call) AnswerTransfer(ctx context.Context, who, answer string) error {
	return c.do(ctx, func() error {
		if c.warm == nil {
			return refuse(Conflict, "", "call %s is not being transferred", c.id)
		}
		h, ok := c.warm.taker.(*pageAsked)
		if !ok {
			return refuse(Conflict, "", "call %s is offered to nobody in a browser", c.id)
		}
		if err := h.answer(c, who, answer); err != nil {
			return err
		}
		c.consult()
		return nil
	})
}

// pageAsked is a taker in a browser, or several of which the first to accept wins.
type pageAsked struct {
	offer  Offer
	room   string         // where the caller goes; empty: the taker comes
	asked  []*Participant // who has not declined
	chosen *Participant   // who talks, or has accepted
	from   string         // the room that the chosen one came from
	at     standing
	cause  Cause // once it is lost
	reason string
}

func (c *Call) pageTaker(w *warm, t *TransferRecord) (taker, error) {
	h := &pageAsked{room: w.req.Room, offer: Offer{
		ID: t.ID, CallID: c.id, From: c.Record().From, State: TransferRinging, Briefing: len(w.guides) > 0,
		Handover: &w.handover, ExpiresAt: t.StartedAt.Add(orElse(w.req.RingTime, offerTime)),
	}}
	h.asked, h.cause, h.reason = c.x.pages(c, w.req, t.ID)
	if len(h.asked) == 0 {
		h.at = isLost
	}
	h.tell(h.asked)
	return h, nil
}

// pages finds and reserves those whom the call can be offered to; with a cause when there is nobody.
func (x *Exchange) pages(c *Call, req TransferRequest, id string) (free []*Participant, cause Cause, reason string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	cause, reason = CauseUnreachable, "nobody is there who could be asked"
	for _, r := range x.rooms {
		if req.Room != "" && r.name != req.Room {
			continue
		}
		for _, p := range r.members {
			switch {
			case p.spec.Offered == nil, p.away, req.Participant != "" && p.spec.Identity != req.Participant && p.id != req.Participant:
			case p.offered != "", req.Room == "" && r.talksLocked(c):
				cause, reason = CauseBusy, p.spec.Identity+" is busy"
			default:
				free = append(free, p)
			}
		}
	}
	if len(free) == 0 {
		return nil, cause, reason
	}
	for _, p := range free {
		p.offered = id
	}
	return free, CauseNone, ""
}

// talksLocked reports whether another call's phone is in the room.
func (r *Room) talksLocked(c *Call) bool {
	return slices.ContainsFunc(r.members, func(p *Participant) bool { return p.spec.Kind == KindPhone && p.spec.CallID != c.id })
}

// answer takes what somebody says to the offer.
func (h *pageAsked) answer(c *Call, who, answer string) error {
	i := slices.IndexFunc(h.asked, func(p *Participant) bool { return who == "" || p.id == who || p.spec.Identity == who })
	switch {
	case i < 0:
		return refuse(Forbidden, "", "the call is not offered to you")
	case h.chosen != nil && who != "" && h.chosen != h.asked[i]:
		return refuse(Conflict, "", "somebody else is taking the call")
	}
	p := h.asked[i]
	if h.chosen != nil {
		p = h.chosen
	}
	switch answer {
	case AnswerAccept:
		h.choose(p)
		h.at = isWilling
	case AnswerBrief:
		if h.chosen == nil {
			h.choose(p)
			h.at, h.offer.State, h.offer.Participant = isThere, TransferBriefing, p.id
			_ = p.Move(c.consultRoom())
			h.tell(h.asked)
		}
	case AnswerDecline:
		h.decline(p)
	default:
		return refuse(Invalid, "answer", "an offer is answered by accept, decline or brief")
	}
	return nil
}

func (h *pageAsked) choose(p *Participant) {
	if h.chosen == nil {
		h.chosen, h.from = p, p.Room().name
	}
}

func (h *pageAsked) decline(p *Participant) {
	if h.room != "" && len(h.asked) > 1 && h.chosen == nil { // others of the room may still accept
		h.asked = slices.DeleteFunc(h.asked, func(o *Participant) bool { return o == p })
		h.end([]*Participant{p}, TransferFailed, "declined")
		return
	}
	h.lose(CauseRejected, p.spec.Identity+" declined the call")
}

func (h *pageAsked) lose(cause Cause, reason string) { h.at, h.cause, h.reason = isLost, cause, reason }

func (h *pageAsked) news() <-chan struct{} { return nil }

func (h *pageAsked) look() (standing, Cause, string) {
	here := func(p *Participant) bool { return p.present() }
	switch {
	case h.at == isLost:
	case h.chosen != nil && !h.chosen.present():
		h.lose(CauseUnreachable, h.chosen.spec.Identity+" has left")
	case !slices.ContainsFunc(h.asked, here):
		h.lose(CauseUnreachable, "whom the call was offered to has left")
	}
	return h.at, h.cause, h.reason
}

// present reports whether somebody has a seat still.
func (p *Participant) present() bool {
	p.x.mu.Lock()
	defer p.x.mu.Unlock()
	return !p.left
}

func (h *pageAsked) take(c *Call) error {
	c.relieve(c.x.part(c))
	h.offer.Participant = h.chosen.id
	h.end(h.asked, TransferAccepted, "")
	if h.room == "" {
		return h.chosen.Move(c.Record().Room)
	}
	_ = h.chosen.Move(h.room)
	return c.move(h.room)
}

func (h *pageAsked) drop(reason string) {
	if h.chosen != nil {
		_ = h.chosen.Move(h.from)
	}
	h.end(h.asked, TransferFailed, reason)
}

// end tells people that there is nothing to answer any more.
func (h *pageAsked) end(people []*Participant, state, reason string) {
	o := h.offer
	o.State, o.Reason, o.Handover = state, reason, nil
	for _, p := range people {
		p.x.mu.Lock()
		p.offered = ""
		p.x.mu.Unlock()
		p.spec.Offered(o)
	}
}

func (h *pageAsked) tell(people []*Participant) {
	for _, p := range people {
		p.spec.Offered(h.offer)
	}
}

package room

import (
	"context"

	"github.com/roomline/roomline/bridge"
)

// offered shows a call that the participant may take over, or how that went.
func (b *browser) offered(o bridge.Offer) {
	b.offer = nil
	if o.State == bridge.TransferRinging || o.State == bridge.TransferBriefing {
		b.offer = &o
	}
	b.answer(offeredMessage{"offered", o})
}

// answerOffer accepts or declines a call that is offered, or asks to be briefed.
func (b *browser) answerOffer(m message) error {
	c, ok := b.srv.cfg.Exchange.Call(m.CallID)
	if !ok {
		return &bridge.Error{Code: bridge.NotFound, Field: "call_id", Message: "that call has ended"}
	}
	return b.during(func(ctx context.Context) error { return c.AnswerTransfer(ctx, b.seat.ID(), m.Type) })
}

package bridge

import (
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// sit takes the phone's seat in a room and connects its media both ways. A phone
// that has a seat already takes it along.
func (c *Call) sit(room string) error {
	if c.seat != nil {
		c.note(func(r *CallRecord) { r.Room = room })
		return c.seat.Move(room)
	}
	r, err := c.x.OpenRoom(room)
	if err != nil {
		return err
	}
	rec, m := c.Record(), c.line.Media()
	p := m.Params()
	role := RoleGuest
	if c.asking != nil || c.ringing != nil { // somebody who serves callers
		role = RoleDispatcher
	}
	seat, err := r.Join(JoinSpec{
		Identity: phoneIdentity(rec), Name: phoneIdentity(rec), Kind: KindPhone, Role: role, CallID: c.id, Changed: c.stir,
	})
	if err != nil {
		return err
	}
	c.seat = seat
	c.meter.Store(&seat.meter)
	c.heard.Store(seat.log)
	codec := p.Codec
	if codec == media.NoCodec { // a late offer: the answer comes with the ACK
		codec = media.PCMU
	}
	if c.source, err = seat.Publish(TrackSpec{ID: "phone", Codec: codec}); err != nil {
		return err
	}
	c.sink = seat.Listen(m, codec, p.Ptime)
	c.sink.Ask(p.Opus)
	m.Receive(c.source.Push, func(d rtp.Digit) { c.pressed(d, byEvent) })
	c.listenForTones()
	c.note(func(r *CallRecord) { r.Room, r.Codec = room, codec.String() })
	return nil
}

// stand gives the seat up, if there is one.
func (c *Call) stand() {
	if c.seat != nil {
		c.seat.Leave()
		c.seat, c.sink, c.source = nil, nil, nil
	}
}

func phoneIdentity(rec CallRecord) string {
	number := rec.From
	if rec.Direction == Outbound {
		number = rec.To
	}
	if number == "" {
		return "anonymous"
	}
	return number
}

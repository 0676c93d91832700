package bridge

import "slices"

// Two calls that are connected with each other end together. Which two is
// guarded by Exchange.mu.

// pair connects two calls; each leaves whom it was connected with before. It is
// false when one of them is leaving already.
func (x *Exchange) pair(a, b *Call) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if a.leaving || b.leaving {
		return false
	}
	x.partLocked(a)
	x.partLocked(b)
	a.other, b.other = b, a
	return true
}

// part takes a call out of its pair and returns the other one, nil if there was none.
func (x *Exchange) part(c *Call) *Call {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.partLocked(c)
}

func (x *Exchange) partLocked(c *Call) *Call {
	other := c.other
	if other != nil {
		c.other, other.other = nil, nil
	}
	return other
}

// partner returns the call that this one is connected with, nil for none.
func (c *Call) partner() *Call {
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	return c.other
}

// quit takes a call that ends out of its pair, for good.
func (x *Exchange) quit(c *Call) *Call {
	x.mu.Lock()
	defer x.mu.Unlock()
	c.leaving = true
	return x.partLocked(c)
}

// release ends what hangs on a call that leaves: the one it is connected with,
// and the one that it dials. What a peer asked to be dialled rings on for those
// who stay.
func (c *Call) release() {
	c.forsake()
	c.releaseAgents()
	c.screening.over()
	other, e := c.x.quit(c), c.errand
	c.errand = nil
	switch {
	case e == nil:
	case e.ref != nil && other != nil && c.x.pair(other, e.leg):
		return
	case e.ref != nil && other == nil && c.x.adopt(e.leg):
	default:
		e.leg.Hangup(CauseNone, "the call on whose behalf it was placed has ended")
	}
	if other != nil {
		other.Hangup(CauseNormal, "the other side hung up")
	}
}

// adopt leaves a call that is being placed to who else is in its room; false when
// that is nobody.
func (x *Exchange) adopt(leg *Call) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	leg.adopted = !leg.leaving && x.othersLocked(leg)
	return leg.adopted
}

// abandoned reports whether a call was placed for people who have left.
func (c *Call) abandoned() bool {
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	return c.adopted && !c.x.othersLocked(c)
}

// othersLocked reports whether a call would find somebody else in its room who stays.
func (x *Exchange) othersLocked(c *Call) bool {
	r := x.rooms[c.Record().Room]
	return r != nil && slices.ContainsFunc(r.members, func(p *Participant) bool {
		theirs, live := x.calls[p.spec.CallID]
		return theirs != c && p.spec.Kind != KindAgent && !(live && theirs.leaving)
	})
}

// relay passes a key on to the phone that this call is connected with.
func (c *Call) relay(p press) {
	other := c.partner()
	if other == nil {
		return
	}
	select {
	case other.pass <- p:
	default: // it takes none any more
	}
}

// play sends a key of the connected call to the phone, unless the phone hears it
// anyway: a tone goes over as sound.
func (c *Call) play(p press) {
	way, err := c.keysOut()
	if err == nil && way == byTone && p.way == byTone {
		return
	}
	if err := c.sendKeys(string(p.Key)); err != nil {
		c.log.Warn("a key could not be passed on", "error", err)
	}
}

package sip

import (
	"fmt"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/sip/sdp"
)

// termsOf are what a trunk's calls may agree to: its codecs in its order, else
// the configured ones, and its way with digits.
func (u *UA) termsOf(t dialplan.Trunk) (sdp.Terms, error) {
	terms := sdp.Terms{Codecs: u.config.Codecs, NoEvents: t.DTMF == "info" || t.DTMF == "inband"}
	if len(t.Codecs) == 0 {
		return terms, nil
	}
	terms.Codecs, terms.Ordered = nil, true
	for _, name := range t.Codecs {
		c, ok := media.ParseCodec(name)
		if !ok || !c.Audio() {
			return terms, fmt.Errorf("codec %q of trunk %q is not available on phone legs", name, t.Name)
		}
		terms.Codecs = append(terms.Codecs, c)
	}
	return terms, nil
}

// trunkOf is the trunk that an INVITE belongs to, zero if none.
func (u *UA) trunkOf(inv bridge.Invite) dialplan.Trunk {
	if u.config.TrunkOf == nil {
		return dialplan.Trunk{}
	}
	return u.config.TrunkOf(inv)
}

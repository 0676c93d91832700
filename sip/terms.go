package sip

import (
	"fmt"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/sip/sdp"
)

// policies are the values of a trunk's srtp.
var policies = map[string]sdp.Policy{"": sdp.Off, "off": sdp.Off, "optional": sdp.Optional, "required": sdp.Required}

// termsOf are what a trunk's calls may agree to: its codecs in its order, else
// the configured ones, its way with digits, and its SRTP.
func (u *UA) termsOf(t dialplan.Trunk) (sdp.Terms, error) {
	terms := sdp.Terms{
		Codecs: u.config.Codecs, NoEvents: t.DTMF == "info" || t.DTMF == "inband",
		OfferDTLS: t.Keying == "dtls", Fingerprint: u.identity.Fingerprint(),
	}
	var ok bool
	if terms.SRTP, ok = policies[t.SRTP]; !ok { // what is not understood is never taken for no protection
		return terms, fmt.Errorf("srtp %q of trunk %q is not known", t.SRTP, t.Name)
	}
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

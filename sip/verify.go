package sip

import (
	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/stir"
)

// verify finds out, beside the call, whether the caller's number is theirs, and
// tells the bridge by LineVerified. It delays nothing: it runs while the call
// goes its way, for two seconds at most. A call that carries no proof of its own
// has what its trunk says about it, if it says something.
func (l *Line) verify(req *sipmsg.Request, inv bridge.Invite, t dialplan.Trunk) {
	if t.STIR == "off" {
		return
	}
	var identity []string
	for _, h := range req.GetHeaders("Identity") {
		identity = append(identity, h.Value())
	}
	if len(identity) == 0 || l.ua.config.Verifier == nil {
		claim := claimedVerstat(req)
		switch {
		case claim != "" && t.Name != "":
			l.emit(bridge.LineEvent{Kind: bridge.LineVerified, Verstat: claim, Reason: "trunk " + t.Name + " says " + claim})
		case t.STIR == "require":
			l.emit(bridge.LineEvent{Kind: bridge.LineVerified, Verstat: stir.Unchecked, Reason: "the call carries no Identity, or nobody is configured to verify it against"})
		}
		return
	}
	call := stir.Call{Identity: identity, Dest: forms(t, inv.To, userPart(&req.To().Address)), Orig: forms(t, inv.From)}
	if inv.Identity.Asserted != "" { // RFC 8224 section 4.1: the asserted identity goes before From
		call.Orig = forms(t, inv.Identity.Asserted)
	}
	l.aside(func() func() {
		r := l.ua.config.Verifier.Verify(l.ctx, call)
		return func() {
			l.log.Info("caller verified", "verstat", r.Verstat, "reason", r.Reason)
			l.emit(bridge.LineEvent{Kind: bridge.LineVerified, Verstat: r.Verstat, SIPCode: r.Code, Reason: r.Reason})
		}
	})
}

// forms are the ways in which a token may write a number of this call.
func forms(t dialplan.Trunk, numbers ...string) (list []string) {
	for _, n := range numbers {
		list = append(list, n)
		if e := t.E164(n); e != n {
			list = append(list, e)
		}
	}
	return list
}

// claimedVerstat is the verstat parameter that carriers put into
// P-Asserted-Identity or From after a verification of their own.
func claimedVerstat(req *sipmsg.Request) string {
	for _, name := range []string{"P-Asserted-Identity", "From"} {
		for _, h := range req.GetHeaders(name) {
			uri, params, _ := grammar.SplitAddress(h.Value())
			for _, list := range []string{uri, params} {
				if v, ok := grammar.Param(list, "verstat"); ok && isVerstat(v) {
					return v
				}
			}
		}
	}
	return ""
}

func isVerstat(s string) bool {
	switch s {
	case stir.Unchecked, stir.Passed, stir.Failed:
		return true
	}
	for _, level := range []string{"-A", "-B", "-C"} {
		if s == stir.Passed+level || s == stir.Failed+level {
			return true
		}
	}
	return false
}

package sip

import (
	"errors"
	"slices"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
)

// Calls that we make on behalf of calls that came in can run in circles. As a
// back-to-back user agent we end every Via and begin a new one, so that proxies'
// loop detection (RFC 3261 section 16.3) does not see through us. Two things do:
// Max-Forwards goes down by one on the way through, and each station leaves a
// mark for the number it was called by in a header field of its own. A call that
// comes back for a number whose mark it carries is a loop; one that comes back
// for another number has been forwarded, which is allowed a few times. Where a
// carrier removes the field, Max-Forwards and the trunk's limits remain.
const pathField = "X-Roomline-Path"

// mostStations is how often one call may come through gateways.
const mostStations = 8

var errHops = errors.New("the call has used up its hops (Max-Forwards), it may be going in circles")

// hopsOf reads how far an INVITE for a number has come; a fault is its answer.
func (u *UA) hopsOf(req *sipmsg.Request, to string) (bridge.Hops, *grammar.Fault) {
	forwards := req.MaxForwards()
	if forwards == nil || forwards.Val() == 0 {
		return bridge.Hops{}, grammar.Faultf(483, "the INVITE used up its hops (Max-Forwards is 0)")
	}
	var path []string
	for _, h := range req.GetHeaders(pathField) {
		for _, m := range strings.Split(h.Value(), ",") {
			if m = strings.TrimSpace(m); grammar.IsToken(m) && len(m) <= 32 && len(path) < mostStations {
				path = append(path, m)
			}
		}
	}
	ours := u.guard.Mark(to)
	switch {
	case slices.Contains(path, ours):
		return bridge.Hops{}, grammar.Faultf(482, "the call has come back to the number it was forwarded from")
	case len(path) >= mostStations:
		return bridge.Hops{}, grammar.Faultf(483, "the call has come through %d gateways already", mostStations)
	}
	return bridge.Hops{Left: int(forwards.Val()) - 1, Path: strings.Join(append(path, ours), ", ")}, nil
}

// setHops writes into an INVITE how far its call has come.
func setHops(req *sipmsg.Request, h bridge.Hops) {
	if h.Path == "" {
		return
	}
	forwards := sipmsg.MaxForwardsHeader(h.Left)
	req.ReplaceHeader(&forwards)
	req.AppendHeader(sipmsg.NewHeader(pathField, h.Path))
}

// hopsFault says what is wrong with the hops of a call to be placed.
func hopsFault(h bridge.Hops) error {
	switch {
	case h.Path == "":
		return nil
	case h.Left <= 0:
		return errHops
	case h.Left > 255 || grammar.OneLine(h.Path) != h.Path:
		return errors.New("the hops of the call cannot be sent")
	}
	return nil
}

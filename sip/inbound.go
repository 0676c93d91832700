package sip

import (
	"errors"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/sdp"
)

// invited remembers an INVITE outside dialogs, to recognise the same one when
// it arrives over another path.
type invited struct {
	branch string
	until  time.Time // zero while its Line lives
}

// firstOfItsKind is false for a merged request, section 8.2.2.2: the same From
// tag, Call-ID and CSeq with another branch, forked somewhere and come together here.
func (u *UA) firstOfItsKind(req *sipmsg.Request) bool {
	tag, _ := req.From().Params.Get("tag")
	key := req.CallID().Value() + "|" + tag + "|" + seqOf(req.CSeq().Value())
	branch := req.Via().Params.GetOr("branch", "")
	now := time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	if old, ok := u.invites[key]; ok && now.Before(old.until) {
		return old.branch == branch
	}
	if len(u.invites) >= 1024 && len(u.invites)&(len(u.invites)-1) == 0 {
		for k, v := range u.invites { // at powers of two: cheap on the whole
			if now.After(v.until) {
				delete(u.invites, k)
			}
		}
	}
	u.invites[key] = invited{branch, now.Add(64 * sipmsg.T1)}
	return true
}

// newCall is the road of an INVITE outside any dialog: every check before
// anything is allocated, then a Line.
func (u *UA) newCall(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	tx.Respond(u.respond(req, 100, "Trying", ""))
	if !u.firstOfItsKind(req) {
		u.reply(req, tx, 482, "the same INVITE came over another path already")
		return
	}
	inv := inviteOf(req)
	addNamed(inv.Headers, req, u.config.Plan().HeaderNames())
	var f *fault
	if inv.Hops, f = u.hopsOf(req, inv.To); f != nil {
		u.refuseInvite(req, tx, bridge.Refusal{SIPCode: f.code, Cause: bridge.CauseSignalling, Reason: f.words})
		return
	}
	if u.tooShort(req) {
		u.refuseInvite(req, tx, bridge.Refusal{SIPCode: 422, Cause: bridge.CauseSignalling, Reason: "the session interval is too small"}, u.minSE())
		return
	}
	inv.Ticket = &bridge.Ticket{}
	defer inv.Ticket.Drop()
	if !u.identify(req, tx, &inv) {
		return
	}
	old, f := u.replacedBy(req)
	if old != nil {
		inv.Replaces = old
	}
	if r := u.admit(inv); r != nil {
		u.refuseInvite(req, tx, *r)
		if inv.Trunk == "" {
			u.strike(inv.Source, inv.Transport, "a refused INVITE", false)
		}
		return
	}
	if f != nil { // strangers do not learn which calls there are
		u.refuseInvite(req, tx, bridge.Refusal{SIPCode: f.code, Cause: bridge.CauseSignalling, Reason: f.words})
		return
	}
	l, offer, refusal, more := u.prepare(req, inv)
	if refusal != nil {
		u.refuseInvite(req, tx, *refusal, more...)
		return
	}
	l.uas = newServerInvite(req, tx)
	l.uas.late = offer == nil
	if offer != nil {
		body, a, err := l.answerOffer(offer)
		if err != nil {
			l.discard()
			r, more := mediaRefusal(err)
			u.refuseInvite(req, tx, r, more)
			return
		}
		l.uas.body, l.uas.agreed = body, a
	}
	if !tx.OnCancel(l.cancelled) {
		l.discard() // cancelled already; sipgo has said 487
		return
	}
	l.log.Info("INVITE accepted for a decision", "source", inv.Source, "transport", inv.Transport)
	if !l.start(func() { l.verify(req, inv, u.trunkOf(inv)) }) {
		l.discard()
		u.refuseInvite(req, tx, bridge.Refusal{Cause: bridge.CauseShutdown, Reason: "the gateway is stopping"})
		return
	}
	u.streams.carries(inv.Transport, req.Source())
	u.config.Incoming(inv, l)
}

func (u *UA) admit(inv bridge.Invite) *bridge.Refusal {
	u.mu.Lock()
	stopping := u.stopping
	u.mu.Unlock()
	switch {
	case stopping:
		return &bridge.Refusal{Cause: bridge.CauseShutdown, Reason: "the gateway is stopping"}
	case u.config.Incoming == nil:
		return &bridge.Refusal{Cause: bridge.CauseForbidden, Reason: "this agent takes no calls"}
	case u.config.Admit == nil:
		return nil
	}
	return u.config.Admit(inv)
}

// prepare makes a Line for an INVITE and reads its offer; offer is nil when the
// INVITE has none.
func (u *UA) prepare(req *sipmsg.Request, inv bridge.Invite) (*Line, *sdp.Description, *bridge.Refusal, []sipmsg.Header) {
	body, f := sdpBody(req)
	if f != nil {
		return nil, nil, &bridge.Refusal{SIPCode: f.code, Cause: bridge.CauseIncompatible, Reason: f.words},
			[]sipmsg.Header{sipmsg.NewHeader("Accept", "application/sdp")}
	}
	var offer *sdp.Description
	if body != nil {
		var err error
		if offer, err = sdp.Parse(body); err != nil {
			return nil, nil, &bridge.Refusal{SIPCode: 400, Cause: bridge.CauseIncompatible, Reason: err.Error()}, nil
		}
	}
	terms, err := u.termsOf(u.trunkOf(inv))
	if err != nil {
		return nil, nil, &bridge.Refusal{Cause: bridge.CauseInternal, Reason: err.Error()}, nil
	}
	d := dialogOfInvite(req, u.tagFor(req))
	l := u.newLine(d, true, u.log)
	l.source = inv.Source.Addr()
	var here *face
	if here, err = u.arrived(req); err == nil {
		l.dialog.Socket = here.addr
		err = l.openMedia(inv.Source, terms)
	}
	if err != nil {
		l.stop()
		l.log.Error("no media for a call", "error", err)
		return nil, nil, &bridge.Refusal{SIPCode: 503, Cause: bridge.CauseLimit, Reason: "no RTP port is free for this call"}, nil
	}
	l.dialog.Contact = l.contact(inv.To)
	return l, offer, nil, nil
}

// discard undoes prepare for a Line that never started.
func (l *Line) discard() {
	l.stop()
	l.media.Close()
}

// cancelled is called inside sipgo's transaction: it may not block.
func (l *Line) cancelled(cancel *sipmsg.Request) {
	select {
	case l.cancels <- whyCancelled(cancel):
	default:
	}
}

// contact is our Contact URI: where in-dialog requests reach us.
func (l *Line) contact(user string) string { return l.dialog.contact(user) }

func (d *Dialog) contact(user string) string {
	u := sipmsg.Uri{Scheme: "sip", User: escapeUser(user), Host: d.SentBy.Addr().String(), Port: int(d.SentBy.Port())}
	switch {
	case d.Secure:
		u.Scheme = "sips"
	case isStream(d.Transport):
		u.UriParams.Add("transport", d.Transport)
	}
	return u.String()
}

// mediaRefusal says that nothing in an offer fits.
func mediaRefusal(err error) (bridge.Refusal, sipmsg.Header) {
	code := 399
	var f *sdp.Fault
	if errors.As(err, &f) {
		code = f.Warning
	}
	return bridge.Refusal{SIPCode: 488, Cause: bridge.CauseIncompatible, Reason: err.Error()}, warning(code, err.Error())
}

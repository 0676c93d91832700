package sip

import (
	"errors"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/sdp"
	"github.com/roomline/roomline/sip/socket"
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
	key := req.CallID().Value() + "|" + tag + "|" + grammar.SeqOf(req.CSeq().Value())
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

// turnedAway is why an INVITE becomes no call, with the response's further
// header fields.
type turnedAway struct {
	bridge.Refusal
	more []sipmsg.Header
}

func away(code int, cause bridge.Cause, words string, more ...sipmsg.Header) *turnedAway {
	return &turnedAway{bridge.Refusal{SIPCode: code, Cause: cause, Reason: words}, more}
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
	inv.Ticket = &bridge.Ticket{}
	defer inv.Ticket.Drop()
	no := u.readInvite(req, &inv)
	if no == nil {
		if !u.identify(req, tx, &inv) {
			return // it was answered
		}
		no = u.welcome(req, &inv)
	}
	var l *Line
	if no == nil {
		l, no = u.prepare(req, tx, inv)
	}
	if no == nil && l != nil {
		no = u.begun(l, req, inv)
	}
	if no != nil {
		u.refuseInvite(req, tx, no.Refusal, no.more...)
	}
}

// readInvite reads what else an INVITE says, and what forbids it whoever sent it.
func (u *UA) readInvite(req *sipmsg.Request, inv *bridge.Invite) *turnedAway {
	addNamed(inv.Headers, req, u.config.Plan().HeaderNames())
	var f *grammar.Fault
	if inv.Hops, f = u.hopsOf(req, inv.To); f != nil {
		return away(f.Code, bridge.CauseSignalling, f.Words)
	}
	if u.tooShort(req) {
		return away(422, bridge.CauseSignalling, "the session interval is too small", u.minSE())
	}
	return nil
}

// welcome asks the bridge. Only who may call learns which calls there are to replace.
func (u *UA) welcome(req *sipmsg.Request, inv *bridge.Invite) *turnedAway {
	old, f := u.replacedBy(req)
	if old != nil {
		inv.Replaces = old
	}
	if r := u.admit(*inv); r != nil {
		if inv.Trunk == "" {
			u.strike(inv.Source, inv.Transport, "a refused INVITE", false)
		}
		return &turnedAway{Refusal: *r}
	}
	if f != nil {
		return away(f.Code, bridge.CauseSignalling, f.Words)
	}
	return nil
}

// begun starts a prepared Line and hands it over.
func (u *UA) begun(l *Line, req *sipmsg.Request, inv bridge.Invite) *turnedAway {
	l.log.Debug("INVITE accepted for a decision", "source", inv.Source, "transport", inv.Transport)
	if !l.start(func() { l.verify(req, inv, u.trunkOf(inv)) }) {
		l.discard()
		return away(0, bridge.CauseShutdown, "the gateway is stopping")
	}
	u.streams.Carries(inv.Transport, req.Source())
	u.config.Incoming(inv, l)
	return nil
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

// prepare makes a Line for an INVITE and settles its offer, if it has one. The
// Line is nil without a reason when the INVITE was cancelled meanwhile.
func (u *UA) prepare(req *sipmsg.Request, tx *sipmsg.ServerTx, inv bridge.Invite) (*Line, *turnedAway) {
	body, f := sdpBody(req)
	if f != nil {
		return nil, away(f.Code, bridge.CauseIncompatible, f.Words, sipmsg.NewHeader("Accept", "application/sdp"))
	}
	var offer *sdp.Description
	if body != nil {
		var err error
		if offer, err = sdp.Parse(body); err != nil {
			return nil, away(400, bridge.CauseIncompatible, err.Error())
		}
	}
	l, no := u.newInbound(req, inv)
	if no != nil {
		return nil, no
	}
	l.uas = newServerInvite(req, tx)
	l.uas.late = offer == nil
	if offer != nil {
		var err error
		if l.uas.body, l.uas.agreed, err = l.answerOffer(offer); err != nil {
			l.discard()
			r, more := mediaRefusal(err)
			return nil, &turnedAway{r, []sipmsg.Header{more}}
		}
	}
	if !tx.OnCancel(l.cancelled) {
		l.discard() // sipgo has said 487
		return nil, nil
	}
	return l, nil
}

// newInbound makes the Line with its media.
func (u *UA) newInbound(req *sipmsg.Request, inv bridge.Invite) (*Line, *turnedAway) {
	terms, err := u.termsOf(u.trunkOf(inv))
	if err != nil {
		return nil, away(0, bridge.CauseInternal, err.Error())
	}
	l := u.newLine(dialogOfInvite(req, u.tagFor(req)), true, u.log)
	l.source = inv.Source.Addr()
	here, err := u.arrived(req)
	if err == nil {
		l.dialog.Socket = here.addr
		err = l.openMedia(inv.Source, terms)
	}
	if err != nil {
		l.stop()
		l.log.Error("no media for a call", "error", err)
		return nil, away(503, bridge.CauseLimit, "no RTP port is free for this call")
	}
	l.dialog.Contact = l.contact(inv.To)
	return l, nil
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
	case socket.IsStream(d.Transport):
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

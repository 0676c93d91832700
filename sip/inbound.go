package sip

import (
	"errors"
	"net/netip"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
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
	if h := req.MaxForwards(); h == nil || h.Val() == 0 {
		u.refuseInvite(req, tx, bridge.Refusal{SIPCode: 483, Cause: bridge.CauseSignalling, Reason: "the INVITE used up its hops (Max-Forwards is 0)"})
		return
	}
	inv := inviteOf(req)
	if r := u.admit(inv); r != nil {
		u.refuseInvite(req, tx, *r)
		return
	}
	l, offer, refusal, more := u.prepare(req, inv)
	if refusal != nil {
		u.refuseInvite(req, tx, *refusal, more...)
		return
	}
	l.uas = &serverInvite{tx: tx, req: req, initial: true, late: offer == nil}
	if offer != nil {
		body, a, err := l.sdp.answer(offer)
		if err != nil {
			l.discard()
			r, more := mediaRefusal(err)
			u.refuseInvite(req, tx, r, more)
			return
		}
		l.uas.body, l.uas.agreed = body, a
	}
	if !tx.OnCancel(func(*sipmsg.Request) { l.cancelled() }) {
		l.discard() // cancelled already; sipgo has said 487
		return
	}
	l.log.Info("INVITE accepted for a decision", "source", inv.Source, "transport", inv.Transport)
	if !l.start(func() {}) {
		l.discard()
		u.refuseInvite(req, tx, bridge.Refusal{Cause: bridge.CauseShutdown, Reason: "the gateway is stopping"})
		return
	}
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
func (u *UA) prepare(req *sipmsg.Request, inv bridge.Invite) (*Line, *description, *bridge.Refusal, []sipmsg.Header) {
	body, f := sdpBody(req)
	if f != nil {
		return nil, nil, &bridge.Refusal{SIPCode: f.code, Cause: bridge.CauseIncompatible, Reason: f.words},
			[]sipmsg.Header{sipmsg.NewHeader("Accept", "application/sdp")}
	}
	var offer *description
	if body != nil {
		var err error
		if offer, err = parseSDP(body); err != nil {
			return nil, nil, &bridge.Refusal{SIPCode: 400, Cause: bridge.CauseIncompatible, Reason: err.Error()}, nil
		}
	}
	d := dialogOfInvite(req, u.tagFor(req))
	l := u.newLine(d, true, u.log)
	var err error
	if l.dialog.Socket, err = u.face(inv.Source.Addr()); err == nil {
		err = l.openMedia(inv.Source, u.config.Codecs)
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
func (l *Line) cancelled() {
	select {
	case l.cancels <- struct{}{}:
	default:
	}
}

// contact is our Contact URI: where in-dialog requests reach us.
func (l *Line) contact(user string) string {
	u := sipmsg.Uri{Scheme: "sip", User: escapeUser(user), Host: l.dialog.SentBy.Addr().String(), Port: int(l.dialog.SentBy.Port())}
	if l.dialog.Transport == "tcp" {
		u.UriParams.Add("transport", "tcp")
	}
	return u.String()
}

// serverInvite is an INVITE of the peer's, first or later, until its ACK.
type serverInvite struct {
	tx      *sipmsg.ServerTx
	req     *sipmsg.Request
	initial bool
	late    bool // it had no offer: ours goes into the 200, the answer comes with the ACK
	body    []byte
	agreed  agreement

	ok       *sipmsg.Response // the 200, once it was sent
	interval time.Duration    // to its next retransmission
	resend   *time.Timer
	deadline *time.Timer
}

func (l *Line) ring() error {
	if l.state != inviting || !l.inbound || l.ended {
		return errors.New("only an unanswered inbound call can ring")
	}
	if l.rang {
		return nil
	}
	l.rang = true
	res := l.respond(l.uas.req, 180, "Ringing")
	return l.uas.tx.Respond(res)
}

// respond builds a response within the dialog.
func (l *Line) respond(req *sipmsg.Request, code int, phrase string) *sipmsg.Response {
	res := l.ua.respond(req, code, phrase, l.dialog.LocalTag)
	if code > 100 && code < 300 && req.Method == sipmsg.INVITE {
		res.AppendHeader(sipmsg.NewHeader("Contact", "<"+l.dialog.Contact+">"))
	}
	return res
}

func (l *Line) answer() error {
	if l.state != inviting || !l.inbound || l.ended {
		return errors.New("only an unanswered inbound call can be answered")
	}
	in := l.uas
	if in.late {
		in.body = l.sdp.offer()
	} else if err := l.agree(in.agreed); err != nil {
		return err
	}
	if err := l.sendOK(); err != nil {
		return err
	}
	l.state = waiting
	return nil
}

// sendOK sends the 200 and repeats it until the ACK, section 13.3.1.4; over TCP
// too, because a proxy behind it may speak UDP.
func (l *Line) sendOK() error {
	in := l.uas
	in.ok = l.respond(in.req, 200, "OK")
	withBody(in.ok, in.body)
	if err := in.tx.Respond(in.ok); err != nil {
		return err
	}
	in.interval = sipmsg.T1
	in.resend = l.after(in.interval, func() { l.resendOK(in) })
	in.deadline = l.after(64*sipmsg.T1, func() { l.ackMissing(in) })
	return nil
}

func (l *Line) resendOK(in *serverInvite) {
	if l.uas != in {
		return
	}
	in.tx.Respond(in.ok.Clone())
	in.interval = min(2*in.interval, sipmsg.T2)
	in.resend = l.after(in.interval, func() { l.resendOK(in) })
}

// ackMissing ends a call whose 200 was never acknowledged.
func (l *Line) ackMissing(in *serverInvite) {
	if l.uas != in {
		return
	}
	l.endServerInvite()
	if l.state == leaving {
		l.byeNow()
		return
	}
	l.hangUp(bridge.CauseSignalling, "the 200 was never acknowledged (no ACK)")
}

func (l *Line) endServerInvite() {
	l.cancelTimer(l.uas.resend)
	l.cancelTimer(l.uas.deadline)
	l.uas = nil
}

// reject answers the first INVITE with a failure.
func (l *Line) reject(cause bridge.Cause, reason string) {
	answer := responseTo(cause, reason)
	res := l.respond(l.uas.req, answer.code, answer.phrase)
	res.AppendHeader(reasonField(cause, reason))
	res.AppendHeader(warning(399, answer.phrase))
	l.uas.tx.Respond(res)
	l.uas = nil
	l.over(cause, answer.code, reason)
	l.state = gone
}

// onCancel: sipgo has answered the CANCEL with 200 and the INVITE with 487.
func (l *Line) onCancel() {
	if l.state != inviting {
		if l.uas != nil && !l.uas.initial && l.uas.ok == nil {
			l.uas = nil // a re-INVITE was cancelled; the session stays as it is
		}
		return
	}
	l.uas = nil
	l.over(bridge.CauseCanceled, 487, "the caller gave up")
	l.state = gone
}

// cancelInvite answers the INVITE with 487 where sipgo did not.
func (l *Line) cancelInvite() {
	if l.state == inviting && l.inbound {
		l.uas.tx.Respond(l.respond(l.uas.req, 487, "Request Terminated"))
		l.onCancel()
	}
}

// onAck completes the peer's INVITE.
func (l *Line) onAck(ack *sipmsg.Request) {
	in := l.uas
	if in == nil || in.ok == nil || ack.CSeq().SeqNo != in.req.CSeq().SeqNo ||
		ack.From().Params.GetOr("tag", "") != l.dialog.RemoteTag {
		return
	}
	if l.state == leaving {
		l.endServerInvite()
		l.byeNow()
		return
	}
	if in.late {
		if err := l.takeLateAnswer(ack, in); err != nil {
			l.endServerInvite()
			l.hangUp(bridge.CauseIncompatible, "the ACK's SDP: "+err.Error())
			return
		}
	}
	l.acknowledged()
	l.nextHold()
}

// acknowledged: the peer has our 200. It is told by the ACK, or by a later
// request of the same dialog that overtook it: sipgo keeps no order.
func (l *Line) acknowledged() {
	in := l.uas
	l.endServerInvite()
	if l.state == waiting {
		l.state = talking
		l.emit(bridge.LineEvent{Kind: bridge.LineAnswered, SIPCode: 200})
	}
	l.setHeld(in.agreed.held)
}

// takeLateAnswer reads the answer to our offer in the 200, section 13.2.1.
func (l *Line) takeLateAnswer(ack *sipmsg.Request, in *serverInvite) error {
	body, f := sdpBody(ack)
	if f != nil {
		return f
	}
	if body == nil {
		return errors.New("there is no answer to the offer in the 200")
	}
	d, err := parseSDP(body)
	if err != nil {
		return err
	}
	if in.agreed, err = l.sdp.accept(d); err != nil {
		return err
	}
	return l.agree(in.agreed)
}

// onBye ends the call from the peer's side.
func (l *Line) onBye(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if !l.fromPeer(req) {
		l.ua.reply(req, tx, 481, "there is no such dialog here")
		return
	}
	if req.CSeq().SeqNo <= l.dialog.RemoteSeq {
		l.ua.reply(req, tx, 500, "the CSeq number is older than the last one")
		return
	}
	l.dialog.RemoteSeq = req.CSeq().SeqNo
	tx.Respond(l.respond(req, 200, "OK"))
	cause, words := bridge.CauseNormal, "the other side hung up"
	if _, text := readReason(req); text != "" {
		words += ": " + text
	}
	if l.uas != nil && l.uas.ok == nil {
		l.uas.tx.Respond(l.respond(l.uas.req, 487, "Request Terminated"))
		if l.uas.initial {
			cause, words = bridge.CauseCanceled, "the caller hung up before the answer"
		}
	}
	switch {
	case l.uas == nil:
	case l.uas.ok != nil && !l.uas.late:
		l.acknowledged()
	default:
		l.endServerInvite()
	}
	l.over(cause, 0, words)
	if l.bye == nil {
		l.state = gone
	}
}

// fromPeer says whether an in-dialog request carries the peer's tag.
func (l *Line) fromPeer(req *sipmsg.Request) bool {
	return l.dialog.RemoteTag != "" && req.From().Params.GetOr("tag", "") == l.dialog.RemoteTag
}

// sourceOf is where a request came from.
func sourceOf(m sipmsg.Message) netip.AddrPort {
	a, _ := netip.ParseAddrPort(m.Source())
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// mediaRefusal says that nothing in an offer fits.
func mediaRefusal(err error) (bridge.Refusal, sipmsg.Header) {
	code := 399
	var f *mediaFault
	if errors.As(err, &f) {
		code = f.warning
	}
	return bridge.Refusal{SIPCode: 488, Cause: bridge.CauseIncompatible, Reason: err.Error()}, warning(code, err.Error())
}

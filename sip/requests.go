package sip

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

func itoa(n int) string { return strconv.Itoa(n) }

// onRequest is where sipgo hands over a request, in a goroutine of its own.
func (u *UA) onRequest(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if !u.begin() {
		tx.Terminate()
		return
	}
	defer u.work.Done()
	u.pressure.watch(tx)
	defer func() {
		if p := recover(); p != nil {
			u.log.Error("panic while handling a request", "method", req.Method, "sip_call_id", text.Printable(req.CallID().Value(), 128), "panic", p, "stack", string(debug.Stack()))
			u.reply(req, tx, 500, "Server Internal Error")
		}
	}()
	if u.ignores(req) {
		tx.Terminate()
		return
	}
	switch req.Method {
	case sipmsg.INVITE:
		u.onInvite(req, tx)
	case sipmsg.ACK:
		u.onAck(req)
		tx.Terminate()
	case sipmsg.BYE:
		u.withinDialog(req, tx, (*Line).onBye)
	case sipmsg.PRACK:
		u.withinDialog(req, tx, (*Line).onPrack)
	case sipmsg.UPDATE:
		u.withinDialog(req, tx, (*Line).onUpdate)
	case sipmsg.CANCEL:
		u.onLoneCancel(req, tx)
	case sipmsg.OPTIONS:
		u.onOptions(req, tx)
	case sipmsg.REFER:
		u.onRefer(req, tx)
	case sipmsg.NOTIFY:
		u.withinDialog(req, tx, (*Line).onNotify)
	case sipmsg.INFO:
		u.withinDialog(req, tx, (*Line).onInfo)
	default:
		u.onOther(req, tx)
	}
}

// ignores says whether a request gets no answer: a stranger's, for a dialog that is not here.
func (u *UA) ignores(req *sipmsg.Request) bool {
	if req.Method == sipmsg.CANCEL || req.Method == sipmsg.ACK || req.Method == sipmsg.INVITE && !req.To().Params.Has("tag") {
		return false
	}
	source, err := netip.ParseAddrPort(req.Source())
	if err != nil || u.knows(source.Addr()) || u.lineOf(req) != nil {
		return false
	}
	u.strike(source, sipmsg.NetworkToLower(req.Transport()), "a "+text.Printable(string(req.Method), 32)+" for a dialog that is not here", false)
	return true
}

// lineOf finds the Line of an in-dialog request.
func (u *UA) lineOf(req *sipmsg.Request) *Line {
	tag, ok := req.To().Params.Get("tag")
	if !ok {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.lines[lineKey{req.CallID().Value(), tag}]
}

func (u *UA) onInvite(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if words := unsupported(req); words != "" {
		u.refuseInvite(req, tx, bridge.Refusal{SIPCode: 420, Cause: bridge.CauseSignalling, Reason: "extension " + words + " is required and not supported here"},
			sipmsg.NewHeader("Unsupported", words))
		return
	}
	if !req.To().Params.Has("tag") {
		u.newCall(req, tx)
		return
	}
	l := u.lineOf(req)
	if l == nil || !l.post(func() { l.onReinvite(req, tx) }) {
		u.reply(req, tx, 481, "there is no such dialog here")
	}
}

func (u *UA) onAck(req *sipmsg.Request) {
	if l := u.lineOf(req); l != nil {
		l.post(func() { l.onAck(req) })
	}
}

// withinDialog has a request run by the goroutine of the Line that it belongs to.
func (u *UA) withinDialog(req *sipmsg.Request, tx *sipmsg.ServerTx, on func(*Line, *sipmsg.Request, *sipmsg.ServerTx)) {
	if words := unsupported(req); words != "" {
		u.reply(req, tx, 420, "Bad Extension", sipmsg.NewHeader("Unsupported", words))
		return
	}
	l := u.lineOf(req)
	if l == nil || !l.post(func() { on(l, req, tx) }) {
		u.reply(req, tx, 481, "there is no such dialog here")
	}
}

// inOrder counts a request within its dialog, section 12.2.2; false when it
// does not belong there and was answered.
func (l *Line) inOrder(req *sipmsg.Request, tx *sipmsg.ServerTx) bool {
	d := l.dialogOf(req)
	switch seq := req.CSeq().SeqNo; {
	case d == nil || l.state >= leaving:
		l.ua.reply(req, tx, 481, "there is no such dialog here")
	case seq <= d.RemoteSeq:
		l.ua.reply(req, tx, 500, "the CSeq number is older than the last one")
	default:
		d.RemoteSeq = seq
		return true
	}
	return false
}

// dialogOf is the dialog of a request of the peer's: the Line's, or, before our
// INVITE is answered, that of a fork which has sent a response; nil for a stranger.
func (l *Line) dialogOf(req *sipmsg.Request) *Dialog {
	if l.fromPeer(req) {
		return &l.dialog
	}
	if l.dial != nil && l.state == inviting {
		if f := l.dial.forks[req.From().Params.GetOr("tag", "")]; f != nil {
			return &f.Dialog
		}
	}
	return nil
}

// onLoneCancel gets a CANCEL for which sipgo has no INVITE transaction: there
// is none, or the CANCEL overtook its INVITE inside, because sipgo handles
// every message in a goroutine of its own. The Line is known by its tag.
func (u *UA) onLoneCancel(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	key := lineKey{req.CallID().Value(), u.tagFor(req)}
	for range 20 {
		u.mu.Lock()
		l := u.lines[key]
		u.mu.Unlock()
		if l != nil && l.post(func() { l.cancelInvite(whyCancelled(req)) }) {
			u.reply(req, tx, 200, "OK")
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-u.dead:
		}
	}
	if source, err := netip.ParseAddrPort(req.Source()); err == nil && !u.knows(source.Addr()) {
		tx.Terminate()
		return
	}
	u.reply(req, tx, 481, "there is no INVITE to cancel")
}

// onOptions answers what an INVITE would get, section 11.2, as far as it can be
// known without one. Trunks use it to see whether we live.
func (u *UA) onOptions(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if words := unsupported(req); words != "" {
		u.reply(req, tx, 420, "Bad Extension", sipmsg.NewHeader("Unsupported", words))
		return
	}
	if req.To().Params.Has("tag") && u.lineOf(req) == nil {
		u.reply(req, tx, 481, "there is no such dialog here")
		return
	}
	u.reply(req, tx, 200, "OK", sipmsg.NewHeader("Accept", "application/sdp"),
		sipmsg.NewHeader("Accept-Encoding", "identity"), sipmsg.NewHeader("Accept-Language", "en"))
}

// onOther answers methods that are not built.
func (u *UA) onOther(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if req.To().Params.Has("tag") && u.lineOf(req) == nil {
		u.reply(req, tx, 481, "there is no such dialog here")
		return
	}
	if recognised[req.Method] {
		u.reply(req, tx, 405, string(req.Method)+" is not allowed here")
		return
	}
	u.reply(req, tx, 501, "method "+text.Printable(string(req.Method), 32)+" is not known")
}

// inviteOf reads an INVITE for the bridge.
func inviteOf(req *sipmsg.Request) bridge.Invite {
	inv := bridge.Invite{
		Transport: sipmsg.NetworkToLower(req.Transport()),
		SIPCallID: req.CallID().Value(),
		From:      userPart(&req.From().Address),
		FromName:  grammar.Unquote(req.From().DisplayName),
		To:        userPart(&req.Recipient),
		Headers:   fieldsOf(req),
		Identity:  identityOf(req),
	}
	source, _ := netip.ParseAddrPort(req.Source())
	inv.Source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	return inv
}

// onUnreachable hears that packets to an address are refused.
func (u *UA) onUnreachable(addr netip.AddrPort) {
	u.trunks.refusedAt(addr)
	u.mu.Lock()
	var list []*Line
	for _, l := range u.lines {
		if !l.inbound {
			list = append(list, l)
		}
	}
	u.mu.Unlock()
	for _, l := range list {
		l.tryPost(func() { l.onUnreachable(addr) })
	}
}

// onStrayResponse gets responses without a transaction: a 200 to an INVITE
// whose transaction is over still wants its ACK, section 13.2.2.4.
func (u *UA) onStrayResponse(res *sipmsg.Response) {
	if !u.begin() {
		return
	}
	defer u.work.Done()
	if !res.IsSuccess() || res.CSeq().MethodName != sipmsg.INVITE {
		return
	}
	u.mu.Lock()
	l := u.lines[lineKey{res.CallID().Value(), res.From().Params.GetOr("tag", "")}]
	u.mu.Unlock()
	if l != nil {
		l.post(func() { l.onStray(res) })
	}
}

// refuseInvite answers an INVITE that becomes no call, logs it once and reports it.
func (u *UA) refuseInvite(req *sipmsg.Request, tx *sipmsg.ServerTx, r bridge.Refusal, more ...sipmsg.Header) {
	inv := inviteOf(req)
	answer := responseTo(r.Cause, r.Reason)
	if r.SIPCode != 0 {
		answer.code = r.SIPCode
	}
	res := u.respond(req, answer.code, answer.phrase, u.tagFor(req))
	res.AppendHeader(reasonField(r.Cause, r.Reason))
	for _, h := range more {
		res.AppendHeader(h)
	}
	if answer.code == 503 {
		res.AppendHeader(sipmsg.NewHeader("Retry-After", "5"))
	}
	if len(res.GetHeaders("Warning")) == 0 {
		res.AppendHeader(warning(399, answer.phrase))
	}
	u.respondInvite(req, tx, res)
	u.pressure.relieve(tx)
	r.Source, r.Transport, r.From, r.To, r.SIPCallID = inv.Source.String(), inv.Transport, inv.From, inv.To, inv.SIPCallID
	r.SIPCode = answer.code
	if req.To().Params.Has("tag") {
		return // a re-INVITE is part of a call
	}
	if !u.guard.FirstOf(r.Source, r.SIPCallID, req.CSeq().Value(), req.Via().Params.GetOr("branch", "")) {
		return // it came again and found no transaction
	}
	u.report(r)
}

// refusedRaw hears of INVITEs that the guard turned away.
func (u *UA) refusedRaw(h *grammar.Head, f *grammar.Fault, source netip.AddrPort, transport string) {
	from, _ := h.Get("from")
	id, _ := h.Get("call-id")
	uri, _, _ := grammar.SplitAddress(from)
	u.report(bridge.Refusal{
		Source: source.String(), Transport: transport, From: text.Printable(userOf(uri), 128), To: text.Printable(userOf(h.URI), 128),
		SIPCallID: text.Printable(id, 256), SIPCode: f.Code, Cause: bridge.CauseSignalling, Reason: f.Words,
	})
}

func (u *UA) report(r bridge.Refusal) {
	if r.ID == "" {
		r.ID = bridge.NewID("refusal")
	}
	if r.Time.IsZero() {
		r.Time = time.Now().UTC()
	}
	u.log.LogAttrs(context.Background(), slog.LevelWarn, "INVITE refused", slog.String("source", r.Source), slog.String("transport", r.Transport),
		slog.String("from", text.Printable(r.From, 64)), slog.String("to", text.Printable(r.To, 64)),
		slog.String("sip_call_id", text.Printable(r.SIPCallID, 128)), slog.Int("sip_code", r.SIPCode),
		slog.String("cause", string(r.Cause)), slog.String("reason", r.Reason))
	if u.config.Refused != nil {
		u.config.Refused(r)
	}
}

// retryAfter is the header field of an overlapping INVITE's 500, section 14.2.
func retryAfter(seconds int) sipmsg.Header {
	return sipmsg.NewHeader("Retry-After", fmt.Sprint(seconds))
}

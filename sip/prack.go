package sip

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/sdp"
	"github.com/roomline/roomline/sip/text"
)

// unacked is a reliable provisional response of ours that waits for its PRACK,
// RFC 3262 section 3.
type unacked struct {
	res      *sipmsg.Response
	rseq     uint32
	sdp      bool // it carries our offer or answer: no 2xx before its PRACK
	interval time.Duration
	resend   *time.Timer
	deadline *time.Timer
}

// sendReliably sends a provisional response and repeats it until its PRACK.
func (l *Line) sendReliably(in *serverInvite, res *sipmsg.Response) error {
	if in.rseq == 0 {
		in.rseq = rand.Uint32N(1 << 30)
	}
	in.rseq++
	res.AppendHeader(sipmsg.NewHeader("Require", "100rel"))
	res.AppendHeader(sipmsg.NewHeader("RSeq", strconv.FormatUint(uint64(in.rseq), 10)))
	if err := l.ua.respondInvite(in.req, in.tx, res); err != nil {
		return err
	}
	p := &unacked{res: res, rseq: in.rseq, sdp: len(res.Body()) > 0, interval: sipmsg.T1}
	in.unacked = p
	p.resend = l.after(p.interval, func() { l.resendReliable(in, p) })
	p.deadline = l.after(64*sipmsg.T1, func() { l.prackMissing(in, p) })
	return nil
}

func (l *Line) resendReliable(in *serverInvite, p *unacked) {
	if l.uas != in || in.unacked != p || l.state != inviting {
		return
	}
	l.ua.respondInvite(in.req, in.tx, p.res.Clone())
	p.interval *= 2
	p.resend = l.after(p.interval, func() { l.resendReliable(in, p) })
}

// prackMissing ends a call whose caller does not acknowledge.
func (l *Line) prackMissing(in *serverInvite, p *unacked) {
	if l.uas == in && in.unacked == p && l.state == inviting {
		l.refuse(504, bridge.CauseSignalling, fmt.Sprintf("the %d was never acknowledged (no PRACK)", p.res.StatusCode))
	}
}

// stopRepeating leaves a reliable response be. Its PRACK may still come.
func (l *Line) stopRepeating(p *unacked) {
	l.cancelTimer(p.resend)
	l.cancelTimer(p.deadline)
}

// onPrack acknowledges our reliable response. It may carry the answer to the
// offer in it, or a new offer.
func (l *Line) onPrack(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	in := l.uas
	if in == nil || in.unacked == nil || !l.fromPeer(req) || !in.unacked.acknowledgedBy(req, in.req) {
		l.ua.reply(req, tx, 481, "no response waits for this PRACK")
		return
	}
	if !l.inOrder(req, tx) {
		return
	}
	p := in.unacked
	l.stopRepeating(p)
	in.unacked = nil
	answer, f := l.prackBody(in, p, req)
	if f != nil {
		l.ua.reply(req, tx, f.Code, f.Words)
		if in.late && l.state == inviting { // our offer has no answer: there can be no call
			l.refuse(488, bridge.CauseIncompatible, "the PRACK's SDP: "+f.Words)
		}
		return
	}
	res := l.respond(req, 200, "OK")
	if answer != nil {
		withBody(res, answer)
	}
	tx.Respond(res)
	if p.sdp && l.state == inviting {
		l.heardEarly(p.res.StatusCode)
	}
	l.afterPrack(in)
}

// afterPrack does what had to wait for a PRACK.
func (l *Line) afterPrack(in *serverInvite) {
	for len(in.waiting) > 0 && in.unacked == nil && l.uas == in && l.state == inviting {
		next := in.waiting[0]
		in.waiting = in.waiting[1:]
		next()
	}
}

// acknowledgedBy compares a RAck header field with the response, RFC 3262 section 7.2.
func (p *unacked) acknowledgedBy(prack, invite *sipmsg.Request) bool {
	part := strings.Fields(only(prack, "RAck", ""))
	if len(part) != 3 || part[2] != "INVITE" {
		return false
	}
	rseq, err1 := strconv.ParseUint(part[0], 10, 32)
	cseq, err2 := strconv.ParseUint(part[1], 10, 32)
	return err1 == nil && err2 == nil && uint32(rseq) == p.rseq && uint32(cseq) == invite.CSeq().SeqNo
}

// prackBody takes the SDP of a PRACK: the answer to our offer in p, or an offer
// after the first one was settled, which gets its answer; RFC 3262 section 5.
func (l *Line) prackBody(in *serverInvite, p *unacked, req *sipmsg.Request) (answer []byte, f *grammar.Fault) {
	body, f := sdpBody(req)
	if f != nil {
		return nil, f
	}
	if in.late && p.sdp {
		return nil, l.takePrackAnswer(in, body)
	}
	in.settled = in.settled || p.sdp
	if body == nil {
		return nil, nil
	}
	if !in.settled || l.state != inviting {
		return nil, grammar.Faultf(400, "the PRACK makes an offer before the first one is settled")
	}
	answer, a, f, _ := l.takeOffer(req, body)
	if f != nil {
		return nil, f
	}
	in.agreed = a
	return answer, nil
}

// takePrackAnswer settles an INVITE without offer before its 200.
func (l *Line) takePrackAnswer(in *serverInvite, body []byte) *grammar.Fault {
	if body == nil {
		return grammar.Faultf(400, "there is no answer to the offer in the 183")
	}
	d, err := sdp.Parse(body)
	if err != nil {
		return grammar.Faultf(400, "%s", err)
	}
	a, err := l.sdp.Accept(d)
	if err == nil {
		err = l.agree(a)
	}
	if err != nil {
		return grammar.Faultf(488, "%s", err)
	}
	in.agreed, in.late, in.settled = a, false, true
	return nil
}

// acknowledge sends the PRACK of a fork's reliable response, section 4. It is
// false for a response that came before or out of order, which is ignored: the
// missing one will be repeated.
func (l *Line) acknowledge(f *fork, res *sipmsg.Response) bool {
	if f == nil || !requires(res, "100rel") {
		return true
	}
	rseq, _ := strconv.ParseUint(strings.TrimSpace(only(res, "RSeq", "")), 10, 32)
	if rseq == 0 || f.rseq != 0 && uint32(rseq) != f.rseq+1 {
		return false
	}
	f.rseq = uint32(rseq)
	req, err := l.request(&f.Dialog, sipmsg.PRACK)
	if err != nil {
		l.log.Warn("PRACK", "error", err)
		return true
	}
	req.AppendHeader(sipmsg.NewHeader("RAck", fmt.Sprintf("%d %d INVITE", rseq, res.CSeq().SeqNo)))
	req.SetBody(nil)
	l.exchange(&f.Dialog, req, func(res *sipmsg.Response) {
		if res == nil || !res.IsSuccess() {
			l.log.Warn("PRACK was not accepted", "answer", statusOf(res))
		}
	})
	return true
}

// statusOf is a response in words.
func statusOf(res *sipmsg.Response) string {
	if res == nil {
		return "none"
	}
	return strconv.Itoa(res.StatusCode) + " " + text.Printable(res.Reason, 100)
}

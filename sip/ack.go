package sip

import (
	"slices"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
)

// sendAck acknowledges a 2xx, with the INVITE's credentials (section 22.1).
func (l *Line) sendAck(out *clientInvite, res *sipmsg.Response) {
	ack, err := l.dialog.request(sipmsg.ACK, res.CSeq().SeqNo)
	if err != nil {
		l.log.Warn("ACK", "error", err)
		return
	}
	sipmsg.CopyHeaders("Authorization", out.req, ack)
	sipmsg.CopyHeaders("Proxy-Authorization", out.req, ack)
	ack.AppendHeader(sipmsg.NewHeader("User-Agent", l.ua.config.UserAgent))
	ack.SetBody(nil)
	l.reach(&l.dialog, nil, func(to target, err error) {
		if err == nil {
			l.ack = &sentAck{ack, to}
			err = l.ua.sendAck(ack, to, &l.dialog)
		}
		if err != nil {
			l.log.Warn("ACK", "error", err)
		}
	})
}

// leaveInvite reads on an INVITE that outlives its Line: a BYE overtook its
// answer. sipgo waits until somebody takes its responses, and a 2xx wants its ACK.
func (l *Line) leaveInvite(out *clientInvite) {
	if out == nil || out.tx == nil {
		return
	}
	l.ua.work.Add(1) // the Line itself is counted, so the count is not zero
	go func() {
		defer l.ua.work.Done()
		defer l.ua.catch("an INVITE left open")
		patience := time.AfterFunc(64*sipmsg.T1, out.tx.Terminate)
		defer patience.Stop()
		res := l.ua.final(out.tx)
		if res == nil || !res.IsSuccess() {
			return
		}
		if ack, err := l.dialog.request(sipmsg.ACK, res.CSeq().SeqNo); err == nil {
			ack.SetBody(nil)
			l.ua.besides(l.dialog, func(to target) { l.ua.sendAck(ack, to, &l.dialog) })
		}
	}()
}

// sentAck is the last ACK, for when its 2xx comes again.
type sentAck struct {
	req *sipmsg.Request
	to  target
}

// onStray is a 2xx to an INVITE that is answered already: the same one again,
// or another branch of a fork that answered too.
func (l *Line) onStray(res *sipmsg.Response) {
	if l.ack == nil || res.To().Params.GetOr("tag", "") != l.dialog.RemoteTag {
		l.refuseFork(res)
		return
	}
	if res.CSeq().SeqNo == l.ack.req.CSeq().SeqNo {
		l.ua.sendAck(l.ack.req.Clone(), l.ack.to, &l.dialog)
	}
}

// refuseFork acknowledges and hangs up an answer that came second, section 13.2.2.4.
func (l *Line) refuseFork(res *sipmsg.Response) {
	if l.inbound || !res.To().Params.Has("tag") || res.To().Params.GetOr("tag", "") == l.dialog.RemoteTag {
		return
	}
	d := l.dialog
	if f := l.dial.forks[res.To().Params.GetOr("tag", "")]; f != nil {
		d = f.Dialog // which has had PRACKs of its own
	}
	d.learn(res)
	ack, err := d.request(sipmsg.ACK, res.CSeq().SeqNo)
	if err != nil {
		return
	}
	ack.SetBody(nil)
	l.ua.besides(d, func(to target) { l.ua.sendAck(ack, to, &d) })
	if !l.refused.first(d.RemoteTag) {
		return // its BYE is on the way
	}
	bye, err := d.request(sipmsg.BYE, max(d.LocalSeq, res.CSeq().SeqNo)+1)
	if err != nil {
		return
	}
	bye.AppendHeader(reasonField(bridge.CauseNormal, bridge.AnsweredElsewhere))
	bye.SetBody(nil)
	l.ua.besides(d, func(to target) { l.ua.sendAlone(bye, to, &d) })
}

// forkTags are the forks that were refused. They answer whenever they like: on
// several goroutines at once when the Line has gone.
type forkTags struct {
	mu   sync.Mutex
	tags []string
}

// mostForks bounds how many forks of one call are hung up.
const mostForks = 16

// first says whether a fork is to be hung up: once each.
func (f *forkTags) first(tag string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.tags) >= mostForks || slices.Contains(f.tags, tag) {
		return false
	}
	f.tags = append(f.tags, tag)
	return true
}

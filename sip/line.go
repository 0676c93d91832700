package sip

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/sip/sdp"
	"github.com/roomline/roomline/sip/text"
)

// state is where a Line stands. It moves forward only:
//
//	inviting ──→ waiting ──→ talking ──→ leaving ──→ gone
//	    │      (inbound: 200 sent, no ACK yet)  ↑       ↑
//	    └───────────────────────────────────────┴───────┘
//
// An outbound Line goes from inviting straight to talking. In leaving the call
// is over for the bridge (LineEnded is out); what remains is to finish the
// dialog politely: an ACK to await before BYE, a CANCEL or BYE to be answered.
type state uint8

const (
	inviting state = iota
	waiting
	talking
	leaving
	gone
)

// Line is one dialog with its RTP session, in either direction; it implements
// bridge.Line. One goroutine owns all of its state; methods and messages are
// functions that it runs one after the other.
type Line struct {
	ua      *UA
	log     *slog.Logger
	inbound bool
	source  netip.Addr // inbound: where the INVITE came from
	callID  string
	key     lineKey
	media   *rtp.Session
	events  chan bridge.LineEvent
	inbox   chan func()
	cancels chan string   // why: sipgo answered a CANCEL for our INVITE transaction
	keyed   chan error    // a DTLS handshake is over
	done    chan struct{} // the goroutine has ended
	ctx     context.Context
	stop    context.CancelFunc // aborts look-ups and connecting when the Line is gone

	dialog Dialog
	sdp    sdp.Negotiation
	state  state
	ended  bool // LineEnded is out
	held   bool // the peer holds us
	rang   bool // 180 was sent or seen
	early  bool // LineEarly is out
	timers map[*time.Timer]struct{}

	refreshing *time.Timer // until our session refresh
	expiring   *time.Timer // until the call is given up for want of one
	refreshDue bool        // a refresh waits for its turn
	updating   bool        // our UPDATE is out
	noUpdate   bool        // the peer allows UPDATE and refuses it

	uas   *serverInvite // an INVITE of the peer's that is not over
	uac   *clientInvite // an INVITE of ours that is not over
	bye   bool          // ours is out
	holds []holdWish    // waiting for their turn
	keys  []keyWish     // likewise, the first one is on its way

	contacts  []string  // of the 3xx that ended it
	referral  *referral // a REFER of the peer's that is not over
	referrals int       // how many there were
	transfer  *transfer // a REFER of ours that is not over

	byeCause  bridge.Cause // of the BYE that waits for an ACK
	byeReason string

	hint    string    // outbound: what a refusal most likely means; to be read after the last event
	dial    *dialling // outbound: what is left to try
	ack     *sentAck  // outbound: our last one
	refused forkTags  // forks that answered too late
	auth    credentials
	errands []errand // what waits for the peer's address, in order
}

var _ bridge.Line = (*Line)(nil)

// eventRoom is how many events wait for a slow Call; the last place is kept for LineEnded.
const eventRoom = 64

var errEnded = errors.New("the call has ended")

func (u *UA) newLine(d Dialog, inbound bool, log *slog.Logger) *Line {
	l := &Line{
		ua: u, inbound: inbound, callID: d.CallID, key: lineKey{d.CallID, d.LocalTag}, dialog: d,
		log:    log.With("sip_call_id", text.Printable(d.CallID, 128)),
		events: make(chan bridge.LineEvent, eventRoom), inbox: make(chan func(), 16),
		cancels: make(chan string, 1), keyed: make(chan error, 4), done: make(chan struct{}), timers: map[*time.Timer]struct{}{},
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// start registers the Line and begins its goroutine; false when the UA is stopping.
func (l *Line) start(first func()) bool {
	u := l.ua
	u.mu.Lock()
	if u.stopping {
		u.mu.Unlock()
		return false
	}
	u.lines[l.key] = l
	u.work.Add(1)
	u.mu.Unlock()
	go l.run(first)
	return true
}

func (l *Line) run(first func()) {
	defer l.ua.work.Done()
	defer close(l.done)
	defer l.cleanUp()
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("panic on a line", "panic", p, "stack", string(debug.Stack()))
			l.abandon()
		}
	}()
	first()
	for l.state != gone {
		select {
		case f := <-l.inbox:
			f()
		case words := <-l.cancels:
			l.onCancel(words)
		case err := <-l.keyed:
			l.onKeyed(err)
		case res := <-l.uac.responses():
			l.onInviteResponse(res)
		case <-l.uac.finished():
			l.onInviteLost()
		case <-l.ua.dead:
			l.over(bridge.CauseShutdown, 0, "the gateway stopped")
			l.state = gone
		}
	}
}

// abandon ends a call after a panic: the peer is told, as well as can be.
func (l *Line) abandon() {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("panic while a line was given up", "panic", p)
		}
	}()
	const words = "an internal error"
	l.over(bridge.CauseInternal, 0, words)
	switch {
	case l.state == inviting && l.inbound && l.uas != nil:
		l.uas.tx.Respond(l.respond(l.uas.req, 500, words))
	case l.state == waiting || l.state == talking:
		l.byeAlone(bridge.CauseInternal, words)
	}
}

// cleanUp takes the Line out of the world.
func (l *Line) cleanUp() {
	l.stop()
	l.over(bridge.CauseInternal, 0, "")
	for t := range l.timers {
		t.Stop()
	}
	for _, w := range l.holds {
		w.reply <- errEnded
	}
	l.leaveInvite(l.uac)
	l.ua.mu.Lock()
	delete(l.ua.lines, l.key)
	l.ua.mu.Unlock()
}

// emit sends an event that is not the last.
func (l *Line) emit(e bridge.LineEvent) {
	if l.ended {
		return
	}
	if len(l.events) >= eventRoom-1 {
		l.log.Warn("the call does not read its line's events, one is dropped", "kind", e.Kind)
		return
	}
	l.events <- e
}

// over tells the bridge that the call is over, once, and closes the media. The
// dialog may have more to do.
func (l *Line) over(cause bridge.Cause, code int, reason string) {
	if l.ended {
		return
	}
	l.ended = true
	l.dropReferral()
	if l.transfer != nil {
		l.endTransfer(l.transfer, errLostTransfer)
	}
	if l.media != nil {
		l.media.Close()
	}
	l.events <- bridge.LineEvent{Kind: bridge.LineEnded, Cause: cause, SIPCode: code, Reason: reason, Contacts: l.contacts}
	close(l.events)
	l.log.Debug("line ended", "cause", string(cause), "sip_code", code, "reason", reason)
}

// Ring implements bridge.Line.
func (l *Line) Ring() error { return l.ask(l.ring) }

// Answer implements bridge.Line.
func (l *Line) Answer() error { return l.ask(l.answer) }

// End implements bridge.Line.
func (l *Line) End(cause bridge.Cause, reason string) {
	l.post(func() { l.end(cause, reason) })
}

// Hold implements bridge.Line.
func (l *Line) Hold(ctx context.Context, on bool) error {
	reply := make(chan error, 1)
	return l.await(ctx, reply, func() { l.hold(holdWish{ctx, on, reply}) })
}

// Events implements bridge.Line.
func (l *Line) Events() <-chan bridge.LineEvent { return l.events }

// Media implements bridge.Line.
func (l *Line) Media() *rtp.Session { return l.media }

// SIPCallID implements bridge.Line.
func (l *Line) SIPCallID() string { return l.callID }

// end finishes the call in the way that its state asks for.
func (l *Line) end(cause bridge.Cause, reason string) {
	if l.ended {
		return
	}
	switch {
	case l.state == inviting && l.inbound:
		l.reject(cause, reason)
	case l.state == inviting:
		l.giveUp(cause, reason)
	case l.state == waiting:
		l.byeAfterAck(cause, reason)
	case l.state == talking:
		l.hangUp(cause, reason)
	}
}

// setHeld reports a change in whether the peer holds us.
func (l *Line) setHeld(held bool) {
	if held == l.held {
		return
	}
	l.held = held
	kind := bridge.LineResumed
	if held {
		kind = bridge.LineHeld
	}
	l.emit(bridge.LineEvent{Kind: kind})
}

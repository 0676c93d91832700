package bridge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media/rtp"
)

const ordersPlan = `
trunks:
  - {name: desk, addresses: [192.0.2.0/24], refer: allow}
  - {name: carrier, addresses: [203.0.113.0/24], refer: allow, redirects: follow, outbound: {servers: [sip.carrier.example]}, limits: {calls: 6, prefixes: ["+1"]}}
  - {name: second, outbound: {servers: [sip.second.example]}, limits: {minutes: 5, prefixes: ["+1"]}}
routes:
  - {name: sos, to: "911", room: sos, priority: emergency}
  - {name: pair, to: pair, number: "+12025550123", trunks: [carrier, second], ring_timeout: 20s, else: {number: "+12025550124", trunks: [second], else: {room: desk}}}
  - {name: ready, to: ready, room: ready, answer: ready, else: {number: "+12025550125", trunks: [carrier]}}
  - {name: locked, to: locked, room: lobby, pin: "4711"}
  - {name: never, to: never, reject: busy}
  - {name: out, from_room: true, to: "+1*", trunks: [carrier, second]}
`

// TestOrdersOfEvents drives calls, pairs, chains and transfers through seeded
// random orders of what peers, the API and the clock do. Whatever the order is,
// every call ends once, with one CDR, and leaves nothing behind.
// ROOMLINE_ORDER runs one seed alone.
func TestOrdersOfEvents(t *testing.T) {
	first, last := uint64(0), uint64(5000)
	if testing.Short() || raceOn {
		last = 300
	}
	if one, err := strconv.ParseUint(os.Getenv("ROOMLINE_ORDER"), 10, 64); err == nil {
		first, last = one, one+1
	}
	seen := map[Cause]int{}
	for seed := first; seed < last; seed++ {
		synctest.Test(t, func(t *testing.T) { newLife(t, seed).run(seen) })
		if t.Failed() {
			t.Fatalf("with ROOMLINE_ORDER=%d", seed)
		}
	}
	t.Logf("causes: %v", seen)
	for _, cause := range []Cause{CauseNormal, CauseCanceled, CauseBusy, CauseNoAnswer, CauseRejected, CauseUnreachable, CauseRedirected, CauseLimit, CauseForbidden} {
		if seen[cause] == 0 && last-first > 1000 {
			t.Errorf("no call ended with %s: the orders have grown tame", cause)
		}
	}
}

// life is one random life of an exchange.
type life struct {
	*house
	*rand.Rand
	t         *testing.T
	created   []string
	taken     []*fakeLine
	referrals []*asked
	browsers  []*Participant
	direct    map[string]bool // calls that the API has placed
	paired    map[string]bool // calls that were connected with another one
	crowded   map[string]bool // rooms in which were more than two
	targets   []string        // what is called
}

func newLife(t *testing.T, seed uint64) *life {
	h := &house{t: t, quiet: true, auto: true}
	h.Exchange = &Exchange{
		Plan: planOf(t, ordersPlan), Trusts: TrustedBy(), Dialer: h, MediaTimeout: -1,
		Recorded: func(c CDR) { h.mu.Lock(); defer h.mu.Unlock(); h.cdrs = append(h.cdrs, c) },
	}
	o := &life{targets: []string{"pair", "pair", "ready", "locked", "never", "lobby", "desk", "911", "no such room"}, house: h, Rand: rand.New(rand.NewPCG(seed, 7)), t: t, direct: map[string]bool{}, paired: map[string]bool{}, crowded: map[string]bool{}}
	h.Emitted = func(e Event) {
		if e.Type == "call.created" {
			h.mu.Lock()
			o.created = append(o.created, e.CallID)
			h.mu.Unlock()
		}
	}
	return o
}

func (o *life) run(seen map[Cause]int) {
	for range 10 + o.IntN(30) {
		o.step()
		if o.IntN(3) > 0 {
			synctest.Wait()
			o.calm()
		}
		if o.IntN(4) == 0 {
			time.Sleep(time.Duration(o.IntN(3000)) * time.Millisecond)
		}
	}
	o.finish()
	o.judge(seen)
}

// pick chooses one of the things that there are.
func pick[T any](o *life, from []T) (one T, ok bool) {
	if len(from) == 0 {
		return one, false
	}
	return from[o.IntN(len(from))], true
}

func (o *life) adopted(c *Call) bool {
	o.Exchange.mu.Lock()
	defer o.Exchange.mu.Unlock()
	return c.adopted
}

func (o *life) step() {
	switch n := o.IntN(100); {
	case n < 18:
		o.arrive()
	case n < 24:
		o.dials(DialRequest{To: "+12025550123", Room: o.room()})
	case n < 60:
		o.peer()
	case n < 62:
		time.Sleep(time.Duration(o.IntN(90)) * time.Second)
	case n < 66:
		if r, err := o.OpenRoom(o.room()); err == nil {
			o.browsers = append(o.browsers, join(o.t, r, "dispatcher", KindBrowser))
		}
	case n < 68:
		if b, ok := pick(o, o.browsers); ok {
			b.Leave()
		}
	default:
		o.ask()
	}
}

func (o *life) room() string {
	room, _ := pick(o, []string{"lobby", "desk", "ready", "sos"})
	return room
}

func (o *life) dials(r DialRequest) {
	if rec, err := o.Exchange.Dial(context.Background(), r); err == nil {
		o.direct[rec.ID] = true
	}
}

// calm holds the exchange, while nothing moves, to what must be true then.
func (o *life) calm() {
	placed, seated := map[*Call]bool{}, map[*Call]bool{}
	for _, c := range o.live() {
		c.do(context.Background(), func() error {
			if c.errand != nil {
				placed[c.errand.leg] = true
			}
			seated[c] = c.seat != nil
			return nil
		})
		if other := c.partner(); other != nil {
			o.paired[c.id] = true
			if back, ok := o.Call(other.id); !ok || back.partner() != c {
				o.t.Errorf("%s is connected with %s, which is not there", c.id, other.id)
			}
		}
	}
	for _, c := range o.live() {
		rec := c.Record()
		in := len(o.in(rec.Room))
		o.crowded[rec.Room] = o.crowded[rec.Room] || in > 2
		switch alone := in == 1 && !o.crowded[rec.Room]; {
		case rec.Direction == Outbound && rec.AnsweredAt == nil && !placed[c] && !o.direct[c.id] && c.partner() == nil && !o.adopted(c):
			o.t.Errorf("nobody waits for %s, which is %s", c.id, rec.State)
		case (rec.State == StateDialing || rec.State == StateRinging) && seated[c] && rec.Direction == Outbound:
			o.t.Errorf("%s is %s and has a seat", c.id, rec.State)
		case alone && seated[c] && o.paired[c.id] && !o.direct[c.id] && c.partner() == nil && !placed[c] && rec.Room == "call-"+rec.ParentID:
			o.t.Errorf("%s is left alone by whom it was connected with", c.id)
		}
	}
}

// arrive is an INVITE.
func (o *life) arrive() {
	to, _ := pick(o, o.targets)
	source, _ := pick(o, []Invite{{Source: desk}, {Source: carrier}, {Source: loopback}})
	inv := Invite{Source: source.Source, From: "+12025550100", To: to, Ticket: &Ticket{}}
	defer inv.Ticket.Drop()
	if old, ok := pick(o, o.taken); ok && o.IntN(4) == 0 {
		inv.Replaces = old
	}
	if o.Admit(inv) != nil || o.IntN(10) == 0 {
		return
	}
	l := o.line()
	l.auto = o.IntN(10) > 0
	o.taken = append(o.taken, l)
	o.Incoming(inv, l)
}

// peer is something that the other side of a Line does.
func (o *life) peer() {
	o.house.mu.Lock()
	dialled := append([]*fakeLine(nil), o.lines...)
	o.house.mu.Unlock()
	if o.IntN(2) == 0 {
		if l, ok := pick(o, dialled); ok {
			o.called(l)
		}
		return
	}
	if l, ok := pick(o, append(dialled, o.taken...)); ok {
		o.either(l)
	}
}

func (o *life) called(l *fakeLine) {
	switch o.IntN(6) {
	case 0:
		l.happens(LineRinging)
	case 1:
		l.happens(LineEarly)
	case 2, 3:
		l.happens(LineAnswered)
	case 4:
		cause, _ := pick(o, []Cause{CauseBusy, CauseNoAnswer, CauseRejected, CauseUnreachable, CauseUnknownNumber, CauseForbidden, CauseSignalling})
		l.ended(LineEvent{Cause: cause, SIPCode: 400 + o.IntN(200)})
	case 5:
		l.ended(redirection("tel:+1202555010"+strconv.Itoa(o.IntN(10)), "tel:+442079460000", "tel:+12025550199"))
	}
}

func (o *life) either(l *fakeLine) {
	switch o.IntN(9) {
	case 0:
		l.happens(LineHeld)
	case 1:
		l.happens(LineResumed)
	case 2:
		l.happens(LineRenegotiated)
	case 3:
		l.tell(LineEvent{Kind: LineVerified, Verstat: "TN-Validation-Passed-A"})
	case 4:
		l.ended(LineEvent{Cause: CauseNormal})
	case 5:
		l.ended(LineEvent{Cause: CauseCanceled, SIPCode: 487})
	case 6:
		for _, k := range []string{"4711", "1234#", "*", "5"}[o.IntN(4)] {
			l.tell(LineEvent{Kind: LineDigit, Digit: rtp.Digit{Key: k}})
		}
	default:
		o.refer(l)
	}
}

func (o *life) refer(l *fakeLine) {
	r := Referral{}
	if with, ok := pick(o, o.taken); ok && o.IntN(2) == 0 {
		r.Replaces = with
	}
	r.To, _ = pick(o, []string{"+12025550123", "lobby", "desk", "locked", "+442079460000", "911", "sip:x@evil.example", ""})
	a := newAsked(r)
	if l.tell(LineEvent{Kind: LineReferred, Referral: &a.Referral}) {
		o.referrals = append(o.referrals, a)
	}
}

// ask is something that comes through the API.
func (o *life) ask() {
	o.house.mu.Lock()
	id, _ := pick(o, o.created)
	o.house.mu.Unlock()
	c, live := o.Call(id)
	if !live {
		return
	}
	ctx := context.Background()
	switch o.IntN(9) {
	case 0:
		c.Hangup(CauseNone, "")
	case 1:
		c.Hold(ctx, o.IntN(2) == 0)
	case 2:
		c.Mute(o.IntN(2) == 0)
	case 3:
		c.SendDigits(ctx, "12")
	case 4:
		c.Transfer(ctx, TransferRequest{Room: o.room()})
	case 5, 6:
		c.Transfer(ctx, TransferRequest{To: "+12025550188"})
	case 7:
		c.Transfer(ctx, TransferRequest{To: "+12025550188", Refer: true})
	case 8:
		o.dials(DialRequest{To: "+12025550123", Room: c.Record().Room, ParentID: id})
	}
}

// finish ends what is left, half by us and half by the peers.
func (o *life) finish() {
	for range 2 { // what ends may have begun something
		for _, rec := range o.Calls() {
			if c, ok := o.Call(rec.ID); ok && o.IntN(2) == 0 {
				c.Hangup(CauseNone, "")
			}
		}
		o.house.mu.Lock()
		lines := append(append([]*fakeLine(nil), o.lines...), o.taken...)
		o.house.mu.Unlock()
		for _, l := range lines {
			l.ended(LineEvent{Cause: CauseNormal})
		}
		time.Sleep(2 * time.Minute)
	}
	for _, b := range o.browsers {
		b.Leave()
	}
	o.running.Wait()
}

func (o *life) judge(seen map[Cause]int) {
	count := map[string]int{}
	for _, d := range o.cdrs {
		count[d.ID]++
		seen[d.Cause]++
		if d.State != StateEnded || d.Cause == CauseNone || d.Cause == CauseInternal || d.EndedAt == nil {
			o.t.Errorf("CDR %+v", d)
		}
	}
	for _, id := range o.created {
		if count[id] != 1 {
			o.t.Errorf("call %s has %d CDRs", id, count[id])
		}
	}
	if len(count) != len(o.created) {
		o.t.Errorf("%d calls and CDRs of %d", len(o.created), len(count))
	}
	for _, a := range o.referrals {
		if err := a.sound(); err != nil {
			o.t.Errorf("a referral to %q: %v: %q", a.To, err, a.told)
		}
	}
	o.balanced()
}

// sound reports what a peer that asked for a transfer must not see.
func (a *asked) sound() error {
	final := 0
	for i, words := range a.told {
		code, err := strconv.Atoi(words)
		switch {
		case err != nil && i > 0:
			return fmt.Errorf("decided twice")
		case err == nil && (i == 0 || a.told[0] != "accepted"):
			return fmt.Errorf("progress before it was accepted")
		case code >= 200:
			final++
		}
	}
	if final > 1 {
		return fmt.Errorf("two results")
	}
	return nil
}

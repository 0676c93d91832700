package bridge

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLine is a dialog without signalling: the test plays the peer. Its RTP
// session is a real one on loopback.
type fakeLine struct {
	events   chan LineEvent
	media    *rtp.Session
	answered chan struct{}
	mu       sync.Mutex
	over     bool
	keys     []rune
	rings    int
	early    int
	auto     bool // an answer is acknowledged at once
	spec     DialSpec
	referred chan string // targets of Refer
	panics   bool
	holding  chan struct{} // Hold waits for it, as for a slow peer; nil: a quick one
	asked    chan struct{} // closed when Hold begins to wait
}

func newFakeLine(t *testing.T) *fakeLine {
	t.Helper()
	s, err := rtp.Open(context.Background(), rtp.Config{LocalIP: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	return fakeLineOn(t, s)
}

// fakeLineOn makes a line of an RTP session that talks to itself.
func fakeLineOn(t testing.TB, s *rtp.Session) *fakeLine {
	t.Helper()
	err := s.Update(rtp.Params{
		Remote: s.LocalAddr(), Codec: media.PCMU, Accept: []rtp.PayloadCodec{{PayloadType: 0, Codec: media.PCMU}},
		Send: true, Receive: true, EventsAgreed: true, EventPayloadType: 101,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &fakeLine{events: make(chan LineEvent, 64), media: s, answered: make(chan struct{}, 1)}
}

func (l *fakeLine) Early() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.early++
	return nil
}

func (l *fakeLine) Refer(_ context.Context, to string, _ Line) error {
	if l.referred == nil {
		return errors.New("the phone does not transfer")
	}
	l.referred <- to
	return nil
}
func (l *fakeLine) SendDigit(_ context.Context, key rune, _ time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys = append(l.keys, key)
	return nil
}

// keysSent are those that went by INFO.
func (l *fakeLine) keysSent() []rune {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys
}

func (l *fakeLine) Ring() error {
	if l.panics {
		panic("a bug")
	}
	l.rings++
	return nil
}
func (l *fakeLine) Answer() error {
	l.answered <- struct{}{}
	if l.auto {
		l.happens(LineAnswered)
	}
	return nil
}
func (l *fakeLine) Hold(ctx context.Context, _ bool) error {
	if l.holding == nil {
		return nil
	}
	close(l.asked)
	select {
	case <-l.holding:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
func (l *fakeLine) Events() <-chan LineEvent       { return l.events }
func (l *fakeLine) Media() *rtp.Session            { return l.media }
func (l *fakeLine) SIPCallID() string              { return "abc@192.0.2.1" }
func (l *fakeLine) End(cause Cause, reason string) { l.ended(LineEvent{Cause: cause, SIPCode: 200}) }
func (l *fakeLine) happens(k LineEventKind)        { l.tell(LineEvent{Kind: k}) }

// tell is false when the Line has ended, or nobody reads its events.
func (l *fakeLine) tell(e LineEvent) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || len(l.events) > cap(l.events)-2 {
		return false
	}
	l.events <- e
	return true
}

func (l *fakeLine) ended(e LineEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.over = true
	e.Kind = LineEnded
	l.events <- e
	close(l.events)
	l.media.Close()
}

// house is an Exchange whose records are kept.
type house struct {
	*Exchange
	mu    sync.Mutex
	cdrs  []CDR
	lines []*fakeLine
	t     *testing.T
	fail  error
	quiet bool                      // lines have no sockets, for synctest
	auto  bool                      // callers acknowledge an answer at once
	calls func(DialSpec, *fakeLine) // sees every call that is dialled; may be nil
}

func (h *house) line() *fakeLine {
	if h.quiet {
		return newQuietLine(h.t)
	}
	return newFakeLine(h.t)
}

// Dial implements Dialer.
func (h *house) Dial(spec DialSpec) (Line, error) {
	if h.fail != nil {
		return nil, h.fail
	}
	l := h.line()
	l.spec = spec
	h.mu.Lock()
	h.lines = append(h.lines, l)
	h.mu.Unlock()
	if h.calls != nil {
		h.calls(spec, l)
	}
	return l, nil
}

// planOf reads a plan; an empty text is an empty plan.
func planOf(t testing.TB, text string) func() *dialplan.Plan {
	t.Helper()
	p := &dialplan.Plan{}
	if text != "" {
		var err error
		if p, err = dialplan.Parse([]byte(text), func(string) string { return "" }); err != nil {
			t.Fatal(err)
		}
	}
	p = p.Prepare()
	return func() *dialplan.Plan { return p }
}

// openQuiet is open for a synctest bubble: its lines have no sockets.
func openQuiet(t *testing.T, plan string, tweaks ...func(*Exchange)) *house {
	t.Helper()
	h := open(t, plan, append(tweaks, func(x *Exchange) { x.MediaTimeout = -1 })...)
	h.quiet = true
	return h
}

func open(t *testing.T, plan string, tweaks ...func(*Exchange)) *house {
	t.Helper()
	h := &house{t: t}
	h.Exchange = &Exchange{
		Plan: planOf(t, plan), Trusts: TrustedBy(netip.MustParseAddr("127.0.0.1")), Dialer: h,
		Recorded: func(c CDR) { h.mu.Lock(); defer h.mu.Unlock(); h.cdrs = append(h.cdrs, c) },
	}
	for _, tweak := range tweaks {
		tweak(h.Exchange)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

func (h *house) invite(to string) (*fakeLine, *Call) {
	h.t.Helper()
	return h.take(Invite{Source: netip.MustParseAddrPort("127.0.0.1:5099"), From: "+15550100", To: to})
}

// take brings an INVITE that must be admitted.
func (h *house) take(inv Invite) (*fakeLine, *Call) {
	h.t.Helper()
	l := h.line()
	l.auto = h.auto
	if r := h.Admit(inv); r != nil {
		h.t.Fatalf("refused: %s", r.Reason)
	}
	h.Incoming(inv, l)
	c, ok := h.of(l)
	if !ok {
		h.t.Fatal("no call came of it")
	}
	return l, c
}

// cdr waits for the one CDR of a call.
func (h *house) cdr(c *Call) CDR {
	h.t.Helper()
	select {
	case <-c.Done():
	case <-time.After(10 * time.Second):
		h.t.Fatalf("call %s does not end; it is %s", c.id, c.Record().State)
	}
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		h.mu.Lock()
		var found []CDR
		for _, d := range h.cdrs {
			if d.ID == c.id {
				found = append(found, d)
			}
		}
		h.mu.Unlock()
		if len(found) > 1 {
			h.t.Fatalf("%d CDRs for one call", len(found))
		}
		if len(found) == 1 {
			return found[0]
		}
		time.Sleep(time.Millisecond)
	}
	h.t.Fatal("no CDR")
	return CDR{}
}

func (h *house) wait(c *Call, s State) {
	h.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); c.Record().State != s; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("call is %s, want %s", c.Record().State, s)
		}
	}
}

func (h *house) upTo(room string) (*fakeLine, *Call) {
	l, c := h.invite(room)
	<-l.answered
	l.happens(LineAnswered)
	h.wait(c, StateActive)
	return l, c
}

func TestInboundCallEndsWithOneCDR(t *testing.T) {
	h := open(t, "")
	l, c := h.upTo("lobby")
	r, ok := h.Room("lobby")
	if !ok || len(r.Record().Participants) != 1 {
		t.Fatal("the caller is not in the room")
	}
	l.ended(LineEvent{Cause: CauseNormal})
	c.Hangup(CauseNone, "") // at the same moment
	d := h.cdr(c)
	if d.Cause != CauseNormal || d.AnsweredAt == nil || d.Room != "lobby" || d.State != StateEnded {
		t.Errorf("CDR %+v", d)
	}
	if _, ok := h.Room("lobby"); ok {
		t.Error("the room is still open")
	}
}

func TestHangUpAtTheMomentOfTheAnswer(t *testing.T) {
	for range 50 { // select chooses by chance
		h := open(t, "")
		l, c := h.invite("lobby")
		<-l.answered
		l.happens(LineAnswered)
		l.ended(LineEvent{Cause: CauseNormal})
		c.Hangup(CauseShutdown, "")
		if d := h.cdr(c); d.Cause != CauseNormal || d.AnsweredAt == nil {
			t.Fatalf("CDR %+v", d)
		}
	}
}

func TestInboundCallCanceledWhileRinging(t *testing.T) {
	h := open(t, "routes:\n  - {name: ready, to: lobby, room: lobby, answer: ready}\n")
	l, c := h.invite("lobby")
	l.ended(LineEvent{Cause: CauseCanceled, SIPCode: 487})
	if d := h.cdr(c); d.Cause != CauseCanceled || d.SIPCode != 487 || d.AnsweredAt != nil || d.DurationMS != 0 {
		t.Errorf("CDR %+v", d)
	}
}

func TestAnswerReadyRingsUntilSomebodyListens(t *testing.T) {
	h := open(t, "routes:\n  - {name: ready, to: lobby, room: lobby, answer: ready}\n")
	l, c := h.invite("lobby")
	select {
	case <-l.answered:
		t.Fatal("answered with nobody in the room")
	case <-time.After(100 * time.Millisecond):
	}
	r, _ := h.OpenRoom("lobby")
	p := join(t, r, "dispatcher", KindBrowser)
	defer p.Leave()
	select {
	case <-l.answered:
	case <-time.After(5 * time.Second):
		t.Fatal("not answered though somebody listens")
	}
	l.happens(LineAnswered)
	h.wait(c, StateActive)
	c.Hangup(CauseNone, "")
	h.cdr(c)
}

func TestPeerDefect09AnswerReadyGoesElsewhere(t *testing.T) {
	h := open(t, "routes:\n  - {name: ready, to: lobby, room: lobby, answer: ready, else: {room: front-desk}}\n",
		func(x *Exchange) { x.ReadyTimeout = 50 * time.Millisecond })
	l, c := h.upTo("lobby")
	if rec := c.Record(); rec.Room != "front-desk" {
		t.Errorf("room %s, want front-desk", rec.Room)
	}
	l.ended(LineEvent{Cause: CauseNormal})
	h.cdr(c)
}

func TestPeerDefect03SameNumberTwiceIsTwoParticipants(t *testing.T) {
	h := open(t, "")
	l1, c1 := h.upTo("lobby")
	l2, c2 := h.upTo("lobby")
	r, _ := h.Room("lobby")
	people := r.Record().Participants
	if len(people) != 2 || people[0].Person == people[1].Person || people[0].Identity != people[1].Identity {
		t.Errorf("participants %+v", people)
	}
	if len(people[0].Hears) != 1 || people[0].Hears[0] != people[1].ID {
		t.Errorf("the first hears %v", people[0].Hears)
	}
	l1.ended(LineEvent{Cause: CauseNormal})
	l2.ended(LineEvent{Cause: CauseNormal})
	h.cdr(c1)
	h.cdr(c2)
}

func TestPeerDefect04EmptyFromUser(t *testing.T) {
	h := open(t, "routes:\n  - {name: vip, from: \"+1555*\", room: vip}\n")
	l := newFakeLine(t)
	inv := Invite{Source: netip.MustParseAddrPort("127.0.0.1:5099"), To: "lobby"}
	if r := h.Admit(inv); r != nil {
		t.Fatal(r.Reason)
	}
	h.Incoming(inv, l)
	<-l.answered
	c, _ := h.Call(h.Calls()[0].ID)
	l.ended(LineEvent{Cause: CauseNormal})
	if d := h.cdr(c); d.From != "" || d.Room != "lobby" {
		t.Errorf("CDR %+v", d)
	}
}

func TestPanicCostsOneCall(t *testing.T) {
	h := open(t, "")
	l, c := h.upTo("lobby")
	bad := newFakeLine(t)
	bad.panics = true
	h.Incoming(Invite{Source: netip.MustParseAddrPort("127.0.0.1:5099"), To: "lobby"}, bad)
	deadline := time.Now().Add(5 * time.Second)
	for h.mu.Lock(); len(h.cdrs) == 0 && time.Now().Before(deadline); h.mu.Lock() {
		h.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	if len(h.cdrs) != 1 || h.cdrs[0].Cause != CauseInternal {
		t.Errorf("CDRs %+v", h.cdrs)
	}
	h.mu.Unlock()
	if c.Record().State != StateActive {
		t.Error("the other call was hurt")
	}
	l.ended(LineEvent{Cause: CauseNormal})
	h.cdr(c)
}

func TestRTPSilenceEndsTheCall(t *testing.T) {
	h := open(t, "", func(x *Exchange) { x.MediaTimeout = 1500 * time.Millisecond })
	l, c := h.invite("lobby")
	<-l.answered
	l.media.Update(rtp.Params{ // the peer is another address, which says nothing
		Remote: netip.MustParseAddrPort("127.0.0.1:9"), Codec: media.PCMU, Accept: []rtp.PayloadCodec{{Codec: media.PCMU}}, Receive: true,
	})
	l.happens(LineAnswered)
	if d := h.cdr(c); d.Cause != CauseMediaTimeout {
		t.Errorf("cause %s, want media_timeout", d.Cause)
	}
}

const outPlan = `
trunks:
  - {name: carrier, outbound: {servers: [127.0.0.1:5070]}, limits: {calls: 2, prefixes: ["+1"]}}
routes:
  - {name: out, from_room: true, to: "+1*", trunk: carrier}
`

func TestOutboundCausesReachTheCDR(t *testing.T) {
	for _, c := range []struct {
		cause Cause
		code  int
	}{{CauseBusy, 486}, {CauseNoAnswer, 408}, {CauseRejected, 603}, {CauseUnknownNumber, 404}, {CauseUnreachable, 0}} {
		h := open(t, outPlan)
		call, err := h.dial(DialRequest{To: "+12025550123", Room: "lobby"})
		if err != nil {
			t.Fatal(err)
		}
		h.wait(call, StateDialing)
		h.lines[0].happens(LineRinging)
		h.wait(call, StateRinging)
		h.lines[0].ended(LineEvent{Cause: c.cause, SIPCode: c.code})
		if d := h.cdr(call); d.Cause != c.cause || d.SIPCode != c.code || d.Trunk != "carrier" || d.Route != "out" {
			t.Errorf("%s: CDR %+v", c.cause, d)
		}
	}
}

func TestOutboundJoinsItsRoomAndHangsUp(t *testing.T) {
	h := open(t, outPlan)
	l, caller := h.upTo("lobby")
	call, err := h.dial(DialRequest{To: "+12025550123", Room: "lobby"})
	if err != nil {
		t.Fatal(err)
	}
	h.wait(call, StateDialing)
	if p := call.Record().ParentID; p != caller.id {
		t.Errorf("parent %q, want %q", p, caller.id)
	}
	h.lines[0].happens(LineAnswered)
	h.wait(call, StateActive)
	r, _ := h.Room("lobby")
	if n := len(r.Record().Participants); n != 2 {
		t.Errorf("%d participants", n)
	}
	call.Hangup(CauseNone, "")
	if d := h.cdr(call); d.Cause != CauseNormal {
		t.Errorf("cause %s", d.Cause)
	}
	l.ended(LineEvent{Cause: CauseNormal})
	h.cdr(caller)
}

func TestDialDeniesByDefaultAndByLimit(t *testing.T) {
	h := open(t, outPlan)
	for to, code := range map[string]string{"+442079460000": Forbidden, "hello": Invalid, "": Invalid} {
		_, err := h.Exchange.Dial(context.Background(), DialRequest{To: to})
		var e *Error
		if !errors.As(err, &e) || e.Code != code && e.Code != Forbidden || e.Message == "" {
			t.Errorf("dial %q: %v, want %s", to, err, code)
		}
	}
	if len(h.Calls()) != 0 {
		t.Error("something was dialled")
	}
	var calls []*Call
	for range 2 {
		c, err := h.dial(DialRequest{To: "+12025550123"})
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, c)
	}
	var e *Error
	if _, err := h.dial(DialRequest{To: "+12025550123"}); !errors.As(err, &e) || e.Code != LimitReached {
		t.Errorf("the third call: %v", err)
	}
	for _, c := range calls {
		c.Hangup(CauseNone, "")
		if d := h.cdr(c); d.Cause != CauseCanceled {
			t.Errorf("cause %s, want canceled", d.Cause)
		}
	}
}

func TestPeerDefect05DrainingRefusesNewCallsAndEnds(t *testing.T) {
	h := open(t, "")
	l, c := h.upTo("lobby")
	drained := make(chan struct{})
	go func() { h.Drain(context.Background()); close(drained) }()
	for !h.Draining() {
		time.Sleep(time.Millisecond)
	}
	r := h.Admit(Invite{Source: netip.MustParseAddrPort("127.0.0.1:5099"), To: "lobby"})
	if r == nil || r.Cause != CauseShutdown {
		t.Errorf("a new call while draining: %+v", r)
	}
	select {
	case <-drained:
		t.Error("drained with a call up")
	default:
	}
	l.ended(LineEvent{Cause: CauseNormal})
	h.cdr(c)
	<-drained
}

func TestACallThatAsksForHoldCanBeHungUp(t *testing.T) {
	h := open(t, "")
	l, c := h.upTo("lobby")
	l.holding, l.asked = make(chan struct{}), make(chan struct{})
	held := make(chan error, 1)
	go func() { held <- c.Hold(context.Background(), true) }()
	<-l.asked
	c.Hangup(CauseNone, "")
	h.cdr(c) // though the phone has not answered the re-INVITE
	close(l.holding)
	if err := <-held; err == nil {
		t.Error("an ended call was held")
	}
}

func TestHoldMakesDeafAndDumb(t *testing.T) {
	h := open(t, "")
	l, c := h.upTo("lobby")
	other, d := h.upTo("lobby")
	hears := func() int { return len(d.seat.Record().Hears) }
	for _, on := range []bool{true, false} {
		if err := c.Hold(context.Background(), on); err != nil {
			t.Fatal(err)
		}
		want := map[bool]State{true: StateHeld, false: StateActive}[on]
		if s := c.Record().State; s != want || (hears() == 0) != on {
			t.Errorf("hold %v: state %s, the other hears %d", on, s, hears())
		}
	}
	l.ended(LineEvent{Cause: CauseNormal})
	other.ended(LineEvent{Cause: CauseNormal})
	h.cdr(c)
	h.cdr(d)
}

func TestStrangersAreRefusedInWords(t *testing.T) {
	h := open(t, "")
	r := h.Admit(Invite{Source: netip.MustParseAddrPort("203.0.113.9:5060"), To: "lobby"})
	if r == nil || r.Cause != CauseForbidden && r.Cause != CauseNoRoute || r.Reason == "" {
		t.Errorf("refusal %+v", r)
	}
}

func TestTransferMovesThePhoneAndComesBack(t *testing.T) {
	h := open(t, outPlan)
	l, c := h.upTo("lobby")
	ctx := context.Background()
	if err := c.Transfer(ctx, TransferRequest{Room: "other"}); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.Room("lobby"); ok || c.Record().Room != "other" {
		t.Errorf("the phone is in %s", c.Record().Room)
	}
	if err := c.Transfer(ctx, TransferRequest{To: "+12025550123"}); err != nil {
		t.Fatal(err)
	}
	for len(h.Calls()) < 2 {
		time.Sleep(time.Millisecond)
	}
	var other *Call
	for _, rec := range h.Calls() {
		if rec.ID != c.id {
			other, _ = h.Call(rec.ID)
		}
	}
	h.wait(other, StateDialing)
	h.lines[0].ended(LineEvent{Cause: CauseBusy, SIPCode: 486})
	for deadline := time.Now().Add(5 * time.Second); c.Record().Room != "other" && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if room := c.Record().Room; room != "other" {
		t.Errorf("after a busy transfer the phone is in %s, want other", room)
	}
	l.ended(LineEvent{Cause: CauseNormal})
	h.cdr(c)
}

func TestDigitsBecomeEvents(t *testing.T) {
	h := open(t, "")
	sub := h.Subscribe("")
	defer sub.Close()
	l, c := h.upTo("lobby")
	c.pressed(rtp.Digit{Key: '5', Duration: 100 * time.Millisecond}, byEvent)
	for e := range sub.Events {
		if e.Type == "dtmf.received" {
			if e.CallID != c.id || e.Room != "lobby" || e.Data["digit"] != "5" {
				t.Errorf("event %+v", e)
			}
			break
		}
	}
	l.ended(LineEvent{Cause: CauseNormal})
	h.cdr(c)
}

func TestPanicAtTheEndLeavesNothingBehind(t *testing.T) {
	h := open(t, "", func(x *Exchange) { x.Recorded = func(CDR) { panic("a bug") } })
	l, c := h.upTo("lobby")
	l.ended(LineEvent{Cause: CauseNormal})
	<-c.Done()
	h.balanced()
}

package sip

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/sip/grammar"
)

var (
	oneSeed = flag.Uint64("seed", 0, "run this order of events alone")
	orders  = flag.Int("orders", 5000, "how many orders of events")
)

// TestAnyOrderOfEventsLeavesNothingBehind lets calls in both directions meet
// random messages, losses, timers and wishes of the bridge, in fake time. One
// order is repeated by -seed.
func TestAnyOrderOfEventsLeavesNothingBehind(t *testing.T) {
	n := *orders
	if testing.Short() || raceOn {
		n = min(n, 100)
	}
	seen := map[string]int{}
	for i := range n {
		seed := uint64(i + 1)
		if *oneSeed != 0 {
			seed = *oneSeed
		}
		runOrder(t, seed, seen)
		if t.Failed() || *oneSeed != 0 {
			break
		}
	}
	for _, k := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%7d %s", seen[k], k)
	}
}

func runOrder(t *testing.T, seed uint64, seen map[string]int) {
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("seed %d: %v", seed, p)
		}
	}()
	ports, err := rtp.NewPorts(20000, 20099)
	if err != nil {
		t.Fatal(err)
	}
	change := func(c *Config) { c.Ports, c.MinSE, c.SessionExpires = ports, 4*time.Second, 20*time.Second }
	bubble(t, change, func(t *testing.T, n *memNet, a *agent) {
		o := &order{t: t, a: a, rng: rand.New(rand.NewPCG(seed, 1)), seen: seen}
		o.polite = o.rng.IntN(3) > 0
		o.w = n.wire(t, a.Addr())
		n.road = newLossy(seed, a).copies
		o.run()
		o.check(ports)
		if t.Failed() {
			t.Logf("seed %d, %s:\n%s", seed, o.direction(), strings.Join(o.story, "\n"))
		}
	})
}

// order is one call and its peer, who does what comes to the dice.
type order struct {
	t    *testing.T
	a    *agent
	w    *wire
	rng  *rand.Rand
	line bridge.Line
	seen map[string]int

	base    draft  // the peer's half of the dialog
	invite  draft  // its last INVITE
	sent    string // its last request
	sentAt  time.Time
	polite  bool           // it often does the right thing
	replied map[string]int // final responses by branch
	wishes  sync.WaitGroup

	mu     sync.Mutex
	begin  time.Time
	story  []string
	got    []message
	events []bridge.LineEvent
	closed bool
}

func (o *order) direction() string {
	if o.replied == nil {
		return "inbound"
	}
	return "outbound"
}

func (o *order) note(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.story = append(o.story, fmt.Sprintf("%8.3f ", time.Since(o.begin).Seconds())+fmt.Sprintf(format, args...))
}

func (o *order) run() {
	o.begin = time.Now()
	var reader sync.WaitGroup
	reader.Go(o.read)
	if o.rng.IntN(2) == 0 {
		o.callIn()
	} else {
		o.callOut()
	}
	if o.line != nil {
		reader.Go(o.listen)
		steps := 3 + o.rng.IntN(25)
		for range steps {
			o.step()
			o.pause()
		}
		o.note("the bridge ends the call")
		o.line.End(bridge.CauseNormal, "")
	}
	if o.rng.IntN(3) > 0 {
		o.answerAll()
	}
	o.wishes.Wait()
	time.Sleep(time.Second)
	for len(o.a.calls) > 0 { // an INVITE without our tag was another call
		c := <-o.a.calls
		c.End(bridge.CauseNormal, "")
	}
	time.Sleep(5 * time.Minute)
	o.w.conn.Close()
	reader.Wait()
}

// read keeps what the agent sends.
func (o *order) read() {
	buf := make([]byte, 65536)
	for {
		n, from, err := o.w.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		m := parseMessage(append([]byte(nil), buf[:n]...))
		m.from = from
		o.note("← %s  cseq %s", m.start, m.value("cseq"))
		o.mu.Lock()
		o.got = append(o.got, m)
		o.mu.Unlock()
	}
}

// listen keeps the Line's events.
func (o *order) listen() {
	for e := range o.line.Events() {
		o.note("event %d %s %s", e.Kind, e.Cause, e.Reason)
		o.mu.Lock()
		o.events = append(o.events, e)
		o.mu.Unlock()
		if e.Referral != nil {
			o.follow(e.Referral)
		}
	}
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
}

func (o *order) follow(r *bridge.Referral) {
	if r.By == "" {
		r.Refuse(bridge.CauseForbidden, "no")
		return
	}
	r.Accept()
	r.Progress(180, "Ringing")
	r.Progress(200, "OK")
}

func (o *order) callIn() {
	d := o.w.invite()
	d.extra = o.oneOf("", "Supported: 100rel\r\n", "Require: 100rel\r\n", "Supported: 100rel, timer\r\nSession-Expires: 10;refresher=uac\r\n",
		"k: timer\r\nx: 12\r\n", "Supported: timer\r\nSession-Expires: 2\r\n") + o.oneOf("", "Allow: INVITE, ACK, BYE, UPDATE\r\n")
	if o.rng.IntN(4) == 0 {
		d.body = ""
	}
	o.base, o.invite = d, d
	o.send(o.w.text(d))
	time.Sleep(2 * time.Second)
	select {
	case c := <-o.a.calls:
		o.line = c.Line
	default: // refused, or lost
	}
}

func (o *order) callOut() {
	o.replied = map[string]int{}
	o.line = o.a.dial(bridge.DialSpec{To: "sip:x@" + o.w.addr(), From: "alice", RingTimeout: time.Minute})
	synctest.Wait()
	time.Sleep(time.Duration(o.rng.IntN(500)) * time.Millisecond)
	if m, ok := o.last(func(m message) bool { return m.Method == "INVITE" }); ok {
		o.base = draft{uri: "sip:x@" + o.w.to.String(), callID: m.value("call-id"), fromTag: "p0", toTag: grammar.TagOf(m.value("from")), cseq: 1}
	}
}

// last finds the newest message from the agent that fits.
func (o *order) last(fits func(message) bool) (message, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range slices.Backward(o.got) {
		if fits(m) {
			return m, true
		}
	}
	return message{}, false
}

func (o *order) oneOf(list ...string) string { return list[o.rng.IntN(len(list))] }

func (o *order) pause() {
	d := []time.Duration{0, 0, 0, time.Millisecond, 60 * time.Millisecond, 150 * time.Millisecond, time.Second, 4 * time.Second, 9 * time.Second}[o.rng.IntN(9)]
	if d > 0 {
		time.Sleep(d)
	} else if o.rng.IntN(3) > 0 {
		synctest.Wait()
	}
}

// send writes a message of the peer's.
func (o *order) send(text string) {
	o.note("→ %s", text[:strings.Index(text, "\r\n")])
	o.sent, o.sentAt = text, time.Now()
	o.w.send(text)
}

func (o *order) step() {
	if o.polite && o.rng.IntN(2) == 0 && o.proper() {
		return
	}
	if o.rng.IntN(3) == 0 {
		o.wish()
		return
	}
	if o.rng.IntN(2) == 0 && o.reply() {
		return
	}
	o.request()
}

// wish is what the bridge may ask at any time.
func (o *order) wish() {
	l := o.line
	word := o.oneOf("ring", "early", "answer", "answer", "hold", "resume", "digit", "refer", "end")
	o.seen["wish "+word]++
	o.note("wish: %s", word)
	wait := func(f func(ctx context.Context) error) {
		o.wishes.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			f(ctx)
		})
	}
	switch word {
	case "ring":
		l.Ring()
	case "early":
		l.Early()
	case "answer":
		l.Answer()
	case "hold":
		wait(func(ctx context.Context) error { return l.Hold(ctx, true) })
	case "resume":
		wait(func(ctx context.Context) error { return l.Hold(ctx, false) })
	case "digit":
		wait(func(ctx context.Context) error { return l.SendDigit(ctx, '5', 100*time.Millisecond) })
	case "refer":
		wait(func(ctx context.Context) error { return l.Refer(ctx, "+15551234", nil) })
	case "end":
		if o.rng.IntN(4) == 0 {
			l.End(bridge.CauseBusy, "")
		}
	}
}

// check is what must hold after any order.
func (o *order) check(ports *rtp.Ports) {
	o.t.Helper()
	if n := ports.InUse(); n != 0 {
		o.t.Errorf("%d RTP ports are in use after the call", n)
	}
	o.a.mu.Lock()
	if n := len(o.a.lines); n != 0 {
		o.t.Errorf("%d lines are left", n)
	}
	o.a.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.line != nil {
		o.checkEvents()
	}
	o.checkMessages()
}

func (o *order) checkEvents() {
	if !o.closed {
		o.t.Error("the events are not closed")
	}
	count := map[bridge.LineEventKind]int{}
	for i, e := range o.events {
		count[e.Kind]++
		o.seen["event "+strconv.Itoa(int(e.Kind))+" "+string(e.Cause)]++
		if e.Kind == bridge.LineEnded && i != len(o.events)-1 {
			o.t.Error("an event came after LineEnded")
		}
	}
	if count[bridge.LineEnded] != 1 {
		o.t.Errorf("LineEnded came %d times", count[bridge.LineEnded])
	}
	for _, once := range []bridge.LineEventKind{bridge.LineRinging, bridge.LineEarly, bridge.LineAnswered} {
		if count[once] > 1 {
			o.t.Errorf("event %d came %d times", once, count[once])
		}
	}
}

// checkMessages: one final response to an INVITE, one tag, rising numbers.
func (o *order) checkMessages() {
	finals, tags, seqs := map[string]int{}, map[string]string{}, map[string]int{}
	for _, m := range o.got {
		o.seen["sent "+strings.SplitN(strings.TrimPrefix(m.start, "SIP/2.0 "), " ", 2)[0]+" "+strings.TrimLeft(m.value("cseq"), "0123456789 ")]++
		key := m.value("via") + m.value("cseq")
		if m.Response && m.code > 100 && strings.HasSuffix(m.value("cseq"), " INVITE") {
			if tag := grammar.TagOf(m.value("to")); tags[key] != "" && tags[key] != tag {
				o.t.Errorf("two tags in responses to one INVITE: %s", m.start)
			} else {
				tags[key] = tag
			}
		}
		if m.Response && m.code >= 200 && strings.HasSuffix(m.value("cseq"), " INVITE") {
			if old := finals[key]; old != 0 && old != m.code {
				o.t.Errorf("two final responses to one request: %d and %d, %s", old, m.code, m.value("cseq"))
			}
			finals[key] = m.code
		}
		if !m.Response && m.Method != "ACK" && m.Method != "CANCEL" {
			n, _ := strconv.Atoi(grammar.SeqOf(m.value("cseq")))
			if old, ok := seqs[m.value("via")]; ok && old != n {
				o.t.Errorf("one branch, two numbers: %s", m.start)
			}
			seqs[m.value("via")] = n
		}
	}
}

package agent

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// leg is an agent's side of a call: a connection with its worker and a seat in a
// room. It implements bridge.AgentLeg. Its goroutines:
//
//	run    dials, then reads; the others end before it
//	write  sends what waits in the inbox, and the goodbye
//	keep   pings, and takes the seat away when the leg ends
type leg struct {
	house  *House
	id     string
	agent  dialplan.Agent
	spec   bridge.AgentSpec
	url    string // of the worker
	worker string // the same without secrets
	log    *slog.Logger
	asked  time.Time    // when it was leased
	dialed atomic.Int64 // nanoseconds that the WebSocket handshake took
	spoken atomic.Int64 // bytes of sound that came of a probe
	cancel context.CancelFunc

	events   chan bridge.AgentEvent
	seat     atomic.Pointer[bridge.Participant]
	told     atomic.Bool // of the call: the protocol said that it is ready
	inbox    inbox
	intake   intake
	patience *patience

	ending sync.Mutex
	why    *fault // nil: it goes on
	ended  bool   // events is closed

	mu       sync.Mutex // guards what follows; protocols run with it held
	protocol protocol
	out      outbox
	frame    frame
	voice    *bridge.Speaker
	withheld bool
	left     bool
}

// openLeg sends an agent into a room by the worker with this URL. It returns at
// once. AgentEnded comes when all is over. A spec without a Room is a probe: the
// leg takes no seat, sends silence, and drops what it hears.
func (h *House) openLeg(worker string, a dialplan.Agent, spec bridge.AgentSpec) *leg {
	ctx, cancel := context.WithCancel(context.Background())
	l := &leg{
		house: h, id: bridge.NewID("agent"), agent: a, spec: spec, url: worker, worker: workerName(worker),
		asked: time.Now(), cancel: cancel,
		events: make(chan bridge.AgentEvent, 64), inbox: inbox{wake: make(chan struct{}, 1)}, withheld: spec.Withheld,
	}
	h.init()
	l.log = h.Log.With("call", spec.CallID, "agent", a.Name, "worker", l.worker)
	l.patience = newPatience(a.Patience, func() { l.tell(bridge.AgentEvent{Kind: bridge.AgentSilent}) })
	h.running.Go(func() { l.run(ctx) })
	return l
}

// workerName is a URL without what may be secret in it.
func workerName(worker string) string {
	u, err := url.Parse(worker)
	if err != nil {
		return "?"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// Events implements bridge.AgentLeg.
func (l *leg) Events() <-chan bridge.AgentEvent { return l.events }

// Participant implements bridge.AgentLeg.
func (l *leg) Participant() *bridge.Participant { return l.seat.Load() }

// Worker implements bridge.AgentLeg.
func (l *leg) Worker() string { return l.worker }

// End implements bridge.AgentLeg.
func (l *leg) End(reason string) { l.finish(&fault{bridge.FaultNone, reason}) }

// Inform implements bridge.Informed.
func (l *leg) Inform(words string) { l.inbox.putNews(words) }

// Admit implements bridge.AgentLeg.
func (l *leg) Admit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.withheld {
		return
	}
	l.withheld = false
	if p := l.seat.Load(); p != nil {
		p.Withhold(false)
		l.voice.Hold(false)
	}
}

// finish ends the leg; the first reason counts. It does not block.
func (l *leg) finish(why *fault) {
	l.ending.Lock()
	if l.why == nil {
		l.why = why
	}
	l.ending.Unlock()
	l.cancel()
}

// fault is why the leg ends, or ended.
func (l *leg) fault() *fault {
	l.ending.Lock()
	defer l.ending.Unlock()
	if l.why == nil {
		return &fault{bridge.FaultInternal, "it ended for no known reason"}
	}
	return l.why
}

// tell delivers an event; there is always room for the last one.
func (l *leg) tell(e bridge.AgentEvent) {
	l.ending.Lock()
	defer l.ending.Unlock()
	if l.ended || e.Kind != bridge.AgentEnded && len(l.events) > cap(l.events)-2 {
		return
	}
	l.events <- e
	if e.Kind == bridge.AgentEnded {
		l.ended = true
		close(l.events)
	}
}

// run is the life of the leg.
func (l *leg) run(ctx context.Context) {
	defer l.over()
	defer l.guard()
	defer l.cancel()
	var err error
	if l.protocol, err = newProtocol(l); err != nil {
		l.finish(faultOf(err))
		return
	}
	conn, err := l.dial(ctx)
	if err != nil {
		l.finish(faultOf(err))
		return
	}
	var others sync.WaitGroup
	written := make(chan struct{})
	others.Go(func() {
		defer close(written)
		l.write(conn, ctx.Done())
	})
	others.Go(func() { l.keep(ctx, conn, written) })
	if l.probes() {
		others.Go(func() { l.beSilent(ctx) })
	}
	defer others.Wait()
	defer l.cancel()
	if err := l.begin(); err != nil {
		l.finish(faultOf(err))
	}
	l.read(conn)
}

func (l *leg) begin() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.protocol.begin()
}

// ready gives the agent its seat. Protocols call it once they have told the agent
// of the call; the mutex is held.
func (l *leg) ready() error {
	if l.told.Swap(true) {
		return nil
	}
	if l.probes() {
		l.tell(bridge.AgentEvent{Kind: bridge.AgentReady})
		return nil
	}
	room, err := l.house.Exchange.OpenRoom(l.spec.Room)
	if err != nil {
		return faulty(bridge.FaultInternal, "it cannot come into its room: %s", err)
	}
	p, err := room.Join(bridge.JoinSpec{
		Identity: l.agent.Name, Name: l.agent.Name, Kind: bridge.KindAgent, Role: bridge.RoleAgent,
		Person: l.id, HeardBy: l.spec.HeardBy, Keys: l.keyPressed,
	})
	if err != nil {
		return faulty(bridge.FaultInternal, "it cannot come into its room: %s", err)
	}
	p.Withhold(l.withheld)
	if l.voice, err = p.Speak(bridge.SpeakerSpec{
		ID: "voice", Codec: media.PCMU, Marked: l.markPlayed, Began: l.began, Rested: l.patience.rested,
	}); err != nil {
		p.Leave()
		return faulty(bridge.FaultInternal, "it cannot speak: %s", err)
	}
	l.voice.Hold(l.withheld)
	p.Listen(&bridge.Frames{Take: l.heard}, media.PCMU, media.FrameDuration)
	l.patience.watch(room, p.ID())
	l.seat.Store(p)
	l.joined()
	l.tell(bridge.AgentEvent{Kind: bridge.AgentReady})
	return nil
}

// probes reports whether it is a call without a caller, which needs no seat.
func (l *leg) probes() bool { return l.spec.Room == "" }

// silence is µ-law's zero.
const silence = 0xff

// beSilent is what the agent hears of a probe.
func (l *leg) beSilent(ctx context.Context) {
	beat := time.NewTicker(media.FrameDuration)
	defer beat.Stop()
	nothing := bytes.Repeat([]byte{silence}, media.FrameSamples)
	for n := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		if l.told.Load() {
			l.heard(nothing, n)
			n++
		}
	}
}

// heard takes 20 ms from the room, on the goroutine of packets or the beat.
func (l *leg) heard(sound []byte, n int64) {
	if !l.inbox.take(sound, n) {
		l.finish(faulty(bridge.FaultSlow, "the agent has not taken the sound of the last %s", mostFrames*media.FrameDuration))
	}
}

// keyPressed takes a key of somebody else in the room.
func (l *leg) keyPressed(_ *bridge.Participant, k rtp.Digit) {
	l.patience.turn()
	if !l.inbox.putKey(k) {
		l.finish(faulty(bridge.FaultSlow, "the agent takes no keys"))
	}
}

// markPlayed is told by the Speaker.
func (l *leg) markPlayed(name string) {
	if !l.inbox.putMark(name) {
		l.finish(faulty(bridge.FaultSlow, "the agent takes no marks"))
	}
}

// began is told by the Speaker when a turn of the agent begins to be heard.
func (l *leg) began() {
	l.patience.began()
	l.tell(bridge.AgentEvent{Kind: bridge.AgentSpoke})
}

// leave gives the seat up.
func (l *leg) leave() {
	l.patience.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = true
	if p := l.seat.Load(); p != nil {
		p.Leave()
	}
}

// over is the one exit.
func (l *leg) over() {
	l.leave()
	why := l.fault()
	l.departed(why)
	l.tell(bridge.AgentEvent{Kind: bridge.AgentEnded, Fault: why.kind, Reason: why.reason})
}

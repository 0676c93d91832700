package bridge

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/transcode"
)

const attendPlan = `
trunks:
  - {name: carrier, addresses: [203.0.113.0/24], headers: {in: {X-Case: case, X-Tone: tone}}, outbound: {servers: [sip.carrier.example]}, limits: {prefixes: ["+1"]}}
agents:
  - {name: bot, url: "wss://agent.example/media", parameters: {tone: soft}, fallback: {number: "+12025550199", trunks: [carrier]}}
  - {name: plain, url: "wss://agent.example/plain", patience: "off"}
routes:
  - {name: bot, to: bot, agent: bot, else: {room: desk}}
  - {name: plain, to: plain, agent: plain}
  - {name: ready, to: ready, agent: plain, answer: ready, else: {room: desk}}
  - {name: early, to: early, agent: plain, answer: early, else: {room: desk}}
  - {name: ladder, to: ladder, agent: plain, else: {agent: bot}}
  - {name: sos, to: "911", agent: plain, priority: emergency, else: {room: sos}}
  - {name: out, from_room: true, to: "+1*", trunks: [carrier]}
`

// fakeAgents leases agents without programs: the test plays them.
type fakeAgents struct {
	x    *Exchange
	mu   sync.Mutex
	legs []*fakeAgent
	full error // of Send
}

func (a *fakeAgents) Send(spec AgentSpec) (AgentLeg, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.full != nil {
		return nil, a.full
	}
	l := &fakeAgent{x: a.x, spec: spec, events: make(chan AgentEvent, 64), admitted: !spec.Withheld}
	a.legs = append(a.legs, l)
	return l, nil
}

func (a *fakeAgents) refuse(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.full = err
}

func (a *fakeAgents) sent() []*fakeAgent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.legs)
}

// fakeAgent is an agent that speaks 700 Hz when the test says so.
type fakeAgent struct {
	x    *Exchange
	spec AgentSpec

	mu       sync.Mutex
	events   chan AgentEvent
	seat     *Participant
	voice    *Speaker
	admitted bool
	over     bool
	ended    string // the reason that End was given
	keys     []rune // that it was told; the call's goroutine tells them
}

func (l *fakeAgent) Events() <-chan AgentEvent { return l.events }
func (l *fakeAgent) Worker() string            { return "worker" }

func (l *fakeAgent) Participant() *Participant {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seat
}

func (l *fakeAgent) Admit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.admitted = true
}

func (l *fakeAgent) End(reason string) {
	l.mu.Lock()
	if l.ended == "" {
		l.ended = reason
	}
	l.mu.Unlock()
	l.fails(FaultNone, "")
}

// fails ends the leg.
func (l *fakeAgent) fails(fault Fault, reason string) {
	l.mu.Lock()
	over, seat := l.over, l.seat
	l.over = true
	l.mu.Unlock()
	if over {
		return
	}
	if seat != nil {
		seat.Leave()
	}
	l.events <- AgentEvent{Kind: AgentEnded, Fault: fault, Reason: reason}
	close(l.events)
}

// comes takes its seat.
func (l *fakeAgent) comes() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.seat != nil {
		return
	}
	r, err := l.x.OpenRoom(l.spec.Room)
	if err != nil {
		panic(err)
	}
	l.seat, err = r.Join(JoinSpec{Identity: l.spec.Agent, Name: l.spec.Agent, Kind: KindAgent, Role: RoleAgent, Person: NewID("agent"), Keys: func(_ *Participant, k rtp.Digit) {
		l.keys = append(l.keys, k.Key)
	}})
	if err != nil {
		panic(err)
	}
	if l.voice, err = l.seat.Speak(SpeakerSpec{ID: "voice", Codec: media.PCMU}); err != nil {
		panic(err)
	}
	l.events <- AgentEvent{Kind: AgentReady}
}

// speaks is heard for some time.
func (l *fakeAgent) speaks(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.seat == nil || !l.admitted {
		return
	}
	if err := l.voice.Write(sineULaw(700, d)); err != nil {
		panic(err)
	}
	l.events <- AgentEvent{Kind: AgentSpoke}
}

// tells an event.
func (l *fakeAgent) tells(kind AgentEventKind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.events <- AgentEvent{Kind: kind}
	}
}

func (l *fakeAgent) isOver() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over
}

// sineULaw is a tone in µ-law.
func sineULaw(freqHz float64, d time.Duration) []byte {
	pcm := sineOf(freqHz, -20, int(d*media.NarrowbandHz/time.Second))
	enc, err := transcode.NewEncoder(media.PCMU, 8000, transcode.OpusSettings{})
	if err != nil {
		panic(err)
	}
	defer enc.Close()
	var out []byte
	for len(pcm) >= media.FrameSamples {
		frame := make([]byte, media.FrameSamples)
		n, err := enc.Encode(pcm[:media.FrameSamples], frame)
		if err != nil {
			panic(err)
		}
		out, pcm = append(out, frame[:n]...), pcm[media.FrameSamples:]
	}
	return out
}

// openAttended is a house with agents.
func openAttended(t *testing.T) (*house, *fakeAgents) {
	agents := &fakeAgents{}
	h := openQuiet(t, attendPlan, func(x *Exchange) { agents.x, x.Agents = x, agents })
	h.auto = true
	return h, agents
}

// latest is the agent that was sent last, of so many.
func (a *fakeAgents) latest(t *testing.T, want int) *fakeAgent {
	t.Helper()
	synctest.Wait()
	legs := a.sent()
	if len(legs) != want {
		t.Fatalf("%d agents were sent, want %d", len(legs), want)
	}
	return legs[want-1]
}

// heardOf says what of a sound is filler and what an agent, by their tones.
func heardOf(sound []int16) (filler, agent bool) {
	return media.ToneLevel(sound, 8000, 523.25) > -50 || media.ToneLevel(sound, 8000, 659.25) > -50,
		media.ToneLevel(sound, 8000, 700) > -26
}

func TestKeysWaitForTheAgentThatIsToGetThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		l, c := h.calling("bot")
		a := agents.latest(t, 1)
		l.tell(LineEvent{Kind: LineDigit, Digit: rtp.Digit{Key: '1'}})
		l.tell(LineEvent{Kind: LineDigit, Digit: rtp.Digit{Key: '2'}})
		synctest.Wait()
		a.comes()
		synctest.Wait()
		l.tell(LineEvent{Kind: LineDigit, Digit: rtp.Digit{Key: '3'}})
		synctest.Wait()
		if got := string(a.keys); got != "123" {
			t.Errorf("the agent was told %q", got)
		}
		c.Hangup(CauseNormal, "")
		l.ended(LineEvent{Cause: CauseNormal})
		h.over()
	})
}

func TestAnAgentTakesTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, agents := openAttended(t)
		l, c := h.calling("bot")
		a := agents.latest(t, 1)
		s := a.spec
		if s.Agent != "bot" || s.Room != "call-"+c.id || s.CallID != c.id || s.From != "+12025550177" || s.To != "bot" ||
			s.Parameters["case"] != "17" || s.Handover != nil || c.Record().Agent != "bot" {
			t.Errorf("sent %+v", s)
		}
		w := overhear(c)
		a.comes()
		if filler, _ := heardOf(w.heard(t, 380*time.Millisecond)); filler {
			t.Error("a filler before the agent was given time")
		}
		if filler, _ := heardOf(w.heard(t, 500*time.Millisecond)); !filler {
			t.Error("no filler half a second after the answer")
		}
		a.speaks(time.Second)
		if filler, agent := heardOf(w.heard(t, time.Second)[800:6400]); filler || !agent {
			t.Errorf("filler %v, agent %v, while the agent speaks", filler, agent)
		}
		a.fails(FaultNone, "that was all")
		if d := h.cdr(c); d.Cause != CauseNormal || !strings.Contains(d.Reason, "that was all") || d.Agent != "bot" {
			t.Errorf("CDR %+v", d)
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.over()
	})
}

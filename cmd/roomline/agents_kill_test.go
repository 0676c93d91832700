package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// agentsHz are what the agents of the kill tests say, humanHz what a person does.
var agentsHz = []float64{400, 1000, 1500}

const humanHz = 2000

// served is a caller whose call agents serve.
type served struct {
	*house
	agents  []*agentProgram
	call    *phone.Call
	joined  chan bridge.Event // an agent has come
	failed  chan bridge.Event // an agent has failed
	serving *agentProgram
	stall   atomic.Int64 // for how long this process stood still at most
}

// startServed runs a gateway with three agents, and a person in the room of the else.
func startServed(t *testing.T) *served {
	s := &served{joined: make(chan bridge.Event, 64), failed: make(chan bridge.Event, 64)}
	var urls []string
	for _, hz := range agentsHz {
		a := startAgent(t, hz)
		s.agents, urls = append(s.agents, a), append(urls, a.url())
	}
	s.house = startHouse(t, fmt.Sprintf(`
agents:
  - {name: bot, urls: [%s], probe: "off"}
routes:
  - {name: bot, to: bot, agent: bot, else: {room: humans}}
`, strings.Join(urls, ", ")))
	watchStalls(t, &s.stall)
	events := s.exchange.Subscribe("")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range events.Events {
			switch e.Type {
			case "agent.joined":
				s.joined <- e
			case "agent.failed":
				s.failed <- e
			}
		}
	}()
	t.Cleanup(func() { events.Close(); <-done })
	return s
}

// dial brings a caller to the agents, who hears one of them.
func (s *served) dial(p *phone.Phone) {
	s.t.Helper()
	s.call = s.calls(p, "bot", phone.DialOptions{})
	s.came(0, time.Now())
}

// came waits until the agent that was sent is heard, and holds what was heard
// since a sample to the promises.
func (s *served) came(from int, since time.Time) {
	s.t.Helper()
	var e bridge.Event
	select {
	case e = <-s.joined:
	case <-time.After(15 * time.Second):
		s.t.Fatal("no agent came")
	}
	worker, _ := e.Data["worker"].(string)
	for _, a := range s.agents {
		if a.url() == worker {
			s.serving = a
		}
	}
	heard := s.hears(from, s.serving.hz)
	if late := heard.Sub(e.Time); late > time.Second+time.Duration(s.stall.Load()) {
		s.t.Errorf("the agent is heard %v after it was ready", late)
	}
	s.t.Logf("ready %v after its start or the failure of the one before, heard %v later", e.Time.Sub(since).Round(time.Millisecond), heard.Sub(e.Time).Round(time.Millisecond))
}

// hears waits until the caller hears a tone, and returns since when.
func (s *served) hears(from int, hz float64) time.Time {
	s.t.Helper()
	at := -1
	s.until(fmt.Sprintf("the caller hears %g Hz", hz), func() bool {
		at = onsetOf(s.call.HeardFrom(from), hz)
		return at >= 0
	})
	return s.call.HeardSince().Add(timeOfSamples(from + at))
}

// kill sends the agent that serves the call a signal, and waits for what comes next.
func (s *served) kill(signal syscall.Signal, next func(from int, since time.Time)) {
	s.t.Helper()
	victim := s.serving
	at := len(s.call.Heard())
	victim.signal(signal)
	var e bridge.Event
	select {
	case e = <-s.failed:
	case <-time.After(10 * time.Second):
		s.t.Fatal("nobody noticed that the agent is gone")
	}
	noticed := max(at, int(e.Time.Sub(s.call.HeardSince())*media.NarrowbandHz/time.Second))
	next(at, e.Time)
	if signal == syscall.SIGKILL {
		noticed = at
	} else {
		victim.signal(syscall.SIGKILL)
	}
	s.covered(noticed)
	<-victim.run.done
	victim.start()
}

// covered holds what was heard since an agent failed, until the next one was
// heard: within 300 ms a filler, and no dead air.
func (s *served) covered(from int) {
	s.t.Helper()
	pcm := s.call.HeardFrom(from)
	var quiet, longest, first int
	for i := 0; i+media.FrameSamples <= len(pcm); i += media.FrameSamples {
		frame := pcm[i : i+media.FrameSamples]
		if media.Level(frame) > -50 {
			quiet = 0
			if first == 0 && isFiller(frame) {
				first = i + 1
			}
			continue
		}
		quiet += media.FrameSamples
		longest = max(longest, quiet)
	}
	soon := 300*time.Millisecond + time.Duration(s.stall.Load())
	if first == 0 || timeOfSamples(first) > soon {
		s.t.Errorf("a filler is heard %v after the failure", timeOfSamples(first))
	}
	if timeOfSamples(longest) > soon {
		s.t.Errorf("%v of dead air", timeOfSamples(longest))
	}
	s.t.Logf("filler after %v, longest silence %v", timeOfSamples(first), timeOfSamples(longest))
}

// isFiller reports whether a frame is sound of nobody that the tests know.
func isFiller(frame []int16) bool {
	for _, hz := range append([]float64{humanHz}, agentsHz...) {
		if media.ToneLevel(frame, media.NarrowbandHz, hz) > media.Level(frame)-10 {
			return false
		}
	}
	return true
}

// onsetOf finds where 60 ms of a tone begin, -1 if nowhere.
func onsetOf(pcm []int16, hz float64) int {
	run := 0
	for i := 0; i+media.FrameSamples <= len(pcm); i += media.FrameSamples {
		if frame := pcm[i : i+media.FrameSamples]; media.ToneLevel(frame, media.NarrowbandHz, hz) < -24 {
			run = 0
		} else if run++; run == 3 {
			return i - 2*media.FrameSamples
		}
	}
	return -1
}

// unbroken holds the whole stream to its promise.
func (s *served) unbroken() {
	s.t.Helper()
	select {
	case <-s.call.Ended():
		s.t.Fatalf("the call was dropped: %+v", s.call.Report())
	default:
	}
	stall := time.Duration(s.stall.Load())
	if gap := time.Duration(s.call.Report().LongestGapMS * float64(time.Millisecond)); gap > 60*time.Millisecond+stall {
		s.t.Errorf("a gap of %v in what the caller heard; this process stood still for %v at most", gap, stall)
	}
}

// TestKilledAgentsAreReplaced kills the program that serves a call, again and
// again; after the third time in a minute a person takes the call.
func TestKilledAgentsAreReplaced(t *testing.T) {
	s := startServed(t)
	p := softphone(t, phone.Config{})
	s.human(p)
	s.dial(p)
	for range 3 {
		s.kill(syscall.SIGKILL, s.came)
	}
	s.kill(syscall.SIGKILL, func(from int, _ time.Time) { s.hears(from, humanHz) })
	s.unbroken()
}

// human sits in the room of the else and speaks.
func (s *served) human(p *phone.Phone) {
	s.t.Helper()
	hum(s.calls(p, "humans", phone.DialOptions{}), humanHz)
}

func TestAFrozenAgentIsReplaced(t *testing.T) {
	s := startServed(t)
	p := softphone(t, phone.Config{})
	s.dial(p)
	s.kill(syscall.SIGSTOP, s.came)
	s.unbroken()
}

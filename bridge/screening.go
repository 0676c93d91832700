package bridge

import (
	"sync"
	"time"

	"github.com/roomline/roomline/media/amd"
)

// What becomes of a call that a machine has answered.
const (
	MachineContinue = "continue"  // it goes on as with a person
	MachineHangup   = "hangup"    // it ends
	MachineWaitBeep = "wait_beep" // it goes on after the beep, when the machine records
)

// MachineSpec asks who answers an outbound call: see package amd.
type MachineSpec struct {
	Then  string        // one of the Machine constants; empty: continue. Fax machines count as machines.
	Limit time.Duration // after the answer, for a verdict; 0: 2.5 s
}

func (m *MachineSpec) check() error {
	switch {
	case m == nil:
		return nil
	case m.Then != "" && m.Then != MachineContinue && m.Then != MachineHangup && m.Then != MachineWaitBeep:
		return refuse(Invalid, "machine", "machine %q is unknown; use continue, hangup or wait_beep", m.Then)
	case m.Limit != 0 && (m.Limit < time.Second || m.Limit > 10*time.Second):
		return refuse(Invalid, "machine_detection", "the limit of machine detection is 1 to 10 s")
	}
	return nil
}

const (
	screenedFor = 40 * time.Second // after the answer, for a beep
	beepFor     = 30 * time.Second // after which it is not waited for any more
)

// screening listens for who has answered. The packets of the phone feed it; what it
// finds is looked at on the call's goroutine.
//
//	answered → listening ─→ verdict ─→ (machine: the beep) → over
type screening struct {
	spec     MachineSpec
	answered time.Time
	wake     chan struct{}
	timer    *time.Timer
	stop     func()
	told     amd.Verdict
	beep     time.Duration // told

	mu       sync.Mutex
	detector *amd.Detector
	first    time.Duration // when the first sound came, after the answer
	begun    bool
}

func newScreening(m *MachineSpec) *screening {
	if m == nil {
		return nil
	}
	return &screening{spec: *m, wake: make(chan struct{}, 1), detector: amd.New(amd.Settings{Limit: m.Limit})}
}

// begin listens to a phone that has just been answered.
func (s *screening) begin(source *Source) {
	s.answered = time.Now()
	s.timer = time.NewTimer(s.limit())
	s.stop = source.Tap(s.hear)
}

// limit is when there is a verdict even if no sound comes.
func (s *screening) limit() time.Duration {
	if s.spec.Limit > 0 {
		return s.spec.Limit
	}
	return 2500 * time.Millisecond
}

func (s *screening) hear(pcm []int16, at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.begun, s.first = true, max(0, time.Since(s.answered)-lasting(len(pcm)))
	}
	before, _ := s.detector.Verdict()
	beeped, _ := s.detector.Beep()
	s.detector.Hear(pcm, s.first+at)
	v, _ := s.detector.Verdict()
	if b, _ := s.detector.Beep(); v != before || b != beeped {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// pass lets time go by where no sound comes.
func (s *screening) pass() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detector.Pass(time.Since(s.answered))
}

// found returns what is known so far.
func (s *screening) found() (v amd.Verdict, after, beep time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, after = s.detector.Verdict()
	beep, _ = s.detector.Beep()
	return v, after, beep
}

// news and due are nil, on which nothing ever comes, where nobody asked.
func (s *screening) news() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.wake
}

func (s *screening) due() <-chan time.Time {
	if s == nil || s.timer == nil {
		return nil
	}
	return s.timer.C
}

func (s *screening) over() {
	if s != nil && s.stop != nil {
		s.timer.Stop()
		s.stop()
		s.stop, s.timer = nil, nil
	}
}

// clears reports whether the call may go on to whom it was placed for.
func (s *screening) clears(now time.Time) bool {
	waits := s.spec.Then == MachineWaitBeep && s.told == amd.Machine && s.beep == 0
	return s.told != amd.Undecided && !(waits && now.Sub(s.answered) < beepFor)
}

// screen looks at what was found, tells it, and reports whether the call ends by it.
func (c *Call) screen(timeUp bool) (e ending, ends bool) {
	s := c.screening
	if timeUp {
		s.pass()
		s.timer.Reset(500 * time.Millisecond) // a beep may end with the sound
	}
	v, after, beep := s.found()
	if v != s.told {
		s.told = v
		c.note(func(r *CallRecord) { r.AnsweredBy = string(v) })
		c.emit("call.machine", map[string]any{"verdict": string(v), "after_ms": after.Milliseconds()})
	}
	if beep != s.beep {
		s.beep = beep
		c.emit("call.beep", map[string]any{"after_ms": beep.Milliseconds()})
	}
	if v == amd.Human || v == amd.Fax || time.Since(s.answered) > screenedFor {
		s.over()
	}
	if s.spec.Then == MachineHangup && (v == amd.Machine || v == amd.Fax) {
		return ending{cause: CauseNormal, reason: "answered by a " + string(v)}, true
	}
	return ending{}, false
}

// screened: somebody has answered, and who is not known yet, or a machine has not
// beeped; then the call goes on to its target.
func (c *Call) screened() step {
	for !c.screening.clears(time.Now()) {
		switch e, what := c.wait(nil, nil); {
		case what == over:
			return nil
		case what == told && e.Kind == LineReferred:
			c.notNow(e.Referral)
		case what == told:
			c.changed(e)
		}
	}
	return c.target(*c.then)
}

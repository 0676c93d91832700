package agent

import (
	"fmt"
	"math"
	"time"

	"github.com/roomline/roomline/bridge"
)

// State is how a worker stands.
type State string

// States of a worker.
//
//	up ── two failures in a row ──> quarantined ── the time is over ──> probing
//	 ^                                   ^                                 │
//	 │                                   └──────── failed: twice as long ──┤
//	 └───────────────────────────────────────────────────── passed ────────┘
const (
	Up          State = "up"
	Quarantined State = "quarantined" // no call goes there
	Probing     State = "probing"     // one probe decides; where probes are off, one call
	Draining    State = "draining"    // removed from the plan, or the agent is drained; calls go on
)

// How workers are judged.
const (
	firstProbe     = time.Second            // after the start
	probeSpread    = 100 * time.Millisecond // from worker to worker
	probeEvery     = 30 * time.Second       // by default
	failuresToDown = 2                      // in a row
	shortestBan    = time.Second
	longestBan     = time.Minute
	memory         = 30 * time.Second // half of a failure is forgotten after that
	steady         = time.Minute      // up for so long, or after a call, a worker starts at the shortest ban again
	slowStart      = 100 * time.Millisecond
)

// worker is one program of a pool. House.mu guards it.
type worker struct {
	url      string
	draining bool // the plan does not name it any more
	state    State
	calls    int
	idle     time.Time // since when it has had none

	failures int       // in a row: of handshakes and probes, and of calls until a probe
	level    int       // doublings of the next quarantine
	upSince  time.Time // it came back
	due      time.Time // of the next probe; a quarantine lasts until then
	asked    bool      // a probe, or the call that decides, is on its way

	bad, good float64 // ends of calls, the older the lighter
	weighed   time.Time

	fault   bridge.Fault // the last one
	reason  string
	faultAt time.Time

	start  time.Duration // of late, from being asked to ready
	starts recent
}

func newWorker(url string, now time.Time, wait time.Duration) *worker {
	return &worker{url: url, state: Up, idle: now, due: now.Add(wait), weighed: now, upSince: now}
}

// takes reports whether calls may go there.
func (w *worker) takes() bool {
	return !w.draining && (w.state == Up || w.state == Probing && !w.asked)
}

// before reports whether a call goes rather to w than to other: by load, which
// weighs more after failures and where starts are slow; then who was idle for longer.
func (w *worker) before(other *worker, now time.Time, quickest time.Duration) bool {
	a, b := w.load(now, quickest), other.load(now, quickest)
	return a < b || a == b && w.idle.Before(other.idle)
}

func (w *worker) load(now time.Time, quickest time.Duration) int {
	w.forget(now)
	slow := 1
	if w.start > slowStart && quickest > 0 {
		slow = min(max(int(w.start/(2*quickest)), 1), 4)
	}
	return (w.calls + 1) * (1 + int(math.Round(w.bad))) * slow
}

// forget lets the past weigh less.
func (w *worker) forget(now time.Time) {
	half := math.Exp2(-now.Sub(w.weighed).Seconds() / memory.Seconds())
	w.bad, w.good, w.weighed = w.bad*half, w.good*half, now
}

// served notes that a call has become ready: the next quarantine is short again.
func (w *worker) served(after time.Duration) {
	w.level = 0
	w.started(after)
}

// started notes a call or a probe that has become ready after so long.
func (w *worker) started(after time.Duration) {
	w.failures = 0
	w.starts.add(after)
	if w.start == 0 {
		w.start = after
	}
	w.start += (after - w.start) / 4
}

// ended notes the good end of a call.
func (w *worker) ended(now time.Time) {
	w.forget(now)
	w.good++
}

// refused notes that a handshake or a probe has failed; banned says that no call
// goes there from now on.
func (w *worker) refused(now time.Time, f bridge.Fault, reason string) (banned bool) {
	w.blame(now, f, reason)
	w.failures++
	w.probeSoon(now)
	return (w.failures >= failuresToDown || w.state == Probing) && w.ban(now)
}

// broke notes that a call has failed after its start. One is a reason to ask by
// a probe; many, against few that went well, are more.
func (w *worker) broke(now time.Time, f bridge.Fault, reason string) (banned bool) {
	w.blame(now, f, reason)
	w.failures = max(w.failures, 1)
	w.probeSoon(now)
	return w.bad >= 3 && w.bad > w.good+float64(w.calls) && w.ban(now)
}

// probeSoon asks for a probe at once, unless a quarantine says when.
func (w *worker) probeSoon(now time.Time) {
	if w.state == Up {
		w.due = now
	}
}

func (w *worker) blame(now time.Time, f bridge.Fault, reason string) {
	w.forget(now)
	w.bad++
	w.fault, w.reason, w.faultAt = f, reason, now
}

// ban sends no calls there for a while, each time for twice as long.
func (w *worker) ban(now time.Time) (banned bool) {
	if w.state == Quarantined {
		return false
	}
	if w.state == Up && now.Sub(w.upSince) > steady {
		w.level = 0
	}
	banned = w.state == Up
	w.state, w.due = Quarantined, now.Add(min(shortestBan<<w.level, longestBan))
	w.level = min(w.level+1, 6)
	return banned
}

// recover lets calls come back; recovered says that they were kept away.
func (w *worker) recover(now time.Time) (recovered bool) {
	w.failures = 0
	if w.state == Up {
		return false
	}
	w.state, w.upSince = Up, now
	w.bad = min(w.bad, 1)
	return true
}

// unsure notes a probe that says nothing, for a fault of ours: another one must.
func (w *worker) unsure(now time.Time) {
	if w.state == Probing {
		w.state = Quarantined
	}
	w.due = now.Add(shortestBan)
}

// words say what was wrong with it last.
func (w *worker) words() string {
	if w.fault == bridge.FaultNone {
		return "nothing is known"
	}
	return fmt.Sprintf("%s (%s)", w.fault, w.reason)
}

package dialplan

import (
	"fmt"
	"strconv"
	"strings"
)

// mostRungs bounds a ladder.
const mostRungs = 16

// Rung is one target of a ladder, and what there is to say of it.
type Rung struct {
	Target Target `json:"-"`
	Words  string `json:"target"` // the target in words, never its PIN
	Why    string `json:"why"`    // when it is taken, and how
}

// Ladder lists where a call goes, one after the other, as long as nobody takes it:
// a target and those that follow it by else, a queue's own else where it has none,
// and at last the fallbacks of the agents that were asked. A target of rooms and
// numbers alone is its chain.
func (p *Plan) Ladder(t Target) []Rung {
	var rungs []Rung
	type fallback struct {
		target *Target
		why    string
	}
	var fallbacks []fallback
	asked := map[string]bool{}
	take := func(t *Target, why string) {
		for t != nil && len(rungs) < mostRungs {
			rungs = append(rungs, Rung{*t, t.alone(), why + p.manner(*t)})
			next := t.Else
			why = "when that fails"
			if a, ok := p.AgentNamed(t.Agent); ok && a.Fallback != nil && !asked[a.Name] {
				asked[a.Name] = true
				fallbacks = append(fallbacks, fallback{a.Fallback, "when nothing else is left: the fallback of agent " + a.Name})
			}
			if q, ok := p.QueueNamed(t.Queue); ok && next == nil {
				next, why = q.Else, "when queue "+q.Name+" has nobody, or not in time"
			}
			t = next
		}
	}
	take(&t, "first")
	for len(fallbacks) > 0 {
		next := fallbacks[0]
		fallbacks = fallbacks[1:]
		take(next.target, next.why)
	}
	return rungs
}

// manner says in words how an agent or a queue takes a call; empty for others.
func (p *Plan) manner(t Target) string {
	if a, ok := p.AgentNamed(t.Agent); ok {
		return ": " + a.manner(t.Answer)
	}
	if q, ok := p.QueueNamed(t.Queue); ok {
		return ": " + q.manner()
	}
	return ""
}

func (a Agent) manner(answer string) string {
	protocol := a.Protocol
	if protocol == "" {
		protocol = TwilioMediaStreams
	}
	var s strings.Builder
	s.WriteString(map[string]string{
		"": "answers at once", "now": "answers at once", "ready": "rings until it is ready", "early": "is heard ringing until it is ready",
	}[answer])
	fmt.Fprintf(&s, ", %s over %s", count(len(a.Workers()), "worker"), protocol)
	if a.Pool > 0 {
		fmt.Fprintf(&s, ", %s at once", count(a.Pool, "call"))
	}
	return s.String() + "; one that fails is replaced, at most 3 times a minute"
}

func (q Queue) manner() string {
	s := count(len(q.Members), "phone") + " and whoever looks at it"
	if q.MaxWait != "" {
		s += ", for at most " + q.MaxWait
	}
	return s
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// reachesPeople reports whether a ladder has a step that no agent is needed for.
func reachesPeople(rungs []Rung) bool {
	for _, r := range rungs {
		if r.Target.Room != "" || r.Target.Number != "" || r.Target.Queue != "" {
			return true
		}
	}
	return false
}

// climbs reports whether a ladder holds more than rooms and numbers.
func climbs(rungs []Rung) bool {
	for _, r := range rungs {
		if r.Target.Agent != "" || r.Target.Queue != "" {
			return true
		}
	}
	return false
}

// String is one line: 2. queue people: when that fails.
func (r Rung) String() string { return r.Words + ": " + r.Why }

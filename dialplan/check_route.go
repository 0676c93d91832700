package dialplan

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxChain bounds how many targets may follow each other by else.
const maxChain = 8

var pinForm = regexp.MustCompile(`^[0-9]{4,12}$`)

func (c *checker) routes() {
	seen := map[string]bool{}
	for i := range c.plan.Routes {
		r, at := &c.plan.Routes[i], fmt.Sprintf("routes[%d]", i)
		c.name(at+".name", r.Name, seen)
		c.knownTrunk(at+".trunk", r.Trunk)
		c.patterns(at+".to", r.To)
		c.patterns(at+".from", r.From)
		c.routeHeaders(at+".headers", r.Headers)
		c.times(at, r)
		c.oneOf(at+".priority", r.Priority, []string{"emergency", "high", "low"}, nil)
		if r.FromRoom {
			c.routeOut(at, r)
		} else {
			c.chain(at, &r.Target)
			c.emergencyLadder(at, r)
		}
	}
}

// emergencyLadder: who calls in an emergency gets to people when no agent can
// take the call.
func (c *checker) emergencyLadder(at string, r *Route) {
	if r.Priority == "emergency" && r.Target.Agent != "" && !reachesPeople(c.plan.Ladder(r.Target)) {
		c.wrong(at+".else", "", "an emergency call must reach people when its agent cannot take it: add else, such as {queue: dispatch} or {room: dispatch}")
	}
}

func (c *checker) times(at string, r *Route) {
	if _, err := parseHours(r.Hours); err != nil {
		c.wrong(at+".hours", r.Hours, err.Error())
	}
	c.known(at+".holidays", r.Holidays, "holiday calendar", c.calendars)
	if r.Holidays != "" && r.Hours == "" {
		c.wrong(at+".holidays", r.Holidays, `holidays need hours, whose time zone says when a day begins: for a route that is always open "Mo-Su 00:00-24:00 Europe/Berlin"`)
	}
}

func (c *checker) routeOut(at string, r *Route) {
	rest := r.Target
	rest.Trunks = nil
	if !reflect.ValueOf(rest).IsZero() {
		c.wrong(at, r.Name, "a from_room route goes to its trunks: room, number, agent, queue, reject, answer, record and else have no place in it")
	}
	switch {
	case r.Trunk == "" && len(r.Trunks) == 0:
		c.wrong(at+".trunk", "", "a from_room route needs the trunk by which calls leave")
	case r.Trunk != "" && len(r.Trunks) > 0:
		c.wrong(at+".trunks", "", "expected trunk or trunks, not both: trunk is short for a list of one")
	case r.Trunk != "":
		c.leaves(at+".trunk", r.Trunk)
	}
	c.exits(at+".trunks", r.Trunks)
	for i, p := range r.To {
		if !r.names(p) && !canLeave(p) {
			c.wrong(fmt.Sprintf("%s.to[%d]", at, i), p, "nothing dialled looks like this: expected +15551234567, a prefix like +1*, sip:name@server, an emergency number, or *")
		}
	}
}

// exits checks a list of trunks by which calls leave.
func (c *checker) exits(field string, trunks []string) {
	for i, name := range trunks {
		at := fmt.Sprintf("%s[%d]", field, i)
		if name == "" {
			c.wrong(at, "", "expected the name of a trunk")
		}
		if slices.Contains(trunks[:i], name) {
			c.wrong(at, name, "this trunk is listed already")
		}
		c.knownTrunk(at, name)
		c.leaves(at, name)
	}
}

// leaves checks that calls can leave by a trunk, if it exists.
func (c *checker) leaves(field, name string) {
	if t, ok := c.plan.TrunkNamed(name); ok && t.Outbound == nil {
		c.wrong(field, name, "this trunk has no outbound servers, so no call can leave by it")
	}
}

// canLeave reports whether a normalised outbound address can match the pattern.
func canLeave(p string) bool {
	return p == "*" || strings.HasPrefix(p, "+") || strings.HasPrefix(p, "sip:")
}

// chain checks a target and those that follow it.
func (c *checker) chain(at string, t *Target) {
	for depth := 1; t != nil; depth++ {
		if depth > maxChain {
			c.wrong(at, "", fmt.Sprintf("expected at most %d targets one after the other", maxChain))
			return
		}
		c.target(at, t)
		if t.Reject != "" && t.Else != nil && depth > 1 {
			c.wrong(at+".else", "", "nothing comes after a target that rejects: leave this out")
		}
		t, at = t.Else, at+".else"
	}
}

func (c *checker) target(at string, t *Target) {
	room := t.Room
	if t.Queue != "" { // where its callers wait and are taken
		room = ""
	}
	set := slices.DeleteFunc([]string{room, t.Number, t.Agent, t.Queue, t.Reject}, func(s string) bool { return s == "" })
	if len(set) != 1 {
		c.wrong(at, "", fmt.Sprintf("expected exactly one of room, number, agent, queue and reject, found %d", len(set)))
	}
	c.known(at+".agent", t.Agent, "agent", c.agentNames())
	c.known(at+".queue", t.Queue, "queue", c.queueNames())
	if t.Record {
		c.wrong(at+".record", "", notYet)
	}
	c.oneOf(at+".reject", t.Reject, []string{"busy", "rejected", "unknown_number"}, nil)
	c.roomTarget(at, t)
	c.numberTarget(at, t)
}

func (c *checker) roomTarget(at string, t *Target) {
	if t.Room != "" {
		if err := checkTemplate(t.Room); err != nil {
			c.wrong(at+".room", t.Room, err.Error())
		}
	}
	c.oneOf(at+".answer", t.Answer, []string{"now", "ready", "early"}, nil)
	switch {
	case t.Answer == "":
	case t.Answer == "early" && t.Agent == "" && t.Queue == "":
		c.wrong(at+".answer", t.Answer, "only agents and queues are heard before the answer: use ready, or leave this out")
	case t.Reject != "":
		c.wrong(at+".answer", t.Answer, "a route that rejects answers nothing: leave this out")
	case t.Number != "":
		c.wrong(at+".answer", t.Answer, "a call that goes on to a number is answered when the number answers: leave this out")
	case t.Answer == "ready" && t.PIN != "":
		c.wrong(at+".answer", t.Answer, "a PIN is keyed into an answered call: leave this out")
	}
	switch {
	case t.PIN == "":
	case t.PIN == Mask:
		c.wrong(at+".pin", "", maskKept("PIN"))
	case !pinForm.MatchString(t.PIN):
		c.wrong(at+".pin", "", "expected 4 to 12 digits")
	case t.Room == "" || t.Queue != "":
		c.wrong(at+".pin", "", "only rooms ask for a PIN")
	}
}

func (c *checker) numberTarget(at string, t *Target) {
	if t.Number != "" {
		if err := checkNumberTemplate(t.Number, c.emergencies); err != nil {
			c.wrong(at+".number", t.Number, err.Error())
		}
		c.exits(at+".trunks", t.Trunks)
		c.duration(at+".ring_timeout", t.RingTimeout, time.Second, 10*time.Minute)
		return
	}
	if len(t.Trunks) > 0 {
		c.wrong(at+".trunks", "", "trunks say how a number is reached: they need number beside them, or from_room: true for calls that leave a room")
	}
	if t.RingTimeout != "" {
		c.wrong(at+".ring_timeout", t.RingTimeout, "only a number rings: this needs number beside it")
	}
}

package bridge

import (
	"context"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

const attendOrdersPlan = `
trunks:
  - {name: desk, addresses: [192.0.2.0/24], refer: allow}
  - {name: carrier, addresses: [203.0.113.0/24], refer: allow, outbound: {servers: [sip.carrier.example]}, limits: {prefixes: ["+1"]}}
agents:
  - {name: bot, url: "wss://agent.example/media", patience: 1s, fallback: {number: "+12025550199", trunks: [carrier]}}
  - {name: other, url: "wss://agent.example/other", filler: music}
queues:
  - {name: people, max_wait: 30s, members: [{number: "+12025550155"}], else: {agent: other}}
routes:
  - {name: bot, to: bot, agent: bot, else: {queue: people, else: {agent: other}}}
  - {name: ready, to: ready, agent: other, answer: ready, else: {number: "+12025550125", trunks: [carrier], else: {agent: bot}}}
  - {name: early, to: early, agent: other, answer: early, else: {room: desk}}
  - {name: people, to: people, queue: people}
  - {name: sos, to: "911", agent: bot, priority: emergency, else: {room: sos}}
  - {name: out, from_room: true, to: "+1*", trunks: [carrier]}
`

// TestOrdersOfAgents drives calls with agents, their failures, transfers and hang-ups
// through seeded random orders. Whatever the order is, every call ends once, with
// one CDR, no agent is left without a call, and no call is left waiting for an
// agent that has ended. ROOMLINE_ORDER runs one seed alone.
func TestOrdersOfAgents(t *testing.T) {
	first, last := uint64(0), uint64(3000)
	if testing.Short() || raceOn {
		last = 200
	}
	if one, err := strconv.ParseUint(os.Getenv("ROOMLINE_ORDER"), 10, 64); err == nil {
		first, last = one, one+1
	}
	seen, faults := map[Cause]int{}, 0
	for seed := first; seed < last; seed++ {
		synctest.Test(t, func(t *testing.T) {
			o := newAttendedLife(t, seed)
			o.run()
			o.judge(seen)
			faults += o.faults
		})
		if t.Failed() {
			t.Fatalf("with ROOMLINE_ORDER=%d", seed)
		}
	}
	t.Logf("causes: %v, after %d faults", seen, faults)
	for _, cause := range []Cause{CauseNormal, CauseCanceled} {
		if seen[cause] == 0 || faults == 0 {
			t.Errorf("no call ended with %s: the orders have grown tame", cause)
		}
	}
}

// attendedLife is a life with agents.
type attendedLife struct {
	*life
	agents *fakeAgents
	faults int
}

func newAttendedLife(t *testing.T, seed uint64) *attendedLife {
	o := &attendedLife{life: newLife(t, seed), agents: &fakeAgents{}}
	o.agents.x, o.Agents, o.Plan = o.Exchange, o.agents, planOf(t, attendOrdersPlan)
	o.targets = []string{"bot", "bot", "ready", "early", "people", "911", "lobby"}
	return o
}

func (o *attendedLife) run() {
	for range 10 + o.IntN(40) {
		switch n := o.IntN(100); {
		case n < 40:
			o.agent()
		case n < 55:
			o.request()
		default:
			o.step()
		}
		if o.IntN(3) > 0 {
			synctest.Wait()
			o.attended()
		}
		if o.IntN(4) == 0 {
			time.Sleep(time.Duration(o.IntN(5000)) * time.Millisecond)
		}
	}
	o.finish()
	for i, a := range o.agents.sent() {
		if !a.isOver() {
			o.t.Errorf("agent %d of %d is left, sent %+v", i, len(o.agents.sent()), a.spec)
		}
	}
}

// agent is something that an agent, or the pool, does.
func (o *attendedLife) agent() {
	a, ok := pick(o.life, o.agents.sent())
	if !ok {
		return
	}
	switch o.IntN(8) {
	case 0, 1, 2:
		a.comes()
	case 3:
		a.speaks(time.Duration(o.IntN(500)) * time.Millisecond)
	case 4:
		a.tells(AgentSilent)
	case 5:
		a.fails(FaultNone, "goodbye")
	case 6:
		fault, _ := pick(o.life, []Fault{FaultRefused, FaultTimeout, FaultGone, FaultGarbage})
		a.fails(fault, "broken")
		o.faults++
	case 7:
		o.agents.refuse(nil)
		if o.IntN(2) == 0 {
			o.agents.refuse(refuse(LimitReached, "", "the pool is full"))
		}
	}
}

// request is something that the API asks of a call.
func (o *attendedLife) request() {
	o.house.mu.Lock()
	id, _ := pick(o.life, o.created)
	o.house.mu.Unlock()
	c, live := o.Call(id)
	if !live {
		return
	}
	ctx := context.Background()
	switch o.IntN(7) {
	case 0:
		c.Transfer(ctx, TransferRequest{Agent: "bot"})
	case 1:
		c.Transfer(ctx, TransferRequest{Agent: "other"})
	case 2:
		c.Transfer(ctx, TransferRequest{Queue: "people"})
	case 3:
		c.Transfer(ctx, TransferRequest{To: "+12025550188"})
	case 4:
		c.Transfer(ctx, TransferRequest{To: "+12025550188", Warm: true, CoPilot: o.IntN(2) == 0})
	case 5:
		c.Transfer(ctx, TransferRequest{Agent: "other", Warm: true})
	case 6:
		o.dials(DialRequest{To: "+12025550123", Agent: "bot"})
	}
}

// attended holds the calls to what must be true of their agents while nothing moves.
func (o *attendedLife) attended() {
	serving := map[AgentLeg]bool{}
	for _, c := range o.live() {
		c.do(context.Background(), func() error {
			for _, leg := range c.copilots {
				serving[leg] = true
			}
			if c.warm != nil {
				if asked, ok := c.warm.taker.(*agentAsked); ok {
					serving[asked.leg] = true
				}
			}
			a := c.agent
			if a == nil {
				return nil
			}
			serving[a.leg] = true
			switch {
			case a.over != nil && !c.isElsewhere() && c.isAnswered():
				o.t.Errorf("%s goes on with an agent that has ended: %+v", c.id, *a.over)
			case a.ready && !a.spoke && a.over == nil && c.isAnswered() && c.hush == nil && a.alarm.timer == nil && !c.isElsewhere() && c.Record().State == StateActive:
				o.t.Errorf("%s has dead air", c.id)
			}
			return nil
		})
	}
	for _, a := range o.agents.sent() {
		if !a.isOver() && !serving[a] {
			o.t.Errorf("nobody is served by an agent that was sent for %s", a.spec.CallID)
		}
	}
}

package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// crowd is a gateway without SIP, whose callers come in numbers, and workers that
// are real programs behind WebSockets.
type crowd struct {
	t        *testing.T
	x        *bridge.Exchange
	house    *House
	machines []*machine
	stop     func()

	mu     sync.Mutex
	events []bridge.Event
	opened []opening
	cdrs   []bridge.CDR

	came, served, elsewhere, most atomic.Int64 // calls: all, with an agent, without; agents at once
}

// opening is a leg that was opened to a worker.
type opening struct {
	worker string
	probe  bool
	at     time.Time
}

// places is the cap of the crowd's pool.
const places = 20

func newCrowd(t *testing.T, workers int) *crowd {
	c := &crowd{t: t}
	var urls []string
	for range workers {
		m := newMachine(t)
		c.machines = append(c.machines, m)
		urls = append(urls, m.url())
	}
	plan, err := dialplan.Parse([]byte(fmt.Sprintf(`
agents:
  - {name: bot, urls: ["%s"], pool: %d, probe: 1s}
routes:
  - {name: bot, to: "*", agent: bot, else: {room: humans}}
`, strings.Join(urls, `", "`), places)), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	plan = plan.Prepare()
	inForce := func() *dialplan.Plan { return plan }
	c.x = &bridge.Exchange{
		Plan: inForce, Trusts: bridge.TrustedBy(netip.MustParseAddr("127.0.0.1")), Emitted: c.note, Recorded: func(d bridge.CDR) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.cdrs = append(c.cdrs, d)
		},
	}
	c.house = &House{Exchange: c.x, Plan: inForce}
	c.house.open = func(url string, a dialplan.Agent, spec bridge.AgentSpec) bridge.AgentLeg {
		c.mu.Lock()
		c.opened = append(c.opened, opening{workerName(url), spec.Room == "", time.Now()})
		c.mu.Unlock()
		return c.house.openLeg(url, a, spec)
	}
	c.x.Agents = c.house
	calls, hangUp := context.WithCancel(context.Background())
	agents, leave := context.WithCancel(context.Background())
	var exchange, house sync.WaitGroup
	exchange.Go(func() { c.x.Run(calls) })
	house.Go(func() { c.house.Run(agents) })
	c.stop = func() {
		hangUp()
		exchange.Wait()
		leave()
		house.Wait()
		for _, m := range c.machines {
			m.kill()
		}
	}
	return c
}

func (c *crowd) note(e bridge.Event) {
	if !strings.HasPrefix(e.Type, "agent.worker.") {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, e)
}

// comes is a caller who stays for a while. Whether an agent served them, and
// whatever became of it, the call must go on until they hang up.
func (c *crowd) comes(n int, stays time.Duration) {
	p := newPhone(c.t)
	inv := bridge.Invite{Source: netip.MustParseAddrPort("127.0.0.1:5099"), From: fmt.Sprintf("+1555%07d", n), To: "bot"}
	if r := c.x.Admit(inv); r != nil {
		c.t.Errorf("call %d was refused: %s", n, r.Reason)
		return
	}
	c.x.Incoming(inv, p)
	room := ""
	for late := time.Now().Add(20 * time.Second); room == ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			c.t.Errorf("call %d gets no agent and nobody else", n)
			break
		}
		room = c.roomOf(inv.From)
	}
	if room == "humans" {
		c.elsewhere.Add(1)
	} else {
		c.served.Add(1)
		time.Sleep(stays)
	}
	p.mu.Lock()
	dropped := p.over
	p.mu.Unlock()
	if dropped {
		c.t.Errorf("call %d was dropped", n)
	}
	p.hangUp(bridge.CauseNormal)
}

// roomOf finds a caller who is with an agent, or with humans.
func (c *crowd) roomOf(from string) string {
	for _, rec := range c.x.Calls() {
		if rec.From != from || rec.State != bridge.StateActive {
			continue
		}
		if rec.Room == "humans" {
			return rec.Room
		}
		r, ok := c.x.Room(rec.Room)
		if ok && slices.ContainsFunc(r.Record().Participants, func(p bridge.ParticipantRecord) bool { return p.Kind == bridge.KindAgent }) {
			return rec.Room
		}
	}
	return ""
}

// call lets callers come, so many at once, until this many calls had an agent.
func (c *crowd) call(served int64, atOnce int, seed uint64, stays time.Duration) {
	var wg sync.WaitGroup
	for i := range atOnce {
		chance := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for c.served.Load() < served {
				c.comes(int(c.came.Add(1)), time.Duration(chance.Int64N(int64(stays))))
				c.mark()
			}
		})
	}
	wg.Wait()
}

// mark notes how many places are taken.
func (c *crowd) mark() {
	if n := int64(c.house.States()[0].Calls); n > c.most.Load() {
		c.most.Store(n)
	}
}

// callsTo counts the calls, and not the probes, that went to a worker since.
func (c *crowd) callsTo(worker string, since, until time.Time) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.opened {
		if o.worker == worker && !o.probe && o.at.After(since) && o.at.Before(until) {
			n++
		}
	}
	return n
}

// until waits for something that comes by itself.
func (c *crowd) until(what string, is func() bool) {
	c.t.Helper()
	for late := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			c.t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// down reports whether a worker was told to be down, and not up since.
func (c *crowd) down(worker string) (is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if e.Data["worker"] == worker {
			is = e.Type == "agent.worker.down"
		}
	}
	return is
}

// settled checks that nothing has leaked: no place, no call at a worker, no connection.
func (c *crowd) settled() {
	c.t.Helper()
	c.until("all places are free", func() bool {
		p := c.house.States()[0]
		return p.Calls == 0 && !slices.ContainsFunc(p.Workers, func(w WorkerState) bool { return w.Calls != 0 })
	})
	c.until("all calls have their records", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.cdrs) == int(c.came.Load())
	})
	if c.most.Load() > places {
		c.t.Errorf("%d agents at once in a pool of %d", c.most.Load(), places)
	}
	p := c.house.States()[0]
	c.t.Logf("%d calls with an agent, %d elsewhere; at most %d at once; leases %v, faults %v; start p50 %s p95 %s", c.served.Load(), c.elsewhere.Load(), c.most.Load(),
		p.Counts.Leases, p.Counts.Faults, c.start(0.5), c.start(0.95))
	c.house.mu.Lock()
	defer c.house.mu.Unlock()
	if len(c.house.leases) > 0 {
		c.t.Errorf("%d leases have leaked", len(c.house.leases))
	}
}

// start is this share of the starts, of all workers.
func (c *crowd) start(share float64) time.Duration {
	c.house.mu.Lock()
	defer c.house.mu.Unlock()
	var all recent
	for _, w := range c.house.pools["bot"].workers {
		all.all = append(all.all, w.starts.all...)
	}
	return all.share(share)
}

func Test500CallsThroughAPoolOf20(t *testing.T) {
	c := newCrowd(t, 5)
	defer c.stop()
	c.call(250, 24, 1, 100*time.Millisecond)
	dead := c.machines[2]
	dead.kill()
	c.until("two probes have failed", func() bool { return c.down(workerName(dead.url())) })
	killed := time.Now()
	c.call(500, 24, 2, 100*time.Millisecond)
	if n := c.callsTo(workerName(dead.url()), killed, time.Now()); n > 0 {
		t.Errorf("%d calls went to a dead agent", n)
	}
	dead.start()
	c.until("it is back", func() bool { return !c.down(workerName(dead.url())) })
	c.settled()
}

func TestAPoolInChaosLeaksNothing(t *testing.T) { chaos(t, 100, 4, 1) }

// chaos lets callers come while workers die, come back, hang up, refuse and hang.
func chaos(t *testing.T, served int64, workers int, seed uint64) {
	c := newCrowd(t, workers)
	defer c.stop()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	chance := rand.New(rand.NewPCG(seed, 99))
	wg.Go(func() {
		for ctx.Err() == nil {
			m := c.machines[chance.IntN(len(c.machines))]
			switch mood := moods[chance.IntN(len(moods))]; mood {
			case dies:
				m.kill()
			default:
				m.start()
				m.becomes(mood)
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(chance.IntN(200)) * time.Millisecond):
			}
		}
	})
	c.call(served, 24, seed, 300*time.Millisecond)
	cancel()
	wg.Wait()
	c.settled()
	c.mu.Lock()
	events := slices.Clone(c.events)
	c.mu.Unlock()
	for i, e := range events {
		worker := e.Data["worker"].(string)
		if e.Type != "agent.worker.down" {
			continue
		}
		until := time.Now()
		if up := slices.IndexFunc(events[i+1:], func(e bridge.Event) bool { return e.Data["worker"] == worker }); up >= 0 {
			until = events[i+1+up].Time
		}
		// A call that was given to it before may connect a moment later.
		if n := c.callsTo(worker, e.Time.Add(time.Second), until); n > 0 {
			t.Errorf("%d calls went to %s while it was down", n, worker)
		}
	}
}

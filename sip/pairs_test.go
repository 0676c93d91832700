package sip

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media/rtp"
)

// TestTwoAgentsInAnyOrder lets two agents call each other over a bad network
// while both bridges wish what comes to the dice.
func TestTwoAgentsInAnyOrder(t *testing.T) {
	n := *orders / 5
	if testing.Short() || raceOn {
		n = min(n, 40)
	}
	seen := map[string]int{}
	for i := range n {
		seed := uint64(i + 1)
		if *oneSeed != 0 {
			seed = *oneSeed
		}
		runPair(t, seed, seen)
		if t.Failed() || *oneSeed != 0 {
			break
		}
	}
	for _, kind := range []string{"event 2 ", "event 3 ", "event 4 ", "event 5 "} {
		if seen[kind] == 0 && *oneSeed == 0 {
			t.Errorf("%q was never seen", kind)
		}
	}
}

func runPair(t *testing.T, seed uint64, seen map[string]int) {
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
		b := startAgent(t, func(c *Config) {
			c.Listen, c.ListenTCP = n.Listen, listenDeaf
			change(c)
		})
		n.road = newLossy(seed, a, b).copies
		rng := rand.New(rand.NewPCG(seed, 1))
		side := func(a *agent, l bridge.Line) *order {
			o := &order{t: t, a: a, rng: rng, seen: seen, line: l, begin: time.Now()}
			o.wishes.Go(o.listen)
			return o
		}
		sides := []*order{side(a, a.dial(bridge.DialSpec{To: b.uri("lobby"), From: "alice", RingTimeout: time.Minute}))}
		for range 5 + rng.IntN(25) {
			select {
			case c := <-b.calls:
				sides = append(sides, side(b, c.Line))
			default:
			}
			sides[rng.IntN(len(sides))].wish()
			sides[0].pause()
		}
		for _, o := range sides {
			o.line.End(bridge.CauseNormal, "")
		}
		time.Sleep(5 * time.Minute)
		for len(b.calls) > 0 {
			c := <-b.calls
			c.End(bridge.CauseNormal, "")
			time.Sleep(time.Minute)
		}
		for _, o := range sides {
			o.wishes.Wait()
			o.check(ports)
			if t.Failed() {
				for _, line := range o.story {
					t.Log(line)
				}
			}
		}
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
}

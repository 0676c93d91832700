//go:build long

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc/whip"
	"github.com/roomline/roomline/phone"
)

var soakFor = flag.Duration("soak", 3*time.Minute, "how long calls turn over")

const (
	soakPairs    = 25 // a phone with Opus and one with G.711 each: 50 transcoded calls at any time
	soakBrowsers = 4  // browser legs that come and go beside them
	soakWarm     = 15 * time.Second
)

// turnover is what came and went.
type turnover struct {
	calls, failed, deaf, browsers     atomic.Int64
	received, lost, browserLegPackets atomic.Uint64
}

func (o *turnover) String() string {
	return fmt.Sprintf("%d calls, %d failed, %d heard nothing, %d packets received, %d lost; %d browser legs, %d packets received",
		o.calls.Load(), o.failed.Load(), o.deaf.Load(), o.received.Load(), o.lost.Load(), o.browsers.Load(), o.browserLegPackets.Load())
}

// TestSoakFiftyCallsTurnOverEachSecond keeps 50 calls up, each of which ends after a
// second of speech both ways and is followed by another, and finds memory,
// goroutines, descriptors and ports where they were.
func TestSoakFiftyCallsTurnOverEachSecond(t *testing.T) {
	h := startHouse(t, `
trunks:
  - {name: desks, addresses: [127.0.0.1], codecs: [opus, PCMU]}
`)
	wide := softphone(t, phone.Config{Codecs: []media.Codec{media.Opus}, KeepHeard: 10 * time.Second})
	plain := softphone(t, phone.Config{Codecs: []media.Codec{media.PCMU}, KeepHeard: 10 * time.Second})
	h.turnsOver(soakWarm, wide, plain)
	before := h.rested(usage{})
	ran := time.Now()
	spent := h.turnsOver(*soakFor, wide, plain)
	t.Logf("in %s: %s; %.1f calls a second", time.Since(ran).Round(time.Second), spent, float64(spent.calls.Load())/time.Since(ran).Seconds())
	after := h.rested(before)
	t.Logf("before %+v, after %+v", before, after)
	if spent.failed.Load() > 0 || spent.deaf.Load() == spent.calls.Load() { // a slow machine may not get to hear each within its second
		t.Errorf("calls went wrong: %s", spent)
	}
	if after.goroutines > before.goroutines+10 || after.descriptors > before.descriptors+4 || after.heapMB > before.heapMB+16 || after.rssMB > before.rssMB+64 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// rested waits until nothing is under way, and no more is used than before, if it ever comes to that.
func (h *house) rested(before usage) (now usage) {
	h.t.Helper()
	h.until("all calls are gone", func() bool {
		return len(h.exchange.Calls()) == 0 && h.ports.InUse() == 0 && h.spool.Backlog() == 0 && h.engine.Peers() == 0
	})
	h.log.forget()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(time.Second) { // lines and SIP transactions are remembered for 32 s
		if now = used(h.t); before != (usage{}) && now.goroutines <= before.goroutines && now.heapMB <= before.heapMB+8 || time.Now().After(deadline) {
			return now
		}
	}
}

// turnsOver has calls and browsers come and go for a time.
func (h *house) turnsOver(d time.Duration, wide, plain *phone.Phone) *turnover {
	o := &turnover{}
	ctx, cancel := context.WithTimeout(h.t.Context(), d)
	defer cancel()
	var slots sync.WaitGroup
	defer slots.Wait()
	for i := range soakPairs {
		room := fmt.Sprintf("pair-%d", i)
		for _, p := range []*phone.Phone{wide, plain} {
			slots.Go(func() {
				for ctx.Err() == nil {
					o.call(p, "sip:"+room+"@"+h.ua.Addr().String())
				}
			})
		}
	}
	for i := range soakBrowsers {
		slots.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				o.browse(h, fmt.Sprintf("pair-%d", i), fmt.Sprintf("browser-%d-%d", i, n))
			}
		})
	}
	return o
}

// call places one call that speaks for a second and hears what the other one says.
func (o *turnover) call(p *phone.Phone, target string) {
	o.calls.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := p.Dial(ctx, target, phone.DialOptions{From: "soak"})
	if err != nil {
		o.failed.Add(1)
		return
	}
	c.Speak(phone.Tone(440, -20))
	time.Sleep(time.Second)
	c.Hangup()
	<-c.Ended()
	q := c.Report().Quality
	o.received.Add(q.PacketsReceived)
	o.lost.Add(q.PacketsLost)
	if q.PacketsReceived < 10 || media.Level(c.Heard()) < -60 {
		o.deaf.Add(1)
	}
}

// browse lets a browser leg in, to listen for a second.
func (o *turnover) browse(h *house, room, identity string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	token, _ := h.token(room, identity, bridge.RoleGuest)
	c, err := whip.Listen(ctx, h.url()+"/v1/rooms/"+room+"/whep", token, func(*media.Packet) { o.browserLegPackets.Add(1) })
	o.browsers.Add(1)
	if err != nil {
		o.failed.Add(1)
		return
	}
	time.Sleep(time.Second)
	if err := c.Leave(ctx); err != nil {
		o.failed.Add(1)
	}
}

// residentMB is the memory that the process holds.
func residentMB(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Fscan(strings.NewReader(string(text)), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return float64(resident) * float64(os.Getpagesize()) / (1 << 20)
}

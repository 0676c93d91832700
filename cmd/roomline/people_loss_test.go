package main

import (
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// outage is how long the network is away.
const outage = 10 * time.Second

// TestABrowserComesBackFromALostNetwork: for 10 s nothing of a browser gets
// through, neither its WebSocket nor its sound. It comes back by itself, as the
// same participant, and both sides hear each other again.
func TestABrowserComesBackFromALostNetwork(t *testing.T) {
	udp := newWire()
	h := startHouse(t, "", func(s *settings) { s.Listen = udp.listen })
	tcp := startRelay(t, h.http.Addr().String())
	dana := h.visits("lobby", "dana", bridge.RoleDispatcher, false, tcp.url(), steady(t, 910))
	caller := h.calls(softphone(t, phone.Config{}), "lobby", phone.DialOptions{From: "caller"})
	caller.Speak(phone.Tone(440, -20))
	id := dana.arrives("caller").ID
	hears(t, "the phone", caller.Heard, 910, -20)
	dana.heardNow(id, 440)

	udp.lose(h.engine.Addr().String())
	tcp.cut(true)
	lost := time.Now()
	h.until("dana is away", func() bool { p, ok := h.present("lobby", "dana"); return ok && p.Away })
	t.Logf("known to be away after %.1f s", time.Since(lost).Seconds())
	dana.Sees(t, "status", "Reconnecting")
	<-time.After(time.Until(lost.Add(outage)))
	if p, ok := h.present("lobby", "dana"); !ok || !p.Away || p.ID != dana.id {
		t.Errorf("after %s of loss: %+v", outage, p)
	}
	udp.lose("")
	tcp.cut(false)
	back := time.Now()
	dana.Sees(t, "status", "Connected")
	h.until("dana is back", func() bool { p, ok := h.present("lobby", "dana"); return ok && !p.Away })
	t.Logf("back after %.1f s", time.Since(back).Seconds())
	hears(t, "the phone", caller.Heard, 910, -20)
	dana.heardNow(id, 440)
	t.Logf("sound both ways after %.1f s", time.Since(back).Seconds())
	if p, ok := h.present("lobby", "dana"); !ok || p.ID != dana.id {
		t.Errorf("dana came back as %s, was %s", p.ID, dana.id)
	}
	if n := len(h.everybody("lobby")); n != 2 {
		t.Errorf("%d participants, want 2", n)
	}
	if since := time.Since(back); since > 15*time.Second {
		t.Errorf("sound was back only after %s", since)
	}
}

// heardNow waits until the page plays a participant's tone.
func (v *visitor) heardNow(id string, freqHz float64) {
	v.t.Helper()
	eventually(v.t, "the page plays the tone", 20*time.Second, func() bool {
		got := v.hear(300*time.Millisecond, id)[id]
		return math.Abs(media.ToneLevel(got.pcm, got.rateHz, freqHz)+20) < 1
	})
}

// relay is a road for TCP that can be cut: then what is on it stays there, and
// nothing new gets through, as when a radio is out of reach.
type relay struct {
	net.Listener
	to      string
	mu      sync.Mutex
	open    sync.Cond // on mu
	blocked bool
	closed  bool
	conns   []net.Conn
	running sync.WaitGroup
}

func startRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, to: to}
	r.open.L = &r.mu
	r.running.Go(r.accept)
	t.Cleanup(r.end)
	return r
}

func (r *relay) url() string { return "http://" + r.Addr().String() }

func (r *relay) cut(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocked = on
	r.open.Broadcast()
}

func (r *relay) end() {
	r.Close()
	r.mu.Lock()
	r.closed = true
	for _, c := range r.conns {
		c.Close()
	}
	r.open.Broadcast()
	r.mu.Unlock()
	r.running.Wait()
}

func (r *relay) accept() {
	for {
		near, err := r.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", r.to)
		if err != nil {
			near.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, near, far)
		if r.closed {
			near.Close()
			far.Close()
		}
		r.mu.Unlock()
		r.running.Go(func() { r.carry(far, near) })
		r.running.Go(func() { r.carry(near, far) })
	}
}

// carry moves bytes until one end closes; it waits while the road is cut.
func (r *relay) carry(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		r.mu.Lock()
		for r.blocked && !r.closed {
			r.open.Wait()
		}
		r.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

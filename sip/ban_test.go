package sip

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

func never() bool { return false }

func TestTenFailedTriesWithinAMinuteBan(t *testing.T) {
	b, a, now := newBans(), mustAddr("192.0.2.1"), time.Now()
	for i := range banTries - 1 {
		if d := b.strike(a, false, now.Add(time.Duration(i)*time.Second), never); d != 0 {
			t.Fatalf("banned at try %d", i+1)
		}
	}
	now = now.Add(10 * time.Second)
	if d := b.strike(a, false, now, never); d != banFirst {
		t.Fatalf("the tenth try: %v", d)
	}
	for _, c := range []struct {
		addr string
		at   time.Duration
		want bool
	}{
		{"192.0.2.1", time.Second, true}, {"::ffff:192.0.2.1", time.Second, true}, {"192.0.2.2", time.Second, false},
		{"192.0.2.1", banFirst - time.Second, true}, {"192.0.2.1", banFirst + time.Second, false},
	} {
		if got := b.banned(mustAddr(c.addr), now.Add(c.at)); got != c.want {
			t.Errorf("%s after %v: banned %v", c.addr, c.at, got)
		}
	}
	if b.dropped.Load() != 3 || b.active.Load() != 0 {
		t.Errorf("%d dropped, %d banned", b.dropped.Load(), b.active.Load())
	}
	want := banFirst
	for range 10 { // each ban is twice as long
		now = now.Add(banMost + time.Hour)
		b.banned(a, now)
		var d time.Duration
		for range banTries {
			d = b.strike(a, false, now, never)
		}
		if want = min(2*want, banMost); d != want {
			t.Errorf("banned for %v, want %v", d, want)
		}
	}
}

func TestSlowTriesAreNoAttack(t *testing.T) {
	b, a, now := newBans(), mustAddr("192.0.2.1"), time.Now()
	for i := range 100 {
		if d := b.strike(a, false, now.Add(time.Duration(i)*7*time.Second), never); d != 0 {
			t.Fatalf("banned at try %d", i+1)
		}
	}
}

func TestForgedPacketsDoNotBanWhoHasShownAPassword(t *testing.T) {
	b, a, now := newBans(), mustAddr("192.0.2.1"), time.Now()
	b.vouch(a, now)
	for range 100 {
		if b.strike(a, false, now, never) != 0 {
			t.Fatal("banned by tries that anybody could forge")
		}
	}
	banned := false
	for range banTries {
		banned = b.strike(a, true, now, never) != 0
	}
	if !banned {
		t.Error("tries that prove their source do not count")
	}
}

func TestWhoIsInACallIsNotBanned(t *testing.T) {
	b, a, now := newBans(), mustAddr("192.0.2.1"), time.Now()
	for range 100 {
		if b.strike(a, true, now, func() bool { return true }) != 0 {
			t.Fatal("banned")
		}
	}
}

func TestTheMemoryOfBansIsBounded(t *testing.T) {
	b, now := newBans(), time.Now()
	worst := mustAddr("192.0.2.1")
	for range banTries {
		b.strike(worst, false, now, never)
	}
	for i := range 10 * maxSeen {
		b.strike(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), false, now, never)
		if i%100 == 0 && !b.banned(worst, now) {
			t.Fatal("who goes on is forgotten before those who stopped")
		}
	}
	if len(b.seen) != maxSeen || b.lru.Len() != maxSeen || b.active.Load() != 1 {
		t.Errorf("%d addresses, %d in the list, %d banned", len(b.seen), b.lru.Len(), b.active.Load())
	}
	if a, c := mustAddr("2001:db8::1"), mustAddr("2001:db8::2:1"); banKey(a) != banKey(c) || banKey(a) == banKey(mustAddr("2001:db8:0:1::1")) {
		t.Error("IPv6 is not banned by /64")
	}
}

func TestStrangersHearNothingUntilTheyCall(t *testing.T) {
	var known atomic.Bool
	known.Store(true)
	a := startAgent(t, func(c *Config) {
		strangers(c)
		c.Admit = nil
		c.Known = func(netip.Addr) bool { return known.Load() }
	})
	w := newWire(t, a.Addr())
	options := w.invite()
	options.method, options.body = "OPTIONS", ""
	w.sendDraft(options)
	w.response(200, "OPTIONS") // so the request is sound

	known.Store(false)
	s := newWire(t, a.Addr())
	for _, method := range []string{"OPTIONS", "REGISTER", "SUBSCRIBE", "BYE", "NONSENSE"} {
		d := s.invite()
		d.method, d.body = method, ""
		s.sendDraft(d)
		s.send(strings.Replace(s.text(d), "Call-ID", "Broken", 1))
	}
	s.silence(300*time.Millisecond, func(message) bool { return true })
	if n, _ := a.BanCount(); n != 1 {
		t.Errorf("%d addresses are banned after ten tries", n)
	}
	r := <-a.refusals
	if !strings.Contains(r.Reason, "banned") || r.Source == "" {
		t.Errorf("the row says %+v", r)
	}
	s.sendDraft(s.invite())
	s.silence(300*time.Millisecond, func(message) bool { return true })
	if _, dropped := a.BanCount(); dropped == 0 {
		t.Error("nothing was dropped")
	}
	known.Store(true)
	a.PlanChanged()
	s.sendDraft(s.invite())
	if c := a.incoming(); c.Trunk != "" {
		t.Error("a known source needs no password")
	}
}

func TestAPasswordGuesserIsBannedWithinTenTries(t *testing.T) {
	a := startAgent(t, strangers)
	w := newWire(t, a.Addr())
	answered := map[string]bool{}
	for range 2 * banTries {
		w.sendDraft(w.invite())
		for m, ok := w.receive(100 * time.Millisecond); ok; m, ok = w.receive(100 * time.Millisecond) {
			if m.code == 401 {
				answered[m.value("call-id")] = true
			}
		}
	}
	if len(answered) != banTries {
		t.Errorf("%d tries were answered, want %d", len(answered), banTries)
	}
}

func TestAPasswordGuesserIsShutOutBeforeTheRightOne(t *testing.T) {
	a := startAgent(t, strangers)
	w := newWire(t, a.Addr())
	d := w.invite()
	w.sendDraft(d)
	ask := w.response(401, "INVITE")
	w.sendDraft(d.ackTo(ask))
	for i := range banTries - 1 {
		d = w.invite()
		d.extra = answerTo(t, ask, "MD5", d, "pbx", "guess", i+1)
		w.sendDraft(d)
		for m := w.response(401, "INVITE"); m.value("call-id") != d.callID; {
			m = w.response(401, "INVITE")
		}
		if r := <-a.refusals; r.Cause != bridge.CauseAuthentication {
			t.Errorf("refusal %+v", r)
		}
	}
	until(t, "the address is banned", func() bool { n, _ := a.BanCount(); return n == 1 })
	d = w.invite()
	d.extra = answerTo(t, ask, "MD5", d, "pbx", "open-sesame", 50)
	w.sendDraft(d)
	w.silence(300*time.Millisecond, func(m message) bool { return m.value("call-id") == d.callID })
}

// ackTo acknowledges a refusal, in the INVITE's transaction.
func (d draft) ackTo(m message) draft {
	branch := d.branch
	d = d.within("ACK", m)
	d.branch = branch
	return d
}

package socket

import (
	"net/netip"
	"testing"
	"time"
)

func never() bool { return false }

func TestTenFailedTriesWithinAMinuteBan(t *testing.T) {
	b, a, now := NewBans(), netip.MustParseAddr("192.0.2.1"), time.Now()
	for i := range BanTries - 1 {
		if d := b.Strike(a, false, now.Add(time.Duration(i)*time.Second), never); d != 0 {
			t.Fatalf("banned at try %d", i+1)
		}
	}
	now = now.Add(10 * time.Second)
	if d := b.Strike(a, false, now, never); d != banFirst {
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
		if got := b.banned(netip.MustParseAddr(c.addr), now.Add(c.at)); got != c.want {
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
		for range BanTries {
			d = b.Strike(a, false, now, never)
		}
		if want = min(2*want, banMost); d != want {
			t.Errorf("banned for %v, want %v", d, want)
		}
	}
}

func TestSlowTriesAreNoAttack(t *testing.T) {
	b, a, now := NewBans(), netip.MustParseAddr("192.0.2.1"), time.Now()
	for i := range 100 {
		if d := b.Strike(a, false, now.Add(time.Duration(i)*7*time.Second), never); d != 0 {
			t.Fatalf("banned at try %d", i+1)
		}
	}
}

func TestForgedPacketsDoNotBanWhoHasShownAPassword(t *testing.T) {
	b, a, now := NewBans(), netip.MustParseAddr("192.0.2.1"), time.Now()
	b.Vouch(a, now)
	for range 100 {
		if b.Strike(a, false, now, never) != 0 {
			t.Fatal("banned by tries that anybody could forge")
		}
	}
	banned := false
	for range BanTries {
		banned = b.Strike(a, true, now, never) != 0
	}
	if !banned {
		t.Error("tries that prove their source do not count")
	}
}

func TestWhoIsInACallIsNotBanned(t *testing.T) {
	b, a, now := NewBans(), netip.MustParseAddr("192.0.2.1"), time.Now()
	for range 100 {
		if b.Strike(a, true, now, func() bool { return true }) != 0 {
			t.Fatal("banned")
		}
	}
}

func TestTheMemoryOfBansIsBounded(t *testing.T) {
	b, now := NewBans(), time.Now()
	worst := netip.MustParseAddr("192.0.2.1")
	for range BanTries {
		b.Strike(worst, false, now, never)
	}
	for i := range 10 * maxSeen {
		b.Strike(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), false, now, never)
		if i%100 == 0 && !b.banned(worst, now) {
			t.Fatal("who goes on is forgotten before those who stopped")
		}
	}
	if len(b.seen) != maxSeen || b.lru.Len() != maxSeen || b.active.Load() != 1 {
		t.Errorf("%d addresses, %d in the list, %d banned", len(b.seen), b.lru.Len(), b.active.Load())
	}
	if a, c := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2:1"); BanKey(a) != BanKey(c) || BanKey(a) == BanKey(netip.MustParseAddr("2001:db8:0:1::1")) {
		t.Error("IPv6 is not banned by /64")
	}
}

package sip

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/socket"
)

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
	for range 2 * socket.BanTries {
		w.sendDraft(w.invite())
		for m, ok := w.receive(100 * time.Millisecond); ok; m, ok = w.receive(100 * time.Millisecond) {
			if m.code == 401 {
				answered[m.value("call-id")] = true
			}
		}
	}
	if len(answered) != socket.BanTries {
		t.Errorf("%d tries were answered, want %d", len(answered), socket.BanTries)
	}
}

func TestAPasswordGuesserIsShutOutBeforeTheRightOne(t *testing.T) {
	a := startAgent(t, strangers)
	w := newWire(t, a.Addr())
	d := w.invite()
	w.sendDraft(d)
	ask := w.response(401, "INVITE")
	w.sendDraft(d.ackTo(ask))
	for i := range socket.BanTries - 1 {
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

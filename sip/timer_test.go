package sip

import (
	"strings"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
)

// timed makes short intervals possible, which the standard does not allow.
func timed(c *Config) { c.SessionExpires, c.MinSE = 60*time.Second, 6*time.Second }

// dialled is an answered call to a wire, with more header lines in the 200.
func (w *wire) dialled(a *agent, extra string) (bridge.Line, message) {
	w.t.Helper()
	out := a.dial(bridge.DialSpec{To: "sip:x@" + w.addr(), From: "alice"})
	inv := w.request("INVITE")
	w.reply(inv, 200, "OK", "one", extra, sampleSDP("127.0.0.1", 40010, ""))
	expect(w.t, out, bridge.LineAnswered)
	w.request("ACK")
	return out, inv
}

func TestSessionIsRefreshedByUpdate(t *testing.T) {
	bubble(t, timed, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		out, inv := w.dialled(a, "Session-Expires: 40;refresher=uac\r\nRequire: timer\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n")
		if inv.value("session-expires") != "60" || !inList(inv.value("supported"), "timer") {
			t.Errorf("INVITE asks %q, %q", inv.value("session-expires"), inv.value("supported"))
		}
		for range 3 {
			begin := time.Now()
			w.conn.SetReadDeadline(time.Time{})
			time.Sleep(15 * time.Second)
			u := w.request("UPDATE")
			if d := time.Since(begin); d != 20*time.Second || len(u.Body) != 0 || u.value("session-expires") != "40;refresher=uac" {
				t.Errorf("UPDATE after %v with %d bytes, Session-Expires %q", d, len(u.Body), u.value("session-expires"))
			}
			w.reply(u, 200, "OK", "", "Session-Expires: 40;refresher=uac\r\n", "")
		}
		begin := time.Now()
		time.Sleep(15 * time.Second)
		w.reply(w.request("UPDATE"), 200, "OK", "", "", "") // the peer wants no timer any more
		w.silence(2*time.Minute, func(message) bool { return true })
		if time.Since(begin) < 2*time.Minute {
			t.Error("the clock stands still")
		}
		out.End(bridge.CauseNormal, "")
		w.reply(w.request("BYE"), 200, "OK", "", "", "")
		expectEnd(t, out, bridge.CauseNormal)
	})
}

func TestSessionIsRefreshedByAnInviteThatChangesNothing(t *testing.T) {
	for _, allow := range []string{"", "Allow: INVITE, ACK, BYE, UPDATE\r\n"} {
		bubble(t, timed, func(t *testing.T, n *memNet, a *agent) {
			w := n.wire(t, a.Addr())
			_, first := w.dialled(a, "Session-Expires: 12;refresher=uac\r\n"+allow)
			if allow != "" {
				w.reply(w.request("UPDATE"), 405, "Method Not Allowed", "", "", "") // said, and not meant
			}
			inv := w.request("INVITE")
			if string(inv.Body) != string(first.Body) {
				t.Errorf("the refresh offers\n%s\nwhere the call began with\n%s", inv.Body, first.Body)
			}
			w.reply(inv, 200, "OK", "", "Session-Expires: 12;refresher=uac\r\n", sampleSDP("127.0.0.1", 40010, ""))
			w.request("ACK")
			w.request("INVITE")
		})
	}
}

func TestRefreshThatFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		codes []int // the answers, the last one ends it
		words string
	}{
		{"forgotten", []int{481}, "does not know the call any more"},
		{"silent", []int{0}, "does not know the call any more"},
		{"glare, then forgotten", []int{491, 491, 481}, "does not know the call any more"},
		{"refused", []int{503, 503, 503, 503}, "the session timer ran out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, timed, func(t *testing.T, n *memNet, a *agent) {
				w := n.wire(t, a.Addr())
				out, _ := w.dialled(a, "Session-Expires: 60;refresher=uac\r\nAllow: UPDATE\r\n")
				time.Sleep(29 * time.Second)
				for _, code := range c.codes {
					m, _ := w.receive(12 * time.Second)
					if m.Head == nil || m.Method != "UPDATE" {
						break
					}
					if code != 0 {
						w.reply(m, code, "No", "", "", "")
					}
				}
				e := expectEnd(t, out, bridge.CauseSignalling)
				if !strings.Contains(e.Reason, c.words) {
					t.Errorf("ended because %q", e.Reason)
				}
				if bye := w.request("BYE"); !strings.Contains(bye.value("reason"), c.words) {
					t.Errorf("BYE says %q", bye.value("reason"))
				}
			})
		})
	}
}

func TestSessionThatNobodyRefreshesEnds(t *testing.T) {
	bubble(t, timed, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		begin := time.Now()
		c, d := w.ring(a, "Supported: timer\r\nSession-Expires: 30;refresher=uac\r\n", sampleSDP("127.0.0.1", 40000, ""))
		c.Answer()
		ok := w.response(200, "INVITE")
		if ok.value("session-expires") != "30;refresher=uac" || ok.value("require") != "timer" {
			t.Errorf("200: %+v", ok.Fields)
		}
		w.ackOK(d, ok)
		expect(t, c.Line, bridge.LineAnswered)
		time.Sleep(15 * time.Second)
		u := d.within("UPDATE", ok)
		u.extra = "Supported: timer\r\nSession-Expires: 30;refresher=uac\r\n"
		w.sendDraft(u)
		if m := w.response(200, "UPDATE"); m.value("session-expires") != "30;refresher=uac" {
			t.Errorf("refreshed: %+v", m.Fields)
		}
		time.Sleep(15 * time.Second)
		bye := w.request("BYE")
		if at := time.Since(begin); at != 35*time.Second { // a third before the end of the second interval
			t.Errorf("given up after %v", at)
		}
		if !strings.Contains(bye.value("reason"), "the session timer ran out") {
			t.Errorf("Reason %s", bye.value("reason"))
		}
		expectEnd(t, c.Line, bridge.CauseSignalling)
	})
}

func TestIntervalsAreNegotiated(t *testing.T) {
	for _, c := range []struct{ asked, granted string }{
		{"", ""},
		{"Supported: timer\r\n", "60;refresher=uas"},
		{"Supported: timer\r\nMin-SE: 100\r\n", "100;refresher=uas"},
		{"k: timer\r\nx: 20\r\n", "20;refresher=uas"},
		{"Session-Expires: 20;refresher=uac\r\n", "20;refresher=uas"}, // a proxy asks for somebody who cannot
		{"Supported: timer\r\nSession-Expires: 3600\r\n", "60;refresher=uas"},
		{"Supported: timer\r\nSession-Expires: 3600;refresher=uac\r\nMin-SE: 1800\r\n", "1800;refresher=uac"},
		{"Supported: timer\r\nSession-Expires: nonsense\r\n", "60;refresher=uas"},
		{"Session-Expires: 2\r\n", ""},
	} {
		bubble(t, timed, func(t *testing.T, n *memNet, a *agent) {
			w := n.wire(t, a.Addr())
			l, _ := w.ring(a, c.asked, sampleSDP("127.0.0.1", 40000, ""))
			l.Answer()
			if got := w.response(200, "INVITE").value("session-expires"); got != c.granted {
				t.Errorf("%q is granted %q, want %q", c.asked, got, c.granted)
			}
		})
	}
}

func TestIntervalsThatAreTooSmall(t *testing.T) {
	bubble(t, timed, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		d := w.invite()
		d.extra = "Supported: timer\r\nSession-Expires: 5\r\n"
		w.sendDraft(d)
		if m := w.response(422, "INVITE"); m.value("min-se") != "6" {
			t.Errorf("Min-SE %q", m.value("min-se"))
		}
		_, d, ok := w.call(a)
		for _, method := range []string{"UPDATE", "INVITE"} {
			u := d.within(method, ok)
			d.cseq, u.extra = u.cseq, "Supported: timer\r\nSession-Expires: 5\r\n"
			w.sendDraft(u)
			w.response(422, method)
		}
	})
	bubble(t, timed, func(t *testing.T, n *memNet, a *agent) {
		w := n.wire(t, a.Addr())
		out := a.dial(bridge.DialSpec{To: "sip:x@" + w.addr()})
		w.reply(w.request("INVITE"), 422, "Session Interval Too Small", "", "Min-SE: 200\r\n", "")
		w.request("ACK")
		inv := w.request("INVITE")
		if inv.value("session-expires") != "200" || inv.value("min-se") != "200" {
			t.Errorf("asks %q, at least %q", inv.value("session-expires"), inv.value("min-se"))
		}
		w.reply(inv, 422, "Session Interval Too Small", "", "Min-SE: 200\r\n", "") // it has what it wants
		expectEnd(t, out, bridge.CauseSignalling)
	})
}

func FuzzSessionExpires(f *testing.F) {
	f.Add("1800;refresher=uac", "90")
	f.Add(" 99999999999999999999 ; refresher=\"uas\"", "-1")
	f.Fuzz(func(t *testing.T, expires, least string) {
		req := sipmsg.NewRequest(sipmsg.INVITE, sipmsg.Uri{Host: "example.com"})
		req.AppendHeader(sipmsg.NewHeader("Session-Expires", expires))
		req.AppendHeader(sipmsg.NewHeader("Min-SE", least))
		if e, m := readExpires(req), readMinSE(req); e.interval < 0 || e.interval > maxSession || m < 0 || m > maxSession {
			t.Errorf("%v, %v", e, m)
		}
	})
}

package sip

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/sdp"
)

func (w *wire) uri(user string) string { return "sip:" + user + "@" + w.addr() }

// answerSDP is an answer with its media at a port.
func answerSDP(port int) string {
	return sampleSDP("127.0.0.1", port, fmt.Sprintf("m=audio %d RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n", port))
}

func TestDigestCredentialsAreSentOnceForEachRealm(t *testing.T) {
	a := startAgent(t, nil)
	trunk := func(w *wire) dialplan.Trunk {
		return dialplan.Trunk{Name: "n", Outbound: &dialplan.Outbound{Servers: []string{w.addr()}, Username: "alice", Password: "secret"}}
	}
	check := func(t *testing.T, m message, header, nonce string) {
		t.Helper()
		cred, err := digest.ParseCredentials(m.value(header))
		if err != nil {
			t.Fatalf("%s: %v", header, err)
		}
		chal := &digest.Challenge{Realm: cred.Realm, Nonce: nonce, Algorithm: cred.Algorithm}
		if cred.QOP != "" {
			chal.QOP = []string{cred.QOP}
		}
		want, err := digest.Digest(chal, digest.Options{Method: m.Method, URI: m.URI, Username: "alice", Password: "secret", Cnonce: cred.Cnonce, Count: cred.Nc})
		if err != nil || cred.Nonce != nonce || cred.URI != m.URI || want.Response != cred.Response {
			t.Errorf("credentials %+v, want %+v (%v)", cred, want, err)
		}
	}
	t.Run("proxy, then server, then a stale nonce", func(t *testing.T) {
		w := newWire(t, a.Addr())
		out := a.dial(bridge.DialSpec{To: "+15551234", Trunk: trunk(w)})
		m := w.request("INVITE")
		w.reply(m, 407, "Proxy Authentication Required", "t1", "Proxy-Authenticate: Digest realm=\"p\", nonce=\"n1\", qop=\"auth-int, auth\", algorithm=SHA-256\r\n", "")
		m = w.request("INVITE")
		check(t, m, "proxy-authorization", "n1")
		w.reply(m, 401, "Unauthorized", "t2", "WWW-Authenticate: Digest realm=\"s\", nonce=\"n2\"\r\n", "")
		m = w.request("INVITE")
		check(t, m, "proxy-authorization", "n1")
		check(t, m, "authorization", "n2")
		w.reply(m, 401, "Unauthorized", "t3", "WWW-Authenticate: Digest realm=\"s\", nonce=\"n3\", stale=TRUE\r\n", "")
		m = w.request("INVITE")
		check(t, m, "authorization", "n3")
		if m.value("cseq") != "5 INVITE" {
			t.Errorf("CSeq %s", m.value("cseq"))
		}
		w.reply(m, 200, "OK", "t4", "", answerSDP(40020))
		ack := w.request("ACK")
		if ack.value("authorization") == "" || ack.value("cseq") != "5 ACK" {
			t.Errorf("ACK %+v", ack.Fields)
		}
		expect(t, out, bridge.LineAnswered)
		out.End(bridge.CauseNormal, "")
		bye := w.request("BYE")
		w.reply(bye, 401, "Unauthorized", "", "WWW-Authenticate: Digest realm=\"s\", nonce=\"n4\"\r\n", "")
		bye = w.request("BYE")
		check(t, bye, "authorization", "n4")
		w.reply(bye, 200, "OK", "", "", "")
		expectEnd(t, out, bridge.CauseNormal)
	})
	t.Run("a wrong password is not tried twice", func(t *testing.T) {
		w := newWire(t, a.Addr())
		out := a.dial(bridge.DialSpec{To: "+15551234", Trunk: trunk(w)})
		for range 2 {
			w.reply(w.request("INVITE"), 401, "Unauthorized", "t", "WWW-Authenticate: Digest realm=\"s\", nonce=\""+unique("n")+"\"\r\n", "")
		}
		expectEnd(t, out, bridge.CauseAuthentication)
		w.silence(300*time.Millisecond, func(m message) bool { return m.Method == "INVITE" })
	})
	t.Run("a server that calls every nonce stale is not tried for ever", func(t *testing.T) {
		w := newWire(t, a.Addr())
		out := a.dial(bridge.DialSpec{To: "+15551234", Trunk: trunk(w)})
		for range 3 {
			w.reply(w.request("INVITE"), 401, "Unauthorized", "t", "WWW-Authenticate: Digest realm=\"s\", stale=true, nonce=\""+unique("n")+"\"\r\n", "")
		}
		expectEnd(t, out, bridge.CauseAuthentication)
	})
	t.Run("no credentials", func(t *testing.T) {
		w := newWire(t, a.Addr())
		out := a.dial(bridge.DialSpec{To: w.uri("x")})
		w.reply(w.request("INVITE"), 407, "Proxy Authentication Required", "t", "Proxy-Authenticate: Digest realm=\"p\", nonce=\"n\"\r\n", "")
		expectEnd(t, out, bridge.CauseAuthentication)
	})
}

func TestEarlyMediaAndForks(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	out := a.dial(bridge.DialSpec{To: w.uri("x")})
	inv := w.request("INVITE")
	w.reply(inv, 100, "Trying", "", "", "")
	w.reply(inv, 180, "Ringing", "one", "", "")
	expect(t, out, bridge.LineRinging)
	w.reply(inv, 183, "Session Progress", "two", "", answerSDP(40030))
	expect(t, out, bridge.LineEarly)
	if p := out.Media().Params(); p.Codec != media.PCMA || p.Remote.Port() != 40030 {
		t.Errorf("early media by %+v", p)
	}
	w.reply(inv, 200, "OK", "one", "", answerSDP(40040))
	ack := w.request("ACK")
	if grammar.TagOf(ack.value("to")) != "one" {
		t.Errorf("ACK to %s", ack.value("to"))
	}
	expect(t, out, bridge.LineAnswered)
	if p := out.Media().Params(); p.Remote.Port() != 40040 {
		t.Errorf("after the answer: %+v", p)
	}
	w.reply(inv, 200, "OK", "one", "", answerSDP(40040)) // our ACK was lost
	if ack := w.request("ACK"); grammar.TagOf(ack.value("to")) != "one" {
		t.Errorf("second ACK to %s", ack.value("to"))
	}
	w.reply(inv, 200, "OK", "two", "", answerSDP(40030)) // PEERS 14: the other fork answers too
	if ack := w.request("ACK"); grammar.TagOf(ack.value("to")) != "two" {
		t.Errorf("the fork's ACK goes to %s", ack.value("to"))
	}
	bye := w.request("BYE")
	if grammar.TagOf(bye.value("to")) != "two" {
		t.Errorf("BYE to %s", bye.value("to"))
	}
	w.reply(bye, 200, "OK", "", "", "")
	if p := out.Media().Params(); p.Remote.Port() != 40040 {
		t.Errorf("the fork took the media: %+v", p)
	}
	out.End(bridge.CauseNormal, "")
	bye = w.request("BYE")
	if grammar.TagOf(bye.value("to")) != "one" || !strings.Contains(bye.value("reason"), "cause=16") {
		t.Errorf("BYE %+v", bye.Fields)
	}
	w.reply(bye, 200, "OK", "", "", "")
	expectEnd(t, out, bridge.CauseNormal)
}

func TestCancelWaitsForAProvisionalResponse(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	out := a.dial(bridge.DialSpec{To: w.uri("x")})
	inv := w.request("INVITE")
	out.End(bridge.CauseCanceled, "")
	expectEnd(t, out, bridge.CauseCanceled)
	w.silence(200*time.Millisecond, func(m message) bool { return m.Method == "CANCEL" })
	w.reply(inv, 180, "Ringing", "t", "", "")
	c := w.request("CANCEL")
	if c.value("via") != inv.value("via") || c.value("cseq") != "2 CANCEL" || c.URI != inv.URI || strings.Contains(c.value("to"), "tag=") {
		t.Errorf("CANCEL %s %+v", c.start, c.Fields)
	}
	w.reply(c, 200, "OK", "t", "", "")
	w.reply(inv, 487, "Request Terminated", "t", "", "")
	w.request("ACK")
}

func TestAnswerThatCrossesCancelIsHungUp(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	out := a.dial(bridge.DialSpec{To: w.uri("x")})
	inv := w.request("INVITE")
	w.reply(inv, 180, "Ringing", "t", "", "")
	expect(t, out, bridge.LineRinging)
	out.End(bridge.CauseCanceled, "")
	c := w.request("CANCEL")
	w.reply(inv, 200, "OK", "t", "", answerSDP(40000))
	w.reply(c, 200, "OK", "t", "", "")
	w.request("ACK")
	w.reply(w.request("BYE"), 200, "OK", "", "", "")
	expectEnd(t, out, bridge.CauseCanceled)
}

func TestRedirectionIsNotFollowed(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	out := a.dial(bridge.DialSpec{To: w.uri("x")})
	w.reply(w.request("INVITE"), 302, "Moved Temporarily", "t", "Contact: <sip:expensive@192.0.2.1>\r\n", "")
	w.request("ACK")
	if e := expectEnd(t, out, bridge.CauseRedirected); e.SIPCode != 302 {
		t.Errorf("%+v", e)
	}
}

func TestAnswersThatCannotBeUsedAreHungUp(t *testing.T) {
	a := startAgent(t, nil)
	for name, body := range map[string]string{
		"no SDP": "", "no codec": sampleSDP("127.0.0.1", 40000, "m=audio 40000 RTP/AVP 9\r\n"),
		"refused": sampleSDP("127.0.0.1", 0, ""), "broken": "v=0\r\nx\r\n",
		"no m-line": sampleSDP("127.0.0.1", 40000, "a=sendrecv\r\n"),
	} {
		w := newWire(t, a.Addr())
		out := a.dial(bridge.DialSpec{To: w.uri("x")})
		w.reply(w.request("INVITE"), 200, "OK", "t", "", body)
		w.request("ACK")
		w.reply(w.request("BYE"), 200, "OK", "", "", "")
		if e := expectEnd(t, out, bridge.CauseIncompatible); e.Reason == "" {
			t.Errorf("%s: no words", name)
		}
	}
}

func TestLongRequestsTravelOverUDP(t *testing.T) {
	a, b := startAgent(t, nil), startAgent(t, nil)
	long := strings.Repeat("x", 1000)
	out := a.dial(bridge.DialSpec{To: b.uri("lobby"), Headers: map[string]string{"X-Long": long, "X-Longer": long, "X-Longest": long}})
	in := b.incoming()
	if in.Headers["X-Long"] != long || in.Headers["X-Longest"] != long {
		t.Error("the long header field did not arrive")
	}
	in.End(bridge.CauseBusy, "")
	expectEnd(t, out, bridge.CauseBusy)
}

// reinvite sends a re-INVITE in the dialog of ok and returns its answer.
func (w *wire) reinvite(d *draft, ok message, body string, code int) message {
	w.t.Helper()
	d.cseq++
	re := d.within("INVITE", ok)
	re.cseq, re.body = d.cseq, body
	w.sendDraft(re)
	m := w.response(code, "INVITE")
	if code == 200 {
		ack := re.within("ACK", m)
		ack.cseq = re.cseq
		w.sendDraft(ack)
	} else {
		w.sendDraft(re.ackOf(m))
	}
	return m
}

func TestPeerDefect08HoldIsAnsweredWithTheRightDirection(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	line, d, ok := w.call(b)
	first, _ := sdp.Parse(ok.Body)
	if first.Streams[0].Dir != sdp.SendRecv {
		t.Fatal("the first answer is not sendrecv")
	}
	audio := func(rest string) string { return "m=audio 40000 RTP/AVP 0 8\r\n" + rest }
	version := versionOf(t, ok)
	for _, c := range []struct {
		sdp         string
		want        sdp.Direction
		send, recv  bool
		kind        bridge.LineEventKind
		sameVersion bool
	}{
		{sampleSDP("127.0.0.1", 0, audio("a=sendonly\r\n")), sdp.Receives, false, true, bridge.LineHeld, false},
		{sampleSDP("127.0.0.1", 0, audio("a=sendonly\r\n")), sdp.Receives, false, true, 0, true},
		{sampleSDP("127.0.0.1", 0, audio("a=sendrecv\r\n")), sdp.SendRecv, true, true, bridge.LineResumed, false},
		{sampleSDP("127.0.0.1", 0, audio("a=inactive\r\n")), sdp.Inactive, false, false, bridge.LineHeld, false},
		{sampleSDP("127.0.0.1", 0, audio("")), sdp.SendRecv, true, true, bridge.LineResumed, false},
		{sampleSDP("0.0.0.0", 0, audio("")), sdp.Receives, false, true, bridge.LineHeld, false},
		{sampleSDP("127.0.0.1", 0, audio("a=recvonly\r\n")), sdp.Sends, true, false, bridge.LineResumed, false},
	} {
		m := w.reinvite(&d, ok, c.sdp, 200)
		s, err := sdp.Parse(m.Body)
		if err != nil || s.Streams[0].Dir != c.want {
			t.Fatalf("%q answered %v (%v), want %v", c.sdp, s.Streams[0].Dir, err, c.want)
		}
		if c.kind != 0 {
			expect(t, line, c.kind)
		}
		if p := line.Media().Params(); p.Send != c.send || p.Receive != c.recv || p.Remote.Port() != 40000 {
			t.Errorf("%v: media %+v", c.want, p)
		}
		if v := versionOf(t, m); v != version+1 && !c.sameVersion || v != version && c.sameVersion {
			t.Errorf("SDP version %d after %d", v, version)
		} else {
			version = v
		}
	}
}

func versionOf(t *testing.T, m message) uint64 {
	t.Helper()
	var id, v uint64
	_, rest, _ := strings.Cut(string(m.Body), "o=roomline ")
	if _, err := fmt.Sscan(rest, &id, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestReinviteChangesCodecAndAddress(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	line, d, ok := w.call(b)
	m := w.reinvite(&d, ok, sampleSDP("127.0.0.2", 0, "m=audio 40100 RTP/AVP 8\r\na=ptime:30\r\nm=video 0 RTP/AVP 31\r\n"), 200)
	expect(t, line, bridge.LineRenegotiated)
	p := line.Media().Params()
	if p.Codec != media.PCMA || p.Remote != netip.MustParseAddrPort("127.0.0.2:40100") || p.Ptime != 30*time.Millisecond || p.EventsAgreed {
		t.Errorf("media %+v", p)
	}
	if s, _ := sdp.Parse(m.Body); len(s.Streams) != 2 || s.Streams[1].Port != 0 || s.Streams[0].Ptime != 30*time.Millisecond {
		t.Errorf("answer %+v", s)
	}
	w.reinvite(&d, ok, sampleSDP("127.0.0.1", 0, "m=audio 40100 RTP/AVP 9\r\n"), 488)
	if q := line.Media().Params(); q.Codec != media.PCMA || q.Remote != p.Remote {
		t.Errorf("a refused offer changed the session: %+v", q)
	}
	late := w.reinvite(&d, ok, "", 200) // its ACK carries no answer
	if s, err := sdp.Parse(late.Body); err != nil || len(s.Streams) != 2 || s.Streams[1].Port != 0 {
		t.Errorf("our offer: %+v, %v", s, err)
	}
	w.reply(w.request("BYE"), 200, "OK", "", "", "")
	expectEnd(t, line, bridge.CauseIncompatible)
}

func TestOverlappingInvites(t *testing.T) {
	b := startAgent(t, nil)
	t.Run("before the first is answered", func(t *testing.T) {
		w := newWire(t, b.Addr())
		d := w.invite()
		w.sendDraft(d)
		c := b.incoming()
		c.Ring()
		ringing := w.response(180, "INVITE")
		m := w.reinvite(&d, ringing, sampleSDP("127.0.0.1", 40000, ""), 500)
		if m.value("retry-after") == "" {
			t.Error("no Retry-After")
		}
		c.End(bridge.CauseBusy, "")
		w.response(486, "INVITE")
	})
	t.Run("against our own", func(t *testing.T) {
		w := newWire(t, b.Addr())
		line, d, ok := w.call(b)
		held := make(chan error, 1)
		go func() { held <- line.Hold(t.Context(), true) }()
		ours := w.request("INVITE")
		w.reinvite(&d, ok, sampleSDP("127.0.0.1", 40000, ""), 491)
		w.reply(ours, 491, "Request Pending", "", "", "")
		w.request("ACK")
		ours = w.request("INVITE") // after a while, again
		if s, _ := sdp.Parse(ours.Body); s.Streams[0].Dir != sdp.Sends {
			t.Errorf("we offer %v", s.Streams[0].Dir)
		}
		w.reply(ours, 200, "OK", "", "", sampleSDP("127.0.0.1", 40000, "m=audio 40000 RTP/AVP 0\r\na=recvonly\r\n"))
		w.request("ACK")
		if err := <-held; err != nil {
			t.Error(err)
		}
		if p := line.Media().Params(); !p.Send || p.Receive {
			t.Errorf("media %+v", p)
		}
	})
	t.Run("with an old number", func(t *testing.T) {
		w := newWire(t, b.Addr())
		_, d, ok := w.call(b)
		d.cseq--
		w.reinvite(&d, ok, sampleSDP("127.0.0.1", 40000, ""), 500)
	})
	t.Run("ours refused", func(t *testing.T) {
		w := newWire(t, b.Addr())
		line, _, _ := w.call(b)
		held := make(chan error, 1)
		go func() { held <- line.Hold(t.Context(), true) }()
		w.reply(w.request("INVITE"), 488, "Not Acceptable Here", "", "", "")
		if err := <-held; err == nil || !strings.Contains(err.Error(), "488") {
			t.Errorf("hold: %v", err)
		}
		go func() { held <- line.Hold(t.Context(), true) }()
		w.request("ACK")
		w.reply(w.request("INVITE"), 481, "Call Does Not Exist", "", "", "")
		if err := <-held; err == nil {
			t.Error("hold worked in a lost dialog")
		}
		w.reply(w.request("BYE"), 481, "Call Does Not Exist", "", "", "")
		expectEnd(t, line, bridge.CauseSignalling)
	})
}

func TestRecordRouteIsFollowed(t *testing.T) {
	b := startAgent(t, nil)
	w, proxy := newWire(t, b.Addr()), newWire(t, b.Addr())
	d := w.invite()
	d.extra = "Record-Route: <sip:" + proxy.addr() + ";lr>\r\n"
	w.sendDraft(d)
	c := b.incoming()
	c.Answer()
	ok := w.response(200, "INVITE")
	if !strings.Contains(ok.value("record-route"), proxy.addr()) {
		t.Error("the 200 does not return the Record-Route")
	}
	w.sendDraft(d.within("ACK", ok))
	expect(t, c.Line, bridge.LineAnswered)
	c.End(bridge.CauseNormal, "")
	bye := proxy.request("BYE")
	if bye.value("route") != "<sip:"+proxy.addr()+";lr>" || bye.URI != "sip:bob@"+w.addr() {
		t.Errorf("BYE %s, Route %s", bye.URI, bye.value("route"))
	}
	proxy.reply(bye, 200, "OK", "", "", "")
}

func TestPeerBehindNATIsReachedAtItsSource(t *testing.T) {
	b := startAgent(t, nil)
	w := newWire(t, b.Addr())
	d := w.invite()
	d.body = sampleSDP("192.168.77.5", 40000, "")
	w.send(strings.Replace(w.text(d), "Contact: <sip:bob@"+w.addr()+">", "Contact: <sip:bob@192.168.77.5:5060>", 1))
	c := b.incoming()
	c.Answer()
	ok := w.response(200, "INVITE")
	w.sendDraft(d.within("ACK", ok))
	expect(t, c.Line, bridge.LineAnswered)
	if p := c.Media().Params(); !p.Latch || p.Remote != netip.MustParseAddrPort("127.0.0.1:40000") {
		t.Errorf("media %+v", p)
	}
	c.End(bridge.CauseNormal, "")
	bye := w.request("BYE")
	if bye.URI != "sip:bob@192.168.77.5:5060" {
		t.Errorf("BYE %s", bye.URI)
	}
	w.reply(bye, 200, "OK", "", "", "")
}

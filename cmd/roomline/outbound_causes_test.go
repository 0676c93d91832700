package main

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// exits writes a dial plan with one trunk and one route per number.
type exits struct{ trunks, routes strings.Builder }

// add gives a number a trunk of its own; more are further fields of the trunk.
func (e *exits) add(number, server, outbound, more string) {
	name := "t" + strings.TrimPrefix(number, "+")
	fmt.Fprintf(&e.trunks, "  - {name: %s, limits: {prefixes: [\"%s\"]}, outbound: {servers: [\"%s\"]%s}%s}\n", name, number, server, outbound, more)
	fmt.Fprintf(&e.routes, "  - {name: %s, from_room: true, to: \"%s\", trunk: %s}\n", name, number, name)
}

func (e *exits) String() string {
	return "trunks:\n" + e.trunks.String() + "routes:\n" + e.routes.String()
}

// refusing is a phone that answers every INVITE with one SIP code.
func refusing(t *testing.T, code int, cause bridge.Cause) string {
	t.Helper()
	p := softphone(t, phone.Config{Admit: func(bridge.Invite) *bridge.Refusal {
		return &bridge.Refusal{SIPCode: code, Cause: cause, Reason: "Says the test"}
	}})
	return p.Addr().String()
}

// serve answers what comes to a bare UDP socket until the test ends.
func serve(t *testing.T, answer func(w *sipPeer, m sipMessage)) string {
	t.Helper()
	sock, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	peer := &fixedPeer{PacketConn: sock}
	w, done := &sipPeer{t: t, sock: sock, conn: peer}, make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 65536)
		for {
			n, from, err := sock.ReadFrom(buf)
			if err != nil {
				return
			}
			peer.to = from
			answer(w, parseSIP(string(buf[:n])))
		}
	}()
	t.Cleanup(func() { sock.Close(); <-done })
	return sock.LocalAddr().String()
}

// closedPort is a port where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	addr, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func TestEveryOutboundFailureHasItsOwnCause(t *testing.T) {
	const unanswered = "+15550002001"
	var cancelled atomic.Int32
	ringer := softphone(t, phone.Config{})
	go func() {
		for {
			c, err := ringer.Next(t.Context())
			if err != nil {
				return
			}
			c.Ring()
			<-c.Ended()
			if c.Report().Cause == bridge.CauseCanceled {
				cancelled.Add(1)
			}
		}
	}()
	challenge := func(w *sipPeer, m sipMessage) {
		if m.method == "INVITE" {
			w.reply(m, "401 Unauthorized", "srv", "WWW-Authenticate: Digest realm=\"x\", nonce=\""+bridge.NewID("n")+"\", algorithm=MD5\r\n", "")
		}
	}
	says := func(status, extra, sdp string) func(*sipPeer, sipMessage) {
		return func(w *sipPeer, m sipMessage) {
			switch m.method {
			case "INVITE":
				w.reply(m, status, "srv", extra, sdp)
			case "BYE":
				w.reply(m, "200 OK", "", "", "")
			}
		}
	}
	alaw := softphone(t, phone.Config{Codecs: []media.Codec{media.PCMA}})
	cases := []struct {
		name, number, server, outbound, more string
		cause                                bridge.Cause
		code                                 int
		words                                string // a part of the reason
		ring                                 int
	}{
		{"busy", "+15550002000", refusing(t, 486, bridge.CauseBusy), "", "", bridge.CauseBusy, 486, "486", 0},
		{"no answer", unanswered, ringer.Addr().String(), "", "", bridge.CauseNoAnswer, 0, "not answered", 1},
		{"declined", "+15550002002", refusing(t, 603, bridge.CauseRejected), "", "", bridge.CauseRejected, 603, "603", 0},
		{"unknown number", "+15550002003", refusing(t, 404, bridge.CauseUnknownNumber), "", "", bridge.CauseUnknownNumber, 404, "404", 0},
		{"forbidden", "+15550002004", refusing(t, 403, bridge.CauseForbidden), "", "", bridge.CauseForbidden, 403, "403", 0},
		{"out of service", "+15550002005", refusing(t, 503, bridge.CauseUnreachable), "", "", bridge.CauseUnreachable, 503, "503", 0},
		{"closed port", "+15550002006", closedPort(t), "", "", bridge.CauseUnreachable, 0, "unreachable", 0},
		{"closed TCP port", "+15550002007", closedPort(t), ", transport: tcp", "", bridge.CauseUnreachable, 0, "refused", 0},
		{"black hole", "+15550002008", serve(t, func(*sipPeer, sipMessage) {}), "", "", bridge.CauseUnreachable, 0, "no response", 1},
		{"wrong password", "+15550002009", serve(t, challenge), ", username: u, password: pass-2009", "", bridge.CauseAuthentication, 401, "401", 0},
		{"no password", "+15550002010", serve(t, challenge), "", "", bridge.CauseAuthentication, 401, "401", 0},
		{"no common codec", "+15550002011", alaw.Addr().String(), "", ", codecs: [PCMU]", bridge.CauseIncompatible, 488, "488", 0},
		{"answered with another codec", "+15550002012", serve(t, says("200 OK", "", peerSDP("127.0.0.1", 40000, "m=audio 40000 RTP/AVP 9\r\n"))), "", "",
			bridge.CauseIncompatible, 0, "answer", 0},
		{"redirected", "+15550002013", serve(t, says("302 Moved Temporarily", "Contact: <sip:dear@192.0.2.1>\r\n", "")), "", "", bridge.CauseRedirected, 302, "302", 0},
		{"no such host", "+15550002014", "host.invalid", "", "", bridge.CauseUnreachable, 0, "host.invalid", 0},
		{"Q.850 says busy", "+15550002015", serve(t, says("500 Server Error", "Reason: Q.850;cause=17;text=\"User busy\"\r\n", "")), "", "", bridge.CauseBusy, 500, "User busy", 0},
	}
	var plan exits
	for _, c := range cases {
		plan.add(c.number, c.server, c.outbound, c.more)
	}
	h := startHouse(t, plan.String())
	events := h.follow()
	ids := make([]string, len(cases))
	for i, c := range cases {
		body := map[string]any{"to": c.number, "room": "lobby"}
		if c.ring > 0 {
			body["ring_timeout"] = c.ring
		}
		ids[i] = h.dial(body).ID
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := &house{gateway: h.gateway, t: t, log: h.log}
			rec := h.awaitState(ids[i], bridge.StateEnded)
			if rec.Cause != c.cause || rec.SIPCode != c.code && c.code != 0 || !strings.Contains(rec.Reason, c.words) || rec.AnsweredAt != nil || rec.EndedAt == nil {
				t.Errorf("API: cause %s, code %d, reason %q, answered %v; want %s, %d, …%s…", rec.Cause, rec.SIPCode, rec.Reason, rec.AnsweredAt, c.cause, c.code, c.words)
			}
			cdr := h.cdr(ids[i])
			if cdr.Cause != c.cause || cdr.Reason != rec.Reason || cdr.SIPCode != rec.SIPCode || cdr.DurationMS != 0 || cdr.To != c.number || cdr.Trunk == "" {
				t.Errorf("CDR: %+v", cdr)
			}
			h.until("the event has come", func() bool { _, ok := events.last(ids[i], "call.ended"); return ok })
			e, _ := events.last(ids[i], "call.ended")
			if e.Data["cause"] != string(c.cause) || e.Data["reason"] != rec.Reason {
				t.Errorf("event: %v", e.Data)
			}
			for _, kind := range events.of(ids[i]) {
				if strings.HasPrefix(kind, "participant.") || kind == "call.answered" {
					t.Errorf("a call that was not answered has the event %s", kind)
				}
			}
		})
	}
	eventually(t, "the ringing phone has heard CANCEL", 5*time.Second, func() bool { return cancelled.Load() == 1 })
	if rooms := h.exchange.Rooms(); len(rooms) != 0 {
		t.Errorf("rooms are left: %+v", rooms)
	}
	if strings.Contains(h.log.all(), "pass-2009") {
		t.Error("the password is in the log")
	}
}

func TestNothingIsDialledWithoutTrunkAndRoute(t *testing.T) {
	var invites atomic.Int32
	callee := softphone(t, phone.Config{Admit: func(bridge.Invite) *bridge.Refusal { invites.Add(1); return nil }})
	server := callee.Addr().String()
	var problem struct {
		Status int
		Detail string
		Errors []struct{ Location string }
	}
	for _, c := range []struct {
		name, plan, to, words string
		status                int
	}{
		{"empty plan", "", "+15551234567", "no from_room route", 403},
		{"empty plan, SIP URI", "", "sip:desk@" + server, "no from_room route", 403},
		{"a trunk without a route", "trunks:\n  - {name: a, outbound: {servers: [\"" + server + "\"]}}\n", "+15551234567", "no from_room route", 403},
		{"a route without prefixes", "trunks:\n  - {name: a, outbound: {servers: [\"" + server + "\"]}}\nroutes:\n  - {name: out, from_room: true, to: \"+*\", trunk: a}\n",
			"+15551234567", "prefixes", 403},
		{"outside the prefixes", "trunks:\n  - {name: a, limits: {prefixes: [\"+1\"]}, outbound: {servers: [\"" + server + "\"]}}\nroutes:\n  - {name: out, from_room: true, to: \"+*\", trunk: a}\n",
			"+33123456789", "prefixes", 403},
		{"a SIP URI that is nowhere in the plan", "trunks:\n  - {name: a, outbound: {servers: [\"" + server + "\"]}}\nroutes:\n  - {name: out, from_room: true, to: \"sip:*\", trunk: a}\n",
			"sip:desk@192.0.2.1", "from_room", 403},
		{"an emergency number that no route names", "trunks:\n  - {name: a, limits: {prefixes: [\"+\"]}, outbound: {servers: [\"" + server + "\"]}}\nroutes:\n  - {name: out, from_room: true, to: \"*\", trunk: a}\n",
			"911", "emergency", 403},
		{"nonsense", "", "hello there", "", 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := startHouse(t, c.plan)
			if status := h.ask("POST", "/v1/calls", map[string]any{"to": c.to}, &problem); status != c.status {
				t.Errorf("status %d (%s), want %d", status, problem.Detail, c.status)
			}
			if !strings.Contains(problem.Detail, c.words) || len(problem.Errors) == 0 || problem.Errors[0].Location != "body.to" {
				t.Errorf("%+v", problem)
			}
			if n := len(h.exchange.Calls()); n != 0 {
				t.Errorf("%d calls", n)
			}
		})
	}
	if n := invites.Load(); n != 0 {
		t.Errorf("%d INVITEs were sent", n)
	}
}

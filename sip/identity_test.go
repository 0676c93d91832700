package sip

import (
	"reflect"
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

func TestInviteSaysWhoCalls(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	for _, c := range []struct {
		name, extra string
		want        bridge.Identity
	}{
		{"nothing", "", bridge.Identity{}},
		{"sip and tel", "P-Asserted-Identity: \"Al, B\" <sip:al@carrier.example>, <tel:+1-555-1234>\r\n", bridge.Identity{Asserted: "+15551234"}},
		{"two fields", "P-Asserted-Identity: <sip:%2B15551234@carrier.example>\r\nP-Asserted-Identity: <sip:x@y.example>\r\n", bridge.Identity{Asserted: "+15551234"}},
		{"no user", "P-Asserted-Identity: <sip:carrier.example>\r\n", bridge.Identity{Asserted: "sip:carrier.example"}},
		{"broken", "P-Asserted-Identity: <sip:\r\n", bridge.Identity{}},
		{"unicode", "P-Asserted-Identity: <sip:%D9%A3%0D%0A@x.example>\r\n", bridge.Identity{Asserted: "sip:%D9%A3%0D%0A@x.example"}},
		{"private", "P-Asserted-Identity: <tel:+15551234>\r\nPrivacy: id;critical\r\n", bridge.Identity{Asserted: "+15551234", Private: true}},
		{"open", "Privacy: none\r\n", bridge.Identity{}},
		{"remote party", "Remote-Party-ID: <sip:x@y.example>;party=called\r\nRemote-Party-ID: \"B\" <sip:+15551@y.example>;party=calling;privacy=full;screen=yes\r\n",
			bridge.Identity{Asserted: "+15551", Private: true}},
		{"diversion", "Diversion: <sip:+15552@y.example>;reason=user-busy;counter=1, <tel:+15553>;reason=\"no-answer\"\r\nDiversion: <sip:bob@y.example>\r\n",
			bridge.Identity{Diversion: []string{"+15552;reason=user-busy", "+15553;reason=no-answer", "bob;reason=unknown"}}},
		{"history", "History-Info: <sip:+15551@x.example?Reason=SIP%3Bcause%3D486>;index=1, <sip:+15552@x.example;cause=486>;index=1.1;mp=1\r\n" +
			"History-Info: <sip:+15553@x.example;cause=302>;index=1.1.1;mp=1.1\r\n",
			bridge.Identity{Diversion: []string{"+15552;reason=unconditional", "+15551;reason=user-busy"}}},
		{"hidden history", "History-Info: <sip:+15551@x.example?Privacy=history>;index=1, <sip:+15552@x.example>;index=1.1\r\n", bridge.Identity{}},
	} {
		d := w.invite()
		d.extra = c.extra
		w.sendDraft(d)
		in := a.incoming()
		if !reflect.DeepEqual(in.Identity, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, in.Identity, c.want)
		}
		in.End(bridge.CauseRejected, "")
		w.sendDraft(d.ackOf(w.response(603, "INVITE")))
	}
}

func TestPrivateHeaderFieldsAreBounded(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	d := w.invite()
	d.extra = "Subject: hello\r\nx-case: 7\r\nX-Case: 8\r\n" + pathField + ": 1\r\nX-Long: " + strings.Repeat("x", 1100) + "\r\n"
	for range 40 {
		d.extra += "X-" + unique("n") + ": 1\r\n"
	}
	w.sendDraft(d)
	h := a.incoming().Headers
	if h["x-case"] != "7" || len(h) != mostFields {
		t.Errorf("%d fields: %v", len(h), h)
	}
	for _, name := range []string{"X-Case", "X-Long", pathField, "Subject"} {
		if _, ok := h[name]; ok {
			t.Errorf("%s is among them", name)
		}
	}
}

func TestDialSaysWhoCalls(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	at := func(c *dialplan.CallerID) dialplan.Trunk {
		return dialplan.Trunk{Name: "carrier", CallerID: c, Outbound: &dialplan.Outbound{Servers: []string{w.addr()}, Domain: "us.example"}}
	}
	for _, c := range []struct {
		name string
		spec bridge.DialSpec
		want map[string]string // beginnings of header fields; empty: absent
	}{
		{"plain", bridge.DialSpec{From: "+15550000", FromName: "Fire \"1\"\r\nEvil: x\u2028é", Trunk: at(nil)}, map[string]string{
			"from": `"Fire \"1\"Evil: xé" <sip:+15550000@us.example>;tag=`, "privacy": "", "p-asserted-identity": "", "diversion": "", "history-info": ""}},
		{"asserted", bridge.DialSpec{From: "+15550000", Trunk: at(nil), Identity: bridge.Identity{Asserted: "+15559"}}, map[string]string{
			"from": "<sip:+15550000@us.example>;tag=", "p-asserted-identity": "<sip:+15559@us.example>", "remote-party-id": ""}},
		{"private", bridge.DialSpec{From: "+15550000", Trunk: at(nil), Identity: bridge.Identity{Private: true}}, map[string]string{
			"from": anonymous + ";tag=", "p-asserted-identity": "<sip:+15550000@us.example>", "privacy": "id", "contact": "<sip:anonymous@127.0.0.1"}},
		{"private by the trunk, rpid", bridge.DialSpec{From: "+15550000", Trunk: at(&dialplan.CallerID{Privacy: true, Identity: "rpid"})}, map[string]string{
			"from": anonymous, "remote-party-id": "<sip:+15550000@us.example>;party=calling;screen=yes;privacy=full", "p-asserted-identity": ""}},
		{"none", bridge.DialSpec{From: "+15550000", Trunk: at(&dialplan.CallerID{Identity: "none"}), Identity: bridge.Identity{Asserted: "1", Private: true}}, map[string]string{
			"from": anonymous, "remote-party-id": "", "p-asserted-identity": "", "privacy": "id"}},
		{"diverted", bridge.DialSpec{From: "+15550000", Trunk: at(nil), Identity: bridge.Identity{Diversion: []string{"+15552;reason=user-busy", "bob"}}}, map[string]string{
			"diversion":    "<sip:+15552@us.example>;reason=user-busy;counter=1, <sip:bob@us.example>;reason=unknown;counter=1",
			"history-info": "<sip:bob@us.example>;index=1, <sip:+15552@us.example;cause=404>;index=1.1;mp=1, <sip:+15551234@" + w.addr() + ";cause=486>;index=1.1.1;mp=1.1"}},
		{"unspeakable", bridge.DialSpec{From: "+15550000", Trunk: at(nil), Identity: bridge.Identity{Asserted: "tel:1\r\nEvil: 1",
			Diversion: []string{"sip:a b;reason=x", strings.Repeat("1", 200), "", "+15552;reason=\r\nEvil: 1"}}}, map[string]string{
			"from": "<sip:+15550000@us.example>;tag=", "p-asserted-identity": "", "diversion": "<sip:+15552@us.example>;reason=unknown;counter=1"}},
		{"mapped", bridge.DialSpec{From: "+15550000", Trunk: at(nil), Identity: bridge.Identity{Asserted: "1"}, Headers: map[string]string{"p-asserted-identity": "<tel:+1>"}},
			map[string]string{"p-asserted-identity": "<tel:+1>"}},
	} {
		c.spec.To = "+15551234"
		a.dial(c.spec)
		m := w.request("INVITE")
		for name, want := range c.want {
			got, n := m.Get(name)
			if n > 1 || want == "" && n > 0 || !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q (%d times), want %q", c.name, name, got, n, want)
			}
		}
		if _, n := m.Get("evil"); n > 0 {
			t.Errorf("%s: a header field was smuggled in", c.name)
		}
		w.reply(m, 486, "Busy", "x", "", "")
	}
	for _, spec := range []bridge.DialSpec{
		{From: "sip:a@b>\r\nEvil: 1"}, {From: "sip:a@b?Evil=1"}, {From: "sip:\u0663@b"}, {From: strings.Repeat("1", 200)},
		{Headers: map[string]string{"X-A": "1\r\nEvil: 1"}}, {Headers: map[string]string{"Via": "x"}}, {Headers: map[string]string{"a:b": "x"}},
	} {
		spec.To, spec.Trunk = "+15551234", at(nil)
		if _, err := a.Dial(spec); err == nil {
			t.Errorf("%+v was dialled", spec)
		}
	}
}

func FuzzIdentity(f *testing.F) {
	f.Add("\"A\" <sip:+1@x.example>;party=calling;reason=user-busy;privacy=full", "<sip:1@x?Reason=SIP%3Bcause%3D302>;index=1, <sip:2@x>;index=1.1", "id;user")
	f.Add("<tel:+1>;q=0.1;expires=0", "sip:x", "none")
	f.Fuzz(func(t *testing.T, party, history, privacy string) {
		req := sipmsg.NewRequest(sipmsg.INVITE, sipmsg.Uri{Host: "example.com"})
		req.AppendHeader(&sipmsg.FromHeader{Address: sipmsg.Uri{Host: "example.com"}})
		for name, value := range map[string]string{"P-Asserted-Identity": party, "Remote-Party-ID": party, "Diversion": party, "History-Info": history, "Privacy": privacy, "Contact": party} {
			req.AppendHeader(sipmsg.NewHeader(name, value))
		}
		id := identityOf(req)
		if len(id.Diversion) > mostIdentities {
			t.Errorf("%d diversions", len(id.Diversion))
		}
		if len((&Line{}).contactsOf(req)) > mostContacts {
			t.Error("too many contacts")
		}
		readReason(req)
		// What was read can be said again, and stays on its line.
		c, err := callerOf(bridge.DialSpec{From: "1", FromName: party, Identity: id}, "example.com", "sip:2@example.com")
		if err != nil {
			return
		}
		for _, h := range append(c.fields, sipmsg.NewHeader("From", c.from)) {
			if strings.ContainsAny(h.Value(), "\r\n\x00") {
				t.Errorf("%q breaks out of %s", h.Value(), h.Name())
			}
		}
	})
}

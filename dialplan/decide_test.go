package dialplan

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// noon is a Tuesday, 12:00 in New York.
var noon = time.Date(2026, 3, 10, 16, 0, 0, 0, time.UTC)

func TestDecide(t *testing.T) {
	p := mustParse(t, `
trunks:
  - {name: carrier, addresses: [203.0.113.0/24], outbound: {servers: [sip.carrier.example]}, limits: {prefixes: ["+1"]}}
  - {name: pbx, addresses: [192.0.2.7]}
routes:
  - {name: any-pbx, trunk: pbx, room: pbx}
  - {name: sales, trunk: carrier, to: "+15551230000", hours: "Mo-Fr 09:00-17:00 America/New_York", room: sales, answer: ready, else: {room: front-desk}}
  - {name: shop, to: "+15551230001", hours: "Mo-Fr 09:00-17:00 America/New_York", room: shop}
  - {name: spam, from: "+1900*", reject: busy}
  - {name: callers, to: "+1*", room: "c-{{call.from}}"}
  - {name: sos, to: ["911", "urn:service:sos*"], room: "sos-{{call.id}}", priority: emergency}
  - {name: out, from_room: true, to: "+1*", trunk: carrier}
`)
	night := noon.Add(12 * time.Hour)
	cases := []struct {
		name  string
		q     Query
		route string
		want  string // room, or cause when refused
	}{
		{"by trunk and number", Query{Trunk: "carrier", To: "+15551230000", At: noon}, "sales", "sales"},
		{"else outside hours", Query{Trunk: "carrier", To: "+15551230000", At: night}, "sales", "front-desk"},
		{"another trunk", Query{To: "+15551230000", At: noon}, "callers", "c-{{call.from}}"},
		{"in hours", Query{To: "+15551230001", At: noon}, "shop", "shop"},
		{"outside hours without else goes on", Query{To: "+15551230001", At: night}, "callers", "c-{{call.from}}"},
		{"by caller", Query{To: "lobby", From: "+19005551234"}, "spam", "busy"},
		{"first match wins", Query{Trunk: "pbx", To: "+15551230000", From: "+1900", At: noon}, "any-pbx", "pbx"},
		{"emergency before all others", Query{Trunk: "pbx", To: "911"}, "sos", "sos-{{call.id}}"},
		{"emergency from a bad caller", Query{Trunk: "carrier", To: "911", From: "+19005551234"}, "sos", "sos-{{call.id}}"},
		{"service urn", Query{Trunk: "pbx", To: "URN:service:SOS.police"}, "sos", "sos-{{call.id}}"},
		{"emergency that no route names", Query{Trunk: "pbx", To: "112"}, "any-pbx", "pbx"},
		{"no route at all", Query{Trunk: "carrier", To: "112"}, "", "112"},
		{"the room of its name", Query{To: "Lobby"}, "", "Lobby"},
		{"escaped and with parameters", Query{To: "lob%62y;x=1"}, "", "lobby"},
		{"no room name", Query{To: "a b"}, "", "no_route"},
		{"nothing called", Query{}, "", "no_route"},
		{"a stranger", Query{Stranger: true, To: "lobby"}, "", "forbidden"},
		{"a stranger with an emergency", Query{Stranger: true, To: "911"}, "", "forbidden"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := p.Decide(c.q)
			got := d.Target.Room
			if d.Refused {
				got = d.Cause
			}
			if d.Route != c.route || got != c.want {
				t.Errorf("got route %q, %q: %s", d.Route, got, d)
			}
			if d.Reason == "" {
				t.Error("a decision without reason")
			}
			if (d.Priority == "emergency") != (Emergency(c.q.To) && !c.q.Stranger) {
				t.Errorf("priority %q", d.Priority)
			}
			if e := p.Explain(c.q); !reflect.DeepEqual(e.Decision, d) {
				t.Errorf("explained otherwise: %+v, %+v", e.Decision, d)
			}
		})
	}
}

func TestSOSWithoutAnyRouteIsNotLost(t *testing.T) {
	if d := new(Plan).Decide(Query{To: "urn:service:sos.fire"}); d.Refused || d.Target.Room != "sos" {
		t.Errorf("got %+v", d)
	}
}

func TestEmergencyCallsAreAskedForNoPIN(t *testing.T) {
	p := mustParse(t, "routes:\n  - {name: all, room: a, pin: \"4711\", else: {room: b, pin: \"4712\"}}")
	for to, want := range map[string]string{"911": "", "1911": "4711"} {
		if d := p.Decide(Query{To: to}); d.Target.PIN != want || (d.Else.PIN == "") != (want == "") || d.Else != d.Target.Else {
			t.Errorf("%s: got %+v", to, d)
		}
	}
	if p.Routes[0].PIN != "4711" || p.Routes[0].Else.PIN != "4712" {
		t.Error("the plan was changed")
	}
}

func TestDecisionCarriesElseForTargetsThatCannotTakeTheCall(t *testing.T) {
	p := mustParse(t, sample)
	d := p.Decide(Query{Trunk: "carrier", To: "+15551230000", At: noon})
	if d.Else == nil || d.Else.Room != "front-desk" || d.Target.Answer != "ready" {
		t.Errorf("got %+v", d)
	}
	if d = p.Decide(Query{Trunk: "carrier", To: "+15551230000", At: noon.Add(12 * time.Hour)}); d.Else != nil {
		t.Errorf("an else has no else: got %+v", d)
	}
}

func TestPeerDefect04EmptyFrom(t *testing.T) {
	p := mustParse(t, "routes:\n  - {name: a, to: x, from: \"+1*\", room: a}\n  - {name: b, to: x, from: \"*\", room: \"b-{{call.from}}\"}")
	d := p.Decide(Query{To: "x", From: ""})
	if d.Route != "b" {
		t.Fatalf("got %+v", d)
	}
	room, err := Expand(d.Target.Room, map[string]string{"call.from": "", "call.to": "x", "call.id": "1"})
	if room != "b-unknown" || err != nil {
		t.Errorf("got %q, %v", room, err)
	}
	if s := p.Explain(Query{To: "x"}).String(); !strings.Contains(s, "the caller is none") {
		t.Errorf("got %s", s)
	}
}

// Users must be able to tell a wrong address from a wrong number.
func TestPeerDefect10EveryRefusalSaysWhatWasWrong(t *testing.T) {
	p := mustParse(t, sample)
	cases := []struct {
		q    Query
		want string
	}{
		{Query{Stranger: true, To: "lobby"}, "the source is not trusted"},
		{Query{To: "a b"}, "no route matches, and the called name is no room name"},
		{Query{To: "%zz"}, "broken % escape"},
		{Query{To: "x", From: "+19001"}, "route spam, which rejects with rejected"},
		{Query{FromRoom: true, To: "+442071838750"}, "no from_room route matches this call"},
		{Query{FromRoom: true, To: "+15551230000", Trunk: "nobody"}, "no trunk is named nobody"},
		{Query{FromRoom: true, To: "5551234"}, "expected a number with + and its country code"},
	}
	seen := map[string]bool{}
	for _, c := range cases {
		d := p.Decide(c.q)
		if !d.Refused || !strings.Contains(d.Reason, c.want) || seen[d.Reason] {
			t.Errorf("%v: got %+v", c.q, d)
		}
		seen[d.Reason] = true
	}
}

func TestExplainTellsEachStep(t *testing.T) {
	p := mustParse(t, sample)
	got := p.Explain(Query{Trunk: "carrier", To: "15551230000", From: "+15559990000", At: noon}).String()
	want := `call to 15551230000 from +15559990000, trunk carrier, coming in, at Tue 2026-03-10 16:00 UTC
  emergency  to is 911, 112, 933, urn:service:sos*, called is 15551230000
  sales      to is +15551230000, called is 15551230000 (it came without +: add that form as a pattern, or set the trunk's country)
  spam       from is +1900*, the caller is +15559990000
  out        is for calls that leave a room
  out-911    is for calls that leave a room
= room 15551230000 (no route matches: the room that the called user part names)
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got = p.Explain(Query{FromRoom: true, To: "tel:+1 (212) 555-1234", At: noon}).String()
	if !strings.Contains(got, "→ out        matches: to is +1*") || !strings.HasSuffix(got, "= dials +12125551234 by trunk carrier (route out)\n") {
		t.Errorf("got\n%s", got)
	}
	if b, err := json.Marshal(p.Explain(Query{To: "911"})); err != nil || !strings.Contains(string(b), `"steps":[{"route":"emergency","matched":true`) {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestHours(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	cases := []struct {
		hours, at string
		open      bool
	}{
		{"", "2026-03-10T16:00:00Z", true},
		{"Mo-Fr 09:00-17:00 America/New_York", "2026-03-10T13:00:00Z", true}, // summer time: 09:00
		{"Mo-Fr 09:00-17:00 America/New_York", "2026-03-10T12:59:59Z", false},
		{"Mo-Fr 09:00-17:00 America/New_York", "2026-03-06T13:30:00Z", false}, // winter time: 08:30
		{"Mo-Fr 09:00-17:00 America/New_York", "2026-03-10T21:00:00Z", false}, // the end is outside
		{"Mo-Fr 09:00-17:00 America/New_York", "2026-03-14T16:00:00Z", false}, // Saturday
		{"Mo-Fr 09:00-17:00 UTC; Sa 10:00-12:00", "2026-03-14T11:00:00Z", true},
		{"Mo-Fr 09:00-17:00 UTC; Sa 10:00-12:00 Asia/Tokyo", "2026-03-14T02:00:00Z", true},
		{"Mo,We 08:00-09:00,10:00-11:00 UTC", "2026-03-11T10:30:00Z", true},
		{"Mo,We 08:00-09:00,10:00-11:00 UTC", "2026-03-11T09:30:00Z", false},
		{"Fr-Mo 00:00-24:00 UTC", "2026-03-15T23:59:59Z", true},
		{"Fr-Mo 00:00-24:00 UTC", "2026-03-10T00:00:00Z", false},
		{"Fr 22:00-06:00 Europe/Berlin", "2026-03-14T04:59:00Z", true}, // Saturday 05:59 belongs to Friday's night
		{"Fr 22:00-06:00 Europe/Berlin", "2026-03-14T05:00:00Z", false},
		{"Fr 22:00-06:00 Europe/Berlin", "2026-03-13T04:00:00Z", false},
	}
	for _, c := range cases {
		h, err := parseHours(c.hours)
		if err != nil || h.open(at(c.at), nil) != c.open {
			t.Errorf("%q at %s: got %v, %v", c.hours, c.at, !c.open, err)
		}
	}
	for _, bad := range []string{
		" ", "Mo", "Mo-Fr 09:00-17:00", "09:00-17:00 UTC", "Mo 9:00-17:00 UTC", "Mo 09:00-09:00 UTC", "Mo 24:00-25:00 UTC",
		"Mo 09:00 UTC", "Monday 09:00-17:00 UTC", "Mo- 09:00-17:00 UTC", "Mo 09:00-17:00 Local", "Mo 09:00-17:00 ../etc/passwd",
		"Mo 09:00-17:00 Mars/Base", "Mo 09:00-17:00 UTC;", "Mo 09:00-17:00 UTC x",
	} {
		if _, err := parseHours(bad); err == nil {
			t.Errorf("%q: expected an error", bad)
		}
	}
}

func FuzzHours(f *testing.F) {
	f.Add("Mo-Fr 09:00-17:00 America/New_York; Sa 10:00-12:00")
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := parseHours(s); err == nil {
			h.open(noon, nil)
		}
	})
}

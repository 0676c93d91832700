package dialplan

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const exitsPlan = `
trunks:
  - {name: first, outbound: {servers: [a.example]}, limits: {prefixes: ["+1"]}}
  - {name: second, outbound: {servers: [b.example]}, limits: {prefixes: ["+1", "+44"]}}
  - {name: closed, outbound: {servers: [c.example]}}
  - {name: pbx, addresses: [192.0.2.7], outbound: {servers: [pbx.example]}, limits: {prefixes: ["+1555"]}}
routes:
  - {name: both, from_room: true, to: "+*", trunks: [first, second, closed]}
  - {name: names, from_room: true, to: "sip:*", trunks: [first, second]}
  - {name: sos, from_room: true, to: "911", trunks: [closed, second]}
  - {name: onward, trunk: pbx, to: "+1*", number: "{{call.to}}", trunks: [second, first], ring_timeout: 20s, else: {number: "+15550001111", else: {room: desk, pin: "4711"}}}
  - {name: agents, trunk: pbx, to: "7*", number: "sip:{{call.to}}@pbx.example", trunks: [pbx]}
`

func TestExitsAreInOrderWithoutTheTrunksThatForbid(t *testing.T) {
	p := mustParse(t, exitsPlan)
	for _, c := range []struct{ to, trunk, want, denied string }{
		{"+12125551234", "", "first second", ""},
		{"+442071838750", "", "second", ""},
		{"+12125551234", "second", "second", ""},
		{"911", "", "closed second", ""},
		{"sip:bob@b.example", "", "second", ""},
		{"+4930123456", "", "", "outside the prefixes that trunk first allows: +1; the number is outside the prefixes that trunk second allows: +1, +44; trunk closed allows no number"},
		{"+12125551234", "closed", "", "trunk closed allows no number"},
		{"sip:bob@c.example", "", "", "no from_room route"},
		{"sip:bob@b.example", "first", "", "no from_room route"},
	} {
		exits, err := p.Exits(Query{To: c.to, Trunk: c.trunk})
		var names []string
		for _, e := range exits {
			names = append(names, e.Trunk.Name)
		}
		if got := strings.Join(names, " "); got != c.want || (err != nil) != (c.denied != "") || err != nil && !strings.Contains(err.Error(), c.denied) {
			t.Errorf("%s by %q: got %q, %v", c.to, c.trunk, got, err)
		}
		d := p.Decide(Query{FromRoom: true, To: c.to, Trunk: c.trunk})
		if strings.Join(d.Trunks, " ") != c.want || len(names) > 0 && d.Trunk != names[0] {
			t.Errorf("%s: decided %+v", c.to, d)
		}
		if one, err := p.Exit(Query{To: c.to, Trunk: c.trunk}); err == nil && !reflect.DeepEqual(one, exits[0]) {
			t.Errorf("Exit is not the first of Exits: %+v", one)
		}
	}
}

func TestNumberTargetsAreHeldToThePolicyOfTheirTrunks(t *testing.T) {
	p := mustParse(t, exitsPlan)
	vars := func(to string) map[string]string {
		return map[string]string{"call.id": "1", "call.to": to, "call.from": "", attributes + "case": "+15550002222"}
	}
	target := func(number string, trunks ...string) Target { return Target{Number: number, Trunks: trunks} }
	for _, c := range []struct {
		t        Target
		to, want string
	}{
		{target("{{call.to}}", "second", "first"), "+12125551234", "second +12125551234, first +12125551234"},
		{target("{{call.to}}", "first"), "+442071838750", "outside the prefixes that trunk first"},
		{target("{{call.to}}", "closed"), "+12125551234", "trunk closed allows no number"},
		{target("+15550001111"), "lobby", "first +15550001111, second +15550001111"},
		{target("{{call.attributes.case}}", "first"), "x", "first +15550002222"},
		{target("{{call.attributes.none}}", "first"), "x", "the call has no value for this"},
		{target("{{call.to}}", "first"), "bob@evil.example", "cannot be part of a number"},
		{target("sip:{{call.to}}@a.example", "first"), "+19005551234;x", "cannot be part of a number"},
		{target("sip:{{call.to}}@a.example", "first"), "+4930123456", "outside the prefixes"},
		{target("sip:{{call.to}}@pbx.example", "pbx"), "1001", "dialled only by a from_room route that names it"},
		{target("sip:1001@pbx.example", "pbx"), "x", "pbx sip:1001@pbx.example"},
		{target("sip:1001@pbx.example", "first"), "x", "trunk first has no server pbx.example"},
		{target("911", "closed"), "lobby", "closed 911"},
		{target("{{call.to}}", "closed"), "911", "closed 911"},
		{target("{{call.attributes.case}}", "nobody"), "x", "no trunk is named nobody"},
	} {
		exits, err := p.ExitsOf(c.t, Query{To: c.to}, vars(c.to))
		var got []string
		for _, e := range exits {
			got = append(got, e.Trunk.Name+" "+e.To)
		}
		if err != nil {
			got = []string{err.Error()}
		}
		if s := strings.Join(got, ", "); s != c.want && (err == nil || !strings.Contains(s, c.want)) {
			t.Errorf("%v for %s: got %s, want %s", c.t, c.to, s, c.want)
		}
		var denied *Denied
		if err != nil && (!errors.As(err, &denied) || denied.Cause == "") {
			t.Errorf("%v: no cause in %#v", c.t, err)
		}
	}
	spelled := vars("lobby")
	spelled[attributes+"case"] = "911"
	if _, err := p.ExitsOf(target("{{call.attributes.case}}", "closed"), Query{To: "lobby"}, spelled); err == nil {
		t.Error("a header of the caller's became an emergency call")
	}
}

func TestDecisionsCarryTheChain(t *testing.T) {
	p := mustParse(t, exitsPlan)
	d := p.Decide(Query{Trunk: "pbx", To: "+12125551234"})
	chain := d.Target.Chain()
	if len(chain) != 3 || chain[0].RingTimeout != "20s" || chain[1].Number != "+15550001111" || chain[2].PIN != "4711" || d.Else != d.Target.Else {
		t.Fatalf("got %+v", chain)
	}
	want := "number {{call.to}} by second, then first, rings for 20s, else number +15550001111, else room desk, asks for a PIN (route onward)"
	if d.String() != want {
		t.Errorf("got  %s\nwant %s", d, want)
	}
	loop := &Target{Room: "x"}
	loop.Else = loop
	if n := len(loop.Chain()); n != maxChain {
		t.Errorf("a loop has %d links", n)
	}
	_ = loop.String()
}

func TestExplainShowsTheTrunksOfNumbers(t *testing.T) {
	p := mustParse(t, exitsPlan)
	want := `call to +442071838750, leaving a room
→ both  matches: to is +*
  trunk first: the number is outside the prefixes that trunk first allows: +1
→ trunk second: may dial +442071838750
  trunk closed: trunk closed allows no number to be dialled: set its limits.prefixes, for example ["+1"]
= dials +442071838750 by trunk second (route both)
`
	if got := p.Explain(Query{FromRoom: true, To: "+442071838750"}).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got := p.Explain(Query{Trunk: "pbx", To: "+12125551234"}).String()
	for _, line := range []string{
		"→ number {{call.to}} by trunk second: may dial +12125551234\n→ number {{call.to}} by trunk first: may dial +12125551234\n",
		"→ number +15550001111 by trunk first: may dial +15550001111\n", "asks for a PIN",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("%q is not in\n%s", line, got)
		}
	}
	if strings.Contains(got+fmt.Sprintf("%+v %#v", p.Routes, p.Routes), "4711") {
		t.Errorf("the PIN is in\n%s", got)
	}
}

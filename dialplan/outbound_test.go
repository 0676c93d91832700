package dialplan

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const outboundPlan = `
trunks:
  - {name: carrier, outbound: {servers: [sip.carrier.example, "192.0.2.7:5070"]}, limits: {prefixes: ["+1", "+4420"]}}
  - {name: pbx, outbound: {servers: ["[2001:db8::1]:5080", pbx.example]}}
  - {name: inbound, addresses: [203.0.113.1]}
routes:
  - {name: night, from_room: true, to: "+1800*", hours: "Mo-Su 22:00-23:00 UTC", trunk: pbx}
  - {name: numbers, from_room: true, to: ["+*"], trunk: carrier}
  - {name: ext, from_room: true, to: ["sip:10*"], trunk: pbx}
  - {name: names, from_room: true, to: ["sip:*"], trunk: pbx}
  - {name: sos, from_room: true, to: ["911", "112"], trunk: carrier}
`

func TestOutbound(t *testing.T) {
	p := mustParse(t, outboundPlan)
	cases := []struct{ to, trunk, want, reason string }{
		{"+12125551234", "", "+12125551234", ""},
		{"+12125551234", "carrier", "+12125551234", ""},
		{" tel:+1 (212) 555.1234 ", "", "+12125551234", ""},
		{"TEL:+1-212-555-1234", "", "+12125551234", ""},
		{"%2B12125551234", "", "+12125551234", ""},
		{"＋１ ２１２ ５５５ １２３４", "", "+12125551234", ""},
		{"+١٢١٢٥٥٥١٢٣٤", "", "+12125551234", ""},
		{"+1\u00a0212\u2011555\u20111234", "", "+12125551234", ""},
		{"+44 (0)20 7183 8750", "", "+442071838750", ""},
		{"sip:+12125551234@sip.carrier.example", "", "+12125551234", ""},
		{"911", "", "911", ""},
		{"９１１", "", "911", ""},
		{"sip:bob@pbx.example", "", "sip:bob@pbx.example", ""},
		{"SIP:bob@PBX.example:5060", "", "sip:bob@pbx.example", ""},
		{"sip:bob@[2001:db8::1]", "", "sip:bob@[2001:db8::1]:5080", ""},
		{"sip:1001@pbx.example", "", "sip:1001@pbx.example", ""},

		{"+442071838750", "pbx", "", "no from_room route matches"},
		{"+12125551234", "nobody", "", "no trunk is named nobody"},
		{"+491711234567", "", "", "outside the prefixes that trunk carrier allows: +1, +4420"},
		{"sip:+491711234567@sip.carrier.example", "", "", "outside the prefixes"},
		{"sip:%2B491711234567@sip.carrier.example", "", "", "outside the prefixes"},
		{"sip:%252B491711234567@sip.carrier.example", "", "", "escaped twice"},
		{"sip:0049171@sip.carrier.example", "", "", "write + instead of 00"},
		{"sip:1001@sip.carrier.example", "", "", "no from_room route matches"},
		{"sip:2001@pbx.example", "", "", "dialled only by a from_room route that names it"},
		{"sip:911@pbx.example", "", "", "no from_room route matches"},
		{"sip:bob@evil.example", "", "", "no from_room route matches"},
		{"sip:bob@pbx.example:5061", "", "", "no from_room route matches"},
		{"sip:bob@pbx.example;transport=tls", "", "sip:bob@pbx.example", ""},
		{"sip:+12125551234@sip.carrier.example;user=phone", "", "+12125551234", ""},
		{"sip:bob@pbx.example;user=phone", "", "", "found letters"},
		{"sip:1001@pbx.example;user=phone", "", "", "with + and its country code"},
		{"sip:bob@pbx.example;transport=tls;maddr=192.0.2.66", "", "", "parameters and headers"},
		{"sip:bob@pbx.example;maddr=192.0.2.66", "", "", "parameters and headers"},
		{"sip:bob;x=1@pbx.example", "", "", "parameters and headers"},
		{"sip:bob@pbx.example?Replaces=x", "", "", "parameters and headers"},
		{"sip:bob:pw@pbx.example", "", "", "neither a name"},
		{"sip:bob@pbx.example@sip.carrier.example", "", "", "expected host"},
		{"sip:@pbx.example", "", "", "expected a SIP URI"},
		{"sip:pbx.example", "", "", "expected a SIP URI"},
		{"sips:bob@pbx.example", "", "", "sips: leaves only by trunks with transport: tls; trunk pbx has none"},
		{"sips:+12125551234@sip.carrier.example", "", "", "sips: leaves only by trunks with transport: tls; trunk carrier has none"},
		{"sips:bob@evil.example", "", "", "no from_room route matches"},
		{"sips:", "", "", "found letters"},
		{"bob@pbx.example", "", "", "a SIP URI like sip:name@server"},
		{"933", "", "", "no from_room route matches"},
		{"+1911", "", "", "too short for its country"},
		{"0012125551234", "", "", "write + instead of 00"},
		{"2125551234", "", "", "with + and its country code"},
		{"+1800FLOWERS", "", "", "found letters"},
		{"+12125551234;ext=5", "", "", "parameters behind a number"},
		{"+12125551234,,,900", "", "", "found the character U+002C"},
		{"*31#+12125551234", "", "", "found the character U+002A"},
		{"+1212\u200b5551234", "", "", "found the character U+200B"},
		{"+1212555\r\n1234", "", "", "found the character U+000D"},
		{"+9991234567", "", "", "the country code is unknown"},
		{"+1212555123456789012", "", "", "at most 15 digits"},
		{"+1%", "", "", "broken % escape"},
		{"", "", "", "found nothing"},
		{strings.Repeat("1", 300), "", "", "too long"},
	}
	for _, c := range cases {
		trunk, got, err := p.Outbound(c.to, c.trunk)
		if got != c.want {
			t.Errorf("%q: got %q by %q, %v", c.to, got, trunk.Name, err)
			continue
		}
		var denied *Denied
		if c.reason != "" && (!errors.As(err, &denied) || denied.Cause == "" || !strings.Contains(err.Error(), c.reason)) {
			t.Errorf("%q: got error %v, want %q", c.to, err, c.reason)
		}
		if c.reason == "" && (err != nil || trunk.Outbound == nil) {
			t.Errorf("%q: got %v, trunk %v", c.to, err, trunk)
		}
	}
}

func TestSecureURIsLeaveByTLSAlone(t *testing.T) {
	p := mustParse(t, `
trunks:
  - {name: clear, outbound: {servers: [pbx.example]}, limits: {prefixes: ["+"]}}
  - {name: tls, outbound: {servers: [pbx.example], transport: tls}, limits: {prefixes: ["+1"]}}
routes: [{name: out, from_room: true, trunks: [clear, tls]}]`)
	for to, want := range map[string]string{
		"sips:bob@pbx.example": "tls sips:bob@pbx.example", "SIPS:bob@pbx.example:5061": "tls sips:bob@pbx.example", "sips:bob@pbx.example:5060": "",
		"sips:+12125551234@pbx.example": "tls +12125551234", "sips:+4930123456@pbx.example": "", "sip:bob@pbx.example": "clear sip:bob@pbx.example tls sip:bob@pbx.example",
	} {
		exits, err := p.Exits(Query{To: to})
		var got []string
		for _, e := range exits {
			got = append(got, e.Trunk.Name, e.To)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, %v", to, got, err)
		}
	}
}

// 110 is an emergency number where the plan says so, and nowhere else.
func TestPlansNameTheirOwnEmergencyNumbers(t *testing.T) {
	p := mustParse(t, `
trunks:
  - {name: de, addresses: [192.0.2.1], country: DE, outbound: {servers: [de.example]}}
routes:
  - {name: all, trunk: de, room: lobby}
  - {name: police, to: ["110", "112"], room: "sos-{{call.id}}", priority: emergency}
  - {name: help, to: "115", number: "110", trunks: [de]}
  - {name: any, from_room: true, to: "*", trunk: de}
  - {name: out, from_room: true, to: "110", trunk: de, priority: emergency}
`)
	if d := p.Decide(Query{Trunk: "de", To: "110"}); d.Route != "police" || d.Priority != "emergency" {
		t.Errorf("in: got %+v", d)
	}
	for to, want := range map[string]string{"110": "out", "1 1 0": "out", "tel:110": "out", "sip:110@de.example": "out", "112": "", "115": "", "0110": "", "+110": ""} {
		if e, err := p.Exit(Query{To: to}); e.Route != want || err == nil && (e.To != "110" || !e.Emergency) {
			t.Errorf("%s: got %+v, %v", to, e, err)
		}
	}
	if exits, err := p.ExitsOf(p.Routes[2].Target, Query{To: "115"}, nil); err != nil || !exits[0].Emergency {
		t.Errorf("a target: got %v, %v", exits, err)
	}
	p.Routes = p.Routes[:4] // nobody says how it leaves
	if e, err := p.Exit(Query{To: "110"}); err == nil {
		t.Errorf("got %+v", e)
	}
}

func TestNothingIsDialledByDefault(t *testing.T) {
	const trunk = "trunks:\n  - {name: a, outbound: {servers: [a.example]}, limits: {prefixes: [\"+1\"]}}\n"
	const noPrefix = "trunks:\n  - {name: a, outbound: {servers: [a.example]}}\n"
	const all = "routes:\n  - {name: all, from_room: true, trunk: a}"
	for _, file := range []string{trunk, noPrefix + all, trunk + "routes:\n  - {name: in, room: x}"} {
		for _, to := range []string{"+12125551234", "911", "112", "urn:service:sos"} {
			if _, got, err := mustParse(t, file).Outbound(to, ""); err == nil || got != "" {
				t.Errorf("%s\n%s: got %q", file, to, got)
			}
		}
	}
	if _, got, err := new(Plan).Outbound("sip:a@b.example", ""); err == nil || got != "" {
		t.Errorf("an empty plan: got %q", got)
	}
	if _, got, err := mustParse(t, trunk+all).Outbound("+12125551234", ""); err != nil || got != "+12125551234" {
		t.Errorf("trunk and route: got %q, %v", got, err)
	}
}

func TestExitHonoursHoursAndCaller(t *testing.T) {
	p := mustParse(t, strings.Replace(outboundPlan, "{name: night,", "{name: night, from: \"+1212*\",", 1))
	p.Trunks[1].Limits = &Limits{Prefixes: []string{"+1800"}}
	late := noon.Add(6*60*60*1e9 + 1)
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{To: "+18005551234", From: "+12120000000", At: late}, "pbx"},
		{Query{To: "+18005551234", From: "+12120000000", At: noon}, "carrier"},
		{Query{To: "+18005551234", At: late}, "carrier"},
	} {
		if e, err := p.Exit(c.q); err != nil || e.Trunk.Name != c.want {
			t.Errorf("%v: got %v, %v", c.q, e, err)
		}
	}
	if e, _ := p.Exit(Query{To: "112"}); !e.Emergency || e.Route != "sos" {
		t.Errorf("got %+v", e)
	}
}

// keepsPolicy is what no string may break.
func keepsPolicy(t interface{ Fatalf(string, ...any) }, p *Plan, to string) {
	trunk, got, err := p.Outbound(to, "")
	if err != nil {
		if got != "" || err.Error() == "" {
			t.Fatalf("%q: an error and %q", to, got)
		}
		return
	}
	if trunk.Outbound == nil {
		t.Fatalf("%q leaves by a trunk without servers", to)
	}
	switch {
	case got == "911" || got == "112":
	case strings.HasPrefix(got, "+1") || strings.HasPrefix(got, "+4420"):
		if !isE164(got) {
			t.Fatalf("%q gives %q", to, got)
		}
	default:
		user, server, _ := strings.Cut(strings.TrimPrefix(got, "sip:"), "@")
		named := nameUser.MatchString(user) || extension.MatchString(user) && strings.HasPrefix(user, "10")
		if !named || server != "pbx.example" && server != "[2001:db8::1]:5080" || trunk.Name != "pbx" {
			t.Fatalf("%q gives %q", to, got)
		}
	}
}

func TestOutboundNeverLeavesTheAllowedPrefixes(t *testing.T) {
	p := mustParse(t, outboundPlan)
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"+", "＋", "%2B", "%252B", "tel:", "sip:", "sips:", "@", "sip.carrier.example", "pbx.example", ":5060",
			"[2001:db8::1]", "evil.example", ";", "?", "00", "011", "(0)", "1", "44", "20", "49", "900", "911", "112", " ", "\u00a0", "-", "\x00", "urn:service:sos"}),
		rapid.StringMatching(`[0-9]{1,8}`), rapid.StringMatching(`[0-9٠-٩０-９+().\- ]{1,12}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		keepsPolicy(t, p, strings.Join(rapid.SliceOfN(piece, 0, 7).Draw(t, "pieces"), ""))
	})
}

func FuzzOutbound(f *testing.F) {
	p := mustParse(f, outboundPlan)
	for _, s := range []string{"+12125551234", "tel:+44 (0)20 7183 8750", "sip:bob@pbx.example", "sip:1001@[2001:db8::1]:5080", "911", "％", "+4420%31"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, to string) { keepsPolicy(t, p, to) })
}

func TestDigitValueOfEveryScript(t *testing.T) {
	for zero, name := range map[rune]string{'0': "ASCII", '٠': "Arabic", '०': "Devanagari", '๐': "Thai", '０': "fullwidth", '𝟎': "mathematical", '𝟬': "mathematical sans"} {
		for i := range rune(10) {
			if got := digitValue(zero + i); got != byte(i) {
				t.Errorf("%s %d: got %d", name, i, got)
			}
		}
	}
}

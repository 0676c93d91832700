package dialplan

import (
	"strings"
	"testing"
)

const countryPlan = `
trunks:
  - {name: de, addresses: [192.0.2.1], country: DE, outbound: {servers: [de.example]}, limits: {prefixes: ["+49"]}}
  - {name: us, addresses: [192.0.2.2], country: US, outbound: {servers: [us.example]}, limits: {prefixes: ["+1"]}}
  - {name: plain, addresses: [192.0.2.3]}
routes:
  - {name: mobile, trunk: de, to: "+4915*", from: "+49*", room: mobile}
  - {name: short, to: "115", room: short}
  - {name: national, to: "030111*", room: national}
  - {name: out, from_room: true, to: "+*", trunks: [de, us]}
`

func TestNumbersReadAsTheTrunksCountryWritesThem(t *testing.T) {
	for _, c := range []struct{ country, in, want string }{
		{"DE", "015551234", "+4915551234"},
		{"DE", "030 123456", "+4930123456"},
		{"DE", "0049 30 123456", "+4930123456"},
		{"DE", "+4930123456", "+4930123456"},
		{"DE", "+49 (0)30 123456", "+4930123456"},
		{"US", "5551230000", "+15551230000"},
		{"US", "15551230000", "+15551230000"},
		{"US", "011442071838750", "+442071838750"},
		{"US", "(212) 555-1234", "+12125551234"},
		{"GB", "020 7183 8750", "+442071838750"},
		{"US", "５５５１２３００００", "+15551230000"},
		// as they are
		{"DE", "115", "115"}, {"DE", "110", "110"}, {"DE", "112", "112"}, {"US", "911", "911"}, {"US", "611", "611"}, {"GB", "999", "999"},
		{"US", "1001", "1001"}, {"US", "5551234", "5551234"}, {"US", "lobby", "lobby"}, {"US", "1800FLOWERS", "1800FLOWERS"},
		{"US", "", ""}, {"US", "anonymous", "anonymous"}, {"US", "urn:service:sos", "urn:service:sos"}, {"", "015551234", "015551234"},
		{"US", "+999123", "+999123"}, {"US", "12125551234567890", "12125551234567890"},
	} {
		if got := normal(c.in, c.country); got != c.want {
			t.Errorf("%s in %q: got %s, want %s", c.in, c.country, got, c.want)
		}
	}
}

func TestCountryOfATrunkDecidesOnCallsThatComeIn(t *testing.T) {
	p := mustParse(t, countryPlan)
	for _, c := range []struct{ trunk, to, from, room, wantTo, wantFrom string }{
		{"de", "015551234", "030123456", "mobile", "+4915551234", "+4930123456"},
		{"de", "115", "030123456", "short", "115", "+4930123456"},
		{"de", "030111222", "", "national", "+4930111222", ""},
		{"plain", "015551234", "030123456", "015551234", "015551234", "030123456"},
		{"de", "0301234567", "", "0301234567", "+49301234567", ""}, // no route: the room that was called
		{"de", "112", "", "112", "112", ""},
	} {
		d := p.Decide(Query{Trunk: c.trunk, To: c.to, From: c.from})
		if d.Target.Room != c.room || d.To != c.wantTo || d.From != c.wantFrom {
			t.Errorf("%+v: got %+v", c, d)
		}
	}
	s := p.Explain(Query{Trunk: "de", To: "015551234", From: "030123456"}).String()
	if !strings.Contains(s, "  called 015551234 normalised to +4915551234, as in DE\n  caller 030123456 normalised to +4930123456, as in DE\n") {
		t.Errorf("got\n%s", s)
	}
}

func TestNationalNumbersLeaveOnlyWhereTheirCountryIsKnown(t *testing.T) {
	p := mustParse(t, countryPlan)
	for _, c := range []struct{ to, trunk, want, reason string }{
		{"030 123456", "de", "+4930123456", ""},
		{"2125551234", "us", "+12125551234", ""},
		{"sip:2125551234@us.example", "us", "+12125551234", ""},
		{"2125551234", "", "", "the trunks are in different countries (DE, US)"},
		{"011 49 30 123456", "us", "", "outside the prefixes that trunk us allows"},
		{"611", "us", "", "no whole number of country US"},
		{"9 11", "us", "", "no from_room route matches"},
		{"lobby", "", "", "found letters"},
		{"+12125551234", "", "+12125551234", ""},
	} {
		e, err := p.Exit(Query{To: c.to, Trunk: c.trunk, From: "212 555 0000"})
		if e.To != c.want || err != nil && (c.reason == "" || !strings.Contains(err.Error(), c.reason)) {
			t.Errorf("%+v: got %q, %v", c, e.To, err)
		}
		if c.trunk == "us" && err == nil && e.From != "+12125550000" {
			t.Errorf("caller: got %s", e.From)
		}
	}
}

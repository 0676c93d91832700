package dialplan

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// forbiddenPlans may dial some numbers, and none of those that the generator
// hides. allowed are their prefixes, said again for the oracle.
var forbiddenPlans = map[string]struct {
	text    string
	allowed []string
	names   bool // sip:name@pbx.example may be dialled
	sos     bool // 911 may be dialled
}{
	"no route": {"trunks: [{name: a, outbound: {servers: [sip.carrier.example]}, limits: {prefixes: [\"+1212\"]}}]", []string{"+1212"}, false, false},
	"no limits": {`
trunks: [{name: a, outbound: {servers: [sip.carrier.example]}}]
routes: [{name: out, from_room: true, trunk: a}]`, nil, false, false},
	"one city": {`
trunks: [{name: a, outbound: {servers: [sip.carrier.example]}, limits: {prefixes: ["+1212", "+4420"]}}]
routes: [{name: out, from_room: true, to: "*", trunk: a}]`, []string{"+1212", "+4420"}, false, false},
	"two trunks, names and 911": {`
trunks:
  - {name: a, outbound: {servers: [sip.carrier.example, "192.0.2.7:5070"]}, limits: {prefixes: ["+1212"]}}
  - {name: b, outbound: {servers: [pbx.example, sip.carrier.example]}, limits: {prefixes: ["+44207"]}}
routes:
  - {name: sos, from_room: true, to: ["911", "urn:service:sos*"], trunk: a}
  - {name: names, from_room: true, to: "sip:*", trunks: [a, b]}
  - {name: out, from_room: true, trunks: [a, b]}`, []string{"+1212", "+44207"}, true, true},
	"national numbers": {`
trunks: [{name: a, country: US, outbound: {servers: [sip.carrier.example]}, limits: {prefixes: ["+1212"]}}]
routes: [{name: out, from_room: true, trunk: a}]`, []string{"+1212"}, false, false},
	"national numbers of Germany": {`
trunks: [{name: a, country: DE, outbound: {servers: [sip.carrier.example]}, limits: {prefixes: ["+4930"]}}]
routes: [{name: out, from_room: true, to: "+*", trunk: a}]`, []string{"+4930"}, false, false},
}

// costly is how numbers begin that no plan above allows: premium, satellite,
// islands in +1, and places that fraud likes.
var costly = []string{
	"1900", "1976", "1876", "1809", "1473", "44909", "4470", "49190", "88161", "88216", "883510", "979", "371", "53", "252", "960", "677", "1242", "44871",
}

// trick hides a number behind what phones, carriers and browsers make of it.
type trick struct{ *rand.Rand }

func (r trick) one(of ...string) string { return of[r.IntN(len(of))] }

func (r trick) destination() string {
	if r.IntN(8) == 0 {
		return r.emergency()
	}
	s := r.prefixed(r.one(costly...) + fmt.Sprint(1_000_000+r.IntN(9_000_000)))
	for range r.IntN(3) {
		s = r.disguised(s)
	}
	return r.wrapped(s)
}

func (r trick) prefixed(digits string) string {
	switch r.IntN(4) {
	case 0:
		return "+" + digits
	case 1:
		return digits
	case 2: // something in front that a switch may swallow
		return r.one("00", "011", "+00", "+011", "+001", "++", "0+", "9", "9,", "0", "*67", "*31#+", "#31#", "+0", "000", "810", "0011", "+(0)", "00(0)", "%2B%2B", "１") + digits
	}
	return "+" + digits + r.one("#", "*", ",,1", "p1", "w1", "x5", " ext 5", "ext.5", ";ext=5", ";isub=1", ";postd=22", strings.Repeat("0", 1+r.IntN(30)), "\x00", "\r\n", "%0d%0aVia: x")
}

func (r trick) disguised(s string) string {
	switch r.IntN(7) {
	case 0:
		return r.between(s, " ", ".", "-", "(", ")", "/", "\u00a0", "\u2011", "\u3000", "()", " - ")
	case 1:
		return r.between(s, "\x00", "\t", "\r\n", "\u200b", "\u00ad", "\u202e", "\u2060", "\ufeff", ",", ";", "%", "%00", "_", "'", "\xff")
	case 2:
		return r.otherDigits(s)
	case 3:
		return r.escaped(s)
	case 4:
		return url.PathEscape(s)
	case 5:
		return r.one(" ", "\t", "tel:", "TEL:", "%20", "") + s + r.one(" ", "\n", "")
	}
	return s
}

// between puts something between some of the characters.
func (r trick) between(s string, fillers ...string) string {
	var out strings.Builder
	for _, c := range s {
		out.WriteRune(c)
		if r.IntN(3) == 0 {
			out.WriteString(r.one(fillers...))
		}
	}
	return out.String()
}

// otherDigits writes some digits in another script, or as what only looks like one.
func (r trick) otherDigits(s string) string {
	zeros := []rune{'٠', '۰', '०', '๐', '０', '𝟎', '𝟬', '߀', '₀', '⓪', 'Ⅰ'}
	zero := zeros[r.IntN(len(zeros))]
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' && r.IntN(2) == 0 {
			return zero + c - '0'
		}
		if c == '+' && r.IntN(2) == 0 {
			return []rune{'＋', '⁺', '﹢', '₊'}[r.IntN(4)]
		}
		return c
	}, s)
}

// escaped writes some bytes as % escapes, sometimes twice or wrongly.
func (r trick) escaped(s string) string {
	form := r.one("%%%02X", "%%%02x", "%%25%02X", "%%2525%02x", "%%C0%%%02X", "%%u00%02X", "&#%d;", "\\x%02x")
	var out strings.Builder
	for _, c := range []byte(s) {
		if r.IntN(3) == 0 {
			fmt.Fprintf(&out, form, c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

func (r trick) wrapped(s string) string {
	server := r.one("sip.carrier.example", "pbx.example", "192.0.2.7:5070", "SIP.CARRIER.EXAMPLE", "sip.carrier.example:5060")
	switch r.IntN(8) {
	case 0:
		return "tel:" + s + r.one("", ";phone-context=+1212", ";phone-context=+1212;ext=1", ";phone-context=sip.carrier.example", ";cic=+10288", ";rn=+12125551234;npdi")
	case 1:
		return r.one("sip:", "SIP:", "sips:", " sip:") + s + "@" + server + r.one("", "", "", ";user=phone", ";transport=tcp", ";maddr=203.0.113.66", "?Route=%3Csip:evil.example%3E", ";method=REFER", "@evil.example", ":5061", ".evil.example", "#", "/")
	case 2:
		return "sip:" + r.one(s+"@evil.example", s+";phone-context=+1212@"+server, "+12125551234;rn="+s+"@"+server, s+":pw@"+server, "+12125551234%40evil.example%3Bx="+s+"@"+server,
			"+12125551234@"+s, server+"@"+s, "@"+server, s, s+"%40"+server, "bob%00"+s+"@"+server, s+"@[::ffff:192.0.2.7]", s+"@"+server+"%00.evil.example", "\""+s+"\"@"+server)
	case 3:
		return r.one("urn:service:", "urn:service:sos;", "urn:tel:", "callto:", "http://", "mailto:", "h323:", "im:", "<tel:", "\"+12125551234\" <sip:", "sip:sip:", "tel:tel:", "tel:sip:", "data:,") + s + r.one("", ">", "@"+server, "@"+server+">")
	}
	return s
}

func (r trick) emergency() string {
	s := r.one("9 11", "911#", "*911", "+911", "9-1-1", "９１１", "٩١١", "911;x", "0911", "9911", "911911", "1 911", "911 1", "911%00", "%39%31%31", "%2539%2531%2531",
		"urn:service:sos", "urn:service:sos ", "urn:service:sos;x", "urn:service:sosx", "URN:SERVICE:SOS.police", "urn:service:sos@pbx.example", "urn:service:counseling", "112", "+112", "933", "999", "000", "110", "911,19005551234", "911w19005551234")
	return r.one(s, s, "tel:"+s, "sip:"+s+"@sip.carrier.example", "sip:"+s+"@pbx.example;user=phone", "sips:"+s+"@pbx.example", " "+s+"\t", "tel:"+s+";phone-context=+1")
}

// within is the oracle: it knows the form of a number and the prefixes, and
// nothing of how the package works.
func within(to string, emergency bool, allowed []string, names, sos bool) bool {
	if emergency {
		return sos && (to == "911" || strings.HasPrefix(to, "urn:service:sos"))
	}
	if user, server, ok := strings.Cut(strings.TrimPrefix(to, "sip:"), "@"); ok {
		letter := strings.Trim(user[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
		return names && letter && slices.Contains([]string{"sip.carrier.example", "pbx.example", "192.0.2.7:5070"}, server)
	}
	if len(to) > 16 || !strings.HasPrefix(to, "+") || strings.Trim(to[1:], "0123456789") != "" {
		return false
	}
	return slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(to, prefix) })
}

func TestTenThousandForbiddenDestinations(t *testing.T) {
	r := trick{rand.New(rand.NewPCG(3, 6))}
	destinations := map[string]bool{}
	for len(destinations) < 10_000 {
		destinations[r.destination()] = true
	}
	for name, plan := range forbiddenPlans {
		p := mustParse(t, plan.text).Prepare()
		asked, allowed, kinds := 0, 0, map[string]int{}
		judge := func(to string, names bool, exits []Exit, err error) {
			asked++
			if err != nil {
				kinds[err.(*Denied).Cause]++
			}
			if (err == nil) != (len(exits) > 0) {
				t.Errorf("%s: %q: %d exits and %v", name, to, len(exits), err)
			}
			for _, e := range exits {
				allowed++
				if !within(e.To, e.Emergency, plan.allowed, names, plan.sos) {
					t.Errorf("%s: %q dials %q by %s", name, to, e.To, e.Trunk.Name)
				}
			}
		}
		for to := range destinations {
			exits, err := p.Exits(Query{To: to})
			judge(to, plan.names, exits, err)
			exits, err = p.Exits(Query{To: to, Trunk: "a"})
			judge(to, plan.names, exits, err)
			for _, number := range []string{"{{call.to}}", "{{call.attributes.case}}", "sip:{{call.to}}@sip.carrier.example"} {
				target := Target{Number: number, Trunks: []string{"a"}} // a template for a whole SIP URI may make names of it
				exits, err = p.ExitsOf(target, Query{To: "lobby"}, map[string]string{"call.to": to, "call.attributes.case": to})
				judge(to, plan.names || strings.HasPrefix(number, "sip:"), exits, err)
			}
		}
		t.Logf("%s: %d destinations, asked %d times, %v, %d exits that policy allows", name, len(destinations), asked, kinds, allowed)
	}
}

// The oracle and the generator must be able to find something.
func TestForbiddenDestinationsWouldBeFound(t *testing.T) {
	p := mustParse(t, strings.Replace(forbiddenPlans["one city"].text, "+1212", "+1", 1))
	r := trick{rand.New(rand.NewPCG(3, 6))}
	found := 0
	for range 10_000 {
		if e, err := p.Exit(Query{To: r.destination()}); err == nil && !within(e.To, e.Emergency, []string{"+1212", "+4420"}, false, false) {
			found++
		}
	}
	if found < 100 {
		t.Errorf("a plan that allows too much was noticed %d times", found)
	}
	for _, to := range []string{"+19005551234", "0012125551234", "12125551234", "+1212555123４", "+12125551234567890", "sip:1900@pbx.example", "sip:bob@evil.example", "+1212 5551234"} {
		if within(to, false, []string{"+1212"}, true, false) {
			t.Errorf("the oracle allows %q", to)
		}
	}
}

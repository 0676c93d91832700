package dialplan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// everything names every key of a dial plan that is built.
const everything = `
trunks:
  - name: carrier
    addresses: [203.0.113.0/24]
    inbound: {username: pbx, password: "${CARRIER_PASSWORD}"}
    outbound: {servers: [sip.carrier.example], transport: tls, username: u, password: "${CARRIER_PASSWORD}", domain: carrier.example}
    register: true
    keepalive: 30s
    listen: 192.0.2.1:5060
    codecs: [opus, G722, PCMU, PCMA]
    srtp: required
    keying: dtls
    dtmf: inband
    country: DE
    stir: require
    refer: allow
    redirects: follow
    caller_id: {default: "+15551230000", allowed: ["+1555*"], identity: rpid, privacy: true}
    headers: {in: {X-Tenant: tenant}, out: {X-Case: "{{call.attributes.case}}-{{call.id}}"}}
    limits: {calls: 2, cps: 1.5, minutes: 600, prefixes: ["+1"]}
numbers:
  - {number: +15551230000, trunk: carrier, label: Sales}
routes:
  - name: all
    trunk: carrier
    to: "*"
    from: "+1*"
    headers: {X-Tenant: blue, tenant: [blue, "re*"]}
    hours: Mo-Fr 09:00-17:00 Europe/Berlin
    holidays: german
    priority: emergency
    number: "{{call.to}}"
    trunks: [carrier]
    ring_timeout: 20s
    else: {room: "r-{{call.attributes.case}}", pin: "90210777", else: {room: x, pin: 0123, answer: now, else: {reject: busy}}}
  - {name: out, from_room: true, trunks: [carrier]}
holidays:
  - {name: german, dates: [2026-12-24, 12-25, "01-01", 02-29]}
`

func TestParseReadsEveryWord(t *testing.T) {
	p := mustParse(t, everything)
	want := Trunk{
		Name: "carrier", Addresses: []string{"203.0.113.0/24"}, Inbound: &Inbound{"pbx", "hunter22-secret"},
		Outbound: &Outbound{[]string{"sip.carrier.example"}, "tls", "u", "hunter22-secret", "carrier.example"},
		Register: true, Keepalive: "30s", Listen: "192.0.2.1:5060", Codecs: []string{"opus", "G722", "PCMU", "PCMA"},
		SRTP: "required", Keying: "dtls", DTMF: "inband", Country: "DE", STIR: "require", Refer: "allow", Redirects: "follow",
		CallerID: &CallerID{"+15551230000", Patterns{"+1555*"}, "rpid", true},
		Headers:  &HeaderMap{map[string]string{"X-Tenant": "tenant"}, map[string]string{"X-Case": "{{call.attributes.case}}-{{call.id}}"}},
		Limits:   &Limits{2, 1.5, 600, []string{"+1"}},
	}
	if !reflect.DeepEqual(p.Trunks[0], want) {
		t.Errorf("got %+v", p.Trunks[0])
	}
	target := Target{Number: "{{call.to}}", Trunks: []string{"carrier"}, RingTimeout: "20s", Else: &Target{
		Room: "r-{{call.attributes.case}}", PIN: "90210777", Else: &Target{Room: "x", PIN: "0123", Answer: "now", Else: &Target{Reject: "busy"}}}}
	if !reflect.DeepEqual(p.Routes[0].Target, target) || p.Routes[0].Holidays != "german" || !reflect.DeepEqual(p.Routes[0].Headers, map[string]Patterns{"X-Tenant": {"blue"}, "tenant": {"blue", "re*"}}) {
		t.Errorf("got %#v", p.Routes[0])
	}
	if !reflect.DeepEqual(p.Holidays, []Holiday{{"german", []string{"2026-12-24", "12-25", "01-01", "02-29"}}}) {
		t.Errorf("got %v", p.Holidays)
	}
	asYAML, err := yaml.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Parse(asYAML, env); err != nil || !reflect.DeepEqual(p, again) {
		t.Errorf("YAML: %v\n%s", err, asYAML)
	}
	var back Plan
	asJSON, _ := json.Marshal(p)
	if err := json.Unmarshal(asJSON, &back); err != nil || !reflect.DeepEqual(p, &back) {
		t.Errorf("JSON: %v\n%s", err, asJSON)
	}
}

// Each case changes one line of a good plan, and says what is wrong then.
func TestEveryWordIsChecked(t *testing.T) {
	const good = `trunks:
  - {name: a, addresses: [192.0.2.1], outbound: {servers: [a.example], username: u, password: p}, T: T}
  - {name: b, inbound: {username: bob, password: p}}
routes:
  - {name: r, hours: "Mo-Fr 09:00-17:00 UTC", room: x, R: R}
  - {name: o, from_room: true, O: O}
holidays: [{name: h, dates: [12-24]}]
`
	plan := func(mark, text string) string {
		file := strings.Replace(good, mark, text, 1)
		return strings.NewReplacer(", T: T", "", ", R: R", "", "O: O", "trunk: a").Replace(file)
	}
	mustParse(t, plan("", ""))
	for _, c := range []struct{ mark, text, want string }{
		{"T: T", "inbound: {username: bob, password: p}", `line 3: trunks[1].inbound.username: "bob": trunk a has this username already, so calls with it would be ambiguous`},
		{"T: T", "inbound: {username: \"a:b\", password: p}", `line 2: trunks[0].inbound.username: "a:b": expected 1 to 64 characters without spaces, colons, quotes and backslashes`},
		{"T: T", "inbound: {username: c}", "line 2: trunks[0].inbound.password: expected the password that the other side calls with"},
		{"T: T", "inbound: {username: c, passwort: x}", "line 2: trunks[0].inbound.passwort: unknown key: did you mean password?\nline 2: trunks[0].inbound.password: expected the password that the other side calls with"},
		{"T: T", "inbound: {username: c, password: \"********\"}", "line 2: trunks[0].inbound.password: this is the mask that is shown in place of a password, and there is no stored one that it could keep: send the password"},
		{"inbound: {", "register: true, inbound: {", "line 3: trunks[1].register: registering needs outbound with servers, username and password"},
		{"T: T", "keepalive: 1s", `line 2: trunks[0].keepalive: "1s": expected a duration from 5s to 1h, such as 20s or 1m30s`},
		{"T: T", "keepalive: 30", `line 2: trunks[0].keepalive: "30": expected a duration from 5s to 1h, such as 20s or 1m30s`},
		{"inbound: {", "keepalive: 30s, inbound: {", `line 3: trunks[1].keepalive: "30s": there are no outbound servers that could be asked`},
		{"T: T", "listen: eth0", `line 2: trunks[0].listen: "eth0": expected one of the --sip addresses, such as 192.0.2.1:5060 or 192.0.2.1`},
		{"T: T", "codecs: [G.722]", `line 2: trunks[0].codecs[0]: "G.722": expected PCMU or PCMA or G722 or opus: did you mean G722?`},
		{"T: T", "codecs: [OPUS]", `line 2: trunks[0].codecs[0]: "OPUS": expected PCMU or PCMA or G722 or opus: did you mean opus?`},
		{"T: T", "srtp: always", `line 2: trunks[0].srtp: "always": expected off or optional or required`},
		{"T: T", "srtp: require", `line 2: trunks[0].srtp: "require": expected off or optional or required: did you mean required?`},
		{"T: T", "keying: sdes", `line 2: trunks[0].keying: "sdes": keying says how SRTP is offered: it needs srtp: optional or required`},
		{"T: T", "srtp: required, keying: zrtp", `line 2: trunks[0].keying: "zrtp": expected sdes or dtls`},
		{"T: T", "dtmf: rfc2833", `line 2: trunks[0].dtmf: "rfc2833": expected auto or rfc4733 or info or inband: did you mean rfc4733?`},
		{"T: T", "country: de", `line 2: trunks[0].country: "de": expected the two letters of an ISO 3166 country, such as US or DE: did you mean DE?`},
		{"T: T", "country: \"001\"", `line 2: trunks[0].country: "001": expected the two letters of an ISO 3166 country, such as US or DE`},
		{"T: T", "country: Germany", `line 2: trunks[0].country: "Germany": expected the two letters of an ISO 3166 country, such as US or DE`},
		{"T: T", "stir: maybe", `line 2: trunks[0].stir: "maybe": expected off or mark or require`},
		{"T: T", "refer: yes", `line 2: trunks[0].refer: "yes": expected deny or allow`},
		{"T: T", "redirects: folow", `line 2: trunks[0].redirects: "folow": expected deny or follow: did you mean follow?`},
		{"T: T", "caller_id: {default: \"+1 555\"}", `line 2: trunks[0].caller_id.default: "+1 555": expected a number like +15551230000, or a name without spaces`},
		{"T: T", "caller_id: {identity: pia}", `line 2: trunks[0].caller_id.identity: "pia": expected pai or rpid or none: did you mean pai?`},
		{"T: T", "caller_id: {allowed: [\"+1*5\"]}", `line 2: trunks[0].caller_id.allowed: "+1*5": expected * only at the end`},
		{"T: T", "headers: {in: {X-A: A}}", `line 2: trunks[0].headers.in.X-A: "A": expected an attribute of 1 to 63 letters a-z, digits and _, starting with a letter`},
		{"T: T", "headers: {in: {Call-ID: a}}", `line 2: trunks[0].headers.in.Call-ID: "Call-ID": this header field belongs to the dialog: expected another one, like X-Tenant`},
		{"T: T", "headers: {out: {content-type: a}}", `line 2: trunks[0].headers.out.content-type: "content-type": this header field belongs to the dialog: expected another one, like X-Tenant`},
		{"T: T", "headers: {out: {P-Asserted-Identity: a}}", `line 2: trunks[0].headers.out.P-Asserted-Identity: "P-Asserted-Identity": this header field is written by caller_id and by the call itself`},
		{"T: T", "headers: {out: {i: a}}", `line 2: trunks[0].headers.out.i: "i": expected the long form of the header field's name`},
		{"T: T", "headers: {out: {\"X A\": a}}", `line 2: trunks[0].headers.out.X A: "X A": expected the name of a header field, like X-Tenant`},
		{"T: T", "headers: {out: {X-A: a, x-a: b}}", `line 2: trunks[0].headers.out.x-a: "x-a": this header field is listed already; letter case makes no difference`},
		{"T: T", "headers: {out: {X-A: \"{{call.case}}\"}}", `line 2: trunks[0].headers.out.X-A: "{{call.case}}": {{call.case}} is unknown: expected call.id, call.to, call.from or call.attributes.NAME`},
		{"T: T", "headers: {out: {X-A: \"a\\r\\nVia: b\"}}", `line 2: trunks[0].headers.out.X-A: "a\r\nVia: b": expected text without control characters`},
		{"T: T", "headers: {out: [a]}", "line 2: trunks[0].headers.out: expected an object of names and values"},
		{"T: T", "limits: {minutes: -1}", `line 2: trunks[0].limits.minutes: "-1": expected 0 (no limit) or more`},
		{"servers: [a.example]", "servers: [a.example], domain: \"a:5060\"", `line 2: trunks[0].outbound.domain: "a:5060": expected a host name or an IP address, without a port`},
		{"servers: [a.example]", "servers: [a.example], transport: ws", `line 2: trunks[0].outbound.transport: "ws": not available yet; expected udp or tcp or tls`},
		{"R: R", "headers: {Via: x}", `line 5: routes[0].headers.Via: "Via": this header field belongs to the dialog: expected another one, like X-Tenant`},
		{"R: R", "headers: {X-A: []}", "line 5: routes[0].headers.X-A: expected a pattern or a list of patterns; * is any value"},
		{"R: R", "headers: {X-A: \"a*b\"}", `line 5: routes[0].headers.X-A[0]: "a*b": expected * only at the end`},
		{"R: R", "holidays: hh", `line 5: routes[0].holidays: "hh": no holiday calendar has this name; did you mean h?`},
		{"hours: \"Mo-Fr 09:00-17:00 UTC\"", "holidays: h", `line 5: routes[0].holidays: "h": holidays need hours, whose time zone says when a day begins: for a route that is always open "Mo-Su 00:00-24:00 Europe/Berlin"`},
		{"R: R", "number: \"+12125551234\"", "line 5: routes[0]: expected exactly one of room, number, agent, queue and reject, found 2"},
		{"R: R", "pin: 12a4", "line 5: routes[0].pin: expected 4 to 12 digits"},
		{"R: R", "pin: \"123\"", "line 5: routes[0].pin: expected 4 to 12 digits"},
		{"R: R", "pin: \"1234\", answer: ready", `line 5: routes[0].answer: "ready": a PIN is keyed into an answered call: leave this out`},
		{"room: x", "reject: busy, pin: \"1234\"", "line 5: routes[0].pin: only rooms ask for a PIN"},
		{"R: R", "trunks: [a]", "line 5: routes[0].trunks: trunks say how a number is reached: they need number beside them, or from_room: true for calls that leave a room"},
		{"R: R", "ring_timeout: 20s", `line 5: routes[0].ring_timeout: "20s": only a number rings: this needs number beside it`},
		{"room: x", "number: \"+12125551234\", ring_timeout: 20", `line 5: routes[0].ring_timeout: "20": expected a duration from 1s to 10m, such as 20s or 1m30s`},
		{"room: x", "number: 2125551234", `line 5: routes[0].number: "2125551234": expected a number with + and its country code, like +15551234567`},
		{"room: x", "number: \"{{caller}}\"", `line 5: routes[0].number: "{{caller}}": {{caller}} is unknown: expected call.id, call.to, call.from or call.attributes.NAME`},
		{"room: x", "number: \"+12125551234\", trunks: [b]", `line 5: routes[0].trunks[0]: "b": this trunk has no outbound servers, so no call can leave by it`},
		{"room: x", "number: \"+12125551234\", trunks: [a, a]", `line 5: routes[0].trunks[1]: "a": this trunk is listed already`},
		{"room: x", "number: \"+12125551234\", trunks: [aa]", `line 5: routes[0].trunks[0]: "aa": no trunk has this name; did you mean a?`},
		{"room: x", "number: \"+12125551234\", answer: now", `line 5: routes[0].answer: "now": a call that goes on to a number is answered when the number answers: leave this out`},
		{"R: R", "else: {room: y, else: {reject: busy, else: {room: z}}}", "line 5: routes[0].else.else.else: nothing comes after a target that rejects: leave this out"},
		{"R: R", "else: {room: y, else: {agent: bot}}", `line 5: routes[0].else.else.agent: "bot": no agent has this name; there are none`},
		{"R: R", "else: {romo: y}", "line 5: routes[0].else.romo: unknown key: did you mean room?"},
		{"R: R", strings.Repeat("else: {room: y, ", 8) + "answer: now" + strings.Repeat("}", 8), "line 5: routes[0]" + strings.Repeat(".else", 8) + ": expected at most 8 targets one after the other"},
		{"O: O", "trunk: a, trunks: [a]", "line 6: routes[1].trunks: expected trunk or trunks, not both: trunk is short for a list of one"},
		{"O: O", "trunks: [a, b]", `line 6: routes[1].trunks[1]: "b": this trunk has no outbound servers, so no call can leave by it`},
		{"O: O", "trunk: a, number: \"+12125551234\"", `line 6: routes[1]: "o": a from_room route goes to its trunks: room, number, agent, queue, reject, answer, record and else have no place in it`},
		{"dates: [12-24]", "dates: [2026-13-01]", `line 7: holidays[0].dates[0]: "2026-13-01": expected a date like 2026-12-24, or 12-25 for every year`},
		{"dates: [12-24]", "dates: [24.12.]", `line 7: holidays[0].dates[0]: "24.12.": expected a date like 2026-12-24, or 12-25 for every year`},
		{"dates: [12-24]", "dates: [2026-12-24T00:00:00Z]", `line 7: holidays[0].dates[0]: "2026-12-24T00:00:00Z": expected a date like 2026-12-24, or 12-25 for every year`},
		{"dates: [12-24]", "dates: [12-24, 12-24]", `line 7: holidays[0].dates[1]: "12-24": this date is listed already`},
		{"dates: [12-24]", "dates: []", "line 7: holidays[0].dates: expected at least one date like 2026-12-24, or 12-25 for every year"},
	} {
		file := plan(c.mark, c.text)
		if p, err := Parse([]byte(file), env); p != nil || err.Error() != c.want {
			t.Errorf("%s\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestNoSecretIsEverShown(t *testing.T) {
	p := mustParse(t, everything)
	other := mustParse(t, strings.ReplaceAll(everything, "90210777", "90210888"))
	other.Trunks[0].Inbound.Password = "another"
	d := p.Decide(Query{Trunk: "carrier", To: "x", From: "+1", Headers: map[string]string{"X-Tenant": "blue", "tenant": "blue"}, At: noon.AddDate(0, 0, 5)})
	if d.Else == nil || d.Else.Else == nil {
		t.Fatalf("got %+v", d)
	}
	var logged bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&logged, nil), slog.NewTextHandler(&logged, nil)} {
		slog.New(h).Info("x", "plan", p, "trunk", p.Trunks[0], "inbound", p.Trunks[0].Inbound, "value", *p.Trunks[0].Inbound,
			"route", p.Routes[0], "target", p.Routes[0].Target, "else", p.Routes[0].Else, "decision", d)
	}
	masked, _ := json.Marshal(p.Masked())
	maskedDecision, _ := json.Marshal(d.Masked())
	for name, s := range map[string]string{
		"log": logged.String(), "masked": string(masked), "masked decision": string(maskedDecision),
		"plan": fmt.Sprintf("%v %+v %#v", p, p.Routes, p.Routes[0]), "target": fmt.Sprintf("%v %+v %#v %s", d.Target, *d.Else, *d.Else, d.Else),
		"decision": fmt.Sprintf("%v %+v %#v", d, d, d), "inbound": fmt.Sprintf("%v %+v %#v %s", p.Trunks[0].Inbound, *p.Trunks[0].Inbound, p.Trunks[0], *p.Trunks[0].Inbound),
		"diff": fmt.Sprint(Diff(nil, p), Diff(p, nil), Diff(p, other)),
	} {
		for _, secret := range []string{"hunter22", "90210", "0123\"", "another"} {
			if strings.Contains(s, secret) {
				t.Errorf("%s shows %s: %s", name, secret, s)
			}
		}
	}
	if got := fmt.Sprint(Diff(p, other)); !strings.Contains(got, "inbound.password: changes (not shown)") || !strings.Contains(got, "else.pin: changes (not shown)") {
		t.Errorf("got %s", got)
	}
}

func TestMaskedPlansCanBeWrittenBack(t *testing.T) {
	p := mustParse(t, everything)
	back := p.Masked()
	if len(Diff(p, back)) > 0 {
		t.Errorf("a mask is a change: %v", Diff(p, back))
	}
	back.KeepSecrets(p)
	if !reflect.DeepEqual(p, back) {
		t.Errorf("got %+v", back)
	}
	alone := p.Masked()
	alone.KeepSecrets(&Plan{})
	var fields []string
	for _, problem := range alone.Check() {
		fields = append(fields, problem.Field)
	}
	if want := []string{"trunks[0].inbound.password", "trunks[0].outbound.password", "routes[0].else.pin", "routes[0].else.else.pin"}; !reflect.DeepEqual(fields, want) {
		t.Errorf("a mask without a secret: got %v", fields)
	}
	if p.Routes[0].Else.PIN != "90210777" || p.Trunks[0].Inbound.Password != "hunter22-secret" {
		t.Error("the plan itself was changed")
	}
}

package dialplan

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const sample = `
trunks:
  - name: carrier
    addresses: [203.0.113.0/24, "2001:db8::/32"]
    outbound: {servers: [sip.carrier.example, "192.0.2.7:5070"], transport: tcp, username: u, password: "${CARRIER_PASSWORD}"}
    codecs: [PCMU, PCMA]
    srtp: off
    limits: {calls: 200, cps: 10, prefixes: ["+1"]}
  - {name: pbx, addresses: [192.0.2.7]}
numbers:
  - {number: +15551230000, trunk: carrier, label: Sales}
routes:
  - {name: emergency, to: [911, "112", "933", "urn:service:sos*"], room: "sos-{{call.id}}", priority: emergency}
  - {name: sales, trunk: carrier, to: "+15551230000", hours: "Mo-Fr 09:00-17:00 America/New_York", room: sales, answer: ready, else: {room: front-desk}}
  - {name: spam, from: ["+1900*"], reject: rejected}
  - {name: out, from_room: true, to: "+1*", trunk: carrier}
  - {name: out-911, from_room: true, to: "911", trunk: carrier}
`

func env(name string) string {
	return map[string]string{"CARRIER_PASSWORD": "hunter22-secret", "BAD": "s3cr3t*value", "N": "7"}[name]
}

func mustParse(t testing.TB, text string) *Plan {
	t.Helper()
	p, err := Parse([]byte(text), env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParseReadsEveryField(t *testing.T) {
	p := mustParse(t, sample)
	want := Trunk{
		Name: "carrier", Addresses: []string{"203.0.113.0/24", "2001:db8::/32"},
		Outbound: &Outbound{Servers: []string{"sip.carrier.example", "192.0.2.7:5070"}, Transport: "tcp", Username: "u", Password: "hunter22-secret"},
		Codecs:   []string{"PCMU", "PCMA"}, SRTP: "off", Limits: &Limits{Calls: 200, CPS: 10, Prefixes: []string{"+1"}},
	}
	if !reflect.DeepEqual(p.Trunks[0], want) {
		t.Errorf("trunk: got %#v", p.Trunks[0])
	}
	if got := p.Numbers[0]; got != (Number{Number: "+15551230000", Trunk: "carrier", Label: "Sales"}) {
		t.Errorf("number: got %+v", got)
	}
	if got := p.Routes[0].To; !reflect.DeepEqual(got, Patterns{"911", "112", "933", "urn:service:sos*"}) {
		t.Errorf("unquoted numbers are patterns too: got %q", got)
	}
	sales := p.Routes[1]
	if sales.Room != "sales" || sales.Answer != "ready" || sales.Else.Room != "front-desk" || sales.Hours == "" || sales.Trunk != "carrier" {
		t.Errorf("route: got %+v", sales)
	}
	if !p.Routes[3].FromRoom || p.Routes[2].Reject != "rejected" {
		t.Errorf("routes: got %+v", p.Routes)
	}
}

// Every case is a file and what its error must say, line by line.
func TestParseSaysWhatIsWrongAndWhere(t *testing.T) {
	cases := map[string]struct{ file, want string }{
		"empty":          {"", "line 1: the file holds no trunks, numbers, routes, agents or queues"},
		"only settings":  {"http: 127.0.0.1:80", "line 1: http: unknown key; expected agents, holidays, numbers, queues, routes, trunks"},
		"not yaml":       {"routes: [", "line 1: not YAML: did not find expected node content"},
		"tabs":           {"routes:\n\t- x", "line 2: not YAML: found character that cannot start any token"},
		"scalar":         {"hello", "line 1: expected an object with agents, holidays, numbers, queues, routes, trunks"},
		"two documents":  {"routes: []\n---\nroutes: []", "line 2: expected one YAML document, found a second one"},
		"typo":           {"routes:\n  - {name: a, romo: x}", "line 2: routes[0].romo: unknown key: did you mean room?"},
		"unknown":        {"trunks:\n  - {name: a, addresses: [192.0.2.1], colour: x}", "line 2: trunks[0].colour: unknown key; expected addresses, caller_id, codecs, country, dtmf, headers, inbound, keepalive, keying, limits, listen, name, outbound, redirects, refer, register, srtp, stir"},
		"twice":          {"routes:\n  - name: a\n    room: x\n    room: y", "line 4: routes[0].room: this key stands here twice"},
		"alias":          {"routes:\n  - &a {name: a, room: x}\n  - *a", "line 2: routes[0]: anchors and aliases are not available: write the value out\nline 3: routes[1]: anchors and aliases are not available: write the value out"},
		"list":           {"routes: {}", "line 1: routes: expected a list"},
		"kind":           {"routes:\n  - {name: [a], room: x}", "line 2: routes[0].name: expected text, found a list"},
		"null":           {"routes:\n  - {name: a, room: }", "line 2: routes[0].room: expected text, found nothing"},
		"bool":           {"routes:\n  - {name: a, room: x, from_room: 1}", "line 2: routes[0].from_room: expected true or false, found a number"},
		"boolean name":   {"routes:\n  - {name: true, room: x}", "line 2: routes[0].name: expected text, found true or false (quote it)"},
		"whole":          {"trunks:\n  - {name: a, addresses: [192.0.2.1], limits: {calls: many}}", "line 2: trunks[0].limits.calls: expected a whole number"},
		"infinite":       {"trunks:\n  - {name: a, addresses: [192.0.2.1], limits: {cps: .inf}}", "line 2: trunks[0].limits.cps: expected a number"},
		"no name":        {"routes:\n  - {room: x}", "line 2: routes[0].name: expected a name"},
		"name":           {"routes:\n  - {name: A b, room: x}", `line 2: routes[0].name: "A b": expected a name of 1 to 63 letters a-z, digits and -, not starting with -`},
		"same name":      {"routes:\n  - {name: a, room: x}\n  - {name: a, room: x}", `line 3: routes[1].name: "a": this name is taken already; names are unique`},
		"no target":      {"routes:\n  - {name: a}", "line 2: routes[0]: expected exactly one of room, number, agent, queue and reject, found 0"},
		"two targets":    {"routes:\n  - {name: a, room: x, reject: busy}", "line 2: routes[0]: expected exactly one of room, number, agent, queue and reject, found 2"},
		"else":           {"routes:\n  - {name: a, room: x, else: {}}", "line 2: routes[0].else: expected exactly one of room, number, agent, queue and reject, found 0"},
		"reject":         {"routes:\n  - {name: a, reject: no}", `line 2: routes[0].reject: "no": expected busy or rejected or unknown_number`},
		"reject ready":   {"routes:\n  - {name: a, reject: busy, answer: ready}", `line 2: routes[0].answer: "ready": a route that rejects answers nothing: leave this out`},
		"answer":         {"routes:\n  - {name: a, room: x, answer: later}", `line 2: routes[0].answer: "later": expected now or ready or early`},
		"early":          {"routes:\n  - {name: a, room: x, answer: early}", `line 2: routes[0].answer: "early": only agents and queues are heard before the answer: use ready, or leave this out`},
		"emergency":      {"agents:\n  - {name: b, url: wss://a.example/m}\nroutes:\n  - {name: a, to: \"911\", agent: b, priority: emergency}", `line 4: routes[0].else: an emergency call must reach people when its agent cannot take it: add else, such as {queue: dispatch} or {room: dispatch}`},
		"own fallback":   {"agents:\n  - {name: b, url: wss://a.example/m, fallback: {agent: b}}", `line 2: agents[0].fallback.agent: "b": an agent is no fallback of its own: one that fails is replaced anyhow`},
		"priority":       {"routes:\n  - {name: a, room: x, priority: urgent}", `line 2: routes[0].priority: "urgent": expected emergency or high or low`},
		"room":           {"routes:\n  - {name: a, room: a b}", `line 2: routes[0].room: "a b": expected a room name of 1 to 64 of A-Z a-z 0-9 . _ + -, with {{call.id}}, {{call.to}} or {{call.from}} inside if wanted`},
		"template":       {"routes:\n  - {name: a, room: \"{{caller}}\"}", `line 2: routes[0].room: "{{caller}}": {{caller}} is unknown: expected call.id, call.to, call.from or call.attributes.NAME`},
		"pattern":        {"routes:\n  - {name: a, room: x, to: [\"+1\", \"+*1\"]}", `line 2: routes[0].to[1]: "+*1": expected * only at the end`},
		"pattern spaces": {"routes:\n  - {name: a, room: x, to: \"+1 555\"}", `line 2: routes[0].to: "+1 555": expected a pattern without spaces and control characters`},
		"unknown trunk":  {"trunks:\n  - {name: a, addresses: [192.0.2.1]}\nroutes:\n  - {name: a, room: x, trunk: b}", `line 4: routes[0].trunk: "b": no trunk has this name; expected a`},
		"hours":          {"routes:\n  - {name: a, room: x, hours: \"9 to 5\"}", `line 2: routes[0].hours: "9 to 5": expected a time zone of the IANA list, like America/New_York, Europe/Berlin or UTC`},
		"cidr":           {"trunks:\n  - {name: a, addresses: [203.0.113.9/24]}", `line 2: trunks[0].addresses[0]: "203.0.113.9/24": this network has bits set behind its mask: did you mean 203.0.113.0/24?`},
		"internet":       {"trunks:\n  - {name: a, addresses: [0.0.0.0/0]}", `line 2: trunks[0].addresses[0]: "0.0.0.0/0": this is the whole Internet: expected the networks of one carrier`},
		"host":           {"trunks:\n  - {name: a, addresses: [sip.example.com]}", `line 2: trunks[0].addresses[0]: "sip.example.com": expected an IP address or a network like 203.0.113.0/24`},
		"same address":   {"trunks:\n  - {name: a, addresses: [192.0.2.1]}\n  - {name: b, addresses: [192.0.2.1/32]}", `line 3: trunks[1].addresses[0]: "192.0.2.1/32": trunk a has this address already, so calls from it would be ambiguous`},
		"idle trunk":     {"trunks:\n  - {name: a}", `line 2: trunks[0]: "a": expected addresses (who may call in), inbound (who may call in by password) or outbound (where calls leave)`},
		"server":         {"trunks:\n  - {name: a, outbound: {servers: [\"a:0\"]}}", `line 2: trunks[0].outbound.servers[0]: "a:0": expected host, host:port, an IP address, or [IPv6]:port`},
		"no password":    {"trunks:\n  - {name: a, outbound: {servers: [a.example], username: u}}", "line 2: trunks[0].outbound: expected username and password together, or neither"},
		"prefix":         {"trunks:\n  - {name: a, addresses: [192.0.2.1], limits: {prefixes: [\"1\"]}}", `line 2: trunks[0].limits.prefixes[0]: "1": expected + and the digits that a number starts with, like +1, without *`},
		"codec":          {"trunks:\n  - {name: a, addresses: [192.0.2.1], codecs: [PCMU, pcmu]}", `line 2: trunks[0].codecs[1]: "pcmu": expected PCMU or PCMA or G722 or opus: did you mean PCMU?`},
		"number":         {"numbers:\n  - {number: 5551230000}", `line 2: numbers[0].number: "5551230000": expected a number with + and its country code, like +15551234567`},
		"out target":     {"trunks:\n  - {name: a, outbound: {servers: [a.example]}}\nroutes:\n  - {name: o, from_room: true, trunk: a, room: x}", `line 4: routes[0]: "o": a from_room route goes to its trunks: room, number, agent, queue, reject, answer, record and else have no place in it`},
		"out trunk":      {"routes:\n  - {name: o, from_room: true}", "line 2: routes[0].trunk: a from_room route needs the trunk by which calls leave"},
		"out servers":    {"trunks:\n  - {name: a, addresses: [192.0.2.1]}\nroutes:\n  - {name: o, from_room: true, trunk: a}", `line 4: routes[0].trunk: "a": this trunk has no outbound servers, so no call can leave by it`},
		"no variable":    {"trunks:\n  - {name: a, outbound: {servers: [a.example], username: u, password: \"${NOPE}\"}}", "line 2: trunks[0].outbound.password: the environment variable NOPE is not set"},
		"bad variable":   {"routes:\n  - {name: a, room: \"${1}\"}", "line 2: routes[0].room: expected ${NAME} with NAME of letters, digits and _ (write $${ for a plain ${)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := Parse([]byte(c.file), env)
			var problems Problems
			if p != nil || !errors.As(err, &problems) {
				t.Fatalf("expected problems, got %v, %v", p, err)
			}
			if err.Error() != c.want {
				t.Errorf("got\n%v\nwant\n%v", err, c.want)
			}
		})
	}
}

func TestParseNamesAllProblemsAtOnceInTheOrderOfTheFile(t *testing.T) {
	_, err := Parse([]byte("trunks:\n  - name: A\n    addresses: [x]\n    srtp: on\nroutes:\n  - {name: b, room: x, trunk: z}\n  - {nam: c}\n"), env)
	var problems Problems
	errors.As(err, &problems)
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if !reflect.DeepEqual(lines, []int{2, 3, 4, 6, 7, 7}) {
		t.Errorf("got lines %v of\n%v", lines, err)
	}
}

func TestWhatIsNotBuiltIsRefusedNeverIgnored(t *testing.T) {
	for _, file := range []string{
		"trunks:\n  - {name: a, outbound: {servers: [a.example], transport: wss}}",
		"routes:\n  - {name: a, room: x, record: true}",
		"routes:\n  - {name: a, voicemail: x}",
		"flows:\n  - {name: a}",
	} {
		if _, err := Parse([]byte(file), env); err == nil || !strings.Contains(err.Error(), "not available yet") {
			t.Errorf("%s\ngot %v", file, err)
		}
	}
}

func TestVariablesAreNeverEchoed(t *testing.T) {
	for _, file := range []string{
		"routes:\n  - {name: a, room: x, to: \"${BAD}\"}",
		"routes:\n  - {name: a, room: x, to: [\"x${BAD}\"]}",
		"routes:\n  - {name: \"${BAD}\"}",
		"trunks:\n  - {name: \"${BAD}\", addresses: [192.0.2.1]}\n  - {name: b, addresses: [192.0.2.1]}",
		"trunks:\n  - {name: a, addresses: [\"${BAD}\"], srtp: \"${BAD}\"}",
	} {
		_, err := Parse([]byte(file), env)
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s\ngot %v", file, err)
		}
		if err != nil && !strings.Contains(err.Error(), "${BAD}") {
			t.Errorf("expected the text of the file in %v", err)
		}
	}
}

func TestVariablesInNumbersAndEscapes(t *testing.T) {
	p := mustParse(t, "trunks:\n  - {name: \"a${N}\", addresses: [192.0.2.1], limits: {calls: \"${N}\"}}\nnumbers:\n  - {number: \"+15551230000\", label: \"$${N}\"}")
	if p.Trunks[0].Name != "a7" || p.Trunks[0].Limits.Calls != 7 || p.Numbers[0].Label != "${N}" {
		t.Errorf("got %+v", p)
	}
}

func TestParseAmongLeavesOtherKeysAlone(t *testing.T) {
	p, err := ParseAmong([]byte("http: 127.0.0.1:8080\nroutes:\n  - {name: a, room: x}"), []string{"http", "sip"}, env)
	if err != nil || len(p.Routes) != 1 {
		t.Errorf("got %v, %v", p, err)
	}
	if _, err := ParseAmong([]byte("htpp: x"), []string{"http", "sip"}, env); err == nil || !strings.Contains(err.Error(), "did you mean http?") {
		t.Errorf("got %v", err)
	}
	if p, err := ParseAmong(nil, []string{"http"}, env); err != nil || p == nil {
		t.Errorf("no file at all: got %v, %v", p, err)
	}
}

func TestPatternsAreAStringOrAList(t *testing.T) {
	for in, want := range map[string]Patterns{`"+1*"`: {"+1*"}, `["911","112"]`: {"911", "112"}, `null`: nil, `[]`: {}} {
		var fromJSON, fromYAML Patterns
		if err := json.Unmarshal([]byte(in), &fromJSON); err != nil || !reflect.DeepEqual(fromJSON, want) {
			t.Errorf("JSON %s: got %#v, %v", in, fromJSON, err)
		}
		if err := yaml.Unmarshal([]byte(in), &fromYAML); err != nil || !reflect.DeepEqual(fromYAML, want) {
			t.Errorf("YAML %s: got %#v, %v", in, fromYAML, err)
		}
	}
	for _, in := range []string{`5`, `{"a":1}`, `[1]`} {
		var p Patterns
		if err := json.Unmarshal([]byte(in), &p); err == nil {
			t.Errorf("%s: expected an error", in)
		}
	}
	out, _ := json.Marshal(Route{Name: "a", To: Patterns{"1"}, From: Patterns{"2", "3"}})
	if string(out) != `{"name":"a","to":"1","from":["2","3"]}` {
		t.Errorf("got %s", out)
	}
}

func TestPlanSurvivesYAMLAndJSON(t *testing.T) {
	p := mustParse(t, sample)
	asYAML, err := yaml.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(asYAML, env)
	if err != nil || len(Diff(p, again)) > 0 || !reflect.DeepEqual(p.Trunks, again.Trunks) {
		t.Errorf("YAML: %v\n%s\n%v", err, asYAML, Diff(p, again))
	}
	asJSON, _ := json.Marshal(p)
	var back Plan
	if err := json.Unmarshal(asJSON, &back); err != nil || !reflect.DeepEqual(*p, back) {
		t.Errorf("JSON: %v, %v", err, Diff(p, &back))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(everything))
	f.Add([]byte("routes:\n  - &a {name: a, <<: *a}"))
	f.Add([]byte("trunks: [{limits: {cps: .nan}}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b, env)
		if (p == nil) == (err == nil) {
			t.Fatalf("got %v and %v", p, err)
		}
		if err != nil && err.Error() == "" {
			t.Fatal("an error without words")
		}
		if p != nil && len(p.Check()) > 0 {
			t.Fatalf("accepted with problems: %v", p.Check())
		}
	})
}

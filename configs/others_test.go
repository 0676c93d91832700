package configs

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// others are the samples for carriers and telephone systems as the other side:
// what each does with calls that come in and with what is dialled.
var others = map[string]struct {
	trunk  string
	source string            // an address that it calls from; empty: it shows a password
	in     map[string]string // called → room, or cause
	out    map[string]string // dialled → what leaves, or nothing
}{
	"twilio-elastic-sip-trunking.yaml": {"twilio", "54.172.60.2",
		map[string]string{"+15551230000": "lobby", "911": "sos-{{call.id}}"},
		map[string]string{"+12125551234": "+12125551234", "+442071838750": "", "911": ""}},
	"telnyx.yaml": {"telnyx", "64.16.250.10",
		map[string]string{"+15551230000": "lobby", "5551230000": "lobby"},
		map[string]string{"212 555 1234": "+12125551234", "+442071838750": ""}},
	"3cx.yaml": {"3cx", "192.0.2.20",
		map[string]string{"100": "lobby", "4711": "meet-{{call.to}}", "+15559990000": "unknown_number", "933": "sos-{{call.id}}"},
		map[string]string{"+15551231000": "+15551231000", "+12125551234": "", "sip:1000@192.0.2.20": ""}},
	"asterisk.yaml": {"asterisk", "192.0.2.30",
		map[string]string{"lobby": "lobby", "0": ""},
		map[string]string{"sip:1000@192.0.2.30": "sip:1000@192.0.2.30:5060", "+12125551234": ""}},
	"freeswitch.yaml": {"freeswitch", "",
		map[string]string{"100": "lobby", "kitchen": "kitchen"},
		map[string]string{"sip:1001@192.0.2.40": "sip:1001@192.0.2.40:5080", "sip:9001@192.0.2.40": "", "+12125551234": ""}},
}

func TestSamplesOfOtherSidesDoWhatTheySay(t *testing.T) {
	noon := time.Date(2026, 3, 10, 16, 0, 0, 0, time.UTC) // a Tuesday in New York
	for file, c := range others {
		text := read(t, file)
		p, err := dialplan.Parse(text, set)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if n := linesOfYAML(string(text)); n > 25 {
			t.Errorf("%s has %d lines beside its comments", file, n)
		}
		trunk, known := p.TrunkNamed(c.trunk)
		if c.source != "" {
			trunk, known = p.TrunkOf(netip.MustParseAddr(c.source))
		} else if trunk.Inbound == nil {
			t.Errorf("%s: the trunk knows nobody", file)
		}
		if !known || trunk.Name != c.trunk {
			t.Errorf("%s: %s calls by trunk %q", file, c.source, trunk.Name)
		}
		for to, want := range c.in {
			d := p.Decide(dialplan.Query{Trunk: c.trunk, To: to, At: noon})
			if got := d.Target.Room + d.Cause; got != want {
				t.Errorf("%s: %s comes to %q (%s), want %q", file, to, got, d, want)
			}
		}
		for to, want := range c.out {
			if e, err := p.Exit(dialplan.Query{To: to, At: noon}); e.To != want || (err == nil) != (want != "") {
				t.Errorf("%s: %s leaves as %q, %v; want %q", file, to, e.To, err, want)
			}
		}
	}
}

func linesOfYAML(text string) (n int) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			n++
		}
	}
	return n
}

func TestAsteriskSampleReadsHeadersAndCallsTheOperator(t *testing.T) {
	p, err := dialplan.Parse(read(t, "asterisk.yaml"), set)
	if err != nil {
		t.Fatal(err)
	}
	q := dialplan.Query{Trunk: "asterisk", To: "lobby", Headers: map[string]string{"X-Account": "gold-7"}}
	if d := p.Decide(q); d.Target.Room != "vip-{{call.attributes.account}}" {
		t.Errorf("got %s", d)
	}
	d := p.Decide(dialplan.Query{Trunk: "asterisk", To: "0"})
	exits, err := p.ExitsOf(d.Target, dialplan.Query{To: "0"}, nil)
	if err != nil || exits[0].To != "sip:1000@192.0.2.30:5060" || d.Else.Room != "lobby" {
		t.Errorf("got %v, %v, %s", exits, err, d)
	}
}

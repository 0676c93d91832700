package dialplan

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestTrunkOf(t *testing.T) {
	p := mustParse(t, `
trunks:
  - {name: wide, addresses: [203.0.113.0/24, "2001:db8::/32"]}
  - {name: one, addresses: [203.0.113.9, "2001:db8::9"]}
`)
	for source, want := range map[string]string{
		"203.0.113.8": "wide", "203.0.113.9": "one", "::ffff:203.0.113.9": "one", "203.0.114.1": "", "2001:db8::8": "wide",
		"2001:db8::9": "one", "2001:db8::9%eth0": "one", "127.0.0.1": "",
	} {
		got, ok := p.TrunkOf(netip.MustParseAddr(source))
		if got.Name != want || ok != (want != "") {
			t.Errorf("%s: got %q", source, got.Name)
		}
	}
	if _, ok := p.TrunkOf(netip.Addr{}); ok {
		t.Error("no address belongs to no trunk")
	}
}

func TestServers(t *testing.T) {
	for s, want := range map[string]string{
		"Sip.Carrier.Example": "sip.carrier.example 0", "a:5070": "a 5070", "192.0.2.1": "192.0.2.1 0", "192.0.2.1:5080": "192.0.2.1 5080",
		"2001:db8::1": "2001:db8::1 0", "[2001:db8::1]": "2001:db8::1 0", "[2001:DB8::1]:5080": "2001:db8::1 5080", "a.example.": "a.example 0",
		"": "", "a:": "", "a:0": "", "a:65536": "", "a:+1": "", "-a": "", "a..b": "", "a b": "", "1.2.3": "", "a@b": "", "sip:a": "", "a;b": "", "[::1%lo]:1": "",
	} {
		host, port, err := parseServer(s)
		if got := fmt.Sprintf("%s %d", host, port); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: got %s, %v", s, got, err)
		}
	}
}

func TestPasswordsAreNeverPrinted(t *testing.T) {
	p := mustParse(t, sample)
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "plan", p, "trunk", p.Trunks[0], "outbound", p.Trunks[0].Outbound, "value", *p.Trunks[0].Outbound)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "plan", p, "trunk", p.Trunks[0], "outbound", p.Trunks[0].Outbound)
	for _, s := range []string{
		logged.String(), fmt.Sprintf("%v %+v %#v", p, p.Trunks, p.Trunks[0]), fmt.Sprintf("%v %+v %#v %s", p.Trunks[0].Outbound, *p.Trunks[0].Outbound, *p.Trunks[0].Outbound, p.Trunks[0].Outbound),
		fmt.Sprint(Diff(nil, p)), fmt.Sprint(Diff(p, nil)), fmt.Sprintf("%+v", *p.Masked().Trunks[0].Outbound),
	} {
		if strings.Contains(s, "hunter22") {
			t.Errorf("a password in %s", s)
		}
	}
}

func TestMaskedTrunksCanBeWrittenBack(t *testing.T) {
	p := mustParse(t, sample)
	masked := p.Masked()
	if p.Trunks[0].Outbound.Password != "hunter22-secret" || masked.Trunks[0].Outbound.Password != Mask {
		t.Fatalf("got %q, %q", p.Trunks[0].Outbound.Password, masked.Trunks[0].Outbound.Password)
	}
	if len(masked.Check()) == 0 {
		t.Error("a mask is not a password")
	}
	if got := masked.Trunks[0].KeepSecrets(p.Trunks[0]); !reflect.DeepEqual(got, p.Trunks[0]) {
		t.Errorf("got %+v", got)
	}
	if len(Diff(p, masked)) != 0 {
		t.Errorf("got %v", Diff(p, masked))
	}
}

func TestDiff(t *testing.T) {
	old := mustParse(t, sample)
	changed := strings.NewReplacer("calls: 200", "calls: 100", "{name: spam, from", "{name: junk, from", "label: Sales", "label: Shop").Replace(sample)
	new := mustParse(t, changed)
	new.Trunks[0].Outbound.Password = "another"
	r := new.Routes
	new.Routes = []Route{r[3], r[0], r[1], r[2], r[4]} // out comes first
	var got []string
	for _, c := range Diff(old, new) {
		got = append(got, c.String())
	}
	want := []string{
		"~ trunk carrier\n    limits.calls: 200 → 100\n    outbound.password: changes (not shown)",
		"~ number +15551230000\n    label: \"Sales\" → \"Shop\"",
		"+ route junk\n    from: \"+1900*\"\n    reject: \"rejected\"",
		"- route spam",
		"~ route out\n    order: it is tried at another place",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(Diff(old, old)) != 0 || len(Diff(nil, nil)) != 0 {
		t.Error("no difference expected")
	}
}

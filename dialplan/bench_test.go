package dialplan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// busyPlan is a large gateway's: n trunks with two networks each, and n routes.
func busyPlan(tb testing.TB, n int) *Plan {
	var s strings.Builder
	s.WriteString("trunks:\n")
	for i := range n {
		fmt.Fprintf(&s, "  - {name: t%d, addresses: [10.%d.%d.0/24, 192.168.%d.%d], outbound: {servers: [s%d.example]}, limits: {prefixes: [\"+1\"]}}\n", i, i/250, i%250, i/250, i%250, i)
	}
	s.WriteString("routes:\n")
	for i := range n {
		fmt.Fprintf(&s, "  - {name: r%d, trunk: t%d, to: \"+1555*\", hours: \"Mo-Fr 09:00-17:00 America/New_York\", room: sales}\n", i, i)
	}
	fmt.Fprintf(&s, "  - {name: out, from_room: true, to: \"+1*\", trunks: [t%d, t0]}\n", n-1)
	return mustParse(tb, s.String())
}

func BenchmarkDecide(b *testing.B) {
	in := Query{Trunk: "carrier", To: "+15551230000", From: "+15550000000", At: noon}
	for name, p := range map[string]*Plan{"sample": mustParse(b, sample).Prepare(), "sample unprepared": mustParse(b, sample)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(in)
			}
		})
	}
	p := busyPlan(b, 1000).Prepare()
	source := netip.MustParseAddr("10.3.249.7")
	b.Run("1000 trunks", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t, _ := p.TrunkOf(source)
			p.Decide(Query{Trunk: t.Name, To: "+15551230000", From: "+15550000000", At: noon})
		}
	})
	b.Run("1000 trunks leaving", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Exits(Query{To: "+12125551234", From: "+15550000000", At: noon})
		}
	})
	country := mustParse(b, countryPlan).Prepare()
	b.Run("national", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			country.Decide(Query{Trunk: "de", To: "015551234", From: "030123456", At: noon})
		}
	})
}

package sip

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// TestTransfersAndRedirectionsCannotDialWhatPolicyForbids hides forbidden
// numbers in Refer-To and Contact in 10,000 ways, and follows each as far as the
// request URI of the INVITE that it would become.
func TestTransfersAndRedirectionsCannotDialWhatPolicyForbids(t *testing.T) {
	plan, err := dialplan.Parse([]byte(`
trunks: [{name: a, outbound: {servers: [sip.carrier.example]}, limits: {prefixes: ["+1212"]}}]
routes: [{name: out, from_room: true, to: ["+*", "sip:*"], trunk: a}]`), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	one := func(of ...string) string { return of[rng.IntN(len(of))] }
	l := &Line{dialog: Dialog{Local: "<sip:lobby@gw.example.com>", SentBy: mustAddrPort("192.0.2.1:5060")}}
	dialled, allowed := map[string]bool{}, 0
	for range 10_000 {
		number := one("+1900555", "+44909", "1900555", "900", "+1212;x=+1900", "%2B1900", "+%31900", "00", "911", "+1212\u0661", "*67+1900", "+1876", "+1212555") + fmt.Sprint(1000+rng.IntN(9000))
		uri := one("sip:", "SIP:", "sips:", "tel:") + one("", "", "+1212", "x:y") + number +
			one("", ";phone-context=+1212", ";postd=,1900", ";user=phone", "%3Buser=phone", "%00", "%0d%0aVia: x") +
			one("", "@sip.carrier.example", "@gw.example.com", "@192.0.2.1", "@evil.example", "@sip.carrier.example@evil.example", "@[::ffff:192.0.2.1]") +
			one("", ";user=phone", ";method=INVITE", ";maddr=203.0.113.9", ";transport=tcp", "?To=+1212", "?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2", "?Route=%3Csip:evil%3E")
		m := sipmsg.NewRequest(sipmsg.REFER, sipmsg.Uri{Host: "example.com"})
		m.AppendHeader(sipmsg.NewHeader("Refer-To", "<"+uri+">"))
		m.AppendHeader(sipmsg.NewHeader("Contact", "<"+uri+">"))
		var list []string
		if to, f := readReferTo(m); f == nil {
			list = append(list, l.dialled(to.uri))
		}
		for _, to := range append(list, l.contactsOf(m)...) {
			exits, _ := plan.Exits(dialplan.Query{To: to})
			for _, e := range exits {
				target, hops, err := destination(bridge.DialSpec{To: e.To, Trunk: e.Trunk})
				if err != nil {
					continue
				}
				allowed++
				dialled[target] = true
				if user := userOf(target); !strings.HasPrefix(user, "+1212") || strings.Trim(user[1:], "0123456789") != "" || strings.ContainsAny(target, ";?") {
					t.Fatalf("%s became %s", uri, target)
				}
				for _, h := range hops {
					if h.host != "sip.carrier.example" {
						t.Fatalf("%s would be sent to %s", uri, h.host)
					}
				}
			}
		}
	}
	if allowed < 100 {
		t.Errorf("only %d were let through, the test hides too well", allowed)
	}
	t.Logf("%d let through, to %d numbers", allowed, len(dialled))
}

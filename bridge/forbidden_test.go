package bridge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/roomline/roomline/dialplan"
)

const forbiddenPlan = `
trunks:
  - {name: desk, addresses: [192.0.2.0/24], refer: allow}
  - name: carrier
    addresses: [203.0.113.0/24]
    refer: allow
    redirects: follow
    country: US
    outbound: {servers: [sip.carrier.example, "192.0.2.99:5080"]}
    limits: {prefixes: ["+1202", "+4930"]}
  - {name: closed, outbound: {servers: [sip.closed.example]}}
routes:
  - {name: template, to: "t*", number: "{{call.to}}", trunks: [carrier]}
  - {name: behind, to: "x*", number: "+1{{call.to}}", trunks: [carrier, closed]}
  - {name: header, trunk: carrier, to: "attribute", number: "{{call.attributes.X-Dial}}", trunks: [carrier]}
  - {name: uri, to: "u*", number: "sip:{{call.to}}@sip.carrier.example", trunks: [carrier]}
  - {name: out, from_room: true, to: "+1202*", trunks: [carrier, closed]}
  - {name: berlin, from_room: true, to: ["+4930*"], trunk: carrier}
  - {name: desks, from_room: true, to: "sip:desk-*", trunk: carrier}
`

// dialable is what the plan above lets out, said without the plan's own code: a
// number in Washington or Berlin, of at most 15 digits, or a desk at one of the
// carrier's servers, or what the route uri spells out, which begins with u.
func dialable(spec DialSpec) bool {
	if spec.Trunk.Name != "carrier" {
		return false
	}
	if rest, ok := strings.CutPrefix(spec.To, "sip:"); ok {
		named := strings.HasPrefix(rest, "desk-") || strings.HasPrefix(rest, "u")
		name, host, found := strings.Cut(rest, "@")
		return named && found && only(name, "abcdefghijklmnopqrstuvwxyz0123456789-._") && (host == "sip.carrier.example" || host == "192.0.2.99:5080")
	}
	if rest, ok := strings.CutPrefix(spec.To, "+1202"); ok {
		return len(rest) <= 11 && rest != "" && only(rest, "0123456789")
	}
	rest, ok := strings.CutPrefix(spec.To, "+4930")
	return ok && len(rest) <= 11 && rest != "" && only(rest, "0123456789")
}

func only(s, set string) bool { return strings.Trim(s, set) == "" && s != "" }

// disguise writes a destination in one of the ways in which people try to get
// around a check of prefixes.
func disguise(r *rand.Rand, number string) string {
	digits := strings.TrimPrefix(number, "+")
	scripts := []rune{'٠', '۰', '०', '０', '𝟎', '৹' - 9, '߀'}
	zero := scripts[r.IntN(len(scripts))]
	other := strings.Map(func(d rune) rune { return zero + d - '0' }, digits)
	forms := []string{
		number, digits, "00" + digits, "011" + digits, "+" + other, other, "tel:" + number, "TEL:%2B" + digits, "tel:" + digits,
		"tel:" + digits + ";phone-context=+1202", "tel:+1202;phone-context=" + number, number + ";phone-context=+1202", "tel:" + number + ";ext=+12025550100",
		"sip:" + number + "@sip.carrier.example", "sip:" + digits + "@192.0.2.99:5080", "sips:" + number + "@sip.carrier.example;user=phone",
		"sip:+12025550100@evil.example", "sip:+12025550100%40sip.carrier.example@evil.example", "sip:desk-1@sip.carrier.example@evil.example",
		"sip:desk-" + number + "@evil.example", "sip:desk-1@sip.carrier.example.evil.example", "sip:desk-1@sip.carrier.example:5099",
		"sip:desk-1;x=" + number + "@sip.carrier.example", "sip:desk-1?To=" + number + "@sip.carrier.example", "sip:desk-1@sip.carrier.example?Route=evil",
		"sip:desk-1%0d%0aRoute:%20evil@sip.carrier.example", "sip:desk-1\r\nRoute: <sip:evil.example>@sip.carrier.example",
		"+1202\x00" + digits, "+1202," + digits, "+1202;" + digits, "+12025550100@" + number, "+1202%2C" + number, "+1202p" + digits, "+1202w" + digits, "+1202#" + digits,
		"+%31202" + digits + digits, "%2B" + digits, "+ " + digits, "+(" + digits[:2] + ")" + digits[2:], "++" + digits, "+1-202" + digits + digits,
		"911", "112", "933", "urn:service:sos", "urn:service:sos.fire", "sip:911@sip.carrier.example", "9 1 1", "٩١١", "tel:911", "%39%31%31",
		"*67" + digits, "9" + digits, "101-0288-" + digits, "+1202\u202e" + digits, "+1202\ufeff" + digits, "＋" + digits, "+1 202 " + number,
		" " + number, number + " ", "<" + number + ">", "\"x\" <sip:" + number + "@sip.carrier.example>", "sip:" + number + ":pw@sip.carrier.example", "h323:" + number, "mailto:" + number,
	}
	return forms[r.IntN(len(forms))]
}

// TestForbiddenDestinationsAreNeverDialled tries 10,000 of them on every road
// that leads out of the house.
func TestForbiddenDestinationsAreNeverDialled(t *testing.T) {
	countries := []string{"+44", "+1900", "+1876", "+882", "+883", "+239", "+252", "+370", "+1203", "+120", "+4989", "+7", "+979", "+1", "+2"}
	r := rand.New(rand.NewPCG(3, 9))
	tries, dialled, all := 0, 0, 10000
	if raceOn {
		all /= 10
	}
	for tries < all {
		synctest.Test(t, func(t *testing.T) {
			h := openForbidden(t, &dialled)
			for range 100 {
				to := disguise(r, countries[r.IntN(len(countries))]+fmt.Sprint(2000000+r.IntN(7999999)))
				h.tryOut(r.IntN(7), to)
				tries++
			}
			h.over()
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%d tries, %d of which became a number that may be dialled", tries, dialled)
	if dialled > tries/3 {
		t.Error("most of what was tried is allowed: this proves little")
	}
}

func openForbidden(t *testing.T, dialled *int) *house {
	h := openQuiet(t, forbiddenPlan)
	h.auto = true
	h.calls = func(s DialSpec, l *fakeLine) {
		*dialled++
		if !dialable(s) {
			t.Errorf("dialled %q by trunk %q", s.To, s.Trunk.Name)
		}
		l.ended(LineEvent{Cause: CauseBusy})
	}
	return h
}

// tryOut takes a destination to one of the roads out, and waits until it is quiet again.
func (h *house) tryOut(road int, to string) {
	h.t.Helper()
	ctx := context.Background()
	switch road {
	case 0:
		h.Exchange.Dial(ctx, DialRequest{To: to})
	case 1:
		h.Exchange.Dial(ctx, DialRequest{To: to, Trunk: []string{"carrier", "closed", "desk"}[len(to)%3], From: to})
	case 2: // what a caller dials, where a route makes a number of it
		h.comes(Invite{Source: carrier, To: []string{"t", "x", "u", ""}[len(to)%4] + to, From: to})
	case 3:
		h.comes(Invite{Source: carrier, To: "attribute", From: to, Headers: map[string]string{"X-Dial": to}})
	case 4: // REFER
		l, c := h.comes(Invite{Source: carrier, To: "lobby"})
		_, d := h.comes(Invite{Source: desk, To: "lobby"})
		l.refers(newAsked(Referral{To: to}))
		c.Hangup(CauseNone, "")
		d.Hangup(CauseNone, "")
	case 5: // 3xx
		before := h.calls
		h.calls = func(_ DialSpec, l *fakeLine) {
			h.calls = before
			l.ended(redirection(to, "sip:"+to+"@sip.carrier.example", to+";x"))
		}
		if _, err := h.dial(DialRequest{To: "+12025550100"}); err != nil {
			h.t.Error(err)
		}
	case 6: // the API's transfers
		_, c := h.comes(Invite{Source: desk, To: "lobby"})
		c.Transfer(ctx, TransferRequest{To: to, Warm: len(to)%2 == 0})
		synctest.Wait()
		if l := c.line.(*fakeLine); l.referred == nil {
			l.referred = make(chan string, 1)
			if c.Transfer(ctx, TransferRequest{To: to, Refer: true}) == nil {
				asked := <-l.referred
				if !dialable(DialSpec{To: asked, Trunk: dialplan.Trunk{Name: "carrier"}}) {
					h.t.Errorf("the peer was asked to dial %q", asked)
				}
			}
		}
		c.Hangup(CauseNone, "")
	}
	synctest.Wait()
}

// comes brings an INVITE, admitted or not.
func (h *house) comes(inv Invite) (*fakeLine, *Call) {
	if h.Admit(inv) != nil {
		return nil, nil
	}
	l := h.line()
	l.auto = true
	h.Incoming(inv, l)
	c, _ := h.of(l)
	synctest.Wait()
	return l, c
}

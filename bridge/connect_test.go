package bridge

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const connectPlan = `
trunks:
  - name: carrier
    addresses: [203.0.113.0/24]
    headers: {in: {X-Case: case}, out: {X-Ticket: "{{call.attributes.case}}"}}
    caller_id: {default: "+12025550100", allowed: ["+1202*"]}
    outbound: {servers: [sip.carrier.example]}
    limits: {prefixes: ["+1"]}
  - {name: second, outbound: {servers: [sip.second.example]}, limits: {prefixes: ["+1"]}}
  - {name: pricey, outbound: {servers: [sip.pricey.example]}, limits: {prefixes: ["+1"], calls: 1}}
routes:
  - name: office
    to: "+12025550111"
    number: "+12025550123"
    trunks: [carrier, second]
    ring_timeout: 20s
    else: {number: "+12025550124", trunks: [second], else: {room: front-desk}}
  - {name: plain, to: "+12025550112", number: "+12025550123", trunks: [carrier, second]}
  - {name: abroad, to: "+12025550113", number: "+442079460000", trunks: [carrier], else: {room: front-desk}}
  - {name: any, to: "dial*", number: "{{call.to}}", trunks: [carrier]}
  - {name: vip, headers: {case: "vip*"}, room: vip}
  - {name: out, from_room: true, to: "+1*", trunks: [carrier, second, pricey]}
`

// calling brings an INVITE from the carrier that is being connected.
func (h *house) calling(to string) (*fakeLine, *Call) {
	h.t.Helper()
	h.auto = true
	l, c := h.take(Invite{
		Source: carrier, From: "+12025550177", To: to, Headers: map[string]string{"X-Case": "17", "X-Other": "o\x00k"},
		Identity: Identity{Asserted: "+12025550178", Diversion: []string{"+15550001;reason=user-busy"}},
	})
	synctest.Wait()
	return l, c
}

// legs returns what has been dialled so far.
func (h *house) legs(want int) []*fakeLine {
	h.t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.lines) != want {
		h.t.Fatalf("%d calls were dialled, want %d", len(h.lines), want)
	}
	return h.lines
}

func TestNumberTargetConnectsTwoPhones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, connectPlan)
		l, c := h.calling("+12025550111")
		leg := h.legs(1)[0]
		s := leg.spec
		if s.To != "+12025550123" || s.From != "+12025550177" || s.Identity.Asserted != "+12025550178" || s.RingTimeout != 20*time.Second ||
			s.Headers["X-Ticket"] != "17" || !slices.Equal(s.Identity.Diversion, []string{"+12025550111;reason=unconditional", "+15550001;reason=user-busy"}) {
			t.Errorf("dialled %+v", s)
		}
		if r := c.Record(); r.Attributes["case"] != "17" || r.Attributes["X-Other"] != "ok" || r.Asserted != "+12025550178" {
			t.Errorf("the caller's record: %+v", r)
		}
		leg.happens(LineRinging)
		synctest.Wait()
		if l.early != 0 || len(l.answered) != 0 {
			t.Error("the caller is answered, or hears something, while it rings")
		}
		leg.happens(LineEarly)
		synctest.Wait()
		room := "call-" + c.id
		if l.early != 1 || len(l.answered) != 0 || len(h.in(room)) != 2 {
			t.Errorf("early media: %d, answers %d, in the room %q", l.early, len(l.answered), h.in(room))
		}
		leg.happens(LineAnswered)
		synctest.Wait()
		other, _ := h.of(leg)
		if r := c.Record(); r.State != StateActive || r.Room != room || other.Record().ParentID != c.id || len(l.answered) != 1 {
			t.Errorf("caller %+v, called %+v", r, other.Record())
		}
		c.pressed(press{}.Digit, byEvent)
		leg.ended(LineEvent{Cause: CauseNormal})
		if d := h.cdr(c); d.Cause != CauseNormal || d.AnsweredAt == nil {
			t.Errorf("CDR %+v", d)
		}
		h.over()
	})
}

func TestCallerHangsUpOnTheCalledSide(t *testing.T) {
	for _, answered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := openQuiet(t, connectPlan)
			l, c := h.calling("+12025550111")
			leg := h.legs(1)[0]
			other, _ := h.of(leg)
			want := CauseCanceled
			if answered {
				leg.happens(LineAnswered)
				want = CauseNormal
				synctest.Wait()
			}
			l.ended(LineEvent{Cause: want, SIPCode: 487})
			h.cdr(c)
			if d := h.cdr(other); d.Cause != want {
				t.Errorf("the called side ends with %s, want %s", d.Cause, want)
			}
			h.over()
		})
	}
}

func TestTheCalledSidesCauseReachesTheCaller(t *testing.T) {
	for _, cause := range []Cause{CauseBusy, CauseNoAnswer, CauseRejected, CauseUnknownNumber} {
		synctest.Test(t, func(t *testing.T) {
			h := openQuiet(t, connectPlan)
			_, c := h.calling("+12025550112")
			h.legs(1)[0].ended(LineEvent{Cause: cause, SIPCode: 480, Reason: "as it is"})
			if d := h.cdr(c); d.Cause != cause || d.AnsweredAt != nil || !strings.Contains(d.Reason, "as it is") {
				t.Errorf("%s: CDR %+v", cause, d)
			}
			h.legs(1)
			h.over()
		})
	}
}

func TestTrunksAreTriedInOrderThenElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, connectPlan)
		l, c := h.calling("+12025550111")
		h.legs(1)[0].ended(LineEvent{Cause: CauseUnreachable, SIPCode: 503, Reason: "out of order"})
		second := h.legs(2)[1]
		if second.spec.Trunk.Name != "second" || second.spec.Headers["X-Ticket"] != "" {
			t.Errorf("dialled %+v", second.spec)
		}
		second.ended(LineEvent{Cause: CauseBusy, SIPCode: 486})
		third := h.legs(3)[2]
		if third.spec.To != "+12025550124" || third.spec.Identity.Diversion[0] != "+12025550111;reason=user-busy" {
			t.Errorf("dialled %+v", third.spec)
		}
		third.ended(LineEvent{Cause: CauseNoAnswer})
		synctest.Wait()
		if r := c.Record(); r.Room != "front-desk" || r.State != StateActive || len(h.in("front-desk")) != 1 {
			t.Errorf("%+v", r)
		}
		l.ended(LineEvent{Cause: CauseNormal})
		if d := h.cdr(c); !strings.Contains(d.Reason, "busy") || !strings.Contains(d.Reason, "no_answer") {
			t.Errorf("reason %q", d.Reason)
		}
		if len(h.cdrs) != 3 || !strings.Contains(h.cdrs[0].Reason, "out of order") {
			t.Errorf("%d CDRs, the first says %q", len(h.cdrs), h.cdrs[0].Reason)
		}
		h.over()
	})
}

func TestEarlyMediaThenElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, connectPlan)
		_, c := h.calling("+12025550111")
		leg := h.legs(1)[0]
		leg.happens(LineEarly)
		synctest.Wait()
		leg.ended(LineEvent{Cause: CauseUnreachable})
		h.legs(2)[1].ended(LineEvent{Cause: CauseNoAnswer})
		h.legs(3)[2].ended(LineEvent{Cause: CauseNoAnswer})
		synctest.Wait()
		if in := h.in("front-desk"); !slices.Equal(in, []string{c.id}) || c.Record().Room != "front-desk" {
			t.Errorf("in front-desk: %q", in)
		}
		h.over()
	})
}

func TestNumberThatPolicyForbidsTakesTheElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, connectPlan)
		_, c := h.calling("+12025550113")
		h.legs(0)
		if r := c.Record(); r.Room != "front-desk" {
			t.Errorf("%+v", r)
		}
		h.comes(Invite{Source: carrier, To: "dial"})
		if len(h.cdrs) != 1 || h.cdrs[0].Cause != CauseUnknownNumber {
			t.Errorf("%+v", h.cdrs)
		}
		h.legs(0)
		h.over()
	})
}

func TestCallsFromTheAPIFailOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, connectPlan)
		c, err := h.dial(DialRequest{To: "+12025550123", From: "+15550001", Room: "lobby"})
		if err != nil {
			t.Fatal(err)
		}
		first := h.legs(1)[0]
		if first.spec.From != "+12025550100" {
			t.Errorf("a number that is not ours is shown: %s", first.spec.From)
		}
		first.ended(LineEvent{Cause: CauseAuthentication, SIPCode: 403})
		second := h.legs(2)[1]
		second.happens(LineEarly)
		synctest.Wait()
		second.ended(LineEvent{Cause: CauseSignalling})
		third := h.legs(3)[2]
		if in := h.in("lobby"); len(in) != 0 {
			t.Errorf("a failed trunk has left %q in the room", in)
		}
		third.happens(LineAnswered)
		synctest.Wait()
		if r := c.Record(); r.State != StateActive || r.Trunk != "pricey" || r.Room != "lobby" {
			t.Errorf("%+v", r)
		}
		d, err := h.dial(DialRequest{To: "+12025550123", Trunk: "pricey"})
		if err == nil {
			t.Errorf("a full trunk took %+v", d.Record())
		}
		h.over()
	})
}

func TestHangUpAtTheMomentATrunkFails(t *testing.T) {
	for range 50 { // select chooses by chance
		synctest.Test(t, func(t *testing.T) {
			h := openQuiet(t, connectPlan)
			c, err := h.dial(DialRequest{To: "+12025550123"})
			if err != nil {
				t.Fatal(err)
			}
			l := h.legs(1)[0]
			c.do(t.Context(), func() error {
				l.ended(LineEvent{Cause: CauseUnreachable})
				c.Hangup(CauseNone, "")
				return nil
			})
			h.cdr(c)
			h.legs(1)
			h.over()
		})
	}
}

func TestRouteByHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, connectPlan)
		l, c := h.take(Invite{Source: carrier, To: "lobby", Headers: map[string]string{"X-Case": "vip-1"}})
		<-l.answered
		if r := c.Record(); r.Room != "vip" || r.Route != "vip" {
			t.Errorf("%+v", r)
		}
		h.over()
	})
}

func TestIdentityCountsFromTrunksAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, connectPlan)
		_, c := h.take(Invite{Source: loopback, To: "lobby", Identity: Identity{Asserted: "+15550001", Private: true}})
		if r := c.Record(); r.Asserted != "" || r.Private {
			t.Errorf("%+v", r)
		}
		h.over()
	})
}

func TestVerifiedIsOnTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, connectPlan)
		l, c := h.calling("lobby")
		sub := h.Subscribe("")
		l.events <- LineEvent{Kind: LineVerified, Verstat: "TN-Validation-Passed-A"}
		for e := range sub.Events {
			if e.Type == "call.verified" {
				break
			}
		}
		sub.Close()
		if r := c.Record(); r.Verstat != "TN-Validation-Passed-A" {
			t.Errorf("verstat %q", r.Verstat)
		}
		h.over()
	})
}

const redirectPlan = `
trunks:
  - {name: follows, redirects: follow, outbound: {servers: [sip.a.example]}, limits: {prefixes: ["+1202"]}}
  - {name: denies, outbound: {servers: [sip.b.example]}, limits: {prefixes: ["+1303"]}}
routes:
  - {name: a, from_room: true, to: "+1202*", trunk: follows}
  - {name: b, from_room: true, to: "+1303*", trunk: denies}
`

func redirection(to ...string) LineEvent {
	return LineEvent{Cause: CauseRedirected, SIPCode: 302, Contacts: to}
}

func TestRedirectsAreFollowedWithinPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, redirectPlan)
		c, err := h.dial(DialRequest{To: "+12025550100"})
		if err != nil {
			t.Fatal(err)
		}
		h.legs(1)[0].ended(redirection("sip:+442079460000@sip.a.example", "tel:+12025550101", "tel:+12025550100"))
		next := h.legs(2)[1]
		if next.spec.To != "+12025550101" {
			t.Errorf("dialled %+v", next.spec)
		}
		next.ended(redirection("tel:+12025550100", "tel:+12025550101")) // a loop
		if d := h.cdr(c); d.Cause != CauseRedirected || !strings.Contains(d.Reason, "+442079460000") {
			t.Errorf("CDR %+v", d)
		}
		h.legs(2)
		h.over()
	})
}

func TestRedirectsHaveAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, redirectPlan)
		c, err := h.dial(DialRequest{To: "+12025550100"})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			h.legs(i + 1)[i].ended(redirection("tel:+1202555010" + string(rune('1'+i))))
		}
		if d := h.cdr(c); d.Cause != CauseRedirected {
			t.Errorf("CDR %+v", d)
		}
		h.legs(6)
		h.over()
	})
}

func TestRedirectsAreDeniedByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, redirectPlan)
		c, err := h.dial(DialRequest{To: "+13035550100"})
		if err != nil {
			t.Fatal(err)
		}
		h.legs(1)[0].ended(redirection("tel:+13035550101"))
		if d := h.cdr(c); d.Cause != CauseRedirected || d.SIPCode != 302 {
			t.Errorf("CDR %+v", d)
		}
		h.legs(1)
		h.over()
	})
}

func TestVerificationIsRequired(t *testing.T) {
	plan := strings.Replace(connectPlan, "headers: {in", "stir: require\n    headers: {in", 1)
	for _, c := range []struct {
		verstat, to string
		ends        Cause
	}{
		{"TN-Validation-Passed-A", "lobby", CauseNone}, {"TN-Validation-Failed", "lobby", CauseForbidden},
		{"No-TN-Validation", "lobby", CauseForbidden}, {"", "lobby", CauseForbidden}, {"", "911", CauseNone},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := openQuiet(t, plan)
			began := time.Now()
			l, call := h.calling(c.to)
			if c.to != "911" && (l.rings != 0 || len(l.answered) != 0) {
				t.Error("it rings before it is verified")
			}
			if c.verstat != "" {
				l.events <- LineEvent{Kind: LineVerified, Verstat: c.verstat, Reason: "as the test says"}
			}
			if c.ends == CauseNone {
				synctest.Wait()
				if r := call.Record(); r.State != StateActive {
					t.Errorf("%+v: %+v", c, r)
				}
			} else if d := h.cdr(call); d.Cause != c.ends || d.Reason == "" || time.Since(began) > 3*time.Second {
				t.Errorf("%+v: %+v after %v", c, d, time.Since(began))
			}
			h.over()
		})
	}
}

func TestEmergencyCallsPassEveryLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, `
trunks:
  - {name: carrier, addresses: [203.0.113.0/24], limits: {calls: 1, cps: 0.01}}
  - {name: psap, outbound: {servers: [sip.psap.example]}, limits: {calls: 1, minutes: 1, cps: 0.01, prefixes: ["+1202"]}}
routes:
  - {name: sos, to: "911", number: "+12025550911", trunks: [psap], priority: emergency}
`)
		for i := range 5 {
			h.calling("911")
			h.legs(i + 1)[i].happens(LineAnswered)
			time.Sleep(time.Minute)
		}
		for _, rec := range h.Calls() {
			if rec.State != StateActive {
				t.Errorf("%+v", rec)
			}
		}
		h.over()
	})
}

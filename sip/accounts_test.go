package sip

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// pbxPlan has a trunk that calls in by password.
func pbxPlan() *dialplan.Plan {
	return &dialplan.Plan{Trunks: []dialplan.Trunk{{Name: "pbx", Inbound: &dialplan.Inbound{Username: "pbx", Password: "open-sesame"}}}}
}

// strangers makes everybody a stranger who may call in by password only.
func strangers(c *Config) {
	c.Plan = pbxPlan
	c.Known = func(netip.Addr) bool { return false }
	c.Admit = func(i bridge.Invite) *bridge.Refusal {
		if i.Trunk == "" {
			return &bridge.Refusal{Cause: bridge.CauseForbidden, Reason: "a stranger"}
		}
		return nil
	}
}

// answerTo is the Authorization header line that answers one challenge of a 401.
func answerTo(t *testing.T, m message, algorithm string, d draft, user, password string, nc int) string {
	t.Helper()
	for _, f := range m.Fields {
		if f.Name != "www-authenticate" || !strings.Contains(f.Value, "algorithm="+algorithm) {
			continue
		}
		chal, err := digest.ParseChallenge(f.Value)
		if err != nil {
			t.Fatal(err)
		}
		c, err := digest.Digest(chal, digest.Options{Method: d.method, URI: d.uri, Username: user, Password: password, Count: nc})
		if err != nil {
			t.Fatal(err)
		}
		return "Authorization: " + c.String() + "\r\n"
	}
	t.Fatalf("no %s challenge in %v", algorithm, m.Fields)
	return ""
}

// next is the same call tried again.
func (d draft) next(extra string) draft {
	d.cseq++
	d.branch, d.extra = "z9hG4bK"+unique("b"), extra
	return d
}

func TestCallersShowAPassword(t *testing.T) {
	for _, algorithm := range []string{"SHA-256", "MD5"} {
		t.Run(algorithm, func(t *testing.T) {
			a := startAgent(t, strangers)
			w := newWire(t, a.Addr())
			d := w.invite()
			w.sendDraft(d)
			ask := w.response(401, "INVITE")
			w.sendDraft(d.within("ACK", ask))
			d = d.next(answerTo(t, ask, algorithm, d, "pbx", "open-sesame", 1))
			w.sendDraft(d)
			c := a.incoming()
			if c.Trunk != "pbx" {
				t.Errorf("the call is of trunk %q", c.Trunk)
			}
			c.End(bridge.CauseBusy, "")
			w.response(486, "INVITE")

			// The same answer again is a replay: it is asked for anew, as stale.
			again := w.invite()
			again.uri, again.extra = d.uri, d.extra
			w.sendDraft(again)
			if m := w.response(401, "INVITE"); !strings.Contains(m.value("www-authenticate"), "stale=true") {
				t.Errorf("a replay got %q", m.value("www-authenticate"))
			}
			// With the next count the nonce serves on.
			more := w.invite()
			more.extra = answerTo(t, ask, algorithm, more, "pbx", "open-sesame", 2)
			w.sendDraft(more)
			a.incoming().End(bridge.CauseBusy, "")
		})
	}
}

func TestAnUnknownUserAndAWrongPasswordGetTheSameAnswer(t *testing.T) {
	a := startAgent(t, strangers)
	var answers []string
	for _, who := range [][2]string{{"pbx", "open-barley"}, {"nobody", "open-sesame"}} {
		w := newWire(t, a.Addr())
		d := w.invite()
		w.sendDraft(d)
		ask := w.response(401, "INVITE")
		d = d.next(answerTo(t, ask, "SHA-256", d, who[0], who[1], 1))
		w.sendDraft(d)
		m := w.response(401, "INVITE")
		for deadline := time.Now().Add(patience); m.value("cseq") != fmt.Sprintf("%d INVITE", d.cseq) && time.Now().Before(deadline); {
			m = w.response(401, "INVITE")
		}
		text := m.start
		for _, f := range m.Fields {
			switch f.Name {
			case "via", "call-id", "from", "to", "cseq":
			case "www-authenticate":
				before, rest, _ := strings.Cut(f.Value, `nonce="`)
				_, after, _ := strings.Cut(rest, `"`)
				text += "\n" + before + after
			default:
				text += "\n" + f.Name + ": " + f.Value
			}
		}
		answers = append(answers, text)
		r := <-a.refusals
		if r.Cause != bridge.CauseAuthentication || strings.Contains(r.Reason, "open") {
			t.Errorf("the refusal says %+v", r)
		}
	}
	if answers[0] != answers[1] {
		t.Errorf("the answers differ:\n%s\n\n%s", answers[0], answers[1])
	}
}

// authorized is an INVITE with an answer to a fresh challenge.
func authorized(d *doorman, source netip.Addr, now time.Time, user, password string, change func(*digest.Credentials)) *sipmsg.Request {
	uri := sipmsg.Uri{Scheme: "sip", User: "lobby", Host: "gateway.example"}
	req := sipmsg.NewRequest(sipmsg.INVITE, uri)
	chal := &digest.Challenge{Realm: realm, Nonce: d.nonce(source, now), Algorithm: "SHA-256", QOP: []string{"auth"}}
	c, _ := digest.Digest(chal, digest.Options{Method: "INVITE", URI: uri.String(), Username: user, Password: password, Count: 1})
	if change != nil {
		change(c)
	}
	req.AppendHeader(sipmsg.NewHeader("Authorization", c.String()))
	return req
}

func TestTheDoormanTellsCredentialsApart(t *testing.T) {
	d, source, now := newDoorman(), mustAddr("192.0.2.1"), time.Now()
	for _, c := range []struct {
		name   string
		change func(*digest.Credentials)
		user   string
		at     time.Time
		source netip.Addr
		want   verdict
	}{
		{name: "right", want: right},
		{name: "upper case digest", change: func(c *digest.Credentials) { c.Response = strings.ToUpper(c.Response) }, want: right},
		{name: "wrong digest", change: func(c *digest.Credentials) { c.Response = strings.Repeat("0", 64) }, want: wrong},
		{name: "empty digest", change: func(c *digest.Credentials) { c.Response = "" }, want: wrong},
		{name: "unknown user", user: "nobody", want: wrong},
		{name: "no user", user: " ", want: wrong},
		{name: "another number's digest", change: func(c *digest.Credentials) {
			*c = *mustDigest(c, "sip:other@gateway.example", "pbx", "open-sesame")
		}, want: wrong},
		{name: "an algorithm that was not offered", change: func(c *digest.Credentials) { c.Algorithm = "SHA-512-256" }, want: wrong},
		{name: "too old", at: now.Add(nonceLife + time.Minute), want: stale},
		{name: "from another address", source: mustAddr("192.0.2.2"), want: absent},
		{name: "a nonce of somebody else", change: func(c *digest.Credentials) { c.Nonce = "abc" }, want: absent},
		{name: "another realm", change: func(c *digest.Credentials) { c.Realm = "elsewhere" }, want: absent},
		{name: "no qop", change: func(c *digest.Credentials) { c.QOP = "" }, want: absent},
	} {
		t.Run(c.name, func(t *testing.T) {
			user, at, from := c.user, c.at, c.source
			if user == "" {
				user = "pbx"
			}
			if at.IsZero() {
				at = now
			}
			if !from.IsValid() {
				from = source
			}
			req := authorized(d, source, now, user, "open-sesame", c.change)
			trunk, v := d.check(req, from, pbxPlan(), at)
			if v != c.want || (v == right) != (trunk == "pbx") {
				t.Errorf("verdict %d for trunk %q, want %d", v, trunk, c.want)
			}
		})
	}
}

func mustDigest(c *digest.Credentials, uri, user, password string) *digest.Credentials {
	out, _ := digest.Digest(&digest.Challenge{Realm: c.Realm, Nonce: c.Nonce, Algorithm: c.Algorithm, QOP: []string{"auth"}},
		digest.Options{Method: "INVITE", URI: uri, Username: user, Password: password, Count: 1})
	return out
}

func TestUsedNoncesAreBoundedAndNeverServeTwice(t *testing.T) {
	d, source, now := newDoorman(), mustAddr("192.0.2.1"), time.Now()
	first := authorized(d, source, now, "pbx", "open-sesame", nil)
	for i := range maxNonces + 10 {
		req := first
		if i > 0 {
			req = authorized(d, source, now.Add(time.Duration(i)*time.Millisecond), "pbx", "open-sesame", nil)
		}
		if _, v := d.check(req, source, pbxPlan(), now.Add(time.Duration(i)*time.Millisecond)); v != right {
			t.Fatalf("call %d: verdict %d", i, v)
		}
	}
	if len(d.used) > maxNonces || len(d.order) > maxNonces {
		t.Errorf("%d nonces are kept", len(d.used))
	}
	if _, v := d.check(first, source, pbxPlan(), now); v != stale {
		t.Errorf("a forgotten nonce got verdict %d", v)
	}
}

// A known and an unknown user take the same time: medians of many, interleaved.
func TestTheTimeOfACheckDoesNotTellWhetherAUserExists(t *testing.T) {
	d, source, now := newDoorman(), mustAddr("192.0.2.1"), time.Now()
	plan := pbxPlan()
	for i := range 50 {
		plan.Trunks = append(plan.Trunks, dialplan.Trunk{Name: fmt.Sprint("t", i), Inbound: &dialplan.Inbound{Username: fmt.Sprint("user", i), Password: "x"}})
	}
	reqs := []*sipmsg.Request{
		authorized(d, source, now, "pbx", "wrong", nil), authorized(d, source, now, "nobody", "wrong", nil), authorized(d, source, now, "user49", "wrong", nil),
	}
	times := make([][]time.Duration, len(reqs))
	for range 2000 {
		for i, req := range reqs {
			begin := time.Now()
			if _, v := d.check(req, source, plan, now); v != wrong {
				t.Fatal(v)
			}
			times[i] = append(times[i], time.Since(begin))
		}
	}
	var medians []time.Duration
	for _, list := range times {
		slices.Sort(list)
		medians = append(medians, list[len(list)/2])
	}
	t.Logf("medians: known %v, unknown %v, last %v", medians[0], medians[1], medians[2])
	if low, high := slices.Min(medians), slices.Max(medians); high > low*3/2 {
		t.Errorf("the medians differ: %v", medians)
	}
}

func FuzzCredentials(f *testing.F) {
	d, source, now := newDoorman(), mustAddr("192.0.2.1"), time.Now()
	f.Add(`Digest username="pbx", realm="roomline", nonce="x", uri="sip:a@b", response="0", qop=auth, nc=00000001, cnonce="c"`)
	f.Add(authorized(d, source, now, "pbx", "wrong", nil).GetHeader("Authorization").Value())
	f.Fuzz(func(t *testing.T, value string) {
		req := sipmsg.NewRequest(sipmsg.INVITE, sipmsg.Uri{Scheme: "sip", User: "lobby", Host: "gateway.example"})
		req.AppendHeader(sipmsg.NewHeader("Authorization", value))
		if trunk, v := d.check(req, source, pbxPlan(), now); v == right || trunk != "" {
			t.Fatalf("%q was let in", value)
		}
	})
}

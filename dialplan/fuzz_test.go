package dialplan

import (
	"strings"
	"testing"
)

// What is dialled for a target must keep the policy, whatever a caller sends.
func FuzzExitsOf(f *testing.F) {
	p := mustParse(f, outboundPlan).Prepare()
	for _, s := range []string{"+12125551234", "bob", "1001", "+4420%31", "a@b", "911", "x;y", "{{call.to}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		vars := map[string]string{"call.to": value, "call.attributes.a": value}
		for _, number := range []string{"{{call.to}}", "+1212{{call.to}}", "sip:{{call.attributes.a}}@sip.carrier.example", "sip:x{{call.to}}@pbx.example"} {
			exits, err := p.ExitsOf(Target{Number: number, Trunks: []string{"carrier", "pbx"}}, Query{To: "lobby"}, vars)
			if (err == nil) != (len(exits) > 0) {
				t.Fatalf("%q in %s: %v, %v", value, number, exits, err)
			}
			for _, e := range exits {
				user, server, isURI := strings.Cut(strings.TrimPrefix(e.To, "sip:"), "@")
				_, reached := e.Trunk.serverAt("sip.carrier.example", 0)
				_, reachedPBX := e.Trunk.serverAt("pbx.example", 0)
				switch {
				case e.Emergency:
					t.Fatalf("%q in %s is an emergency call", value, number)
				case isURI && (!nameUser.MatchString(user) || server != "sip.carrier.example" && server != "pbx.example" || !reached && !reachedPBX):
					t.Fatalf("%q in %s gives %q by %s", value, number, e.To, e.Trunk.Name)
				case !isURI && (!isE164(e.To) || e.Trunk.Name != "carrier" || !strings.HasPrefix(e.To, "+1") && !strings.HasPrefix(e.To, "+4420")):
					t.Fatalf("%q in %s gives %q by %s", value, number, e.To, e.Trunk.Name)
				}
			}
		}
	})
}

// A number that comes in is E.164 afterwards, or what it was.
func FuzzNormal(f *testing.F) {
	for _, s := range []string{"015551234", "０３０ 123456", "+49 (0)30 1", "911", "1001", "lobby", "0049301234567", "+0", "％"} {
		f.Add(s, "DE")
		f.Add(s, "US")
	}
	f.Fuzz(func(t *testing.T, user, country string) {
		if got := normal(user, country); got != user && !isE164(got) {
			t.Fatalf("%q in %q: got %q", user, country, got)
		}
	})
}

// Whatever comes into a header field stays on its line, and a room has the name of one.
func FuzzTemplates(f *testing.F) {
	f.Add("{{call.id}}", "a\r\nVia: x")
	f.Add("a{{ call.attributes.X-A }}{{call.to}}", "b")
	f.Fuzz(func(t *testing.T, template, value string) {
		vars := map[string]string{"call.id": value, "call.to": value, "call.from": value, "call.attributes.x-a": value}
		if room, err := Expand(template, vars); err == nil && !isRoom(room) {
			t.Fatalf("%q with %q names the room %q", template, value, room)
		}
		if checkHeaderTemplate(template) == nil {
			m := &HeaderMap{Out: map[string]string{"X-A": template}}
			if got := m.Fields(vars)["X-A"]; hasControls(got) {
				t.Fatalf("%q with %q writes %q", template, value, got)
			}
		}
	})
}

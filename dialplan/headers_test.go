package dialplan

import (
	"reflect"
	"strings"
	"testing"
)

const headerPlan = `
trunks:
  - name: carrier
    addresses: [203.0.113.1]
    headers:
      in: {X-Tenant: tenant, Subject: topic}
      out: {X-Call: "{{call.id}}", X-Case: "case {{call.attributes.case}}", User-to-User: "{{call.attributes.X-Token}}"}
routes:
  - {name: blue, headers: {X-Tenant: [blue, navy], topic: "help*"}, room: blue}
  - {name: any, headers: {x-tenant: "*"}, room: any}
  - {name: none, room: none}
`

func TestRoutesOnHeaders(t *testing.T) {
	p := mustParse(t, headerPlan)
	for _, c := range []struct {
		headers map[string]string
		room    string
	}{
		{map[string]string{"X-Tenant": "blue", "topic": "help me"}, "blue"},
		{map[string]string{"x-tenant": "navy", "Topic": "help"}, "blue"},
		{map[string]string{"X-Tenant": "blue"}, "any"},
		{map[string]string{"X-Tenant": "Blue", "topic": "help"}, "any"},
		{map[string]string{"X-Tenant": ""}, "none"},
		{nil, "none"},
	} {
		if d := p.Decide(Query{To: "x", Headers: c.headers}); d.Target.Room != c.room {
			t.Errorf("%v: got %s", c.headers, d)
		}
	}
	s := p.Explain(Query{To: "x", Headers: map[string]string{"X-Tenant": "red"}}).String()
	for _, want := range []string{"call to x, X-Tenant: red, coming in", "header X-Tenant is blue, navy, the call has red", "→ any"} {
		if !strings.Contains(s, want) {
			t.Errorf("%q is not in\n%s", want, s)
		}
	}
	for name, trunk := range map[string]string{"blue": "carrier", "any": ""} { // the map belongs to the trunk
		if d := p.Decide(Query{Trunk: trunk, To: "x", Headers: map[string]string{"X-Tenant": "blue", "subject": "help"}}); d.Target.Room != name {
			t.Errorf("by trunk %q: got %s", trunk, d)
		}
	}
	if s := p.Explain(Query{Trunk: "carier", To: "x"}).String(); !strings.Contains(s, "\n  no trunk is named carier\n") {
		t.Errorf("got\n%s", s)
	}
	if got := p.HeaderNames(); !reflect.DeepEqual(got, []string{"Subject", "X-Tenant", "topic"}) {
		t.Errorf("got %v", got)
	}
}

func TestHeaderMaps(t *testing.T) {
	m := mustParse(t, headerPlan).Trunks[0].Headers
	if got := m.Attributes(map[string]string{"x-tenant": "blue", "X-Other": "1", "Subject": ""}); !reflect.DeepEqual(got, map[string]string{"tenant": "blue"}) {
		t.Errorf("in: got %v", got)
	}
	vars := map[string]string{"call.id": "c1", "call.attributes.case": "7\r\nVia: x", "call.attributes.x-token": ""}
	if got := m.Fields(vars); !reflect.DeepEqual(got, map[string]string{"X-Call": "c1", "X-Case": "case 7Via: x"}) {
		t.Errorf("out: got %v", got)
	}
	var none *HeaderMap
	if none.Attributes(nil) != nil || none.Fields(nil) != nil {
		t.Error("no map, no headers")
	}
}

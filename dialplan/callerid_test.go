package dialplan

import "testing"

func TestCallerID(t *testing.T) {
	p := mustParse(t, `
trunks:
  - {name: any, addresses: [192.0.2.1]}
  - {name: open, addresses: [192.0.2.2], caller_id: {default: "+15551230000", privacy: true}}
  - {name: strict, addresses: [192.0.2.3], country: US, caller_id: {default: "+15551230000", allowed: ["+1555999*", "1001"]}}
  - {name: bare, addresses: [192.0.2.4], caller_id: {allowed: "+1555999*"}}
numbers:
  - {number: "+15551110000"}
  - {number: "+15552220000", trunk: strict}
  - {number: "+15553330000", trunk: open}
`).Prepare()
	for _, c := range []struct {
		trunk, from string
		private     bool
		want        string
		hidden      bool
	}{
		{"any", "+1 555 000 1111", false, "+15550001111", false},
		{"any", "alice", false, "alice", false},
		{"any", "", true, "", true},
		{"open", "+15550001111", false, "+15550001111", true},
		{"open", "", false, "+15551230000", true},
		{"strict", "+15559990001", false, "+15559990001", false},
		{"strict", "(555) 999-0001", false, "+15559990001", false},
		{"strict", "1001", false, "1001", false},
		{"strict", "+15550001111", true, "+15551230000", true},
		{"strict", "911", false, "+15551230000", false},
		{"strict", "+15551110000", false, "+15551110000", false},
		{"strict", "+15552220000", false, "+15552220000", false},
		{"strict", "+15553330000", false, "+15551230000", false},
		{"strict", "", false, "+15551230000", false},
		{"bare", "+15550001111", false, "", false},
	} {
		trunk, _ := p.TrunkNamed(c.trunk)
		if got, hidden := p.CallerID(trunk, c.from, c.private); got != c.want || hidden != c.hidden {
			t.Errorf("%+v: got %q, %v", c, got, hidden)
		}
	}
}

package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/roomline/roomline/dialplan"
)

const (
	carrier = `{"name":"carrier","addresses":["203.0.113.0/24"],"outbound":{"servers":["sip.carrier.example"],"username":"u","password":"hunter2"},"limits":{"prefixes":["+1"]}}`
	sales   = `{"name":"sales","to":"+15551230000","room":"front-desk"}`
	help    = `{"name":"help","to":["+15551230001","+15551230002"],"room":"help"}`
)

func TestTrunkPasswordIsMaskedAndKept(t *testing.T) {
	h := newHouse(t)
	a := h.ask(t, "POST", "/v1/trunks", carrier).is(201)
	bodies := a.body
	for _, path := range []string{"/v1/trunks", "/v1/trunks/carrier", "/v1/plan"} {
		bodies += h.ask(t, "GET", path, "").is(200).body
	}
	masked := strings.Replace(carrier, "hunter2", "********", 1)
	changed := strings.Replace(masked, "+1", "+44", 1)
	bodies += h.ask(t, "PUT", "/v1/trunks/carrier", changed).is(200).body
	if got := h.store.plan.Trunks[0]; got.Outbound.Password != "hunter2" || got.Limits.Prefixes[0] != "+44" {
		t.Fatalf("stored %+v", got.Outbound)
	}
	bodies += h.ask(t, "PUT", "/v1/plan?prune=true", `{"trunks":[`+masked+`]}`).is(200).body
	if h.store.plan.Trunks[0].Outbound.Password != "hunter2" {
		t.Fatal("the password was lost")
	}
	if strings.Contains(bodies, "hunter2") || strings.Contains(h.logged.String(), "hunter2") {
		t.Fatal("the password was shown")
	}
	h.ask(t, "PUT", "/v1/trunks/carrier", strings.Replace(carrier, "hunter2", "new", 1)).is(200)
	if h.store.plan.Trunks[0].Outbound.Password != "new" {
		t.Fatal("the new password was not taken")
	}
	other := strings.Replace(masked, `"carrier"`, `"other"`, 1)
	h.ask(t, "POST", "/v1/trunks", other).is(422).says("body.outbound.password", "send the password")
	h.ask(t, "PUT", "/v1/plan", `{"trunks":[`+other+`]}`).is(422).says("body.trunks[0].outbound.password", "send the password")
}

func TestPINsAreMaskedAndKept(t *testing.T) {
	h := newHouse(t)
	const door = `{"name":"door","to":"1","room":"a","pin":"90210777","else":{"room":"b","pin":"90210888"}}`
	bodies := h.ask(t, "POST", "/v1/routes", door).is(201).body
	for _, path := range []string{"/v1/routes", "/v1/routes/door", "/v1/plan"} {
		bodies += h.ask(t, "GET", path, "").is(200).body
	}
	bodies += h.ask(t, "POST", "/v1/routes/explain", `{"to":"1"}`).is(200).body
	masked := strings.NewReplacer("90210777", "********", "90210888", "********", `"to":"1"`, `"to":"2"`).Replace(door)
	bodies += h.ask(t, "PUT", "/v1/routes/door", masked).is(200).body
	if r := h.store.plan.Routes[0]; r.PIN != "90210777" || r.Else.PIN != "90210888" || r.To[0] != "2" {
		t.Fatalf("stored %+v", r.To)
	}
	if strings.Contains(bodies+h.logged.String(), "90210") {
		t.Fatal("a PIN was shown")
	}
	other := strings.Replace(masked, `"door"`, `"other"`, 1)
	h.ask(t, "POST", "/v1/routes", other).is(422).says("body.pin", "send the PIN")
	h.ask(t, "PUT", "/v1/plan", `{"routes":[`+other+`]}`).is(422).says("body.routes[0].else.pin", "send the PIN")
}

func TestCalendarsAreObjects(t *testing.T) {
	h := newHouse(t)
	h.ask(t, "POST", "/v1/holidays", `{"name":"us","dates":["07-04","2026-11-26"]}`).is(201)
	h.ask(t, "POST", "/v1/holidays", `{"name":"uk","dates":["26 December"]}`).is(422).says("body.dates[0]", "2026-12-24")
	h.ask(t, "POST", "/v1/routes", `{"name":"shop","room":"x","hours":"Mo-Su 00:00-24:00 UTC","holidays":"us"}`).is(201)
	h.ask(t, "DELETE", "/v1/holidays/us", "").is(409).says("", "still needed")
	h.ask(t, "PUT", "/v1/holidays/us", `{"name":"us","dates":["07-04"]}`).is(200)
	if got := into[list[dialplan.Holiday]](h.ask(t, "GET", "/v1/holidays", "").is(200)).Items; len(got) != 1 || len(got[0].Dates) != 1 {
		t.Fatalf("got %v", got)
	}
}

func TestObjectsAreMadeReadReplacedAndDeleted(t *testing.T) {
	h := newHouse(t)
	h.ask(t, "POST", "/v1/trunks", carrier).is(201)
	h.ask(t, "POST", "/v1/trunks", carrier).is(409).says("body", "PUT replaces")
	h.ask(t, "PUT", "/v1/trunks/other", carrier).is(422).says("path.id", "same name")
	h.ask(t, "PUT", "/v1/routes/sales", sales).is(201)
	h.ask(t, "PUT", "/v1/routes/sales", sales).is(200)
	h.ask(t, "POST", "/v1/routes?position=1", help).is(201)
	if r := into[list[dialplan.Route]](h.ask(t, "GET", "/v1/routes", "").is(200)).Items; len(r) != 2 || r[0].Name != "help" || len(r[0].To) != 2 || r[1].To[0] != "+15551230000" {
		t.Fatalf("routes %+v", r)
	}
	h.ask(t, "PUT", "/v1/routes/help?position=2", help).is(200)
	if h.store.plan.Routes[1].Name != "help" {
		t.Fatalf("routes %+v", h.store.plan.Routes)
	}
	h.ask(t, "POST", "/v1/numbers", `{"number":"+15551230000","trunk":"carrier","label":"main"}`).is(201)
	h.ask(t, "GET", "/v1/numbers/+15551230000", "").is(200)
	h.ask(t, "DELETE", "/v1/trunks/carrier", "").is(409).says("", "still needed")
	h.ask(t, "DELETE", "/v1/numbers/+15551230000", "").is(204)
	h.ask(t, "DELETE", "/v1/trunks/carrier", "").is(204)
	h.ask(t, "DELETE", "/v1/trunks/carrier", "").is(404)
	h.ask(t, "GET", "/v1/trunks/carrier", "").is(404).says("", "carrier")
	if n := len(h.changed); n != h.store.changes {
		t.Fatalf("%d changes were told of %d", n, h.store.changes)
	}
}

func TestListsOfObjectsArePaged(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"c", "a", "b"} {
		h.ask(t, "POST", "/v1/routes", `{"name":"`+name+`","to":"`+name+`","room":"x"}`).is(201)
		h.ask(t, "POST", "/v1/trunks", `{"name":"`+name+`","addresses":["192.0.2.`+string('1'+name[0]-'a')+`"]}`).is(201)
	}
	for path, want := range map[string]string{"/v1/routes": "c a b", "/v1/trunks": "a b c"} {
		var seen []string
		for cursor := "?limit=1"; ; {
			l := into[list[dialplan.Number]](h.ask(t, "GET", path+cursor, "").is(200))
			l2 := into[list[struct{ Name string }]](h.ask(t, "GET", path+cursor, "").is(200))
			seen = append(seen, l2.Items[0].Name)
			if l.Next == "" {
				break
			}
			cursor = "?limit=1&cursor=" + l.Next
		}
		if got := strings.Join(seen, " "); got != want {
			t.Errorf("%s: %s, expected %s", path, got, want)
		}
	}
}

func TestWrongObjectsAreLocated(t *testing.T) {
	h := newHouse(t)
	for _, tt := range []struct{ method, path, body, location string }{
		{"POST", "/v1/routes", `{"name":"out","from_room":true,"to":"+1*","trunk":"none"}`, "body.trunk"},
		{"POST", "/v1/routes", `{"name":"a","to":7,"room":"x"}`, "body.to"},
		{"POST", "/v1/routes", `{"name":"a","to":["1",7],"room":"x"}`, "body.to"},
		{"POST", "/v1/routes", `{"name":"a","too":"1","room":"x"}`, "body.too"},
		{"POST", "/v1/trunks", `{"name":"Has Space","addresses":["192.0.2.1"]}`, "body.name"},
		{"POST", "/v1/routes?position=0", sales, "query.position"},
		{"POST", "/v1/trunks", `{"name":"a","register":"yes"}`, "body.register"},
		{"POST", "/v1/trunks", `{"name":"a","limits":{"calls":"many"}}`, "body.limits.calls"},
		{"PUT", "/v1/plan", `{"routes":[` + sales + `,{"name":"b","to":"1"},` + sales + `]}`, "body.routes[2].name"},
		{"PUT", "/v1/plan", `{"trunks":[{"name":"a","outbound":{"servers":"x"}}]}`, "body.trunks[0].outbound.servers"},
		{"PUT", "/v1/plan", `{"flows":[]}`, "body.flows"},
		{"PUT", "/v1/plan?prune=perhaps", `{}`, "query.prune"},
	} {
		h.ask(t, tt.method, tt.path, tt.body).is(422).says(tt.location, "")
	}
	if h.store.changes != 0 {
		t.Fatal("something was changed")
	}
}

func TestAnAgentIsCheckedAndItsKeyIsNeverShown(t *testing.T) {
	h := newHouse(t)
	h.ask(t, "POST", "/v1/agents", `{"name":"bot","url":"https://bot.example"}`).is(422).says("body.url", "WebSocket address")
	h.ask(t, "POST", "/v1/agents", `{"name":"bot","url":"wss://bot.example","key":"hush"}`).is(201)
	if a := h.ask(t, "GET", "/v1/agents/bot", "").is(200); !strings.Contains(a.body, `"key":"********"`) || strings.Contains(a.body, "hush") {
		t.Fatal(a.body)
	}
}

func TestApplyIsAtomicAndSaysWhatItChanges(t *testing.T) {
	h := newHouse(t)
	h.ask(t, "POST", "/v1/routes", help).is(201)
	plan := `{"trunks":[` + carrier + `],"routes":[` + sales + `]}`

	dry := into[PlanResult](h.ask(t, "PUT", "/v1/plan?dry_run=true", plan).is(200))
	if dry.Applied || len(dry.Changes) != 2 || len(h.store.plan.Trunks) != 0 || len(h.changed) != 1 {
		t.Fatalf("dry run: %+v, stored %+v", dry, h.store.plan)
	}
	done := into[PlanResult](h.ask(t, "PUT", "/v1/plan", plan).is(200))
	if !done.Applied || len(done.Changes) != 2 {
		t.Fatalf("applied: %+v", done)
	}
	if names := routeNames(h.store.plan); !slices.Equal(names, []string{"sales", "help"}) {
		t.Fatalf("routes %v: those of the file come first, others stay", names)
	}
	pruned := into[PlanResult](h.ask(t, "PUT", "/v1/plan?prune=true", plan).is(200))
	if names := routeNames(h.store.plan); !slices.Equal(names, []string{"sales"}) || len(pruned.Changes) == 0 {
		t.Fatalf("routes %v after prune, %+v", names, pruned)
	}
	again := into[PlanResult](h.ask(t, "PUT", "/v1/plan?prune=true", plan).is(200))
	if len(again.Changes) != 0 || !again.Applied {
		t.Fatalf("the same again: %+v", again)
	}
	h.ask(t, "PUT", "/v1/plan?prune=true", `{"routes":[{"name":"x","room":"a b"}]}`).is(422)
	if names := routeNames(h.store.plan); !slices.Equal(names, []string{"sales"}) {
		t.Fatalf("a refused plan changed the routes to %v", names)
	}
}

func routeNames(p dialplan.Plan) (names []string) {
	for _, r := range p.Routes {
		names = append(names, r.Name)
	}
	return names
}

func TestPlanNeedsTheStore(t *testing.T) {
	h := newHouse(t)
	h.store.setAway(errAway)
	h.ask(t, "PUT", "/v1/plan", `{}`).is(503).says("", "nothing was changed")
	h.ask(t, "GET", "/v1/routes", "").is(503)
	h.ask(t, "POST", "/v1/routes/explain", `{"to":"lobby"}`).is(200) // the plan in force is in memory
}

func TestExplainSaysWhereACallGoes(t *testing.T) {
	h := newHouse(t)
	h.ask(t, "PUT", "/v1/plan", `{"trunks":[`+carrier+`],"routes":[`+sales+`,`+help+`]}`).is(200)
	e := into[Explained](h.ask(t, "POST", "/v1/routes/explain", `{"to":"+15551230002","trunk":"carrier","at":"2026-12-24T18:00"}`).is(200))
	if e.Route != "help" || e.Target == nil || e.Target.Room != "help" || e.Refused || len(e.Steps) < 2 || e.Text == "" || e.At.Hour() != 18 {
		t.Fatalf("explained %+v", e)
	}
	out := into[Explained](h.ask(t, "POST", "/v1/routes/explain", `{"to":"+15559990000","from_room":true}`).is(200))
	if !out.Refused || out.Reason == "" {
		t.Fatalf("explained %+v", out)
	}
}

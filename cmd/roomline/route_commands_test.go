package main

import (
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/roomline/roomline/dialplan"
)

// wordyPlan has chains, calendars, headers, a PIN and trunks in order.
const wordyPlan = `
trunks:
  - {name: first, outbound: {servers: [a.example]}, limits: {prefixes: ["+1"]}}
  - {name: second, outbound: {servers: [b.example]}, limits: {prefixes: ["+49"]}}
  - {name: pbx, addresses: [192.0.2.7], country: DE, inbound: {username: pbx, password: secret-4711}}
routes:
  - {name: blue, trunk: pbx, to: "+4915*", headers: {X-Tenant: blue}, number: "{{call.to}}", trunks: [first, second], ring_timeout: 20s, else: {room: "blue-{{call.attributes.case}}", pin: "90210777"}}
  - {name: desk, trunk: pbx, to: "+49*", hours: "Mo-Su 08:00-18:00 Europe/Berlin", holidays: german, room: desk, answer: ready, else: {reject: busy}}
  - {name: out, from_room: true, trunks: [first, second]}
holidays: [{name: german, dates: [12-24]}]
`

func TestRouteShowsChainsTrunksHeadersAndHolidays(t *testing.T) {
	h := startHouse(t, wordyPlan)
	for name, base := range map[string][]string{"gateway": nil, "file": {"-f", planFile(t, wordyPlan)}} {
		t.Run(name, func(t *testing.T) {
			ask := func(args ...string) (string, int) {
				return h.commandLine(append(append([]string{"route"}, base...), args...)...)
			}
			out, status := ask("--trunk", "pbx", "--to", "015551234567", "--header", "X-Tenant: blue", "--header", "case:7")
			says(t, out, status, 0, "called 015551234567 normalised to +4915551234567, as in DE", "→ blue", "X-Tenant: blue",
				"number {{call.to}} by trunk first: the number is outside the prefixes that trunk first allows: +1",
				"→ number {{call.to}} by trunk second: may dial +4915551234567", "rings for 20s, else room blue-{{call.attributes.case}}, asks for a PIN")
			pinless(t, out)
			out, status = ask("--trunk", "pbx", "--to", "015551234567", "--at", "2026-12-24T12:00:00+01:00")
			says(t, out, status, 0, "header X-Tenant is blue, the call has none", "it is a holiday of german, so else", "refused (busy)")
			out, status = ask("--trunk", "pbx", "--to", "015551234567", "--at", "2026-12-23T12:00:00+01:00")
			says(t, out, status, 0, "→ desk", "rings until somebody listens, else reject busy")
			out, status = ask("--to", "+493012345678", "--from-room")
			says(t, out, status, 0, "  trunk first: the number is outside", "→ trunk second: may dial +493012345678", "= dials +493012345678 by trunk second")
			out, status = ask("--trunk", "pbx", "--to", "015551234567", "--header", "X-Tenant: blue", "--json")
			says(t, out, status, 0, `"exits"`, `"notes"`)
			pinless(t, out)
			out, status = ask("--to", "x", "--header", "blue")
			says(t, out, status, 1, "--header", "X-Tenant: blue")
		})
	}
}

func pinless(t *testing.T, out string) {
	t.Helper()
	if strings.Contains(out, "90210777") {
		t.Errorf("the PIN is shown: %s", out)
	}
}

// A running gateway keeps the plan that it has, to the letter, whatever is wrong with the next.
func TestABadPlanChangesNothingAnywhere(t *testing.T) {
	h := startHouse(t, wordyPlan)
	before, snapshot := *h.plans.inForce(), fileText(t, h.s.Data+"/plan.json")
	unchanged := func(what string) {
		t.Helper()
		if now := *h.plans.inForce(); len(dialplan.Diff(&before, &now)) > 0 || now.Trunks[2].Inbound.Password != "secret-4711" {
			t.Errorf("%s: the plan in force is another", what)
		}
		if fileText(t, h.s.Data+"/plan.json") != snapshot {
			t.Errorf("%s: the snapshot is another", what)
		}
		var stored dialplan.Plan
		h.ask("GET", "/v1/plan", nil, &stored)
		if changes := dialplan.Diff(&before, &stored); len(changes) > 0 {
			t.Errorf("%s: the stored plan is another: %v", what, changes)
		}
	}
	for line, c := range map[string]struct{ from, to, words string }{
		"line 3: trunks[0].limits.prefixes[0]": {`prefixes: ["+1"]`, `prefixes: ["1"]`, "expected + and the digits"},
		"line 5: trunks[2].inbound":            {"password: secret-4711", "pasword: secret-4711", "did you mean password?"},
		"line 7: routes[0].else.pin":           {`"90210777"`, `"9021077x"`, "expected 4 to 12 digits"},
		"line 8: routes[1].holidays":           {"holidays: german, room", "holidays: germn, room", "did you mean german?"},
		"line 9: routes[2].trunks[1]":          {"trunks: [first, second]}\nholidays", "trunks: [first, secnd]}\nholidays", "did you mean second?"},
		"line 10: holidays[0].dates[0]":        {"12-24", "24-12", "expected a date like 2026-12-24"},
	} {
		text := strings.Replace(wordyPlan, c.from, c.to, 1)
		out, status := h.commandLine("apply", "-f", planFile(t, text), "--prune")
		says(t, out, status, 1, line, c.words)
		for _, secret := range []string{"secret-4711", "9021077"} {
			if strings.Contains(out, secret) {
				t.Errorf("a secret is shown: %s", out)
			}
		}
		unchanged(line)
	}
	for location, body := range map[string]string{
		"body.trunks[0].srtp":          `{"trunks":[{"name":"a","addresses":["192.0.2.9"],"srtp":"always"}]}`,
		"body.routes[1].else.else.pin": `{"routes":[{"name":"a","room":"x"},{"name":"b","room":"x","else":{"room":"y","else":{"room":"z","pin":"12"}}}]}`,
		"body.routes[0].trunks[0]":     `{"routes":[{"name":"a","number":"+12125551234","trunks":["nobody"]}]}`,
		"body.holidays[0].dates[0]":    `{"holidays":[{"name":"a","dates":["tomorrow"]}]}`,
		"body.trunks[0].codecs[0]":     `{"trunks":[{"name":"a","addresses":["192.0.2.9"],"codecs":["g722"]}]}`,
	} {
		var problem struct {
			Errors []struct{ Location, Message string }
		}
		if status := h.ask("PUT", "/v1/plan?prune=true", body, &problem); status != http.StatusUnprocessableEntity || len(problem.Errors) != 1 || problem.Errors[0].Location != location {
			t.Errorf("%s: status %d, %+v", location, status, problem)
		}
		unchanged(location)
	}
	h.silentAbout("secret-4711", "90210777")
}

func TestDryRunShowsTheDifferenceAndAMaskChangesNothing(t *testing.T) {
	h := startHouse(t, wordyPlan)
	text := strings.NewReplacer("secret-4711", "another-4712", "ring_timeout: 20s", "ring_timeout: 30s", "dates: [12-24]", "dates: [12-24, 2027-05-06]").Replace(wordyPlan)
	out, status := h.commandLine("apply", "-f", planFile(t, text), "--dry-run")
	says(t, out, status, 0, "~ trunk pbx\n    inbound.password: changes (not shown)", `ring_timeout: "20s" → "30s"`, "~ holidays german", "dry run: nothing was changed")
	if strings.Contains(out, "another-4712") || h.plans.inForce().Trunks[2].Inbound.Password != "secret-4711" {
		t.Errorf("got %s", out)
	}
	var shown json.RawMessage
	h.ask("GET", "/v1/plan", nil, &shown)
	if s := string(shown); strings.Contains(s, "4711") || strings.Contains(s, "90210777") {
		t.Errorf("a secret is shown: %s", s)
	}
	before := *h.plans.inForce()
	var answer struct{ Changes []dialplan.Change }
	if status := h.ask("PUT", "/v1/plan?prune=true", string(shown), &answer); status != http.StatusOK || len(answer.Changes) > 0 {
		t.Errorf("written back: status %d, %v", status, answer.Changes)
	}
	now := *h.plans.inForce()
	if !reflect.DeepEqual(now.Trunks, before.Trunks) || !reflect.DeepEqual(now.Routes, before.Routes) {
		t.Error("a plan that was read and written back is another")
	}
}

func fileText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

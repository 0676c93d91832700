package main

import (
	"os"
	"strings"
	"testing"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
)

// A plan that is stored by the API begins and ends registrations, and leaves calls alone.
func TestAChangeOfThePlanStartsAndEndsARegistration(t *testing.T) {
	desk, _ := deskPhone(t)
	k := startKamailio(t, "SHA-256", "open-sesame", desk.Addr().String())
	h := startHouse(t, "")
	call := h.calls(softphone(t, phone.Config{}), "lobby", phone.DialOptions{From: "alice"})
	trunk := map[string]any{"name": "carrier", "register": true, "outbound": map[string]any{
		"servers": []string{k.addr}, "username": "line1", "password": "open-sesame", "domain": "carrier.example"}}
	if status := h.ask("POST", "/v1/trunks", trunk, nil); status != 201 {
		t.Fatalf("storing the trunk: status %d", status)
	}
	h.registered()
	var st bridge.TrunkState
	if status := h.ask("GET", "/v1/trunks/carrier/state", nil, &st); status != 200 || st.Registration != "registered" {
		t.Errorf("status %d, state %+v", status, st)
	}
	if status := h.ask("DELETE", "/v1/trunks/carrier", nil, nil); status != 204 {
		t.Fatalf("removing the trunk: status %d", status)
	}
	h.until("the registration is taken back", func() bool { return len(h.ua.TrunkStates()) == 0 && k.unregistered() })
	select {
	case <-call.Ended():
		t.Error("the call ended with the trunk")
	default:
	}
}

// A trunk by password is known by it from an address that nobody knows.
func TestAPBXCallsInByPasswordFromAnywhere(t *testing.T) {
	s := startStranger(t)
	h := startHouse(t, `
trunks:
  - name: pbx
    inbound: {username: pbx, password: "open-sesame"}
routes:
  - {name: in, trunk: pbx, to: "*", room: lobby}
`, func(c *settings) { c.SIP = append(c.SIP, s.ours+":5060") })
	from := s.address(2)
	s.moveTo(from)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asCommand, "1")
	dial := func(password string) string {
		return s.runs(1, self, "phone", "dial", "sip:lobby@"+s.ours+":5060", "--listen", from+":0",
			"--username", "pbx", "--password", password, "--duration", "300ms", "--json")
	}
	out := dial("open-sesame")
	if cdr := h.cdrs(1)[0]; cdr.Trunk != "pbx" || cdr.AnsweredAt == nil || cdr.Cause != bridge.CauseNormal {
		t.Errorf("CDR %+v; the phone said %s", cdr, out)
	}
	dial("open-barley")
	h.until("the refusal is written", func() bool { return len(h.refusalsOf(from)) == 1 })
	if reason := h.refusalsOf(from)[0]; reason != "the username or the password is wrong" {
		t.Errorf("the row says %q", reason)
	}
	h.cdrs(1)
	for _, word := range []string{"open-sesame", "open-barley"} {
		if strings.Contains(h.log.all(), word) {
			t.Errorf("the log holds the password %s", word)
		}
	}
}

package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/phone"
)

const pairTone = -20.0

// officePlan leads +12025550111 to a trunk that is out of order, and then to another.
func officePlan(t *testing.T, server string) string {
	return `
trunks:
  - {name: desk, addresses: [127.0.0.2], refer: allow}
  - {name: dead, outbound: {servers: ["` + closedPort(t) + `"]}, limits: {prefixes: ["+1202"]}}
  - {name: carrier, outbound: {servers: ["` + server + `"]}, limits: {prefixes: ["+1202"]}, caller_id: {default: "+12025550100"}}
routes:
  - {name: office, to: "+12025550111", number: "+12025550123", trunks: [dead, carrier], ring_timeout: 20s}
  - {name: board, to: board, room: board, pin: "4711"}
  - {name: out, from_room: true, to: "+1202*", trunk: carrier}
`
}

// next waits for a call that comes to a phone.
func next(t *testing.T, p *phone.Phone) *phone.Call {
	t.Helper()
	c, err := p.Next(within(t, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answers(t *testing.T, p *phone.Phone) *phone.Call {
	t.Helper()
	c := next(t, p)
	if err := c.Answer(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func hum(c *phone.Call, hz float64) {
	c.Speak(phone.Tone(hz, pairTone))
}

func TestARouteConnectsTwoPhones(t *testing.T) {
	callee := softphone(t, phone.Config{})
	h := startHouse(t, officePlan(t, callee.Addr().String()))
	caller := softphone(t, phone.Config{})
	out, err := caller.Call("sip:+12025550111@"+h.ua.Addr().String(), phone.DialOptions{From: "+12025550177"})
	if err != nil {
		t.Fatal(err)
	}
	in := next(t, callee)
	if in.Invite.To != "+12025550123" || in.Invite.From != "+12025550177" || len(in.Invite.Identity.Diversion) != 1 {
		t.Errorf("the called phone sees %+v", in.Invite)
	}
	in.Ring()
	<-out.Ringing()
	if err := in.Answer(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := out.Answered(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	hum(in, 600)
	hum(out, 1000)
	hears(t, "the caller", out.Heard, 600, pairTone)
	hears(t, "the called side", in.Heard, 1000, pairTone)
	if err := out.SendDigits(within(t, 20*time.Second), "5#"); err != nil {
		t.Fatal(err)
	}
	for _, want := range "5#" {
		select {
		case got := <-in.Digits():
			if got != want {
				t.Errorf("key %c, want %c", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a key does not reach the called side")
		}
	}
	in.Hangup()
	<-out.Ended()
	records := h.cdrs(2)
	for _, r := range records {
		if r.Cause != bridge.CauseNormal || r.AnsweredAt == nil || r.Room != records[0].Room {
			t.Errorf("CDR %+v", r)
		}
		if r.Direction == bridge.Outbound && (r.Trunk != "carrier" || r.ParentID == "" || !strings.Contains(r.Reason, "dead")) {
			t.Errorf("CDR %+v", r)
		}
	}
}

func TestTheCallerHearsWhyTheCalledSideDidNotAnswer(t *testing.T) {
	server := refusing(t, 486, bridge.CauseBusy)
	h := startHouse(t, officePlan(t, server))
	caller := softphone(t, phone.Config{})
	_, err := caller.Dial(within(t, 20*time.Second), "sip:+12025550111@"+h.ua.Addr().String(), phone.DialOptions{})
	var failure *phone.Failure
	if !errors.As(err, &failure) || failure.SIPCode != 486 || failure.Cause != bridge.CauseBusy {
		t.Errorf("the caller hears %v", err)
	}
	h.cdrs(2)
}

func TestAPhoneTransfersItsCallToANumber(t *testing.T) {
	callee := softphone(t, phone.Config{})
	h := startHouse(t, officePlan(t, callee.Addr().String()))
	desk := softphone(t, phone.Config{Addr: "127.0.0.2:0"})
	customer := softphone(t, phone.Config{})
	first := h.calls(customer, "lobby", phone.DialOptions{})
	second := h.calls(desk, "lobby", phone.DialOptions{})
	if err := second.Transfer(within(t, 20*time.Second), "sip:+442079460000@"+h.ua.Addr().String(), nil); err == nil {
		t.Error("a forbidden number was taken")
	}
	told := make(chan error, 1)
	go func() {
		told <- second.Transfer(within(t, 20*time.Second), "sip:+12025550144@"+h.ua.Addr().String(), nil)
	}()
	third := answers(t, callee)
	if err := <-told; err != nil {
		t.Errorf("the desk is told %v", err)
	}
	<-second.Ended()
	hum(third, 600)
	hum(first, 1000)
	hears(t, "the customer", first.Heard, 600, pairTone)
	hears(t, "the new one", third.Heard, 1000, pairTone)
	first.Hangup()
	third.Hangup()
	h.cdrs(3)
}

func TestAPhoneJoinsItsTwoCalls(t *testing.T) {
	callee := softphone(t, phone.Config{})
	h := startHouse(t, officePlan(t, callee.Addr().String()))
	desk := softphone(t, phone.Config{Addr: "127.0.0.2:0"})
	customer := softphone(t, phone.Config{})
	first := h.calls(customer, "lobby", phone.DialOptions{})
	second := h.calls(desk, "lobby", phone.DialOptions{})
	consult, err := desk.Call("sip:+12025550111@"+h.ua.Addr().String(), phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	expert := answers(t, callee)
	if err := consult.Answered(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := second.Transfer(within(t, 20*time.Second), "sip:+12025550111@"+h.ua.Addr().String(), consult); err != nil {
		t.Fatal(err)
	}
	<-second.Ended()
	<-consult.Ended()
	hum(expert, 600)
	hum(first, 1000)
	hears(t, "the customer", first.Heard, 600, pairTone)
	hears(t, "the expert", expert.Heard, 1000, pairTone)
	first.Hangup()
	expert.Hangup()
	h.cdrs(4)
}

func TestAPINIsKeyedBeforeTheRoom(t *testing.T) {
	h := startHouse(t, officePlan(t, closedPort(t)))
	c := h.calls(softphone(t, phone.Config{}), "board", phone.DialOptions{})
	if _, open := h.exchange.Room("board"); open {
		t.Error("the room is open before the PIN")
	}
	if err := c.SendDigits(within(t, 20*time.Second), "4711"); err != nil {
		t.Fatal(err)
	}
	h.until("the caller is in the room", func() bool { _, open := h.exchange.Room("board"); return open })
	c.Hangup()
	h.cdrs(1)
	if strings.Contains(h.log.all(), "4711") {
		t.Error("the PIN is in the log")
	}
}

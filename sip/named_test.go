package sip

import (
	"maps"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

func TestInvitesCarryTheHeaderFieldsThatThePlanNames(t *testing.T) {
	m, err := sipmsg.ParseMessage([]byte("INVITE sip:lobby@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n" +
		"From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:lobby@127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n" +
		"s: fire\r\nUSER-TO-USER: 56\r\nUser-to-User: 57\r\nX-Tenant: blue\r\nSecret: no\r\nAuthorization: Digest x\r\nContent-Length: 0\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	inv := inviteOf(m.(*sipmsg.Request))
	addNamed(inv.Headers, m.(*sipmsg.Request), []string{"Subject", "User-to-User", "tenant", "x-tenant", "Authorization"})
	want := map[string]string{"Subject": "fire", "User-to-User": "56", "X-Tenant": "blue"}
	if !maps.Equal(inv.Headers, want) {
		t.Errorf("got %v", inv.Headers)
	}
}

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// guardedServer is a SIPp scenario of a carrier that wants a password and checks
// it: it takes the call of whom it knows and says 403 to others. (SIPp cannot
// check Proxy-Authorization; that one is proved in sip.)
const guardedServer = `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="carrier">
  <recv request="INVITE"/>
  <send><![CDATA[
    SIP/2.0 401 Unauthorized
    [last_Via:]
    [last_From:]
    [last_To:];tag=[pid]SIPpTag[call_number]
    [last_Call-ID:]
    [last_CSeq:]
    WWW-Authenticate: Digest realm="carrier", nonce="47ebe028cda119c35d4877b383027d28da013815", algorithm=MD5, qop="auth"
    Content-Length: 0

  ]]></send>
  <recv request="ACK"/>
  <recv request="INVITE"><action>
    <verifyauth assign_to="known" username="roomline" password="open-sesame"/>
  </action></recv>
  <nop hide="true" test="known" next="welcome"/>
  <send><![CDATA[
    SIP/2.0 403 Forbidden
    [last_Via:]
    [last_From:]
    [last_To:];tag=[pid]SIPpTag2[call_number]
    [last_Call-ID:]
    [last_CSeq:]
    Content-Length: 0

  ]]></send>
  <recv request="ACK" next="end"/>
  <label id="welcome"/>
  <send><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:];tag=[pid]SIPpTag3[call_number]
    [last_Call-ID:]
    [last_CSeq:]
    Contact: <sip:carrier@[local_ip]:[local_port]>
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=- 1 1 IN IP[local_ip_type] [local_ip]
    s=-
    c=IN IP[media_ip_type] [media_ip]
    t=0 0
    m=audio [media_port] RTP/AVP 0
  ]]></send>
  <recv request="ACK"/>
  <recv request="BYE"/>
  <send><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:]
    [last_Call-ID:]
    [last_CSeq:]
    Content-Length: 0

  ]]></send>
  <label id="end"/>
</scenario>
`

// startSIPpServer runs a scenario that answers calls, and returns where.
func startSIPpServer(t *testing.T, scenario string) (*program, string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "uas.xml")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	mediaAddr, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	_, mediaPort, _ := net.SplitHostPort(mediaAddr)
	p := startProgram(t, dir, "sipp", "-sf", file, "-i", "127.0.0.1", "-p", port, "-mi", "127.0.0.1", "-mp", mediaPort,
		"-m", "1", "-nostdin", "-timeout", "40", "-trace_err")
	eventually(t, "SIPp listens", 10*time.Second, func() bool {
		c, err := net.ListenPacket("udp4", addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	return p, addr
}

func TestOutboundCallAnswersAChallenge(t *testing.T) {
	for _, c := range []struct {
		name, password string
		cause          bridge.Cause
		answered       bool
	}{
		{"right password", "open-sesame", bridge.CauseNormal, true},
		{"wrong password", "open-barley", bridge.CauseForbidden, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sipp, addr := startSIPpServer(t, guardedServer)
			var plan exits
			plan.add("+15550004000", addr, ", username: roomline, password: \"${TEST_CARRIER_PASSWORD}\"", "")
			t.Setenv("TEST_CARRIER_PASSWORD", c.password)
			h := startHouse(t, plan.String())
			rec := h.dial(map[string]any{"to": "+15550004000", "room": "lobby"})
			if c.answered {
				h.awaitState(rec.ID, bridge.StateActive)
				h.ask("DELETE", "/v1/calls/"+rec.ID, nil, nil)
			}
			if cdr := h.cdr(rec.ID); cdr.Cause != c.cause || (cdr.AnsweredAt != nil) != c.answered {
				t.Errorf("CDR %+v", cdr)
			}
			sipp.wait(t, 15*time.Second)
			if strings.Contains(h.log.all(), c.password) {
				t.Error("the password is in the log")
			}
			var trunks struct{ Items []map[string]any }
			h.ask("GET", "/v1/trunks", nil, &trunks)
			if strings.Contains(fmt.Sprint(trunks), c.password) {
				t.Error("the API tells the password")
			}
		})
	}
}

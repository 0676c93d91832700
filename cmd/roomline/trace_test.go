package main

import (
	"crypto/elliptic"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/stir"
	"github.com/roomline/roomline/sip/stir/stirtest"
)

// A call's messages can be seen while it lives and after it has ended, as a
// ladder and in Wireshark's own reader; those of a refused call too.
func TestTheMessagesOfACallAreKept(t *testing.T) {
	h := startHouse(t, "")
	w := h.newPeer()
	d, ok := w.call("lobby", 40000)
	id := h.exchange.Calls()[0].ID
	live := h.traced("trace", id)
	for _, want := range []string{"roomline", w.addr(), "INVITE with SDP", "100 Trying", "180 Ringing", "200 OK with SDP", "ACK"} {
		if !strings.Contains(live, want) {
			t.Errorf("no %q in\n%s", want, live)
		}
	}
	w.bye(&d, ok)
	h.cdrs(1)
	if ended := h.traced("trace", id); !strings.Contains(ended, "BYE") || !strings.Contains(ended, live[:strings.Index(live, "\n")]) {
		t.Errorf("after the end:\n%s", ended)
	}

	file := filepath.Join(t.TempDir(), "call.pcap")
	h.traced("trace", id, "--pcap", file)
	out, err := exec.Command(tool(t, "tshark"), "-r", file, "-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code").CombinedOutput()
	if err != nil || strings.Count(string(out), "INVITE") != 1 || strings.Count(string(out), "BYE") != 1 || !strings.Contains(string(out), "200") {
		t.Errorf("tshark: %v\n%s", err, out)
	}

	refused := w.invite("no%20such%20room", 40002)
	w.sendDraft(refused)
	w.ack(refused, w.final("INVITE"))
	var trace struct {
		Items []struct{ Label, Message string }
	}
	h.until("the refused call's messages can be read", func() bool {
		h.ask("GET", "/v1/trace?sip_call_id="+url.QueryEscape(refused.callID), nil, &trace)
		return len(trace.Items) >= 4 && trace.Items[len(trace.Items)-1].Label == "ACK"
	})
	if first := trace.Items[0]; first.Label != "INVITE with SDP" || !strings.Contains(first.Message, refused.callID) {
		t.Errorf("%+v", trace.Items)
	}
	if status := h.ask("GET", "/v1/calls/call_none/trace", nil, nil); status != http.StatusNotFound {
		t.Errorf("a call that never was: %d", status)
	}
}

func TestNoMessagesAreKeptWhenToldSo(t *testing.T) {
	h := startHouse(t, "", func(s *settings) { s.Trace = "0" })
	w := h.newPeer()
	w.call("lobby", 40000)
	if status := h.ask("GET", "/v1/calls/"+h.exchange.Calls()[0].ID+"/trace", nil, nil); status != http.StatusNotFound {
		t.Errorf("status %d", status)
	}
	if _, err := os.Stat(filepath.Join(h.s.Data, "trace")); !os.IsNotExist(err) {
		t.Errorf("there is a folder: %v", err)
	}
}

// Who calls is verified beside the call: it is answered at once even when the
// certificate's server is slow.
func TestCallersAreVerifiedBesideTheCall(t *testing.T) {
	a := stirtest.New(t)
	key := stirtest.NewKey(t, elliptic.P256())
	a.Issue("/signer", key.Public(), nil)
	h := startHouse(t, "", func(s *settings) { s.stir = &stir.Config{Roots: a.Roots(), Client: a.Client()} })
	for _, c := range []struct {
		name, from, identity, want string
		delay                      time.Duration
	}{
		{"good", "+15551230001", a.Token(key, nil), "TN-Validation-Passed-A", 0},
		{"somebody else's number", "+15551230007", a.Token(key, nil), "TN-Validation-Failed-A", 0},
		{"a slow server", "+15551230001", a.Token(key, func(s *stirtest.Sample) { s.Path = "/slow" }), "TN-Validation-Failed", time.Minute},
		{"as the trunk says", "+15551230001;verstat=TN-Validation-Passed", "", "", 0},
		{"nothing", "+15551230001", "", "", 0},
	} {
		a.Delay.Store(int64(c.delay))
		w := h.newPeer()
		d := w.invite("15551230002", 40000)
		if c.identity != "" {
			d.extra = "Identity: " + c.identity + "\r\n"
		}
		began := time.Now()
		w.send(strings.Replace(w.text(d), "sip:bob@example.com", "sip:"+c.from+"@example.com", 1))
		ok := w.response(200, "INVITE")
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: answered after %v", c.name, took)
		}
		var rec bridge.CallRecord
		h.until(fmt.Sprintf("the call says %q: %s", c.want, c.name), func() bool {
			for _, r := range h.exchange.Calls() {
				if r.SIPCallID == d.callID {
					rec = r
				}
			}
			return rec.Verstat == c.want && rec.ID != ""
		})
		w.sendDraft(d.within("ACK", ok))
		w.bye(&d, ok)
	}
}

// traced runs a command that must succeed.
func (h *house) traced(args ...string) string {
	h.t.Helper()
	out, status := h.commandLine(args...)
	if status != 0 {
		h.t.Fatalf("%v: status %d\n%s", args, status, out)
	}
	return out
}

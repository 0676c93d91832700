package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// One house is the carrier of the other: a trunk's test goes from the name to
// the sound, on the command line as on the page.
func TestATrunkTestsItself(t *testing.T) {
	carrier := startHouse(t, "")
	h := startHouse(t, `
trunks:
  - name: carrier
    outbound: {servers: ["`+carrier.ua.Addr().String()+`"]}
    keepalive: 5s
    limits: {prefixes: ["+1"]}
  - name: dead
    outbound: {servers: ["127.0.0.1:9"]}
routes:
  - {name: out, from_room: true, to: "+1*", trunk: carrier}
`)
	out, status := h.commandLine("trunk", "test", "carrier", "--to", "+15551234567", "--listen", "1s")
	for _, want := range []string{"✓ dns", "✓ options", "– register", "✓ call", "audio"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q (status %d) in\n%s", want, status, out)
		}
	}
	out, status = h.commandLine("trunk", "test", "carrier", "--to", "+445551234567")
	says(t, out, status, 1, "the dial plan does not allow this test call", "no from_room route matches")
	out, status = h.commandLine("trunk", "test", "dead")
	says(t, out, status, 1, "✗ options")
	out, status = h.commandLine("trunk", "test", "nobody")
	says(t, out, status, 1, "nobody")

	h.until("the keepalive has found the carrier", func() bool {
		out, status = h.commandLine("trunk", "list")
		return strings.Contains(out, " up ")
	})
	says(t, out, status, 0, "TRUNK", "carrier", carrier.ua.Addr().String(), "dead")
	h.until("the metrics say so", func() bool {
		return strings.Contains(h.page("/metrics"), `roomline_trunk_server_up{address="udp:`+carrier.ua.Addr().String()+`",trunk="carrier"} 1`)
	})
}

// page reads a page of the metrics listener.
func (h *house) page(path string) string {
	h.t.Helper()
	res, err := http.Get("http://" + h.metrics.Addr().String() + path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

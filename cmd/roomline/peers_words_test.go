package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// farPeers makes loopback addresses look like others on the gateway's UDP
// sockets, so that strangers can be had without a network.
type farPeers map[netip.Addr]netip.Addr

// listen is a media.Listen.
func (f farPeers) listen(ctx context.Context, network, address string) (net.PacketConn, error) {
	c, err := media.ListenUDP(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &farConn{c.(*net.UDPConn), f}, nil
}

// farConn translates between the two.
type farConn struct {
	*net.UDPConn
	far farPeers
}

func (c *farConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.UDPConn.ReadFrom(b)
	if a, ok := from.(*net.UDPAddr); ok && err == nil {
		if far, ok := c.far[a.AddrPort().Addr().Unmap()]; ok {
			return n, net.UDPAddrFromAddrPort(netip.AddrPortFrom(far, a.AddrPort().Port())), nil
		}
	}
	return n, from, err
}

func (c *farConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if a, ok := to.(*net.UDPAddr); ok {
		for near, far := range c.far {
			if a.AddrPort().Addr().Unmap() == far {
				to = net.UDPAddrFromAddrPort(netip.AddrPortFrom(near, a.AddrPort().Port()))
			}
		}
	}
	return c.UDPConn.WriteTo(b, to)
}

// TestPeerDefect10EveryMisconfigurationSaysWhatWasWrong: who points a trunk at
// the gateway and is refused finds out why from the answer, the list and the log.
func TestPeerDefect10EveryMisconfigurationSaysWhatWasWrong(t *testing.T) {
	far := farPeers{
		netip.MustParseAddr("127.0.0.20"): netip.MustParseAddr("203.0.113.20"), // the carrier
		netip.MustParseAddr("127.0.0.21"): netip.MustParseAddr("203.0.113.21"), // its second trunk, for one call
		netip.MustParseAddr("127.0.0.30"): netip.MustParseAddr("198.51.100.30"),
		netip.MustParseAddr("127.0.0.31"): netip.MustParseAddr("10.0.0.31"), // private, and we are bound to loopback
	}
	h := startHouse(t, `
trunks:
  - {name: carrier, addresses: [203.0.113.20]}
  - {name: narrow, addresses: [203.0.113.21], limits: {calls: 1}}
  - {name: slow, addresses: [127.0.0.1], limits: {cps: 0.01}}
routes:
  - {name: premium, trunk: carrier, from: "+1900*", reject: rejected}
  - {name: busy, trunk: carrier, to: busy, reject: busy}
`, func(s *settings) { s.Listen = far.listen })
	narrow := h.newPeerAt("127.0.0.21")
	narrow.call("lobby", 40000)
	slow := h.newPeer()
	slow.call("lobby", 40000)
	for _, c := range []struct {
		name, from string
		change     func(d *draft)
		code       int
		cause      bridge.Cause
		words      []string
	}{
		{"an address that is in no trunk", "127.0.0.30", nil, 403, bridge.CauseForbidden, []string{"not trusted", "trunk"}},
		{"a private address", "127.0.0.31", nil, 403, bridge.CauseForbidden, []string{"not trusted", "trunk"}},
		{"a name that is no room", "127.0.0.20", func(d *draft) { d.uri = "sip:two%20words@x.example" }, 404, bridge.CauseNoRoute, []string{"room"}},
		{"no name", "127.0.0.20", func(d *draft) { d.uri = "sip:127.0.0.1" }, 404, bridge.CauseNoRoute, nil},
		{"a name that is too long", "127.0.0.20", func(d *draft) { d.uri = "sip:" + strings.Repeat("x", 65) + "@x.example" }, 404, bridge.CauseNoRoute, []string{"64"}},
		{"a caller whom a route rejects", "127.0.0.20", func(d *draft) { d.extra = "X-Test: 1\r\n" }, 603, bridge.CauseRejected, []string{"premium"}},
		{"a number that a route calls busy", "127.0.0.20", func(d *draft) { d.uri = "sip:busy@x.example" }, 486, bridge.CauseBusy, []string{"busy"}},
		{"more calls than agreed", "127.0.0.21", nil, 503, bridge.CauseLimit, []string{"narrow", "limit"}},
		{"more calls a second than agreed", "127.0.0.1", nil, 503, bridge.CauseLimit, []string{"slow", "per second"}},
		{"no common codec", "127.0.0.20", func(d *draft) { d.body = peerSDP("127.0.0.1", 0, "m=audio 40000 RTP/AVP 9 18\r\n") }, 488, bridge.CauseIncompatible, []string{"codec", "PCMU", "PCMA"}},
		{"SRTP", "127.0.0.20", func(d *draft) {
			d.body = peerSDP("127.0.0.1", 0, "m=audio 40000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\r\n")
		}, 488, bridge.CauseIncompatible, []string{"SRTP is off", "RTP/AVP", "srtp: optional"}},
		{"a video call", "127.0.0.20", func(d *draft) {
			d.body = peerSDP("127.0.0.1", 0, "m=video 40000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n")
		}, 488, bridge.CauseIncompatible, []string{"audio"}},
		{"a body that is no SDP", "127.0.0.20", func(d *draft) { d.extra = "Content-Type: text/plain\r\n"; d.body = "hello" }, 415, bridge.CauseIncompatible, []string{"application/sdp"}},
		{"an extension that we lack", "127.0.0.20", func(d *draft) { d.extra = "Require: resource-priority\r\n" }, 420, bridge.CauseSignalling, []string{"resource-priority"}},
		{"no hops left", "127.0.0.20", func(d *draft) { d.extra = "hops" }, 483, bridge.CauseSignalling, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &house{gateway: h.gateway, t: t, log: h.log}
			w := h.newPeerAt(c.from)
			d := w.invite("lobby", 40000)
			if c.change != nil {
				c.change(&d)
			}
			text := w.text(d)
			switch d.extra {
			case "hops":
				d.extra = ""
				text = strings.Replace(w.text(d), "Max-Forwards: 70", "Max-Forwards: 0", 1)
			case "X-Test: 1\r\n":
				text = strings.Replace(text, "sip:bob@example.com", "sip:+19005551234@example.com", 1)
			}
			w.send(text)
			m := w.final("INVITE")
			w.ack(d, m)
			if m.code != c.code {
				t.Errorf("answered %q, want %d", m.start, c.code)
			}
			r := h.listed(d.callID, c.cause, c.words...)
			source := netip.MustParseAddrPort(w.addr())
			if is, ok := far[source.Addr()]; ok {
				source = netip.AddrPortFrom(is, source.Port())
			}
			if r.Source != source.String() || r.SIPCode != m.code || r.Reason == "" || !strings.Contains(h.log.all(), d.callID) {
				t.Errorf("answered %q, listed %+v", m.start, r)
			}
			if !strings.Contains(m.value("Warning"), r.Reason[:min(len(r.Reason), 20)]) && c.code != 403 { // strangers are told less than the operator
				t.Errorf("the peer is not told: %q, warning %q; listed: %q", m.start, m.value("Warning"), r.Reason)
			}
			if strings.Contains(h.log.all(), "c2VjcmV0") {
				t.Error("the log holds keys")
			}
		})
	}
	if calls := h.exchange.Calls(); len(calls) != 2 {
		t.Errorf("%d calls live, want the two that were taken", len(calls))
	}
}

// socketsOf lists the local addresses of this process's sockets that listen
// (TCP) or are bound without a peer (UDP), by protocol.
func socketsOf(t *testing.T) map[string]bool {
	t.Helper()
	inodes := map[string]bool{}
	fds, err := os.ReadDir("/proc/self/fd")
	if os.IsNotExist(err) {
		t.Skip("this system has no /proc")
	}
	for _, fd := range fds {
		if link, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			if inode, ok := strings.CutPrefix(link, "socket:["); ok {
				inodes[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	found := map[string]bool{}
	for _, table := range []string{"udp", "udp6", "tcp", "tcp6"} {
		f, err := os.Open("/proc/net/" + table)
		if os.IsNotExist(err) {
			continue // no IPv6 here
		} else if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		lines.Scan() // the head
		for lines.Scan() {
			w := strings.Fields(lines.Text())
			listening := strings.HasPrefix(table, "udp") || w[3] == "0A"
			if len(w) > 9 && inodes[w[9]] && listening {
				found[table[:3]+" "+plainAddr(t, w[1])] = true
			}
		}
		f.Close()
	}
	return found
}

// plainAddr reads an address of /proc/net: hexadecimal, words of 32 bits in the
// machine's order, little-endian here.
func plainAddr(t *testing.T, s string) string {
	t.Helper()
	host, port, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for i := 0; i+8 <= len(host); i += 8 {
		for j := 6; j >= 0; j -= 2 {
			v, err := strconv.ParseUint(host[i+j:i+j+2], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, byte(v))
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a, uint16(n)).String()
}

// TestPeerDefect12NothingListensButWhatWasConfigured looks into the system's
// tables, with a call and a browser up.
func TestPeerDefect12NothingListensButWhatWasConfigured(t *testing.T) {
	p := softphone(t, phone.Config{})
	before := socketsOf(t)
	web, metrics, sip, browsers := closedPort(t), closedPort(t), closedPort(t), closedPort(t)
	h := startHouse(t, "", func(s *settings) {
		s.HTTP, s.Metrics, s.SIP, s.WebRTCUDP, s.WebRTCTCP = web, metrics, []string{sip}, browsers, browsers
	})
	want := map[string]bool{"tcp " + web: true, "tcp " + metrics: true, "tcp " + sip: true, "udp " + sip: true, "udp " + browsers: true, "tcp " + browsers: true}
	opened := func() map[string]bool {
		now := socketsOf(t)
		for s := range before {
			delete(now, s)
		}
		return now
	}
	if got := opened(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("before any call these listen: %v\nwant %v", got, want)
	}
	c := h.calls(p, "lobby", phone.DialOptions{})
	h.dialNobody()
	from, to := 0, 0
	fmt.Sscanf(h.s.RTPPorts, "%d-%d", &from, &to)
	remote := c.Session().Params().Remote
	if int(remote.Port()) < from || int(remote.Port()) > to {
		t.Errorf("RTP at %v, want a port of %s", remote, h.s.RTPPorts)
	}
	for s := range opened() {
		addr := netip.MustParseAddrPort(strings.Fields(s)[1])
		if addr.Addr() != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("%s: not the address that was configured", s)
		}
	}
	c.Hangup()
	h.until("the call's ports are given back", func() bool { return h.ports.InUse() == 0 })
}

// dialNobody opens what an outbound call would, if a call could leave.
func (h *house) dialNobody() {
	h.t.Helper()
	if status := h.ask("POST", "/v1/calls", map[string]any{"to": "+15551234567"}, nil); status != 403 {
		h.t.Errorf("status %d", status)
	}
}

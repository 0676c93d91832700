package sip

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/roomline/roomline/sip/trace"
)

// tap shows messages to Config.Trace.
type tap func(trace.Message)

// received shows what came off a socket, sound or not; keep-alives are left out.
func (t tap) received(raw []byte, transport string, local, remote netip.AddrPort) {
	if t != nil && len(bytes.Trim(raw, "\r\n\x00")) > 0 {
		t(trace.Message{Time: time.Now(), Transport: transport, Local: local, Remote: remote, Raw: raw})
	}
}

// sent shows what goes out.
func (t tap) sent(raw []byte, transport string, local, remote netip.AddrPort) {
	if t != nil && len(bytes.Trim(raw, "\r\n")) > 0 {
		t(trace.Message{Time: time.Now(), Sent: true, Transport: transport, Local: local, Remote: remote, Raw: raw})
	}
}

package socket

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/roomline/roomline/sip/trace"
)

// Tap shows messages to who keeps them; nil shows nobody.
type Tap func(trace.Message)

// received shows what came off a socket, sound or not; keep-alives are left out.
func (t Tap) received(raw []byte, transport string, local, remote netip.AddrPort) {
	if t != nil && len(bytes.Trim(raw, "\r\n\x00")) > 0 {
		t(trace.Message{Time: time.Now(), Transport: transport, Local: local, Remote: remote, Raw: raw})
	}
}

// sent shows what goes out.
func (t Tap) sent(raw []byte, transport string, local, remote netip.AddrPort) {
	if t != nil && len(bytes.Trim(raw, "\r\n")) > 0 {
		t(trace.Message{Time: time.Now(), Sent: true, Transport: transport, Local: local, Remote: remote, Raw: raw})
	}
}

package webrtc

import (
	"runtime/debug"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/transport/v4/packetio"
)

// control takes the RTCP about one stream, as pion's buffer. It is understood
// right where it was decrypted, so that no goroutine has to wait for it. Only what
// is about pictures that we send is queued: interceptors want to see it.
type control struct {
	*packetio.Buffer
	streams *streams
	ssrc    uint32
}

// Write implements io.Writer for one decrypted RTCP packet.
func (c *control) Write(b []byte) (n int, err error) {
	in, out := c.streams.tracks(c.ssrc)
	if out != nil && out.kind == Video {
		return c.Buffer.Write(b)
	}
	defer func() {
		if v := recover(); v != nil {
			c.streams.log.Error("webrtc: panic", "in", "RTCP", "panic", v, "stack", string(debug.Stack()))
			n = len(b)
		}
	}()
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		return len(b), nil
	}
	if in != nil {
		in.control(packets, c.ssrc, time.Now())
	}
	if out != nil {
		out.feedback(packets)
	}
	return len(b), nil
}

// control takes the sender reports on the stream.
func (t *InTrack) control(packets []rtcp.Packet, ssrc uint32, now time.Time) {
	for _, p := range packets {
		if sr, ok := p.(*rtcp.SenderReport); ok && sr.SSRC == ssrc {
			t.mu.Lock()
			t.received.senderReport(sr.NTPTime, now)
			t.mu.Unlock()
		}
	}
}

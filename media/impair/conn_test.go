package impair

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomline/roomline/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSocketsLoseRTPAlone sends RTP and RTCP both ways through one impaired socket.
func TestSocketsLoseRTPAlone(t *testing.T) {
	bad, err := Listen(Network{Loss: 50}, Network{Loss: 50, Jitter: time.Millisecond})(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := media.ListenUDP(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	rtp, rtcp := make([]byte, 172), make([]byte, 28)
	rtp[0], rtcp[0], rtcp[1] = 0x80, 0x80, 200
	for _, way := range []struct {
		name     string
		from, to net.PacketConn
	}{{"out", bad, plain}, {"in", plain, bad}} {
		for range 100 {
			for _, b := range [][]byte{rtp, rtcp} {
				if _, err := way.from.WriteTo(b, way.to.LocalAddr()); err != nil {
					t.Fatal(err)
				}
			}
		}
		rtpCame, rtcpCame, buf := 0, 0, make([]byte, 2000)
		if err := way.to.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for rtcpCame < 100 || rtpCame < 25 { // those with jitter may come after all reports
			n, from, err := way.to.ReadFrom(buf)
			if err != nil || netip.MustParseAddrPort(from.String()).Port() == 0 {
				t.Fatalf("%s: from %v: %v, after %d RTP packets of 100 and %d reports", way.name, from, err, rtpCame, rtcpCame)
			}
			if n == len(rtp) {
				rtpCame++
			} else {
				rtcpCame++
			}
		}
		if rtpCame > 75 {
			t.Errorf("%s: %d of 100 RTP packets got through", way.name, rtpCame)
		}
	}
	if err := bad.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := bad.ReadFrom(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading after the deadline: %v", err)
	}
	if err := bad.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := bad.WriteTo(rtp, plain.LocalAddr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing after Close: %v", err)
	}
}

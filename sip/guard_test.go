package sip

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/socket"
)

// floods are what strangers send a lot of, and sound messages of calls.
var floods = map[string]string{
	"junk":     "\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + strings.Repeat("\x03j", 200),
	"no SIP":   "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\nUser-Agent: scan\r\n\r\n",
	"broken":   "INVITE sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1;rport\r\nFrom: \"scan\" <sip:scan@192.0.2.1>;tag=1\r\nTo: <sip:100@192.0.2.1>\r\nCall-ID: 42\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
	"OPTIONS":  "OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1;rport\r\nFrom: \"scan\" <sip:scan@192.0.2.1>;tag=1\r\nTo: <sip:100@192.0.2.1>\r\nCall-ID: 42\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
	"INVITE":   soundInvite,
	"response": "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\nFrom: <sip:a@192.0.2.1>;tag=1\r\nTo: <sip:b@192.0.2.9>;tag=2\r\nCall-ID: 42\r\nCSeq: 1 INVITE\r\nContact: <sip:b@198.51.100.7>\r\nContent-Length: 0\r\n\r\n",
}

const soundInvite = "INVITE sip:+15551234@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK77ef4c2312983.1;rport\r\nMax-Forwards: 70\r\n" +
	"From: \"Alice\" <sip:+15550000@198.51.100.7>;tag=1928301774\r\nTo: <sip:+15551234@192.0.2.1>\r\nCall-ID: a84b4c76e66710@198.51.100.7\r\nCSeq: 314159 INVITE\r\n" +
	"Contact: <sip:+15550000@198.51.100.7:5060>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK\r\nSupported: timer, 100rel\r\nUser-Agent: carrier\r\n" +
	"P-Asserted-Identity: <sip:+15550000@198.51.100.7>\r\nContent-Type: application/sdp\r\nContent-Length: 184\r\n\r\n" +
	"v=0\r\no=- 20518 0 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 40376 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n"

// BenchmarkGuard measures what each datagram costs before anybody else sees it.
func BenchmarkGuard(b *testing.B) {
	g := socket.NewGuard("test", "INVITE, ACK", func(*grammar.Head, *grammar.Fault, netip.AddrPort, string) {})
	source := mustAddrPort("198.51.100.7:5060")
	for name, text := range floods {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			raw := []byte(text)
			b.ReportAllocs()
			for b.Loop() {
				g.Admit(raw, source, "udp")
			}
		})
	}
}

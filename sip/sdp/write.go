package sdp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/roomline/roomline/media/rtp"
)

// write renders our description; Version grows by one when it says something new.
func (n *Negotiation) write(list []Payload, dir Direction, ptime time.Duration) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "s=-\r\nc=IN %s %s\r\nt=0 0\r\n", Family(n.Addr), n.Addr)
	for i, s := range n.Slots {
		if i != n.Audio {
			writeRefused(&b, s)
			continue
		}
		n.writeAudio(&b, s.Proto, list, dir, ptime)
	}
	rest := b.String()
	if rest != string(n.Sent) {
		n.Sent = rtp.Secret(rest)
		n.Version++
	}
	return n.render()
}

func (n *Negotiation) render() []byte {
	head := fmt.Appendf(nil, "v=0\r\no=roomline %d %d IN %s %s\r\n", n.SessionID, n.Version, Family(n.Addr), n.Addr)
	return append(head, n.Sent...)
}

// writeRefused keeps an m-line's place with port 0, RFC 3264 section 6.
func writeRefused(b *strings.Builder, s slot) {
	formats := s.Formats
	if len(formats) == 0 {
		formats = []string{"0"}
	}
	fmt.Fprintf(b, "m=%s 0 %s %s\r\n", s.Kind, s.Proto, strings.Join(formats, " "))
}

func (n *Negotiation) writeAudio(b *strings.Builder, proto string, list []Payload, dir Direction, ptime time.Duration) {
	fmt.Fprintf(b, "m=audio %d %s", n.Port, proto)
	for _, p := range list {
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(int(p.Number)))
	}
	b.WriteString("\r\n")
	for _, p := range list {
		writeFormat(b, p)
	}
	n.Shield.write(b, n.Fingerprint)
	fmt.Fprintf(b, "a=ptime:%d\r\na=maxptime:%d\r\na=rtcp:%d\r\na=%s\r\n",
		ptime.Milliseconds(), maxPtime.Milliseconds(), n.rtcpPort(), dir)
}

// rtcpPort is what we say of RTCP: the RTP port once both are on it; an offer
// names what is used if the peer does not want that (RFC 5761 section 5.1.1).
func (n *Negotiation) rtcpPort() int {
	if n.Shield.Mux && n.Shield.Setup != setupActPass {
		return n.Port
	}
	return n.Port + 1
}

// Family is the address type of SDP: IP4 or IP6.
func Family(a netip.Addr) string {
	if a.Is4() {
		return "IP4"
	}
	return "IP6"
}

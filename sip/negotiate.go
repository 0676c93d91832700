package sip

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// Limits and defaults of packet times; DESIGN asks for 10 to 60 ms.
const (
	minPtime     = 10 * time.Millisecond
	maxPtime     = 60 * time.Millisecond
	defaultPtime = 20 * time.Millisecond
)

// mediaFault is a description that we understand and cannot use: a 488.
type mediaFault struct {
	warning int    // RFC 3261 section 20.43
	words   string // what was asked for, what there is
}

func (f *mediaFault) Error() string { return f.words }

// negotiation is our half of a dialog's offers and answers, RFC 3264. It is
// plain data: everything that the next offer or answer depends on.
type negotiation struct {
	Addr   netip.Addr    // what our c= line says; its family is the one that we speak
	Port   int           // our RTP port; RTCP is the next
	Codecs []media.Codec // in order of preference
	Hold   bool          // we keep the peer on hold

	SessionID uint64
	Version   uint64
	Sent      string // the last body below its o= line, to know when Version must grow
	Slots     []slot // every m-line ever agreed, in order: they never move, section 8
	Audio     int    // which of them carries our sound; -1 before the first
	Numbers   map[media.Codec]uint8
	Ptime     time.Duration
}

// slot is an m-line of which only the place matters.
type slot struct {
	Kind, Proto string
	Formats     []string
}

// agreement is what one exchange settled.
type agreement struct {
	params rtp.Params
	held   bool   // the peer does not want to hear us
	host   string // the media address as the peer wrote it
}

func newNegotiation(addr netip.Addr, port int, codecs []media.Codec) negotiation {
	if len(codecs) == 0 {
		codecs = []media.Codec{media.PCMU, media.PCMA}
	}
	return negotiation{
		Addr: addr, Port: port, Codecs: codecs, Audio: -1, SessionID: rand.Uint64() >> 2,
		Numbers: map[media.Codec]uint8{media.PCMU: 0, media.PCMA: 8, media.TelephoneEvent: 101},
	}
}

// offer writes our offer: everything that we can do, in the places agreed before.
func (n *negotiation) offer() []byte {
	if n.Audio < 0 {
		n.Slots, n.Audio = []slot{{Kind: "audio", Proto: "RTP/AVP"}}, 0
	}
	var list []payload
	for _, c := range append(slices.Clone(n.Codecs), media.TelephoneEvent) {
		list = append(list, payload{n.Numbers[c], c})
	}
	dir := sendRecv
	if n.Hold {
		dir = sends
	}
	ptime := n.Ptime
	if ptime == 0 {
		ptime = defaultPtime
	}
	return n.write(list, dir, ptime)
}

// answer settles a peer's offer and writes our answer. A *mediaFault means that
// nothing of it fits; the negotiation is unchanged then.
func (n *negotiation) answer(offer *description) (body []byte, a agreement, err error) {
	chosen, a, list, err := n.choose(offer)
	if err != nil {
		return nil, agreement{}, err
	}
	n.Slots = n.Slots[:0]
	for _, s := range offer.streams {
		n.Slots = append(n.Slots, slot{Kind: s.kind, Proto: s.proto, Formats: s.formats})
	}
	n.Audio = chosen
	n.remember(a, list)
	dir := offer.streams[chosen].wants().mirrored()
	if n.Hold {
		dir &^= receives
	}
	a.params.Send, a.params.Receive = dir&sends != 0, dir&receives != 0
	return n.write(list, dir, a.params.Ptime), a, nil
}

// accept settles a peer's answer to our last offer.
func (n *negotiation) accept(answer *description) (agreement, error) {
	if n.Audio < 0 || n.Audio >= len(answer.streams) {
		return agreement{}, &mediaFault{304, "the answer has no m-line for the audio that was offered"}
	}
	s := answer.streams[n.Audio]
	if s.port == 0 {
		return agreement{}, &mediaFault{304, "the answer refuses the audio"}
	}
	a, list, err := n.pick(s)
	if err != nil {
		return agreement{}, err
	}
	n.remember(a, list)
	dir := s.wants().mirrored()
	if n.Hold {
		dir &^= receives
	}
	a.params.Send, a.params.Receive = dir&sends != 0, dir&receives != 0
	return a, nil
}

// remember keeps payload numbers, which may not change meaning, section 8.3.2.
func (n *negotiation) remember(a agreement, list []payload) {
	for _, p := range list {
		n.Numbers[p.codec] = p.number
	}
	n.Ptime = a.params.Ptime
}

// choose finds the audio m-line to use: the one in use, else the first that fits.
func (n *negotiation) choose(d *description) (int, agreement, []payload, error) {
	order := make([]int, 0, len(d.streams)+1)
	if n.Audio >= 0 && n.Audio < len(d.streams) {
		order = append(order, n.Audio)
	}
	for i := range d.streams {
		if i != n.Audio {
			order = append(order, i)
		}
	}
	var first error
	for _, i := range order {
		s := d.streams[i]
		if s.kind != "audio" || s.port == 0 {
			continue
		}
		a, list, err := n.pick(s)
		if err == nil {
			return i, a, list, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = &mediaFault{304, "there is no audio in the offer, and a call here needs audio"}
	}
	return 0, agreement{}, nil, first
}

// pick checks one stream against what we can do.
func (n *negotiation) pick(s stream) (agreement, []payload, error) {
	if s.proto != "RTP/AVP" && s.proto != "RTP/AVPF" {
		return agreement{}, nil, &mediaFault{302, fmt.Sprintf("audio over %s is not available, offer RTP/AVP", printable(s.proto, 32))}
	}
	if !s.addr.IsValid() {
		return agreement{}, nil, &mediaFault{301, "the media address must be an IP address, not a name"}
	}
	if s.addr.IsMulticast() || s.addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return agreement{}, nil, &mediaFault{301, "the media address " + s.host + " is not one peer's"}
	}
	if !s.nowhere && s.addr.Is4() != n.Addr.Is4() {
		return agreement{}, nil, &mediaFault{301, fmt.Sprintf("media is offered at %s, an %s address, and this side speaks %s",
			s.host, family(s.addr), family(n.Addr))}
	}
	list := n.common(s)
	voice := slices.IndexFunc(list, func(p payload) bool { return p.codec.Audio() })
	if voice < 0 {
		return agreement{}, nil, &mediaFault{305, "no codec in common: this side has " + codecNames(n.Codecs)}
	}
	return n.settle(s, list, list[voice]), list, nil
}

// common keeps the formats that we know, in the describer's order, each codec once.
func (n *negotiation) common(s stream) []payload {
	var list []payload
	for _, p := range s.codecs {
		known := slices.Contains(n.Codecs, p.codec) || p.codec == media.TelephoneEvent || p.codec == media.ComfortNoise
		if known && !slices.ContainsFunc(list, func(q payload) bool { return q.codec == p.codec || q.number == p.number }) {
			list = append(list, p)
		}
	}
	return list
}

func (n *negotiation) settle(s stream, list []payload, voice payload) agreement {
	a := agreement{held: s.wants()&receives == 0, host: s.host}
	p := &a.params
	p.Codec, p.PayloadType = voice.codec, voice.number
	for _, f := range list {
		p.Accept = append(p.Accept, rtp.PayloadCodec{PayloadType: f.number, Codec: f.codec})
		if f.codec == media.TelephoneEvent {
			p.EventPayloadType, p.EventsAgreed = f.number, true
		}
	}
	p.Ptime = s.packetTime()
	if !s.nowhere {
		p.Remote, p.RemoteRTCP = netip.AddrPortFrom(s.addr, uint16(s.port)), s.rtcp
	}
	return a
}

// wants is the stream's direction with the hold of RFC 2543 made explicit:
// whoever names no address cannot receive (RFC 3264 section 8.4).
func (s stream) wants() direction {
	if s.nowhere {
		return s.dir &^ receives
	}
	return s.dir
}

// packetTime is the peer's ptime within our limits, in whole steps of 10 ms.
func (s stream) packetTime() time.Duration {
	p := s.ptime
	if p == 0 {
		p = defaultPtime
	}
	if s.longest > 0 && p > s.longest {
		p = s.longest
	}
	return min(max(p.Truncate(minPtime), minPtime), maxPtime)
}

// write renders our description; Version grows by one when it says something new.
func (n *negotiation) write(list []payload, dir direction, ptime time.Duration) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "s=-\r\nc=IN %s %s\r\nt=0 0\r\n", family(n.Addr), n.Addr)
	for i, s := range n.Slots {
		if i != n.Audio {
			writeRefused(&b, s)
			continue
		}
		n.writeAudio(&b, s.Proto, list, dir, ptime)
	}
	rest := b.String()
	if rest != n.Sent {
		n.Sent = rest
		n.Version++
	}
	return fmt.Appendf(nil, "v=0\r\no=roomline %d %d IN %s %s\r\n%s", n.SessionID, n.Version, family(n.Addr), n.Addr, rest)
}

// writeRefused keeps an m-line's place with port 0, RFC 3264 section 6.
func writeRefused(b *strings.Builder, s slot) {
	formats := s.Formats
	if len(formats) == 0 {
		formats = []string{"0"}
	}
	fmt.Fprintf(b, "m=%s 0 %s %s\r\n", s.Kind, s.Proto, strings.Join(formats, " "))
}

func (n *negotiation) writeAudio(b *strings.Builder, proto string, list []payload, dir direction, ptime time.Duration) {
	fmt.Fprintf(b, "m=audio %d %s", n.Port, proto)
	for _, p := range list {
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(int(p.number)))
	}
	b.WriteString("\r\n")
	for _, p := range list {
		fmt.Fprintf(b, "a=rtpmap:%d %s/%d\r\n", p.number, p.codec, p.codec.ClockRate())
		if p.codec == media.TelephoneEvent {
			fmt.Fprintf(b, "a=fmtp:%d 0-16\r\n", p.number)
		}
	}
	fmt.Fprintf(b, "a=ptime:%d\r\na=maxptime:%d\r\na=rtcp:%d\r\na=%s\r\n",
		ptime.Milliseconds(), maxPtime.Milliseconds(), n.Port+1, dir)
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "IP4"
	}
	return "IP6"
}

func codecNames(list []media.Codec) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.String()
	}
	return strings.Join(names, ", ")
}

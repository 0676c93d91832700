package sdp

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// Limits and defaults of packet times.
const (
	minPtime     = 10 * time.Millisecond
	maxPtime     = 60 * time.Millisecond
	defaultPtime = 20 * time.Millisecond
)

// Fault is a description that we understand and cannot use: a 488.
type Fault struct {
	Warning int    // RFC 3261 section 20.43
	Words   string // what was asked for, what there is
}

// Error is the fault in words.
func (f *Fault) Error() string { return f.Words }

// Terms are what we are ready to agree to in a dialog.
type Terms struct {
	Codecs []media.Codec // in order of preference; empty is PCMU, PCMA
	// Ordered: our order decides what an answer of ours takes. Else that of the
	// offer does, as RFC 3264 section 6.1 suggests. What a peer's answer puts
	// first is always followed.
	Ordered  bool
	NoEvents bool // telephone-event is not wanted: digits go another way

	SRTP        Policy
	OfferDTLS   bool            // our offers of SRTP ask for a DTLS handshake instead of giving keys
	Fingerprint rtp.Fingerprint // of our certificate; zero: there is no DTLS
}

// Negotiation is our half of a dialog's offers and answers, RFC 3264. It is
// plain data: everything that the next offer or answer depends on.
type Negotiation struct {
	Addr netip.Addr // what our c= line says; its family is the one that we speak
	Port int        // our RTP port; RTCP is the next
	Terms
	Hold  bool // we keep the peer on hold
	Await bool // a DTLS handshake is the peer's to begin, if it may: its address is not known

	SessionID uint64
	Version   uint64
	Sent      rtp.Secret // the last body below its o= line, to know when Version must grow; it may hold our key
	Slots     []slot     // every m-line ever agreed, in order: they never move, section 8
	Audio     int        // which of them carries our sound; -1 before the first
	Numbers   map[format]uint8
	Ptime     time.Duration
	Agreed    bool          // an exchange was completed
	Secured   *rtp.Security // what protects the call; once it is set, something always does
	Shield    shield        // what our last description says about that
}

// slot is an m-line of which only the place matters.
type slot struct {
	Kind, Proto string
	Formats     []string
}

// Agreement is what one exchange settled.
type Agreement struct {
	Params rtp.Params
	Held   bool   // the peer does not want to hear us
	Host   string // the media address as the peer wrote it
}

// New begins the offers and answers of one dialog: media comes to addr and port,
// within terms.
func New(addr netip.Addr, port int, terms Terms) Negotiation {
	if len(terms.Codecs) == 0 {
		terms.Codecs = []media.Codec{media.PCMU, media.PCMA}
	}
	return Negotiation{
		Addr: addr, Port: port, Terms: terms, Audio: -1, SessionID: rand.Uint64() >> 2,
		Numbers: map[format]uint8{{media.PCMU, 8000}: 0, {media.PCMA, 8000}: 8, {media.G722, 8000}: 9, {media.TelephoneEvent, 8000}: 101},
	}
}

// Offer writes our offer: everything that we can do, in the places agreed before.
func (n *Negotiation) Offer() []byte {
	if n.Audio < 0 {
		n.Slots, n.Audio = []slot{{Kind: "audio", Proto: "RTP/AVP"}}, 0
	}
	list := n.everything()
	dir := SendRecv
	if n.Hold {
		dir = Sends
	}
	ptime := n.Ptime
	if ptime == 0 {
		ptime = defaultPtime
	}
	n.Shield = n.offerShield()
	n.Slots[n.Audio].Proto = n.Shield.Proto
	return n.write(list, dir, ptime)
}

// Repeat writes our last description once more, unchanged, as an offer: RFC 4028
// section 7.4.
func (n *Negotiation) Repeat() []byte { return n.render() }

// Answer settles a peer's offer and writes our answer. A *Fault means that
// nothing of it fits; the negotiation is unchanged then.
func (n *Negotiation) Answer(offer *Description) (body []byte, a Agreement, err error) {
	took, err := n.choose(offer)
	if err != nil {
		return nil, Agreement{}, err
	}
	a = took.Agreement
	n.Slots = n.Slots[:0]
	for _, s := range offer.Streams {
		n.Slots = append(n.Slots, slot{Kind: s.Kind, Proto: s.Proto, Formats: s.Formats})
	}
	n.Audio, n.Shield = took.stream, took.shield
	n.remember(a, took.list)
	dir := offer.Streams[took.stream].wants().mirrored()
	if n.Hold {
		dir &^= Receives
	}
	a.Params.Send, a.Params.Receive = dir&Sends != 0, dir&Receives != 0
	return n.write(took.list, dir, a.Params.Ptime), a, nil
}

// Accept settles a peer's answer to our last offer.
func (n *Negotiation) Accept(answer *Description) (Agreement, error) {
	if n.Audio < 0 || n.Audio >= len(answer.Streams) {
		return Agreement{}, &Fault{304, "the answer has no m-line for the audio that was offered"}
	}
	s := answer.Streams[n.Audio]
	if s.Port == 0 {
		return Agreement{}, &Fault{304, "the answer refuses the audio"}
	}
	a, list, err := n.pick(s, false)
	if err != nil {
		return Agreement{}, err
	}
	if a.Params.Security, err = n.acceptShield(s); err != nil {
		return Agreement{}, err
	}
	a.Params.Mux = n.Shield.Mux && s.Mux
	n.Shield.Mux = a.Params.Mux
	n.remember(a, list)
	dir := s.wants().mirrored()
	if n.Hold {
		dir &^= Receives
	}
	a.Params.Send, a.Params.Receive = dir&Sends != 0, dir&Receives != 0
	return a, nil
}

// remember keeps payload numbers, which may not change meaning, section 8.3.2.
func (n *Negotiation) remember(a Agreement, list []Payload) {
	for _, p := range list {
		maps.DeleteFunc(n.Numbers, func(_ format, number uint8) bool { return number == p.Number }) // what we had meant by it
		n.Numbers[p.format()] = p.Number
	}
	n.Ptime, n.Agreed, n.Secured = a.Params.Ptime, true, a.Params.Security
}

// choice is what we take of an offer.
type choice struct {
	Agreement
	stream int // m-line
	list   []Payload
	shield shield
}

// choose finds the audio m-line to use: the one in use, else the first that fits.
func (n *Negotiation) choose(d *Description) (choice, error) {
	order := make([]int, 0, len(d.Streams)+1)
	if n.Audio >= 0 && n.Audio < len(d.Streams) {
		order = append(order, n.Audio)
	}
	for i := range d.Streams {
		if i != n.Audio {
			order = append(order, i)
		}
	}
	var first error
	for _, i := range order {
		s := d.Streams[i]
		if s.Kind != "audio" || s.Port == 0 {
			continue
		}
		took, err := n.take(s)
		if err == nil {
			took.stream = i
			return took, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = &Fault{304, "there is no audio in the offer, and a call here needs audio"}
	}
	return choice{}, first
}

// take checks one stream of an offer.
func (n *Negotiation) take(s Stream) (c choice, err error) {
	if c.Agreement, c.list, err = n.pick(s, n.Ordered); err != nil {
		return c, err
	}
	c.Params.Security, c.shield, err = n.answerShield(s)
	c.Params.Mux = c.shield.Mux
	return c, err
}

// pick checks one stream against what we can do, and takes of it what comes
// first, there or in our own order.
func (n *Negotiation) pick(s Stream, byOurs bool) (Agreement, []Payload, error) {
	if _, ok := isPlain(s.Proto); !ok {
		return Agreement{}, nil, protoFault(s.Proto)
	}
	if !s.Addr.IsValid() {
		return Agreement{}, nil, &Fault{301, "the media address must be an IP address, not a name"}
	}
	if s.Addr.IsMulticast() || s.Addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return Agreement{}, nil, &Fault{301, "the media address " + s.Host + " is not one peer's"}
	}
	if !s.Nowhere && s.Addr.Is4() != n.Addr.Is4() {
		return Agreement{}, nil, &Fault{301, fmt.Sprintf("media is offered at %s, an %s address, and this side speaks %s",
			s.Host, Family(s.Addr), Family(n.Addr))}
	}
	list := n.common(s)
	if byOurs {
		n.byOurs(list)
	}
	voice := slices.IndexFunc(list, func(p Payload) bool { return p.Codec.Audio() })
	if voice < 0 {
		return Agreement{}, nil, &Fault{305, "no codec in common: they offer " + s.offers() + ", this side has " + codecNames(n.Codecs)}
	}
	list = n.events(list, list[voice].Hz)
	return n.settle(s, list, list[voice]), list, nil
}

func (n *Negotiation) settle(s Stream, list []Payload, voice Payload) Agreement {
	a := Agreement{Held: s.wants()&Receives == 0, Host: s.Host}
	p := &a.Params
	p.Codec, p.PayloadType, p.Opus = voice.Codec, voice.Number, voice.Opus
	for _, f := range list {
		p.Accept = append(p.Accept, rtp.PayloadCodec{PayloadType: f.Number, Codec: f.Codec, ClockHz: f.Hz})
		if f.Codec == media.TelephoneEvent {
			p.EventPayloadType, p.EventsAgreed, p.EventHz = f.Number, true, f.Hz
		}
	}
	p.Ptime = s.packetTime()
	if !s.Nowhere {
		p.Remote, p.RemoteRTCP = netip.AddrPortFrom(s.Addr, uint16(s.Port)), s.RTCP
	}
	return a
}

// wants is the stream's direction with the hold of RFC 2543 made explicit:
// whoever names no address cannot receive (RFC 3264 section 8.4).
func (s Stream) wants() Direction {
	if s.Nowhere {
		return s.Dir &^ Receives
	}
	return s.Dir
}

// packetTime is the peer's ptime within our limits, in whole steps of 10 ms.
func (s Stream) packetTime() time.Duration {
	p := s.Ptime
	if p == 0 {
		p = defaultPtime
	}
	if s.MaxPtime > 0 && p > s.MaxPtime {
		p = s.MaxPtime
	}
	return min(max(p.Truncate(minPtime), minPtime), maxPtime)
}

package sdp

import (
	"slices"

	"github.com/roomline/roomline/media"
)

// everything lists our formats; telephone-event comes once for each clock that
// the codecs have, RFC 4733 section 2.1.
func (n *Negotiation) everything() (list []Payload) {
	var events []Payload
	for _, c := range n.Codecs {
		hz := c.ClockRate()
		list = append(list, Payload{Number: n.number(format{c, hz}), Codec: c, Hz: hz})
		event := Payload{Codec: media.TelephoneEvent, Hz: hz}
		if !n.NoEvents && !slices.ContainsFunc(events, func(p Payload) bool { return p.Hz == hz }) {
			event.Number = n.number(event.format())
			events = append(events, event)
		}
	}
	return append(list, events...)
}

// number is the payload number of a format: the one it has, else a dynamic one
// that nothing else has had.
func (n *Negotiation) number(f format) uint8 {
	if number, ok := n.Numbers[f]; ok {
		return number
	}
	number := uint8(96)
	for taken := true; taken && number < 127; {
		taken = false
		for _, other := range n.Numbers {
			taken = taken || other == number
		}
		if taken {
			number++
		}
	}
	n.Numbers[f] = number
	return number
}

// common keeps the formats that we know, each once, in the describer's order.
func (n *Negotiation) common(s Stream) []Payload {
	var list []Payload
	for _, p := range s.Codecs {
		known := slices.Contains(n.Codecs, p.Codec) || p.Codec == media.TelephoneEvent && !n.NoEvents || p.Codec == media.ComfortNoise
		if known && !slices.ContainsFunc(list, func(q Payload) bool { return q.format() == p.format() || q.Number == p.Number }) {
			list = append(list, p)
		}
	}
	return list
}

// byOurs puts the codecs in our own order, and what is no codec behind them.
func (n *Negotiation) byOurs(list []Payload) {
	rank := func(p Payload) int {
		if i := slices.Index(n.Codecs, p.Codec); i >= 0 {
			return i
		}
		return len(n.Codecs)
	}
	slices.SortStableFunc(list, func(a, b Payload) int { return rank(a) - rank(b) })
}

// events keeps telephone-event in the clock of the voice, if it is there; some
// peers name it at 8000 Hz only, whatever they speak.
func (n *Negotiation) events(list []Payload, hz int) []Payload {
	matches := func(p Payload) bool { return p.Codec == media.TelephoneEvent && p.Hz == hz }
	if !slices.ContainsFunc(list, matches) {
		hz = media.TelephoneEvent.ClockRate()
	}
	return slices.DeleteFunc(list, func(p Payload) bool { return p.Codec == media.TelephoneEvent && p.Hz != hz })
}

// Package earpiece is the far end of a road, for tests and measurements: it takes
// the packets of one stream as they arrived and makes of them what a listener
// hears, with a jitter buffer that waits as long as the network demanded, the
// redundancy of the packet after a loss, and concealment, as telephones and
// browsers have. It works on a whole recording, asks no clock and starts no
// goroutine.
package earpiece

import (
	"slices"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// Heard is the sound of a stream and what became of its packets.
type Heard struct {
	PCM       []int16       // from the first packet's timestamp on
	Start     time.Time     // when the first sample is played
	Buffer    time.Duration // how long the jitter buffer holds what came quickest
	Sound     time.Duration // of all that was to be heard
	Recovered time.Duration // of it, lost and had from redundancy
	Concealed time.Duration // of it, lost and made up
	Late      int           // packets that came too late to be played
}

const (
	// lateShare is the share of packets that may come too late: the buffer is as
	// deep as the others need, as in browsers.
	lateShare = 0.01
	// longestMend is how long a listener goes on without packets before it is silent.
	longestMend = 120 * time.Millisecond
	// step is the length of what is made up at a time, and how much deeper the buffer
	// is than packets need: the redundancy for a lost one is in the next.
	step = 20 * time.Millisecond
)

// Play makes the sound at rateHz, one that transcode has for the codec. Packets
// are one stream's, in any order, with Arrived set.
func Play(packets []media.Packet, rateHz int) (Heard, error) {
	e := &earpiece{rateHz: rateHz, buf: make([]int16, rateHz/8)}
	e.sort(packets)
	if len(e.packets) == 0 {
		return Heard{}, nil
	}
	d, err := transcode.NewDecoder(e.packets[0].Codec, rateHz)
	if err != nil {
		return Heard{}, err
	}
	defer d.Close()
	e.decoder = d
	e.settle()
	for i := range e.packets {
		e.play(i)
	}
	e.heard.Sound = e.length(len(e.heard.PCM))
	return e.heard, nil
}

type earpiece struct {
	rateHz  int
	packets []placed
	decoder transcode.Decoder
	buf     []int16
	heard   Heard
	last    uint16 // number of the packet played last
}

// placed is a packet with its place on the listener's timeline.
type placed struct {
	media.Packet
	at int // samples behind the first
}

// sort puts the audio packets in order of their timestamps, each once.
func (e *earpiece) sort(packets []media.Packet) {
	for _, p := range packets {
		if !p.Codec.Audio() {
			continue
		}
		at := int(int32(p.Timestamp-packets[0].Timestamp)) * e.rateHz / 100 / (p.Codec.ClockRate() / 100)
		e.packets = append(e.packets, placed{Packet: p, at: at})
	}
	slices.SortStableFunc(e.packets, func(a, b placed) int { return a.at - b.at })
	e.packets = slices.CompactFunc(e.packets, func(a, b placed) bool { return a.at == b.at })
}

// settle finds when the sound is played: after the time that all but a few packets need.
func (e *earpiece) settle() {
	needs := make([]time.Duration, len(e.packets))
	for i, p := range e.packets {
		needs[i] = p.Arrived.Sub(e.packets[0].Arrived) - e.length(p.at-e.packets[0].at)
	}
	sorted := slices.Sorted(slices.Values(needs))
	enough := sorted[int(float64(len(sorted)-1)*(1-lateShare))] + step
	e.heard.Buffer = enough - sorted[0]
	e.heard.Start = e.packets[0].Arrived.Add(enough)
	kept := e.packets[:0]
	for i, p := range e.packets {
		if needs[i] > enough-step {
			e.heard.Late++
			continue
		}
		kept = append(kept, p)
	}
	e.packets = kept
	first := e.packets[0]
	e.heard.Start = e.heard.Start.Add(e.length(first.at))
	for i := range e.packets {
		e.packets[i].at -= first.at
	}
	e.last = first.SequenceNumber - 1
}

// play writes what is missing before a packet, then the packet.
func (e *earpiece) play(i int) {
	p := &e.packets[i]
	if gap := p.at - len(e.heard.PCM); gap > 0 {
		if lost := p.SequenceNumber - e.last - 1; lost > 0 {
			e.mend(p, gap)
		}
		e.silence(p.at - len(e.heard.PCM)) // sent by nobody, or too long ago
	}
	e.last = p.SequenceNumber
	n, err := e.decoder.Decode(p.Payload, e.buf)
	if err != nil {
		return
	}
	e.heard.PCM = append(e.heard.PCM[:min(p.at, len(e.heard.PCM))], e.buf[:n]...)
}

// mend makes up a gap before a packet: its end by the packet's redundancy where it
// has some.
func (e *earpiece) mend(p *placed, gap int) {
	most := e.samples(longestMend)
	frame := e.samples(step)
	for made := 0; made < gap; {
		n := min(frame, gap-made)
		left := gap - made
		switch {
		case left == n && Redundant(p.Codec, p.Payload):
			e.made(n, &e.heard.Recovered, func(pcm []int16) (int, error) { return e.decoder.Recover(p.Payload, pcm) })
		case made < most:
			e.made(n, &e.heard.Concealed, e.decoder.Conceal)
		default:
			e.silence(n)
			e.heard.Concealed += e.length(n)
		}
		made += n
	}
}

func (e *earpiece) made(n int, count *time.Duration, fill func([]int16) (int, error)) {
	pcm := e.buf[:n]
	clear(pcm)
	_, _ = fill(pcm) // silence where it cannot
	e.heard.PCM = append(e.heard.PCM, pcm...)
	*count += e.length(n)
}

func (e *earpiece) silence(n int) {
	if n > 0 {
		e.heard.PCM = append(e.heard.PCM, make([]int16, n)...)
	}
}

func (e *earpiece) samples(d time.Duration) int {
	return int(d * time.Duration(e.rateHz) / time.Second)
}

func (e *earpiece) length(samples int) time.Duration {
	return time.Duration(samples) * time.Second / time.Duration(e.rateHz)
}

// Redundant reports whether a payload carries the sound of the packet before, as
// Opus' in-band FEC does: RFC 6716 section 4.2.4, where the first bits of a SILK
// frame of one channel are a VAD flag for each 20 ms, then the LBRR flag.
func Redundant(codec media.Codec, payload []byte) bool {
	if codec != media.Opus || len(payload) < 2 || payload[0]&0x80 != 0 || payload[0]&0x04 != 0 {
		return false
	}
	flags := 1 // SILK frames of 20 ms at most
	if config := payload[0] >> 3; config < 12 {
		flags = max(1, int(config%4)) // 10, 20, 40, 60 ms
	}
	first := 1
	if payload[0]&3 == 3 { // a count, then perhaps padding: RFC 6716 section 3.2.5
		first = 2
		if payload[1]&0x40 != 0 || len(payload) < 3 {
			return false
		}
	}
	return payload[first]&(0x80>>flags) != 0
}

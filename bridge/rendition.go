package bridge

import (
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// renditionIdle is how long an encoder without subscribers is kept.
const renditionIdle = 5 * time.Second

// rendition is a Source encoded in one codec, shared by all Sinks that want it.
// Its encoder is guarded by the Source's mutex. G.722 is shared as sound: its
// coders have a memory, and a stream's encoder must remember what that stream's
// listener has heard, whoever was heard; so each Sink has its own.
type rendition struct {
	renditionKey
	sinks []*Sink // replaced with the fan-out, never changed in place

	state *encoding
}

// encoding is what a rendition keeps while fan-outs come and go.
type encoding struct {
	encoder transcode.Encoder
	pcm     lazy[[longestPacket * 4]int16] // sound that waits for a full packet
	n       int
	at      int64 // position of pcm[0]
	out     [transcode.MaxPayload]byte
	used    time.Time

	steering steering
}

// push encodes sound once and sends it to every sink that the source drives.
func (r *rendition) push(s *Source, d *sound) {
	if !r.wanted(s) {
		r.follow(s, d)
		return
	}
	if r.codec == media.Opus {
		if d.origin != received && d.origin != comfort { // browsers conceal better themselves: the gap stays a gap
			return
		}
		r.pushOpus(s, d)
		return
	}
	r.pushFramed(s, d)
}

func (r *rendition) wanted(s *Source) bool {
	for _, k := range r.sinks {
		if r.feeds(s, k) {
			return true
		}
	}
	return false
}

// feeds reports whether sink k, which subscribes to r, is to get r's payload now.
func (r *rendition) feeds(s *Source, k *Sink) bool {
	return k.driver.Load() == s && !k.untouched.Load()
}

// follow keeps the encoders of G.722 streams in step with what passes untouched.
func (r *rendition) follow(s *Source, d *sound) {
	if r.codec != media.G722 || s.decodes != media.G722 || d.origin != received {
		return
	}
	for _, k := range r.sinks {
		if k.driver.Load() == s {
			k.follow(s.decoder, d.pcm)
		}
	}
}

// pushOpus encodes at once: 10, 20, 40 and 60 ms as one frame, the rest cut.
func (r *rendition) pushOpus(s *Source, d *sound) {
	lost, n := d.lost, times(r.rateHz)
	for pcm, at := s.convert.at(d, r.rateHz), d.at; len(pcm) >= 80*n; {
		ticks := opusCut(len(pcm) / n)
		r.send(s, pcm[:ticks*n], at, lost, d.marker && at == d.at)
		pcm, at, lost = pcm[ticks*n:], at+int64(ticks), 0
	}
}

// opusCut returns how many of the ticks the next Opus frame takes.
func opusCut(ticks int) int {
	switch ticks {
	case 80, 160, 320, 480:
		return ticks
	}
	if ticks > 160 {
		return 160
	}
	return 80
}

// pushFramed gathers sound into packets of one length, as G.711 and G.722 peers ask for.
func (r *rendition) pushFramed(s *Source, d *sound) {
	e, n := r.state, times(r.rateHz)
	pcm, at := s.convert.at(d, r.rateHz)[d.late*n:], d.at+int64(d.late)
	frame := r.frame * n
	if frame == 0 {
		frame = len(pcm)
	}
	if e.n > 0 && e.at+int64(e.n/n) != at {
		e.n = 0 // the timeline jumped: what waited is too short to send
	}
	if e.n == 0 {
		e.at = at
	}
	waits := e.pcm.get()
	e.n += copy(waits[e.n:], pcm)
	done := 0
	for ; e.n-done >= frame; done += frame {
		r.send(s, waits[done:done+frame], e.at+int64(done/n), 0, d.marker && done == 0)
	}
	e.n = copy(waits[:], waits[done:e.n])
	e.at += int64(done / n)
}

func (r *rendition) send(s *Source, pcm []int16, at int64, lost int, marker bool) {
	e := r.state
	e.used = s.now
	p := portion{codec: r.codec, pcm: pcm, at: at, ticks: len(pcm) / times(r.rateHz), lost: lost, marker: marker}
	if r.codec != media.G722 {
		if !e.ready(r) {
			return
		}
		n, err := e.encoder.Encode(pcm, e.out[:])
		if err != nil {
			return
		}
		p.payload = e.out[:n]
	}
	for _, k := range r.sinks {
		if r.feeds(s, k) {
			mine := p
			k.join(e.encoder, &mine)
			k.direct(s, &mine, s.now)
		}
	}
}

// ready makes sure that there is an encoder.
func (e *encoding) ready(r *rendition) bool {
	if e.encoder == nil {
		var err error
		if e.encoder, err = transcode.NewEncoder(r.codec, r.rateHz, r.opus); err != nil {
			return false
		}
		e.encoder.SetLoss(e.steering.told)
	}
	return true
}

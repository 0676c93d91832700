package transcode

import (
	"fmt"
	"sync"
)

// OpusSettings say how Opus is encoded. The application is always VOIP.
type OpusSettings struct {
	Bitrate    int  // bit/s, 6000 to 128000; 0 stands for 24000
	Complexity int  // 0, the cheapest, to 10
	FEC        bool // send in-band redundancy while SetLoss is above 0
	DTX        bool // send next to nothing in silence
}

// DefaultOpus returns the settings that the gateway uses when told nothing
// else: 24 kbit/s, complexity 5, redundancy when there is loss, no DTX.
func DefaultOpus() OpusSettings {
	return OpusSettings{Bitrate: defaultBitrate, Complexity: 5, FEC: true}
}

// LeastBitrate is the lowest bitrate of Opus, in bit/s.
const LeastBitrate = 6000

const (
	defaultBitrate = 24000
	maxBitrate     = 128000
)

// check fills in the default and refuses what no engine would take.
func (s OpusSettings) check() (OpusSettings, error) {
	if s.Bitrate == 0 {
		s.Bitrate = defaultBitrate
	}
	if s.Bitrate < LeastBitrate || s.Bitrate > maxBitrate {
		return s, fmt.Errorf("opus bitrate %d: expected %d to %d bit/s", s.Bitrate, LeastBitrate, maxBitrate)
	}
	if s.Complexity < 0 || s.Complexity > 10 {
		return s, fmt.Errorf("opus complexity %d: expected 0 to 10", s.Complexity)
	}
	return s, nil
}

// engine is an implementation of Opus, with the pools of its idle state by
// sampling rate. The state is large (gopus: 160 to 200 KB for each direction).
type engine struct {
	name       string
	newEncoder func(rateHz int) (engineEncoder, error)
	newDecoder func(rateHz int) (engineDecoder, error)

	encoders, decoders pools
}

// engineEncoder is the encoding half of an engine, mono, VOIP.
type engineEncoder interface {
	configure(s OpusSettings) error // every setting; redundancy is off
	setLoss(percent int) error      // 0 switches redundancy off
	setBitrate(bitrate int) error   // of the settings or a little more
	encode(pcm []int16, out []byte) (int, error)
	// reset makes a used one as good as a new one, with no trace of what it heard,
	// or reports that it cannot, and then it is thrown away.
	reset() bool
}

// engineDecoder is the decoding half of an engine, mono. The packets have
// passed opusUnits, and every pcm is as long as the sound that goes into it,
// at most 120 ms.
type engineDecoder interface {
	reset() bool // as engineEncoder's
	decode(packet []byte, pcm []int16) error
	recover(next []byte, pcm []int16) error // fills pcm, from LBRR or concealed
	conceal(pcm []int16) error              // fills pcm
}

// pools holds idle state by sampling rate.
type pools struct{ byRate sync.Map } // rateHz → *sync.Pool

func (p *pools) of(rateHz int) *sync.Pool {
	if pool, ok := p.byRate.Load(rateHz); ok {
		return pool.(*sync.Pool)
	}
	pool, _ := p.byRate.LoadOrStore(rateHz, new(sync.Pool))
	return pool.(*sync.Pool)
}

// guard turns a panic of the engine into an error, and drops the state that it
// left behind.
func guard(drop func(), n *int, err *error) {
	if r := recover(); r != nil {
		drop()
		*n, *err = 0, fmt.Errorf("opus: %w: %v", ErrEngine, r)
	}
}

package transcode

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/thesyncim/gopus"

	"github.com/roomline/roomline/media"
)

func TestSamplesReadTheTOC(t *testing.T) {
	frame := func(n int) []byte { return make([]byte, n) }
	for name, row := range map[string]struct {
		packet []byte
		units  int // of 2.5 ms, 0: malformed
	}{
		"empty":                       {nil, 0},
		"SILK NB 10 ms":               {[]byte{0 << 3, 1}, 4},
		"SILK NB 20 ms":               {[]byte{1 << 3, 1}, 8},
		"SILK WB 60 ms":               {[]byte{11 << 3, 1}, 24},
		"hybrid 10 ms":                {[]byte{12 << 3, 1}, 4},
		"hybrid FB 20 ms":             {[]byte{15 << 3, 1}, 8},
		"CELT 2.5 ms":                 {[]byte{16 << 3, 1}, 1},
		"CELT FB 20 ms stereo":        {[]byte{31<<3 | 4, 1}, 8},
		"TOC alone":                   {[]byte{1 << 3}, 8},
		"frame of 1276 bytes":         {append([]byte{1 << 3}, frame(1276)...), 0},
		"two of one size":             {[]byte{1<<3 | 1, 1, 2}, 16},
		"two of one size, odd":        {[]byte{1<<3 | 1, 1, 2, 3}, 0},
		"two sizes":                   {[]byte{1<<3 | 2, 1, 9, 8, 7}, 16},
		"two sizes, no length":        {[]byte{1<<3 | 2}, 0},
		"two sizes, half a length":    {[]byte{1<<3 | 2, 252}, 0},
		"two sizes, length too long":  {[]byte{1<<3 | 2, 4, 9, 8, 7}, 0},
		"code 3 without a count":      {[]byte{1<<3 | 3}, 0},
		"code 3, no frames":           {[]byte{1<<3 | 3, 0}, 0},
		"code 3, six of 20 ms":        {[]byte{1<<3 | 3, 6, 1, 2, 3, 4, 5, 6}, 48},
		"code 3, seven of 20 ms":      {[]byte{1<<3 | 3, 7, 1, 2, 3, 4, 5, 6, 7}, 0},
		"code 3, 48 of 2.5 ms":        {append([]byte{16<<3 | 3, 48}, frame(48)...), 48},
		"code 3, sizes do not divide": {[]byte{1<<3 | 3, 2, 1, 2, 3}, 0},
		"code 3, VBR":                 {[]byte{1<<3 | 3, 0x80 | 3, 1, 2, 9, 8, 8, 7, 7, 7}, 24},
		"code 3, VBR, too short":      {[]byte{1<<3 | 3, 0x80 | 3, 4, 4, 9}, 0},
		"code 3, VBR, no lengths":     {[]byte{1<<3 | 3, 0x80 | 3, 4}, 0},
		"code 3, padded":              {[]byte{1<<3 | 3, 0x40 | 1, 2, 9, 0, 0}, 8},
		"code 3, long padding":        {append([]byte{1<<3 | 3, 0x40 | 1, 255, 1, 9}, frame(255)...), 8},
		"code 3, padding too long":    {[]byte{1<<3 | 3, 0x40 | 1, 9, 9, 0, 0}, 0},
		"code 3, endless padding":     {[]byte{1<<3 | 3, 0x40 | 1, 255, 255}, 0},
	} {
		n, err := Samples(media.Opus, row.packet, 8000)
		if n != row.units*20 || errors.Is(err, ErrMalformed) != (row.units == 0) {
			t.Errorf("%s: %d samples, %v; want %d", name, n, err, row.units*20)
		}
		if n48, _ := Samples(media.Opus, row.packet, 48000); n48 != row.units*120 {
			t.Errorf("%s: %d samples at 48 kHz, want %d", name, n48, row.units*120)
		}
	}
	if n, err := Samples(media.PCMA, make([]byte, 480), 8000); n != 480 || err != nil {
		t.Errorf("60 ms of A-law: %d, %v", n, err)
	}
	if _, err := Samples(media.PCMU, nil, 8000); !errors.Is(err, ErrMalformed) {
		t.Errorf("empty µ-law: %v", err)
	}
	if _, err := Samples(media.TelephoneEvent, make([]byte, 4), 8000); err == nil {
		t.Error("a digit has a sound")
	}
}

// stereoPackets encodes one second of 440 Hz on the left, silence on the right.
func stereoPackets(t testing.TB) [][]byte {
	t.Helper()
	e, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: 48000, Channels: 2, Application: gopus.ApplicationAudio})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.SetBitrate(96000), e.SetForceChannels(2)); err != nil {
		t.Fatal(err)
	}
	left := sine(440, 48000, 48000, 8000)
	var packets [][]byte
	for at := 0; at < len(left); at += 960 {
		both := make([]int16, 2*960)
		for i := range 960 {
			both[2*i] = left[at+i]
		}
		p, err := e.EncodeInt16Slice(both)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, bytes.Clone(p))
	}
	return packets
}

// mutate does to a packet what bad networks and bad people do.
func mutate(rng *rand.Rand, packet []byte) []byte {
	p := bytes.Clone(packet)
	for range 1 + rng.IntN(4) {
		if len(p) == 0 {
			return []byte{byte(rng.Uint32())}
		}
		at := rng.IntN(len(p))
		switch rng.IntN(5) {
		case 0:
			p[at] ^= 1 << rng.IntN(8)
		case 1:
			p[at] = byte(rng.Uint32())
		case 2:
			p = p[:at]
		case 3:
			p = append(p, p[at:]...)
		case 4:
			p[0] = byte(rng.Uint32())
		}
	}
	return p
}

func TestHostilePacketsHarmNothing(t *testing.T) {
	count := 20000
	if testing.Short() {
		count = 2000
	}
	seeds := encodeAll(t, openEncoder(t, media.Opus, 8000, DefaultOpus()), vowels(8000, 8000), 160)
	seeds = append(seeds, stereoPackets(t)...)
	seeds = append(seeds, encodeAll(t, openEncoder(t, media.Opus, 48000, DefaultOpus()), vowels(48000, 48000), 2880)...)
	rng := rand.New(rand.NewPCG(3, 4))
	d := openDecoder(t, media.Opus, 8000)
	pcm := make([]int16, 960)
	for range count {
		hostile(t, d, mutate(rng, seeds[rng.IntN(len(seeds))]), pcm, rng.IntN(4))
	}
	if _, err := d.Decode(seeds[0], pcm); err != nil {
		t.Errorf("a good packet after all that: %v", err)
	}
}

// hostile gives a packet to a decoder in one of its ways; whatever it is, the
// answer is sound of the promised length or an error, and no panic inside.
func hostile(t testing.TB, d Decoder, packet []byte, pcm []int16, way int) {
	var n, want int
	var err error
	switch way {
	case 0:
		want = 160
		n, err = d.Recover(packet, pcm[:want])
	case 1:
		want = 480
		n, err = d.Recover(packet, pcm[:want])
	default:
		want, _ = Samples(media.Opus, packet, 8000)
		n, err = d.Decode(packet, pcm)
	}
	if errors.Is(err, ErrEngine) || errors.Is(err, ErrClosed) {
		t.Fatalf("packet %x: %v", packet, err)
	}
	if err == nil && n != want {
		t.Fatalf("packet %x: %d samples, want %d", packet, n, want)
	}
}

func FuzzOpusDecode(f *testing.F) {
	for _, p := range stereoPackets(f)[:3] {
		f.Add(p, []byte{0x08}, uint8(0))
	}
	e := openEncoder(f, media.Opus, 8000, DefaultOpus())
	e.SetLoss(20)
	for _, p := range encodeAll(f, e, vowels(8000, 4800), 480) {
		f.Add(p, p, uint8(1))
	}
	f.Fuzz(func(t *testing.T, first, second []byte, way uint8) {
		d := openDecoder(t, media.Opus, 8000)
		pcm := make([]int16, 960)
		hostile(t, d, first, pcm, 2)
		hostile(t, d, second, pcm, int(way%3))
		if _, err := d.Conceal(pcm); err != nil {
			t.Fatal(err)
		}
		hostile(t, d, first, pcm, 2)
	})
}

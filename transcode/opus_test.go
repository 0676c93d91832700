package transcode

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	pionopus "github.com/pion/opus"

	"github.com/roomline/roomline/media"
)

func TestSineKeepsItsLevel(t *testing.T) {
	for _, codec := range []media.Codec{media.PCMU, media.PCMA, media.Opus} {
		for _, rate := range []int{8000, 16000, 48000} {
			if codec != media.Opus && rate != 8000 {
				continue
			}
			for _, ms := range []int{10, 20, 40, 60} {
				for _, freq := range []float64{300, 1004, 2500} {
					name := fmt.Sprintf("%s at %d Hz in %d ms, %v Hz", codec, rate, ms, freq)
					pcm := sine(freq, rate, rate*6/5, 8000)
					packets := encodeAll(t, openEncoder(t, codec, rate, DefaultOpus()), pcm, rate*ms/1000)
					heard := decodeAll(t, openDecoder(t, codec, rate), packets)
					got, want := toneDB(heard[rate/5:], rate, freq), toneDB(pcm[rate/5:], rate, freq)
					if got < want-within(rate, ms) || got > want+0.5 {
						t.Errorf("%s: %.2f dB came back of %.2f", name, got, want)
					}
				}
			}
		}
	}
}

// within is what a tone may lose in dB. At 48 kHz gopus halves the bits where it
// cuts a packet into hybrid frames; no road of ours encodes that.
func within(rateHz, ms int) float64 {
	if rateHz == 48000 && ms > 20 && Engine() == "gopus" {
		return 1.5
	}
	return 0.5
}

// pion/opus shares no line with either engine.
func TestAnIndependentDecoderHearsWhatWeEncode(t *testing.T) {
	for _, rate := range []int{8000, 16000, 48000} {
		for _, loss := range []int{0, 15} {
			e := openEncoder(t, media.Opus, rate, DefaultOpus())
			e.SetLoss(loss)
			packets := encodeAll(t, e, vowels(rate, rate*3), rate/50)
			ours := decodeAll(t, openDecoder(t, media.Opus, rate), packets)
			witness, err := pionopus.NewDecoderWithOutput(rate, 1)
			if err != nil {
				t.Fatal(err)
			}
			theirs := make([]int16, 0, len(ours))
			buf := make([]int16, 5760)
			for _, p := range packets {
				n, err := witness.DecodeToInt16(p, buf)
				if err != nil {
					t.Fatal(err)
				}
				theirs = append(theirs, buf[:n]...)
			}
			if len(ours) != len(theirs) {
				t.Fatalf("%d Hz: %d samples, the witness hears %d", rate, len(ours), len(theirs))
			}
			if got := snrDB(ours, theirs); got < 25 {
				t.Errorf("%d Hz, loss %d: %.1f dB between us and the witness", rate, loss, got)
			}
		}
	}
}

func TestBitrateIsKept(t *testing.T) {
	for _, bitrate := range []int{12000, 24000, 40000} {
		e := openEncoder(t, media.Opus, 8000, OpusSettings{Bitrate: bitrate, Complexity: 5})
		bytes := 0
		for _, p := range encodeAll(t, e, vowels(8000, 40000), 160) {
			bytes += len(p)
		}
		if got := bytes * 8 / 5; got > bitrate*11/10 {
			t.Errorf("%d bit/s asked for, %d sent", bitrate, got)
		}
	}
}

func TestNarrowbandIsSentAsNarrowband(t *testing.T) {
	for _, p := range encodeAll(t, openEncoder(t, media.Opus, 8000, DefaultOpus()), vowels(8000, 8000), 160) {
		if config := p[0] >> 3; config > 3 || p[0]&4 != 0 {
			t.Fatalf("configuration %d, stereo bit %d: not SILK narrowband mono", config, p[0]&4)
		}
	}
}

func TestDTXSavesSilence(t *testing.T) {
	size := func(dtx bool) (n int) {
		s := DefaultOpus()
		s.DTX = dtx
		for _, p := range encodeAll(t, openEncoder(t, media.Opus, 8000, s), make([]int16, 16000), 160)[30:] {
			n += len(p)
		}
		return n
	}
	if with, without := size(true), size(false); with*2 > without {
		t.Errorf("%d bytes of silence with DTX, %d without", with, without)
	}
}

// A stereo packet with sound on one side only, which a mono decoder must hear.
func TestStereoComesOutAsOneChannel(t *testing.T) {
	packets := stereoPackets(t)
	for _, rate := range []int{8000, 48000} {
		heard := decodeAll(t, openDecoder(t, media.Opus, rate), packets)
		if len(heard) != rate/50*len(packets) {
			t.Fatalf("%d samples from %d packets at %d Hz", len(heard), len(packets), rate)
		}
		// Left at full level and right silent average to half, 6 dB down.
		want := toneDB(sine(440, 48000, 48000, 8000), 48000, 440) - 6
		if got := toneDB(heard[rate/5:], rate, 440); got < want-1 || got > want+1 {
			t.Errorf("%d Hz: %.1f dB, want about %.1f", rate, got, want)
		}
	}
}

func TestRecoverBeatsConceal(t *testing.T) {
	for _, ms := range []int{20, 40, 60} {
		frame := 8 * ms
		e := openEncoder(t, media.Opus, 8000, DefaultOpus())
		e.SetLoss(20)
		packets := encodeAll(t, e, vowels(8000, 48000), frame)
		clean := decodeAll(t, openDecoder(t, media.Opus, 8000), packets)
		recovered := withLosses(t, packets, frame, true)
		concealed := withLosses(t, packets, frame, false)
		var want, with, without []int16
		for i := 4; i < len(packets)-1; i += 5 {
			want = append(want, clean[i*frame:(i+1)*frame]...)
			with = append(with, recovered[i*frame:(i+1)*frame]...)
			without = append(without, concealed[i*frame:(i+1)*frame]...)
		}
		a, b := snrDB(want, with), snrDB(want, without)
		t.Logf("%d ms: %.1f dB recovered, %.1f dB concealed", ms, a, b)
		if a < b+3 {
			t.Errorf("%d ms: %.1f dB recovered, %.1f dB concealed", ms, a, b)
		}
	}
}

// withLosses decodes packets, every fifth of them lost.
func withLosses(t *testing.T, packets [][]byte, frame int, fec bool) []int16 {
	t.Helper()
	d := openDecoder(t, media.Opus, 8000)
	var pcm []int16
	for i, p := range packets {
		buf := make([]int16, frame)
		var err error
		switch {
		case i%5 != 4:
			_, err = d.Decode(p, buf)
		case fec && i+1 < len(packets):
			_, err = d.Recover(packets[i+1], buf)
		default:
			_, err = d.Conceal(buf)
		}
		if err != nil {
			t.Fatal(err)
		}
		pcm = append(pcm, buf...)
	}
	return pcm
}

func TestWithoutLossNoRedundancyIsSent(t *testing.T) {
	fec := func(s OpusSettings, loss int) [][]byte {
		e := openEncoder(t, media.Opus, 8000, s)
		e.SetLoss(loss)
		return encodeAll(t, e, vowels(8000, 16000), 160)
	}
	plain, off := DefaultOpus(), DefaultOpus()
	off.FEC = false
	if hasRedundancy(fec(plain, 0)) {
		t.Error("redundancy without loss")
	}
	if !hasRedundancy(fec(plain, 20)) {
		t.Error("no redundancy with 20 % loss")
	}
	if hasRedundancy(fec(off, 20)) {
		t.Error("redundancy though switched off")
	}
}

// hasRedundancy looks for the LBRR flag of SILK mono packets with one 20 ms
// frame, RFC 6716 section 4.2.3: the second bit after the TOC byte.
func hasRedundancy(packets [][]byte) bool {
	n := 0
	for _, p := range packets {
		if len(p) > 1 && p[1]&0x40 != 0 {
			n++
		}
	}
	return n > len(packets)/4
}

// The second of two calls may get the state of the first: it has to sound as good
// as with a new one, cost as much, and hold nothing of what the first one said.
func TestUsedEncoderIsAsGoodAsNew(t *testing.T) {
	for _, rate := range []int{8000, 16000} {
		used, pcm := usedEncoder(t, rate), vowels(rate, 2*rate)
		fresh, err := opusEngine.newEncoder(rate)
		if err != nil {
			t.Fatal(err)
		}
		want, wantBytes := throughState(t, fresh, rate, pcm)
		got, gotBytes := throughState(t, used, rate, pcm)
		if a, b := bestSNR(pcm, want), bestSNR(pcm, got); b < a-0.5 {
			t.Errorf("%d Hz: a used encoder sounds %.1f dB like its input, a new one %.1f", rate, b, a)
		}
		if gotBytes > wantBytes*103/100 {
			t.Errorf("%d Hz: a used encoder wrote %d bytes, a new one %d", rate, gotBytes, wantBytes)
		}
		heard, _ := throughState(t, usedEncoder(t, rate), rate, make([]int16, rate/10))
		if db := media.Level(heard[:rate/50]); db > -85 {
			t.Errorf("%d Hz: a used encoder begins with a trace of what it heard before, at %.0f dBov", rate, db)
		}
	}
}

// usedEncoder is one that was stopped amid loud sound.
func usedEncoder(t *testing.T, rateHz int) engineEncoder {
	t.Helper()
	e, err := opusEngine.newEncoder(rateHz)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.configure(OpusSettings{Bitrate: 9000, Complexity: 10, DTX: true, FEC: true}), e.setLoss(30)); err != nil {
		t.Fatal(err)
	}
	pcm, out := sine(440, rateHz, rateHz*6/5, 20000), make([]byte, MaxPayload)
	for frame := rateHz * 3 / 50; len(pcm) >= frame; pcm = pcm[frame:] {
		if _, err := e.encode(pcm[:frame], out); err != nil {
			t.Fatal(err)
		}
	}
	if !e.reset() {
		t.Fatal("it cannot be used again")
	}
	return e
}

// throughState encodes in 20 ms packets as a new call does, and decodes.
func throughState(t *testing.T, e engineEncoder, rateHz int, pcm []int16) (heard []int16, bytes int) {
	t.Helper()
	if err := e.configure(DefaultOpus()); err != nil {
		t.Fatal(err)
	}
	frame, out := rateHz/50, make([]byte, MaxPayload)
	var packets [][]byte
	for ; len(pcm) >= frame; pcm = pcm[frame:] {
		n, err := e.encode(pcm[:frame], out)
		if err != nil {
			t.Fatal(err)
		}
		packets, bytes = append(packets, slices.Clone(out[:n])), bytes+n
	}
	return decodeAll(t, openDecoder(t, media.Opus, rateHz), packets), bytes
}

func TestUsedDecoderBehavesAsNew(t *testing.T) {
	packets := encodeAll(t, openEncoder(t, media.Opus, 8000, DefaultOpus()), vowels(8000, 16000), 160)
	fresh := &engine{name: "fresh pools", newDecoder: opusEngine.newDecoder}
	first, err := newOpusDecoder(fresh, 8000)
	if err != nil {
		t.Fatal(err)
	}
	want := decodeAll(t, first, packets)
	for range 8 {
		used := openDecoder(t, media.Opus, 8000)
		decodeAll(t, used, stereoPackets(t))
		_, err1 := used.Recover(packets[0], make([]int16, 320))
		_, err2 := used.Conceal(make([]int16, 960))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		used.Close()
		got := decodeAll(t, openDecoder(t, media.Opus, 8000), packets)
		if !slices.Equal(got, want) {
			t.Fatal("sounds different from a new decoder")
		}
	}
}

func TestClosedCodecsRefuse(t *testing.T) {
	pcm, out := make([]int16, 160), make([]byte, MaxPayload)
	for _, codec := range []media.Codec{media.PCMU, media.Opus} {
		d, e := openDecoder(t, codec, 8000), openEncoder(t, codec, 8000, DefaultOpus())
		n, _ := e.Encode(pcm, out)
		d.Close()
		e.Close()
		e.SetLoss(5)
		_, err1 := d.Decode(out[:n], pcm)
		_, err2 := d.Conceal(pcm)
		_, err3 := e.Encode(pcm, out)
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s after Close: %v", codec, err)
			}
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, s := range []OpusSettings{{Bitrate: 500}, {Bitrate: 900000}, {Complexity: 11}, {Complexity: -1}} {
		if _, err := NewEncoder(media.Opus, 8000, s); err == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
}

func TestEncoderRefusesOddFrames(t *testing.T) {
	e := openEncoder(t, media.Opus, 8000, DefaultOpus())
	for _, n := range []int{0, 1, 40, 159, 240, 640, 960} {
		if _, err := e.Encode(make([]int16, n), make([]byte, MaxPayload)); !errors.Is(err, ErrLength) {
			t.Errorf("%d samples: %v", n, err)
		}
	}
	if _, err := e.Encode(make([]int16, 160), make([]byte, 3)); !errors.Is(err, ErrShort) {
		t.Errorf("3 bytes of room: %v", err)
	}
}

// brittle panics, as an engine with a bug would.
type brittle struct{ engineDecoder }

func (brittle) decode([]byte, []int16) error  { panic("index out of range") }
func (brittle) recover([]byte, []int16) error { panic("index out of range") }
func (brittle) conceal([]int16) error         { panic("index out of range") }

func TestEnginePanicCostsOneStream(t *testing.T) {
	for name, use := range map[string]func(Decoder) (int, error){
		"decode":  func(d Decoder) (int, error) { return d.Decode([]byte{0x08}, make([]int16, 160)) },
		"recover": func(d Decoder) (int, error) { return d.Recover([]byte{0x08}, make([]int16, 160)) },
		"conceal": func(d Decoder) (int, error) { return d.Conceal(make([]int16, 160)) },
	} {
		d := &opusDecoder{state: brittle{}, rateHz: 8000}
		if n, err := use(d); n != 0 || !errors.Is(err, ErrEngine) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if _, err := use(d); !errors.Is(err, ErrClosed) {
			t.Errorf("%s again: %v: the state is still in use", name, err)
		}
		d.Close() // would panic on the missing pool if it kept the state
	}
}

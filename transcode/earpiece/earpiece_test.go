package earpiece

import (
	"slices"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/stoi"
	"github.com/roomline/roomline/transcode"
)

// spoken is recorded speech: of a tone Opus sends no redundancy.
func spoken(t *testing.T) []int16 {
	t.Helper()
	law := media.Speech()
	d, err := transcode.NewDecoder(media.PCMU, media.NarrowbandHz)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	pcm := make([]int16, len(law))
	if _, err := d.Decode(law, pcm); err != nil {
		t.Fatal(err)
	}
	return pcm
}

// stream is speech in packets that arrive as they are sent.
func stream(t *testing.T, codec media.Codec, n int) (packets []media.Packet) {
	t.Helper()
	e, err := transcode.NewEncoder(codec, media.NarrowbandHz, transcode.OpusSettings{Complexity: 5, FEC: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.SetLoss(20)
	pcm, out := spoken(t), make([]byte, transcode.MaxPayload)
	for i := range n {
		k, err := e.Encode(pcm[i*media.FrameSamples:(i+1)*media.FrameSamples], out)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, media.Packet{Codec: codec, SequenceNumber: uint16(65530 + i), Timestamp: uint32(i*codec.ClockRate()/50) - 2000,
			Payload: slices.Clone(out[:k]), Arrived: time.Unix(1000, 0).Add(time.Duration(i) * 20 * time.Millisecond)})
	}
	return packets
}

func TestHearsSpeechOverLoss(t *testing.T) {
	for _, codec := range []media.Codec{media.PCMU, media.Opus} {
		packets := stream(t, codec, 100)
		slices.Reverse(packets[20:24])        // overtaken
		packets = append(packets, packets[3]) // twice
		packets[50].Arrived = packets[50].Arrived.Add(time.Second)
		packets = slices.Delete(packets, 60, 61)
		h, err := Play(packets, media.NarrowbandHz)
		if err != nil {
			t.Fatal(err)
		}
		if len(h.PCM) != 16000 || h.Late != 1 || h.Recovered+h.Concealed != 40*time.Millisecond {
			t.Errorf("%s: %d samples, %d late, %s recovered, %s concealed", codec, len(h.PCM), h.Late, h.Recovered, h.Concealed)
		}
		if want := map[media.Codec]time.Duration{media.Opus: 40 * time.Millisecond}[codec]; h.Recovered != want {
			t.Errorf("%s: %s recovered, want %s", codec, h.Recovered, want)
		}
		said := spoken(t)[:len(h.PCM)]
		if f, err := stoi.Follow(said, h.PCM, media.NarrowbandHz, 800); err != nil || f.STOI < 0.95 {
			t.Errorf("%s: %.3f %v", codec, f.Score, err)
		}
	}
}

func TestBufferIsAsDeepAsTheJitter(t *testing.T) {
	packets := stream(t, media.PCMU, 200)
	for i := range packets {
		packets[i].Arrived = packets[i].Arrived.Add(time.Duration(i%4) * 15 * time.Millisecond)
	}
	h, err := Play(packets, media.NarrowbandHz)
	if err != nil || h.Late != 0 || h.Buffer != 65*time.Millisecond {
		t.Errorf("%s of buffer, %d late, %v; want 45 ms and a packet", h.Buffer, h.Late, err)
	}
}

func TestNothingIsHeardOfNothing(t *testing.T) {
	if h, err := Play(nil, media.NarrowbandHz); err != nil || len(h.PCM) != 0 {
		t.Errorf("%+v %v", h, err)
	}
	if Redundant(media.Opus, nil) || Redundant(media.Opus, []byte{0x0b, 0x40}) || Redundant(media.PCMU, []byte{0, 0x40}) {
		t.Error("redundancy is seen where none can be")
	}
}

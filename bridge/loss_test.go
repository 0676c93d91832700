package bridge

import (
	"fmt"
	"slices"
	"sort"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/impair"
	"github.com/roomline/roomline/media/stoi"
	"github.com/roomline/roomline/transcode"
	"github.com/roomline/roomline/transcode/earpiece"
)

// A lossRoad is how somebody speaks to somebody over a bad network: its loss is
// on the speaker's hop (uplink) or on the listener's.
type lossRoad struct {
	name     string
	from, to media.Codec
	rateHz   int  // that the speaker encodes Opus at
	uplink   bool // else the listener's hop is bad
	mixed    bool // a third one makes noise all the time
	kind     string
}

var lossRoads = []lossRoad{
	{name: "PCMU phone to Opus browser, phone's hop", from: media.PCMU, to: media.Opus, uplink: true, kind: KindWHEP},
	{name: "PCMU phone to Opus browser, browser's hop", from: media.PCMU, to: media.Opus, kind: KindWHEP},
	{name: "Opus browser to PCMU phone, browser's hop", from: media.Opus, to: media.PCMU, rateHz: 16000, uplink: true, kind: KindPhone},
	{name: "Opus browser to PCMU phone, phone's hop", from: media.Opus, to: media.PCMU, rateHz: 16000, kind: KindPhone},
	{name: "PCMU to PCMU, speaker's hop", from: media.PCMU, to: media.PCMU, uplink: true, kind: KindPhone},
	{name: "Opus trunk to PCMU phone, trunk's hop", from: media.Opus, to: media.PCMU, rateHz: 8000, uplink: true, kind: KindPhone},
	{name: "three in a room, PCMU phone to PCMU phone, speaker's hop", from: media.PCMU, to: media.PCMU, uplink: true, mixed: true, kind: KindPhone},
	{name: "three in a room, Opus browser to PCMU phone, browser's hop", from: media.Opus, to: media.PCMU, rateHz: 16000, uplink: true, mixed: true, kind: KindPhone},
}

// lossResult is one cell of the table.
type lossResult struct {
	stoi.Score
	r, mos    float64
	gateway   Hearing
	ear       earpiece.Heard
	delay     time.Duration // mouth to ear
	concealed float64       // percent, both ends
	recovered float64
}

func (l lossResult) String() string {
	return fmt.Sprintf("STOI %.3f ESTOI %.3f R %.1f MOS %.2f concealed %.1f %% recovered %.1f %% delay %d ms (ear's buffer %d)",
		l.STOI, l.ESTOI, l.r, l.mos, l.concealed, l.recovered, l.delay.Milliseconds(), l.ear.Buffer.Milliseconds())
}

// spokenOften is the recorded speech n times over, with the silence that packets need at the end.
func spokenOften(t *testing.T, n int) []int16 {
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
	return slices.Repeat(pcm[:len(pcm)/media.FrameSamples*media.FrameSamples], n)
}

// due is a packet on its way into a source.
type due struct {
	at     time.Duration
	src    *Source
	packet *media.Packet
}

// sends makes the packets of a speaker as they leave its network.
func sends(t *testing.T, src *Source, pcm []int16, codec media.Codec, rateHz int, loss int, link *impair.Link) (all []due) {
	t.Helper()
	if rateHz == 0 {
		rateHz = media.NarrowbandHz
	}
	e, err := transcode.NewEncoder(codec, rateHz, transcode.OpusSettings{Bitrate: 32000, Complexity: 5, FEC: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.SetLoss(loss)
	var up transcode.Upsampler
	out, wide := make([]byte, transcode.MaxPayload), make([]int16, 2*media.FrameSamples)
	for i := 0; (i+1)*media.FrameSamples <= len(pcm); i++ {
		frame := pcm[i*media.FrameSamples : (i+1)*media.FrameSamples]
		if rateHz == media.WidebandHz {
			frame = wide[:up.Process(frame, wide)]
		}
		n, err := e.Encode(frame, out)
		if err != nil {
			t.Fatal(err)
		}
		p := &media.Packet{Codec: codec, SequenceNumber: uint16(65000 + i), Timestamp: uint32(i) * uint32(codec.ClockRate()/50), Payload: slices.Clone(out[:n])}
		sent := time.Duration(i+1) * media.FrameDuration
		for _, at := range link.Carry(time.Unix(0, 0).Add(sent)) {
			all = append(all, due{at.Sub(time.Unix(0, 0)), src, p})
		}
	}
	return all
}

// over sends speech over a road in simulated time.
func (l lossRoad) over(t *testing.T, said []int16, n impair.Network) (got lossResult) {
	t.Helper()
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		speaker, listener, w := join(t, r, "speaker", KindPhone), join(t, r, "listener", l.kind), &wire{}
		listener.Listen(w, l.to, 0)
		src, err := speaker.Publish(TrackSpec{ID: "voice", Codec: l.from})
		if err != nil {
			t.Fatal(err)
		}
		if !l.uplink {
			listener.SetQuality(media.Quality{RemoteLoss: n.Loss})
		}
		up, down := impair.NewLink(impair.Network{}), impair.NewLink(n)
		if l.uplink {
			up, down = down, up
		}
		packets := sends(t, src, said, l.from, l.rateHz, int(n.Loss), up)
		if l.mixed {
			third, err := join(t, r, "third", KindPhone).Publish(TrackSpec{ID: "voice", Codec: media.PCMU})
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, sends(t, third, make([]int16, len(said)), media.PCMU, 0, 0, impair.NewLink(impair.Network{}))...)
		}
		sort.SliceStable(packets, func(i, j int) bool { return packets[i].at < packets[j].at })
		time.Sleep(time.Second)
		start := time.Now()
		for _, d := range packets {
			time.Sleep(d.at - time.Since(start))
			p := *d.packet
			p.Arrived = time.Now()
			d.src.Push(&p)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		got = l.judge(t, said, start, w, down, n)
		got.gateway = src.Hearing()
	})
	return got
}

// judge listens to what was written.
func (l lossRoad) judge(t *testing.T, said []int16, start time.Time, w *wire, down *impair.Link, n impair.Network) (got lossResult) {
	t.Helper()
	var arrived []media.Packet
	for i, p := range w.packets {
		for _, at := range down.Carry(w.at[i]) {
			p.Arrived = at
			arrived = append(arrived, p)
		}
	}
	var err error
	if got.ear, err = earpiece.Play(arrived, media.NarrowbandHz); err != nil {
		t.Fatal(err)
	}
	ahead := int(start.Sub(got.ear.Start) * media.NarrowbandHz / time.Second)
	heard := got.ear.PCM
	if ahead > 0 {
		heard = heard[ahead:]
	} else {
		heard = append(make([]int16, -ahead), heard...)
	}
	f, err := stoi.Follow(said, heard, media.NarrowbandHz, media.NarrowbandHz)
	if err != nil {
		t.Fatal(err)
	}
	got.Score = f.Score
	slices.Sort(f.Delays)
	got.delay = time.Duration(f.Delays[len(f.Delays)/2]) * time.Second / media.NarrowbandHz
	whole := float64(len(said)) / media.NarrowbandHz
	got.concealed = 100 * got.ear.Concealed.Seconds() / whole
	got.recovered = 100 * got.ear.Recovered.Seconds() / whole
	got.r, got.mos = media.EModel(l.to, got.concealed, n.Burst, got.delay)
	return got
}

// TestSpeechIsUnderstoodOverLoss is the short form of the table in docs/network.md.
func TestSpeechIsUnderstoodOverLoss(t *testing.T) {
	said := spokenOften(t, 3)
	for _, l := range lossRoads {
		t.Run(l.name, func(t *testing.T) {
			for _, loss := range []float64{0, 2, 5, 10} {
				n := impair.Network{Loss: loss, Burst: 2.5, Seed: 1}
				got := l.over(t, said, n)
				t.Logf("%2g %%: %s; gateway %+v", loss, got, got.gateway)
			}
		})
	}
}

package bridge

import (
	"cmp"
	"fmt"
	"math"
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
	rateHz   int     // that the speaker encodes Opus at
	red      bool    // the speaker repeats each packet in the next
	uplink   bool    // else the listener's hop is bad
	least    float64 // R at 2 % of loss; 0: 80
	mixed    bool    // a third one makes noise all the time
	kind     string
}

// mixedOpusLeast is what R comes to where several are mixed: the jitter buffer waits
// for redundancy, a packet longer, once it was of use twice (docs/network.md).
const mixedOpusLeast = 79

var lossRoads = []lossRoad{
	{name: "PCMU phone to Opus browser, phone's hop", from: media.PCMU, to: media.Opus, uplink: true, kind: KindWHEP},
	{name: "PCMU phone to Opus browser, browser's hop", from: media.PCMU, to: media.Opus, kind: KindWHEP},
	{name: "Opus browser to PCMU phone, browser's hop", from: media.Opus, to: media.PCMU, rateHz: 16000, uplink: true, kind: KindPhone},
	{name: "Opus browser with RED to PCMU phone, browser's hop", from: media.Opus, to: media.PCMU, rateHz: 16000, red: true, uplink: true, kind: KindPhone},
	{name: "Opus browser to PCMU phone, phone's hop", from: media.Opus, to: media.PCMU, rateHz: 16000, kind: KindPhone},
	{name: "PCMU to PCMU, speaker's hop", from: media.PCMU, to: media.PCMU, uplink: true, kind: KindPhone},
	{name: "Opus trunk to PCMU phone, trunk's hop", from: media.Opus, to: media.PCMU, rateHz: 8000, uplink: true, kind: KindPhone},
	{name: "three in a room, PCMU phone to PCMU phone, speaker's hop", from: media.PCMU, to: media.PCMU, uplink: true, mixed: true, kind: KindPhone},
	{name: "three in a room, Opus browser with RED to PCMU phone, browser's hop", from: media.Opus, to: media.PCMU, rateHz: 16000, red: true, uplink: true, mixed: true, kind: KindPhone, least: mixedOpusLeast},
	{name: "three in a room, Opus browser to PCMU phone, browser's hop", from: media.Opus, to: media.PCMU, rateHz: 16000, uplink: true, mixed: true, kind: KindPhone, least: mixedOpusLeast},
}

// lossResult is one cell of the table.
type lossResult struct {
	stoi.Score
	r, mos    float64
	gateway   Hearing
	ear       earpiece.Heard
	delay     time.Duration // mouth to ear
	concealed float64       // percent of what was said, at both ends
	recovered float64
}

func (l lossResult) String() string {
	return fmt.Sprintf("STOI %.3f, ESTOI %.3f, R %.1f, MOS %.2f, concealed %.1f %%, recovered %.1f %%, mouth to ear %d ms, of it the gateway's buffer %d ms and the ear's %d ms",
		l.STOI, l.ESTOI, l.r, l.mos, l.concealed, l.recovered, l.delay.Milliseconds(), l.gateway.Buffer.Milliseconds(), l.ear.Buffer.Milliseconds())
}

// understoodLeast is how much is to be understood at a loss in percent.
var understoodLeast = map[float64]float64{0: 0.95, 2: 0.9, 5: 0.85, 10: 0.7}

// suffices compares a cell with what was asked for.
func (l lossResult) suffices(t *testing.T, loss, r float64) {
	t.Helper()
	if l.STOI < understoodLeast[loss] {
		t.Errorf("%g %%: STOI %.3f, want %.2f", loss, l.STOI, understoodLeast[loss])
	}
	if loss == 2 && l.r < r {
		t.Errorf("%g %%: R %.1f, want %g", loss, l.r, r)
	}
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

// sends makes the packets of a speaker as they leave its network, with those that
// the redundancy of the next packet (RFC 2198, one deep, as Chromium has it) brings back.
func sends(t *testing.T, src *Source, pcm []int16, codec media.Codec, rateHz, loss int, red bool, link *impair.Link) (all []due) {
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
	var lost *media.Packet // the one before, which RED repeats
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
		arrivals := link.Carry(time.Unix(0, 0).Add(sent))
		for _, at := range arrivals {
			if lost != nil && red {
				lost.Redundant = true
				all = append(all, due{at.Sub(time.Unix(0, 0)), src, lost})
			}
			all = append(all, due{at.Sub(time.Unix(0, 0)), src, p})
		}
		if lost = nil; len(arrivals) == 0 {
			lost = p
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
			listener.SetQuality(media.Quality{RemoteLoss: n.Loss}, time.Now())
		}
		up, down := impair.NewLink(impair.Network{}), impair.NewLink(n)
		if l.uplink {
			up, down = down, up
		}
		packets := sends(t, src, said, l.from, l.rateHz, int(n.Loss), l.red, up)
		if l.mixed {
			third, err := join(t, r, "third", KindPhone).Publish(TrackSpec{ID: "voice", Codec: media.PCMU})
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, sends(t, third, make([]int16, len(said)), media.PCMU, 0, 0, false, impair.NewLink(impair.Network{}))...)
		}
		sort.SliceStable(packets, func(i, j int) bool { return packets[i].at < packets[j].at })
		time.Sleep(time.Second + 3*time.Millisecond) // never at the same instant as a beat: who comes first would be a matter of luck
		start := time.Now()
		for _, d := range packets {
			time.Sleep(d.at - time.Since(start))
			p := *d.packet
			p.Arrived = time.Now()
			d.src.Push(&p)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		got = l.judge(t, said, start, w, down, src.Hearing(), n)
	})
	return got
}

// judge listens to what was written.
func (l lossRoad) judge(t *testing.T, said []int16, start time.Time, w *wire, down *impair.Link, hearing Hearing, n impair.Network) (got lossResult) {
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
	got.gateway = hearing
	l.rate(&got, time.Duration(len(said))*time.Second/media.NarrowbandHz, n)
	return got
}

// rate is the E-model's judgement: by the codec of the bad hop, and what had to be
// concealed after all redundancy was used. Towards Opus a gap stays one: what the
// gateway conceals there is heard by nobody.
func (l lossRoad) rate(got *lossResult, whole time.Duration, n impair.Network) {
	concealed, recovered, codec := got.ear.Concealed, got.ear.Recovered, l.to
	if l.uplink {
		codec = l.from
	}
	if l.to != media.Opus {
		concealed, recovered = concealed+got.gateway.Concealed, recovered+got.gateway.Recovered
	}
	got.concealed = 100 * concealed.Seconds() / whole.Seconds()
	got.recovered = 100 * recovered.Seconds() / whole.Seconds()
	got.r, got.mos = media.EModel(codec, got.concealed, n.Burst*(1-n.Loss/100), got.delay)
}

// networkOf is the first network, by its seed, that loses what it should of so much
// sound, within a twentieth, and in bursts of 2.5 packets on average.
func networkOf(loss float64, jitter time.Duration, samples int) impair.Network {
	n := impair.Network{Loss: loss, Burst: 2.5, Jitter: jitter}
	for packets := samples / media.FrameSamples; ; n.Seed++ {
		l, lost := impair.NewLink(n), 0.0
		for range packets {
			if len(l.Carry(time.Time{})) == 0 {
				lost += 100 / float64(packets)
			}
		}
		if math.Abs(lost-loss) <= loss/20 {
			return n
		}
	}
}

// TestSpeechIsUnderstoodOverLoss is the short form of the table in docs/network.md.
// The race detector, which makes codecs slow, gets a shorter one.
func TestSpeechIsUnderstoodOverLoss(t *testing.T) {
	said, losses := spokenOften(t, 2), []float64{0, 2, 5, 10}
	if raceOn {
		said, losses = spokenOften(t, 1), losses[2:3]
	}
	for _, l := range lossRoads {
		t.Run(l.name, func(t *testing.T) {
			for _, loss := range losses {
				got := l.over(t, said, networkOf(loss, 0, len(said)))
				t.Logf("%2g %%: %s", loss, got)
				got.suffices(t, loss, cmp.Or(l.least, 80))
			}
		})
	}
}

package main

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc/whip"
	"github.com/roomline/roomline/phone"
	"github.com/roomline/roomline/room"
	"github.com/roomline/roomline/transcode"
)

const (
	measureFor = 8 * time.Second
	mostDelay  = 500 * time.Millisecond
	look       = media.NarrowbandHz / 2 // samples that are searched for in what was said
)

// guest is the demo's listener: it hears the room by WHEP and speaks by WHIP,
// as one Person, and notes when sound comes.
type guest struct {
	speaker, listener *whip.Client
	stop              context.CancelFunc
	speaking          sync.WaitGroup
	said              []time.Time // onsets; the speaker's until it has stopped

	mu      sync.Mutex
	decoder transcode.Decoder
	pcm     [960]int16
	heard   []int16
	origins []time.Time // when sample 0 of heard would have come, by each packet
	first   media.Packet
	last    uint16
	packets int
}

// enter lets a guest into the demo's room.
func (d *demo) enter(ctx context.Context) (*guest, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	token, _, err := d.g.keys.Mint(room.Claims{Identity: "guest", Name: "Guest", Role: bridge.RoleGuest, Room: demoRoom}, time.Hour, time.Now())
	if err != nil {
		return nil, err
	}
	base := d.g.url() + "/v1/rooms/" + demoRoom
	x := &guest{}
	if x.decoder, err = transcode.NewDecoder(media.Opus, media.NarrowbandHz); err != nil {
		return nil, err
	}
	if x.listener, err = whip.Listen(ctx, base+"/whep", token, x.hear); err != nil {
		return nil, err
	}
	if x.speaker, err = whip.Publish(ctx, base+"/whip", token); err != nil {
		x.listener.Close()
		return nil, err
	}
	running, stop := context.WithCancel(context.Background())
	x.stop = stop
	x.speaking.Go(func() { x.speak(running) })
	return x, nil
}

// hear decodes one packet and places it by its timestamp.
func (x *guest) hear(p *media.Packet) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.packets == 0 {
		x.first = *p
	}
	x.last = p.SequenceNumber
	x.packets++
	n, err := x.decoder.Decode(p.Payload, x.pcm[:])
	if err != nil {
		return
	}
	at := int(p.Timestamp-x.first.Timestamp) / 6
	for len(x.heard) < at && at < 2*int(measureFor.Seconds())*media.NarrowbandHz {
		x.heard = append(x.heard, 0)
	}
	x.heard = append(x.heard, x.pcm[:n]...)
	x.origins = append(x.origins, p.Arrived.Add(-samples(at)))
}

func samples(n int) time.Duration { return time.Duration(n) * time.Second / media.NarrowbandHz }

// speak says short tones, one a second, so that each has a beginning to be found.
func (x *guest) speak(ctx context.Context) {
	encoder, err := transcode.NewEncoder(media.Opus, media.NarrowbandHz, transcode.DefaultOpus())
	if err != nil {
		return
	}
	defer encoder.Close()
	tone := media.Sine(700, media.NarrowbandHz, -20)
	out := make([]byte, transcode.MaxPayload)
	p := media.Packet{Codec: media.Opus}
	tick := time.NewTicker(media.FrameDuration)
	defer tick.Stop()
	for i := 0; ; i++ {
		var pcm [media.FrameSamples]int16
		if i%50 >= 25 && i%50 < 40 {
			tone.Fill(pcm[:])
		}
		n, err := encoder.Encode(pcm[:], out)
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if i%50 == 25 {
			x.said = append(x.said, time.Now())
		}
		p.Payload = out[:n]
		x.speaker.WritePacket(&p)
		p.SequenceNumber++
		p.Timestamp += uint32(media.FrameSamples * 6)
	}
}

// heardFrom judges the way from the phone to the room.
func (x *guest) heardFrom(c *phone.Call) leg {
	x.mu.Lock()
	defer x.mu.Unlock()
	loss := 100.0
	if x.packets > 0 {
		sent := int(x.last-x.first.SequenceNumber) + 1
		loss = 100 * float64(sent-x.packets) / float64(sent)
	}
	var origins []time.Time
	for _, p := range c.Sendings() {
		origins = append(origins, p.At.Add(-samples(p.Position)))
	}
	var delays []time.Duration
	if d, ok := shift(c.Said(), x.heard, middle(x.origins).Sub(middle(origins))); ok {
		delays = append(delays, d)
	}
	return newLeg(x.heard, media.Opus, loss, delays)
}

// heardBy judges the way from the room to the phone.
func (x *guest) heardBy(c *phone.Call) leg {
	x.stop()
	x.speaking.Wait()
	pcm := c.Heard()
	pcm = pcm[max(0, len(pcm)-int(measureFor.Seconds())*media.NarrowbandHz):]
	return newLeg(pcm, media.PCMU, c.Report().Quality.LossPercent, phone.Delays(x.said, c.HeardOnsets(), mostDelay))
}

func (x *guest) leave() {
	x.stop()
	x.speaking.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	x.speaker.Leave(ctx)
	x.listener.Leave(ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.decoder.Close()
}

// shift finds the delay with which said is heard again; apart is how much later
// the first sample of heard came than the first of said was sent. The loudest
// half second is looked for where it may be.
func shift(said, heard []int16, apart time.Duration) (delay time.Duration, ok bool) {
	from, loudest := 0, -127.0
	for at := 0; at+look <= len(heard); at += look / 2 {
		if db := media.Level(heard[at : at+look]); db > loudest {
			from, loudest = at, db
		}
	}
	if from+look > len(heard) {
		return 0, false
	}
	known, best := heard[from:from+look], 0.0
	offset := int(apart * media.NarrowbandHz / time.Second)
	for d := range int(mostDelay * media.NarrowbandHz / time.Second) {
		at := from + offset - d
		if at < 0 || at+look > len(said) {
			continue
		}
		if score := likeness(known, said[at:at+look]); score > best {
			best, delay = score, samples(d)+apart-samples(offset)
		}
	}
	return delay, best > 0.5
}

// likeness is the correlation of two sounds, -1 to 1.
func likeness(a, b []int16) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

func middle(t []time.Time) time.Time {
	if len(t) == 0 {
		return time.Time{}
	}
	t = slices.Clone(t)
	slices.SortFunc(t, time.Time.Compare)
	return t[len(t)/2]
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

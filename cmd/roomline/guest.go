package main

import (
	"context"
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
	quietDB    = -55.0 // below it is silence
	quietFor   = 3     // packets of silence before an onset counts
)

// guest is the demo's listener: it hears the room by WHEP and speaks by WHIP,
// as one Person, and notes when sound begins.
type guest struct {
	speaker, listener *whip.Client
	stop              context.CancelFunc
	speaking          sync.WaitGroup
	said              []time.Time // onsets; the speaker's until it has stopped

	mu      sync.Mutex
	decoder transcode.Decoder
	pcm     [960]int16
	heard   []int16
	onsets  []time.Time
	quiet   int
	first   uint16
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
	x := &guest{quiet: quietFor}
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

// hear decodes one packet and looks for the beginning of sound in it.
func (x *guest) hear(p *media.Packet) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.packets == 0 {
		x.first = p.SequenceNumber
	}
	x.last = p.SequenceNumber
	x.packets++
	n, err := x.decoder.Decode(p.Payload, x.pcm[:])
	if err != nil {
		return
	}
	pcm := x.pcm[:n]
	x.heard = append(x.heard, pcm...)
	at := media.Onset(pcm, media.NarrowbandHz, quietDB+10)
	if at >= 0 && x.quiet >= quietFor {
		x.onsets = append(x.onsets, p.Arrived.Add(time.Duration(at)*time.Second/media.NarrowbandHz))
	}
	if media.Level(pcm) < quietDB {
		x.quiet++
	} else {
		x.quiet = 0
	}
}

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
		sent := int(x.last-x.first) + 1
		loss = 100 * float64(sent-x.packets) / float64(sent)
	}
	return newLeg(x.heard, media.Opus, loss, phone.Delays(c.SaidOnsets(), x.onsets, mostDelay))
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

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

package sip

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

const (
	listenTime = 3 * time.Second
	listenMost = 30 * time.Second
	testToneHz = 1004  // the telephone network's test tone
	testToneDB = -20.0 // dBov
	quietDB    = -60.0 // below this a call is silent
)

// ear measures what comes in.
type ear struct {
	mu      sync.Mutex
	packets int
	loudest float64
	decoder transcode.Decoder
	codec   media.Codec
	rate    int
	pcm     [6000]int16
}

// hear takes one packet; it runs on the packet's goroutine.
func (e *ear) hear(p *media.Packet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.packets++
	if p.Codec != e.codec || e.decoder == nil {
		return
	}
	if n, err := e.decoder.Decode(p.Payload, e.pcm[:]); err == nil && n > 0 {
		e.loudest = max(e.loudest, media.Level(e.pcm[:n]))
	}
}

func roadOf(c media.Codec) int {
	if c == media.G722 {
		return media.WidebandHz
	}
	return media.NarrowbandHz
}

// listen sends a tone and says what came back.
func (p *probe) listen(ctx context.Context, line *Line) outcome {
	session := line.Media()
	codec := session.Params().Codec
	e := &ear{loudest: media.Silence, codec: codec, rate: roadOf(codec)}
	var err error
	if e.decoder, err = transcode.NewDecoder(codec, e.rate); err != nil {
		return failedStep("the codec "+codec.String()+" cannot be listened to", "")
	}
	before := session.Quality()
	session.Receive(e.hear, nil)
	hungUp := p.sendTone(ctx, line, codec, e.rate)
	session.Receive(nil, nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.decoder.Close()
	e.decoder = nil
	return p.judge(line, before, session.Quality(), e, hungUp)
}

// sendTone sends the test tone for as long as the test listens. It ends early
// with the call.
func (p *probe) sendTone(ctx context.Context, line *Line, codec media.Codec, rate int) (hungUp bool) {
	d := p.test.Listen
	if d <= 0 {
		d = listenTime
	}
	encoder, err := transcode.NewEncoder(codec, rate, transcode.DefaultOpus())
	if err != nil {
		return false
	}
	defer encoder.Close()
	tone := media.Sine(testToneHz, rate, testToneDB)
	pcm, payload := make([]int16, rate/50), make([]byte, transcode.MaxPayload)
	packet := media.Packet{Codec: codec, Marker: true}
	beat := time.NewTicker(media.FrameDuration)
	defer beat.Stop()
	end := time.NewTimer(min(d, listenMost))
	defer end.Stop()
	for {
		select {
		case <-beat.C:
			tone.Fill(pcm)
			n, err := encoder.Encode(pcm, payload)
			if err == nil {
				packet.Payload = payload[:n]
				line.Media().WritePacket(&packet)
			}
			packet.Marker = false
			packet.SequenceNumber++
			packet.Timestamp += uint32(codec.ClockRate() / 50)
		case ev, open := <-line.Events():
			if !open || ev.Kind == bridge.LineEnded {
				return true
			}
		case <-end.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// judge puts what was measured into words.
func (p *probe) judge(line *Line, before, after media.Quality, e *ear, hungUp bool) outcome {
	sent, came := after.PacketsSent-before.PacketsSent, after.PacketsReceived-before.PacketsReceived
	words := fmt.Sprintf("%d packets sent, %d received", sent, came)
	if e.packets > 0 {
		words += fmt.Sprintf(", the loudest at %.0f dB", e.loudest)
	}
	switch {
	case after.RoundTripMS > 0 && after.RemoteLoss > 50:
		return failedStep(words+fmt.Sprintf("; their RTCP says that %.0f %% of ours are lost", after.RemoteLoss),
			"our sound hardly reaches them: a firewall on the way out, or a line that is too narrow")
	case came == 0:
		return failedStep(words+"; nothing comes in: one-way audio, they may hear us and we do not hear them", p.deafHint(line))
	case hungUp:
		words += "; they hung up before the test was over"
	}
	if after.RoundTripMS > 0 {
		words += fmt.Sprintf("; their RTCP says that they receive us, %.1f %% lost, %.0f ms there and back", after.RemoteLoss, after.RoundTripMS)
	} else {
		words += "; no RTCP report tells whether they receive us"
	}
	if e.loudest < quietDB {
		return outcome{"ok", words + "; what comes in is silence", "if somebody should have spoken, the silence is made before the carrier; an echo test would tell"}
	}
	return passed("%s", words)
}

// deafHint says why most likely no sound comes in.
func (p *probe) deafHint(line *Line) string {
	ours, theirs := line.Media().LocalAddr(), line.Media().Remote()
	told := ours.Addr()
	if f, err := p.ua.faceTo(theirs, "udp", p.trunk.Listen); err == nil {
		told = f.shownMedia(told)
	}
	if scopeOf(told) < scopeOf(theirs.Addr()) {
		return fmt.Sprintf("we told them to send to %s, which they cannot reach from %s: set --public-ip to the address that the Internet sees", told, theirs.Addr())
	}
	return fmt.Sprintf("they were told to send to %s: let UDP to the ports of --rtp-ports through the firewall and forward them in the router", netip.AddrPortFrom(told, ours.Port()))
}

package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/transcode"
)

// l16 speaks websocket-l16, the plain protocol for programs that want nothing but
// sound. Binary messages are sound both ways: 16-bit little-endian PCM, mono, at
// rate_hz of the agent. The gateway sends 20 ms every 20 ms; the agent sends any
// even number of bytes, faster than real time if it likes. Text messages are JSON:
//
//	gateway → agent  {"type":"start","version":1,"call_id":…,"agent":…,"rate_hz":16000,"parameters":{"from_number":…}}, first of all
//	                 {"type":"dtmf","digit":"5"}, {"type":"mark","name":…} when its place has been heard,
//	                 {"type":"notice","text":…}: what has happened to the call, in words,
//	                 {"type":"error","request":…,"message":…}, {"type":"stop","reason":…} last of all
//	agent → gateway  {"type":"mark","name":…}, {"type":"clear"}, {"type":"stop"}: goodbye; and those of [wish]:
//	                 {"type":"hangup"}, {"type":"dtmf","dtmf":{"digits":"12#"}}, {"type":"transfer","transfer":{"queue":…}},
//	                 {"type":"transcript","transcript":{"text":…}}
//
// The agent's key goes as Authorization: Bearer in the handshake.
type l16 struct {
	leg     *leg
	decoder transcode.Decoder
	encoder transcode.Encoder
	up      upsampler
	down    downsampler

	narrow, wide []int16
	bytes        []byte
}

func newL16(l *leg) (*l16, error) {
	p, times := &l16{leg: l}, max(l.agent.RateHz, media.NarrowbandHz)/media.NarrowbandHz
	p.up, p.down = newUpsampler(times), newDownsampler(times)
	var err error
	if p.decoder, err = transcode.NewDecoder(media.PCMU, media.NarrowbandHz); err != nil {
		return nil, err
	}
	p.encoder, err = transcode.NewEncoder(media.PCMU, media.NarrowbandHz, transcode.OpusSettings{})
	return p, err
}

func (p *l16) handshake(_ string, header http.Header) ([]string, error) {
	if key := p.leg.agent.Key; key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
	return nil, nil
}

func (p *l16) begin() error {
	err := p.tell(map[string]any{
		"type": "start", "version": 1, "call_id": p.leg.spec.CallID, "agent": p.leg.agent.Name,
		"rate_hz": p.up.times * media.NarrowbandHz, "parameters": p.leg.parameters(),
	})
	if err != nil {
		return err
	}
	return p.leg.ready()
}

func (p *l16) inform(words string) error {
	return p.tell(map[string]any{"type": "notice", "text": words})
}

func (p *l16) hear(frame []byte, _ int64) error {
	p.narrow = sized(p.narrow, len(frame))
	n, err := p.decoder.Decode(frame, p.narrow)
	if err != nil {
		return faulty(bridge.FaultInternal, "sound for the agent cannot be decoded: %s", err)
	}
	p.wide = p.up.process(p.narrow[:n], p.wide[:0])
	p.bytes = p.bytes[:0]
	for _, v := range p.wide {
		p.bytes = binary.LittleEndian.AppendUint16(p.bytes, uint16(v))
	}
	return p.leg.send(false, p.bytes)
}

func (p *l16) key(k rtp.Digit) error {
	return p.tell(map[string]any{"type": "dtmf", "digit": string(k.Key)})
}

func (p *l16) played(mark string) error { return p.tell(map[string]any{"type": "mark", "name": mark}) }

func (p *l16) end(reason string) error {
	return p.tell(map[string]any{"type": "stop", "reason": reason})
}

func (p *l16) tell(message map[string]any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return p.leg.send(true, text)
}

func (p *l16) read(text bool, message []byte) error {
	if !text {
		return p.sound(message)
	}
	var m struct {
		Type string `json:"type"`
		Name string `json:"name"`
		wish
	}
	if err := json.Unmarshal(message, &m); err != nil {
		return garbled(err)
	}
	switch m.Type {
	case "mark":
		return p.leg.mark(m.Name)
	case "clear":
		p.down = newDownsampler(p.down.times)
		p.leg.clear()
		return nil
	case "stop":
		return faulty(bridge.FaultNone, "the agent said goodbye")
	}
	return p.leg.grant(m.Type, &m.wish, func(err error) error {
		return p.tell(map[string]any{"type": "error", "request": m.Type, "message": err.Error()})
	})
}

// sound plays what the agent says.
func (p *l16) sound(pcm []byte) error {
	if len(pcm)%2 != 0 {
		return fmt.Errorf("%d bytes of sound came: samples have 2 bytes each", len(pcm))
	}
	p.wide = p.wide[:0]
	for i := 0; i < len(pcm); i += 2 {
		p.wide = append(p.wide, int16(binary.LittleEndian.Uint16(pcm[i:])))
	}
	p.narrow = p.down.process(p.wide, p.narrow[:0])
	p.bytes = sized(p.bytes, len(p.narrow))
	n, err := p.encoder.Encode(p.narrow, p.bytes)
	if err != nil && len(p.narrow) > 0 {
		return errors.New("the sound cannot be encoded")
	}
	return p.leg.say(p.bytes[:n])
}

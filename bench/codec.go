package bench

import (
	"fmt"
	"runtime"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// measureCodec weighs what a call-second costs in codecs alone: 50 frames of
// speech from PCMU to Opus, and 50 of the browser's packets from Opus to PCMU.
func (r *Report) measureCodec(o Options, browser *sound) error {
	phone, err := newSound(media.PCMU, media.NarrowbandHz, 0)
	if err != nil {
		return err
	}
	settings := transcode.OpusSettings{Bitrate: o.Bitrate, Complexity: o.Complexity}
	encode, err := perFrame(phone, media.Opus, settings)
	if err != nil {
		return err
	}
	decode, err := perFrame(browser, media.PCMU, settings)
	if err != nil {
		return err
	}
	r.CPU.EncodeUS = round(encode.Seconds() * 1e6)
	r.CPU.DecodeUS = round(decode.Seconds() * 1e6)
	r.CPU.Codec = round(50 * milliseconds(encode+decode))
	return nil
}

// perFrame returns the processor time from a payload of from to one of to.
func perFrame(from *sound, to media.Codec, s transcode.OpusSettings) (time.Duration, error) {
	d, err := transcode.NewDecoder(from.codec, media.NarrowbandHz)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	e, err := transcode.NewEncoder(to, media.NarrowbandHz, s)
	if err != nil {
		return 0, err
	}
	defer e.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pcm, out := make([]int16, media.FrameSamples), make([]byte, transcode.MaxPayload)
	var begin time.Duration
	for round := range 3 { // the first one warms up
		if round == 1 {
			begin = threadCPU()
		}
		for i, payload := range from.frames {
			n, err := d.Decode(payload, pcm)
			if err == nil {
				_, err = e.Encode(pcm[:n], out)
			}
			if err != nil {
				return 0, fmt.Errorf("frame %d from %s to %s: %w", i, from.codec, to, err)
			}
		}
	}
	return (threadCPU() - begin) / time.Duration(2*len(from.frames)), nil
}

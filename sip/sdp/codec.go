package sdp

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/sip/text"
)

// Payload is one format of an m-line that we know.
type Payload struct {
	Number uint8
	Codec  media.Codec
	Hz     int      // its RTP clock: telephone-event has that of the sound it goes with
	Opus   rtp.Opus // what the describer asks for, if Codec is Opus
}

// format is what a payload number stands for.
type format struct {
	Codec media.Codec
	Hz    int
}

func (p Payload) format() format { return format{p.Codec, p.Hz} }

// static are the payload numbers that need no rtpmap, RFC 3551 section 6.
var static = map[string]Payload{
	"0":  {Number: 0, Codec: media.PCMU, Hz: 8000},
	"8":  {Number: 8, Codec: media.PCMA, Hz: 8000},
	"9":  {Number: 9, Codec: media.G722, Hz: 8000},
	"13": {Number: 13, Codec: media.ComfortNoise, Hz: 8000},
}

// staticNames are numbers of codecs that we do not speak, for words.
var staticNames = map[string]string{"3": "GSM", "4": "G723", "15": "G728", "18": "G729"}

// payloadOf translates one format with its rtpmap, if there is one.
func payloadOf(number, encoding string) (Payload, bool) {
	n, err := strconv.ParseUint(number, 10, 7)
	if err != nil {
		return Payload{}, false
	}
	if encoding == "" {
		p, ok := static[number]
		return p, ok
	}
	parts := strings.Split(encoding, "/")
	codec, ok := media.ParseCodec(parts[0])
	if !ok || len(parts) < 2 || codec.Video() {
		return Payload{}, false
	}
	hz, _ := strconv.Atoi(parts[1])
	wide := codec == media.TelephoneEvent && hz == media.Opus.ClockRate() // RFC 4733 section 2.1
	if hz != codec.ClockRate() && !wide {
		return Payload{}, false
	}
	channels := "1"
	if len(parts) > 2 {
		channels = parts[2]
	}
	if (codec == media.Opus) != (channels == "2") { // RFC 7587 section 7; stereo G.711 is somebody else's
		return Payload{}, false
	}
	return Payload{Number: uint8(n), Codec: codec, Hz: hz}, true
}

// formatName is what we call a format that we do not know.
func formatName(number, encoding string) string {
	name, _, _ := strings.Cut(encoding, "/")
	if name == "" {
		name = staticNames[number]
	}
	if name == "" {
		name = "payload type " + number
	}
	return text.Printable(name, 32)
}

// parseOpus reads the parameters of RFC 7587 section 6.1; nonsense counts as not said.
func parseOpus(fmtp string) (o rtp.Opus) {
	for _, f := range strings.Split(fmtp, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(f), "=")
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil || n < 0 {
			continue
		}
		switch strings.ToLower(name) {
		case "maxplaybackrate":
			o.MaxPlaybackHz = n
		case "maxaveragebitrate":
			o.MaxBitrate = n
		case "useinbandfec":
			o.FEC = n == 1
		case "stereo":
			o.Stereo = n == 1
		}
	}
	return o
}

// ourOpus is what we ask of a peer's Opus: mono, with forward error correction,
// no more than speech needs.
const ourOpus = "maxplaybackrate=48000;maxaveragebitrate=40000;stereo=0;useinbandfec=1"

// writeFormat writes the attributes of one format.
func writeFormat(b *strings.Builder, p Payload) {
	channels := ""
	if p.Codec == media.Opus {
		channels = "/2"
	}
	fmt.Fprintf(b, "a=rtpmap:%d %s/%d%s\r\n", p.Number, p.Codec, p.Hz, channels)
	switch p.Codec {
	case media.TelephoneEvent:
		fmt.Fprintf(b, "a=fmtp:%d 0-16\r\n", p.Number)
	case media.Opus:
		fmt.Fprintf(b, "a=fmtp:%d %s\r\n", p.Number, ourOpus)
	}
}

func codecNames(list []media.Codec) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.String()
	}
	return strings.Join(names, ", ")
}

// offers says in words which codecs a stream names.
func (s Stream) offers() string {
	var names []string
	for _, p := range s.Codecs {
		if p.Codec.Audio() {
			names = append(names, p.Codec.String())
		}
	}
	names = append(names, s.Unknown...)
	switch {
	case len(names) == 0:
		return "nothing that carries sound"
	case len(names) > 8:
		names = append(names[:8], "others")
	}
	return strings.Join(names, ", ")
}

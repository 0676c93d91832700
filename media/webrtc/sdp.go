package webrtc

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/pion/sdp/v3"

	"github.com/roomline/roomline/media"
)

// MaxSDP is the longest description that [Inspect] reads, in bytes.
const MaxSDP = 64 << 10

// MaxLines is the largest number of m-lines that [Inspect] accepts.
const MaxLines = 64

// Line is what one m-line of a description says.
type Line struct {
	Kind     Kind // empty for the data channel
	MID      string
	Rejected bool          // port 0 without bundle-only
	Sends    bool          // the describing side sends on it
	Receives bool          // the describing side receives on it
	Codecs   []media.Codec // those that we carry too, in its order
}

// Supports reports whether the line lists the codec.
func (l Line) Supports(c media.Codec) bool { return slices.Contains(l.Codecs, c) }

// Inspect reads a description without applying it. The error says in words
// what is wrong with it.
func Inspect(text string) (lines []Line, err error) {
	defer asError("description", &err)
	if len(text) > MaxSDP {
		return nil, fmt.Errorf("the description has %d bytes, at most %d are read", len(text), MaxSDP)
	}
	var desc sdp.SessionDescription
	if err := desc.UnmarshalString(text); err != nil {
		return nil, fmt.Errorf("not a session description: %w", err)
	}
	if len(desc.MediaDescriptions) == 0 {
		return nil, fmt.Errorf("the description has no m-line")
	}
	if len(desc.MediaDescriptions) > MaxLines {
		return nil, fmt.Errorf("the description has %d m-lines, at most %d are read", len(desc.MediaDescriptions), MaxLines)
	}
	if err := checkTransport(&desc); err != nil {
		return nil, err
	}
	for i, m := range desc.MediaDescriptions {
		l, err := inspectLine(&desc, m)
		if err != nil {
			return nil, fmt.Errorf("m-line %d: %w", i+1, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// checkTransport wants what no WebRTC description lacks (RFC 8829 section 5.2.1).
func checkTransport(desc *sdp.SessionDescription) error {
	for _, key := range []string{"ice-ufrag", "ice-pwd", "fingerprint"} {
		if _, ok := desc.Attribute(key); ok {
			continue
		}
		found := slices.ContainsFunc(desc.MediaDescriptions, func(m *sdp.MediaDescription) bool {
			_, ok := m.Attribute(key)
			return ok
		})
		if !found {
			return fmt.Errorf("the description has no a=%s", key)
		}
	}
	return nil
}

func inspectLine(desc *sdp.SessionDescription, m *sdp.MediaDescription) (Line, error) {
	l := Line{}
	switch m.MediaName.Media {
	case "audio":
		l.Kind = Audio
	case "video":
		l.Kind = Video
	}
	l.MID, _ = m.Attribute("mid")
	if l.MID == "" {
		return l, fmt.Errorf("no a=mid")
	}
	_, bundleOnly := m.Attribute("bundle-only")
	l.Rejected = m.MediaName.Port.Value == 0 && !bundleOnly
	l.Sends, l.Receives = directions(desc, m)
	for _, format := range m.MediaName.Formats {
		pt, err := strconv.ParseUint(format, 10, 7)
		if err != nil {
			continue // the data channel's "webrtc-datachannel"
		}
		if c := codecAt(desc, uint8(pt)); c != media.NoCodec && !slices.Contains(l.Codecs, c) {
			l.Codecs = append(l.Codecs, c)
		}
	}
	return l, nil
}

func codecAt(desc *sdp.SessionDescription, pt uint8) media.Codec {
	if c, err := desc.GetCodecForPayloadType(pt); err == nil {
		if known, ok := media.ParseCodec(c.Name); ok {
			return known
		}
		return media.NoCodec
	}
	switch pt { // static payload types need no rtpmap, RFC 3551 section 6
	case ptPCMU:
		return media.PCMU
	case ptPCMA:
		return media.PCMA
	}
	return media.NoCodec
}

func directions(desc *sdp.SessionDescription, m *sdp.MediaDescription) (sends, receives bool) {
	for _, has := range []func(string) (string, bool){m.Attribute, desc.Attribute} {
		for key, d := range map[string][2]bool{
			"sendrecv": {true, true}, "sendonly": {true, false}, "recvonly": {false, true}, "inactive": {false, false},
		} {
			if _, ok := has(key); ok {
				return d[0], d[1]
			}
		}
	}
	return true, true // RFC 8866 section 6.7: sendrecv is the default
}

package webrtc

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/roomline/roomline/media"
)

// wishes are what we ask of those who send to us.
type wishes struct {
	sound         []media.Codec // the preferred one first
	redundancy    bool          // RED rather than plain Opus
	maxPlaybackHz int           // sound above half of it is not heard; 0: all is
}

// localSDP writes our true parameters into a description of pion's, and puts the
// formats of sound in the order of our wishes, whatever order the other side had:
// a browser sends the first that it knows.
func localSDP(text string, w wishes) string {
	lines := strings.Split(text, "\r\n")
	out := make([]string, 0, len(lines)+4)
	for len(lines) > 0 {
		next := 1 + slices.IndexFunc(lines[1:], func(s string) bool { return strings.HasPrefix(s, "m=") })
		if next == 0 {
			next = len(lines)
		}
		if strings.HasPrefix(lines[0], "m=audio ") {
			out = w.describe(lines[:next], out)
		} else {
			out = append(out, lines[:next]...)
		}
		lines = lines[next:]
	}
	return strings.Join(out, "\r\n")
}

// describe appends the lines of an audio section to out.
func (w wishes) describe(section, out []string) []string {
	formats := soundFormats(section)
	opus, timed := "", false
	for pt, c := range formats {
		if c == media.Opus {
			opus = pt
		}
	}
	for i, s := range section {
		pt, mapped := cutAttribute(s, "a=rtpmap:")
		c := formats[pt]
		if fmtp, is := cutAttribute(s, "a=fmtp:"); is && (formats[fmtp] == media.Opus || formats[fmtp] == redundant) {
			continue // pion's
		}
		if !timed && strings.HasPrefix(s, "a=") && w.framed() {
			timed, out = true, append(out, "a=ptime:20") // RFC 8866 section 6.4: as phones have it, so that packets go untouched
		}
		switch {
		case i == 0:
			s = w.order(s, formats)
		case mapped && c == media.Opus:
			// We decode FEC (RFC 7587), want mono, and take packets from 10 ms on.
			s += "\r\na=fmtp:" + pt + " minptime=10;useinbandfec=1"
			if w.maxPlaybackHz > 0 {
				s += ";maxplaybackrate=" + strconv.Itoa(w.maxPlaybackHz)
			}
		case mapped && c == redundant && opus != "": // RFC 2198 section 5: the formats inside
			s += "\r\na=fmtp:" + pt + " " + opus + "/" + opus
		}
		out = append(out, s)
	}
	return out
}

// framed reports whether G.711 is preferred, whose packets may have any length.
func (w wishes) framed() bool {
	return len(w.sound) > 0 && (w.sound[0] == media.PCMU || w.sound[0] == media.PCMA)
}

// soundFormats are the payload types of a section that can be put in order.
func soundFormats(section []string) map[string]media.Codec {
	formats := make(map[string]media.Codec)
	for _, s := range section {
		pt, ok := cutAttribute(s, "a=rtpmap:")
		if !ok || len(pt) > 3 {
			continue
		}
		switch name := strings.ToLower(s[strings.LastIndexByte(s, ' ')+1:]); name {
		case "opus/48000/2":
			formats[pt] = media.Opus
		case "red/48000/2":
			formats[pt] = redundant
		case "pcmu/8000":
			formats[pt] = media.PCMU
		case "pcma/8000":
			formats[pt] = media.PCMA
		}
	}
	return formats
}

// order sorts the formats of an m-line: "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0".
func (w wishes) order(line string, formats map[string]media.Codec) string {
	fields := strings.Fields(line)
	if len(fields) < 4 {
		return line
	}
	slices.SortStableFunc(fields[3:], func(a, b string) int {
		return cmp.Compare(w.rank(formats[a]), w.rank(formats[b]))
	})
	return strings.Join(fields, " ")
}

// rank is the place of a codec, 0 first; what is no sound comes last. RED stands
// beside Opus.
func (w wishes) rank(c media.Codec) int {
	i := slices.Index(w.sound, soundOf(c))
	switch {
	case i < 0:
		return 3 * len(w.sound)
	case c != redundant:
		return 3*i + 1
	case w.redundancy:
		return 3 * i
	}
	return 3*i + 2
}

// cutAttribute returns the payload type of "prefix<pt> …".
func cutAttribute(line, prefix string) (pt string, ok bool) {
	rest, ok := strings.CutPrefix(line, prefix)
	if !ok {
		return "", false
	}
	pt, _, ok = strings.Cut(rest, " ")
	return pt, ok
}

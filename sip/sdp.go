package sip

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	pionsdp "github.com/pion/sdp/v3"

	"github.com/roomline/roomline/media"
)

// maxStreams bounds the m-lines of one description; more are an attack.
const maxStreams = 32

// direction is a stream's direction as its describer sees it, RFC 3264 section 5.1.
type direction uint8

const (
	inactive direction = 0
	sends    direction = 1
	receives direction = 2
	sendRecv           = sends | receives
)

var directionNames = [...]string{"inactive", "sendonly", "recvonly", "sendrecv"}

func (d direction) String() string { return directionNames[d&sendRecv] }

// mirrored is the same stream as the other side sees it.
func (d direction) mirrored() direction { return d>>1&sends | d<<1&receives }

// description is a peer's SDP, reduced to what a telephone needs.
type description struct {
	streams []stream // in the order of the m-lines
}

// stream is one m-line with what is said about it.
type stream struct {
	kind    string // audio, video, …
	port    int    // 0: refused or removed
	proto   string
	formats []string
	addr    netip.Addr // zero when it is a host name
	host    string     // the connection address as written
	nowhere bool       // c=0.0.0.0: hold as RFC 2543 wrote it
	rtcp    netip.AddrPort
	codecs  []payload
	ptime   time.Duration // 0: not said
	longest time.Duration // maxptime, 0: not said
	dir     direction
}

// payload is one format of an m-line that we know.
type payload struct {
	number uint8
	codec  media.Codec
}

// parseSDP reads a session description, RFC 8866. The error says in words what
// was wrong; it never repeats the body.
func parseSDP(body []byte) (*description, error) {
	if !bytes.HasPrefix(body, []byte("v=0")) {
		return nil, errors.New("the SDP does not follow RFC 8866: it does not begin with v=0")
	}
	plain, slots := plainMedia(body)
	var s pionsdp.SessionDescription
	if err := s.Unmarshal(plain); err != nil {
		return nil, fmt.Errorf("the SDP does not follow RFC 8866: %s", sdpFault(err))
	}
	if len(s.MediaDescriptions) != len(slots) {
		return nil, errors.New("the SDP does not follow RFC 8866: its m-lines cannot be told apart")
	}
	if len(s.MediaDescriptions) > maxStreams {
		return nil, fmt.Errorf("the SDP has %d m-lines, more than %d", len(s.MediaDescriptions), maxStreams)
	}
	base, err := directionOf(s.Attributes, sendRecv)
	if err != nil {
		return nil, err
	}
	d := &description{}
	for i, m := range s.MediaDescriptions {
		st, err := parseStream(m, slots[i], s.ConnectionInformation, base)
		if err != nil {
			return nil, fmt.Errorf("m-line %d: %w", i+1, err)
		}
		d.streams = append(d.streams, st)
	}
	return d, nil
}

// sdpFault keeps the kind of a grammar error and drops what it quotes.
func sdpFault(err error) string {
	text, _, _ := strings.Cut(err.Error(), "`")
	text = strings.TrimRight(strings.TrimPrefix(text, "sdp: "), " :")
	return printable(text, 80)
}

// plainMedia disguises m-lines of kinds and protocols that the grammar library
// does not know (image over udptl, say) as audio: an offer of something unknown
// is to be refused by its m-line alone, RFC 3264 section 6. slots say what they were.
func plainMedia(body []byte) (plain []byte, slots []slot) {
	for line := range bytes.Lines(body) {
		fields := strings.Fields(string(line))
		if !bytes.HasPrefix(line, []byte("m=")) || len(fields) < 3 {
			plain = append(plain, line...)
			continue
		}
		slots = append(slots, slot{Kind: strings.TrimPrefix(fields[0], "m="), Proto: fields[2], Formats: fields[3:]})
		fields[0], fields[2] = "m=audio", "RTP/AVP"
		plain = append(plain, strings.Join(fields, " ")+"\r\n"...)
	}
	return plain, slots
}

func parseStream(m *pionsdp.MediaDescription, is slot, session *pionsdp.ConnectionInformation, base direction) (stream, error) {
	st := stream{
		kind:    is.Kind,
		port:    m.MediaName.Port.Value,
		proto:   is.Proto,
		formats: is.Formats,
	}
	for _, word := range append([]string{is.Kind, is.Proto}, is.Formats...) {
		if word == "" || printable(word, len(word)) != word {
			return st, errors.New("the m-line holds letters outside ASCII")
		}
	}
	if st.port < 0 || st.port > 65535 {
		return st, fmt.Errorf("port %d is out of range", st.port)
	}
	c := m.ConnectionInformation
	if c == nil {
		c = session
	}
	if c == nil && st.port != 0 {
		return st, fmt.Errorf("no c= line says where the media goes")
	}
	if c != nil && c.Address != nil {
		st.host, _, _ = strings.Cut(c.Address.Address, "/")
		if addr, err := netip.ParseAddr(st.host); err == nil {
			st.addr = addr.Unmap()
			st.nowhere = st.addr.IsUnspecified()
		}
	}
	var err error
	if st.dir, err = directionOf(m.Attributes, base); err != nil {
		return st, err
	}
	return st, parseAttributes(m, &st)
}

// directionOf finds the direction among attributes; two different ones contradict each other.
func directionOf(attributes []pionsdp.Attribute, fallback direction) (direction, error) {
	found, said := fallback, false
	for _, a := range attributes {
		for d, name := range directionNames {
			if a.Key != name {
				continue
			}
			if said && found != direction(d) {
				return 0, fmt.Errorf("the SDP gives two directions, %s and %s", found, name)
			}
			found, said = direction(d), true
		}
	}
	return found, nil
}

func parseAttributes(m *pionsdp.MediaDescription, st *stream) error {
	maps := map[string]string{}
	for _, a := range m.Attributes {
		switch a.Key {
		case "rtpmap":
			number, encoding, ok := strings.Cut(strings.TrimSpace(a.Value), " ")
			if !ok {
				return fmt.Errorf("an rtpmap without an encoding")
			}
			maps[number] = strings.TrimSpace(encoding)
		case "ptime":
			st.ptime = milliseconds(a.Value)
		case "maxptime":
			st.longest = milliseconds(a.Value)
		case "rtcp":
			st.rtcp = parseRTCP(a.Value, st.addr)
		}
	}
	for _, format := range m.MediaName.Formats {
		if p, ok := payloadOf(format, maps); ok {
			st.codecs = append(st.codecs, p)
		}
	}
	return nil
}

// payloadOf translates one format; static numbers need no rtpmap, RFC 3551 section 6.
func payloadOf(format string, maps map[string]string) (payload, bool) {
	number, err := strconv.ParseUint(format, 10, 7)
	if err != nil {
		return payload{}, false
	}
	encoding, mapped := maps[format]
	if !mapped {
		switch number {
		case 0:
			return payload{0, media.PCMU}, true
		case 8:
			return payload{8, media.PCMA}, true
		case 13:
			return payload{13, media.ComfortNoise}, true
		}
		return payload{}, false
	}
	parts := strings.Split(encoding, "/")
	codec, ok := media.ParseCodec(parts[0])
	if !ok || len(parts) < 2 || parts[1] != strconv.Itoa(codec.ClockRate()) {
		return payload{}, false
	}
	if len(parts) > 2 && parts[2] != "1" && codec != media.Opus {
		return payload{}, false // stereo G.711 is somebody else's
	}
	return payload{uint8(number), codec}, true
}

// milliseconds reads ptime and maxptime; nonsense counts as not said.
func milliseconds(value string) time.Duration {
	ms, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || !(ms > 0 && ms <= 1000) {
		return 0
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// parseRTCP reads a=rtcp, RFC 3605: a port, and an address if it differs.
func parseRTCP(value string, fallback netip.Addr) netip.AddrPort {
	fields := strings.Fields(value)
	if len(fields) == 0 {
		return netip.AddrPort{}
	}
	port, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}
	}
	addr := fallback
	if len(fields) >= 4 {
		if a, err := netip.ParseAddr(fields[3]); err == nil {
			addr = a.Unmap()
		}
	}
	if !addr.IsValid() || addr.IsUnspecified() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, uint16(port))
}

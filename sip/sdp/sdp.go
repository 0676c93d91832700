// Package sdp describes sessions: it reads a peer's description (RFC 8866) and
// settles offers and answers (RFC 3264) for one audio stream. It is pure and
// knows no SIP.
package sdp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	pionsdp "github.com/pion/sdp/v3"

	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/sip/text"
)

// maxStreams bounds the m-lines of one description; more are an attack.
const maxStreams = 32

// Direction is a stream's direction as its describer sees it, RFC 3264 section 5.1.
type Direction uint8

// The directions.
const (
	Inactive Direction = 0
	Sends    Direction = 1
	Receives Direction = 2
	SendRecv           = Sends | Receives
)

var directionNames = [...]string{"inactive", "sendonly", "recvonly", "sendrecv"}

// String is the attribute of the direction.
func (d Direction) String() string { return directionNames[d&SendRecv] }

// mirrored is the same stream as the other side sees it.
func (d Direction) mirrored() Direction { return d>>1&Sends | d<<1&Receives }

// Description is a peer's SDP, reduced to what a telephone needs.
type Description struct {
	Streams []Stream // in the order of the m-lines
}

// Stream is one m-line with what is said about it.
type Stream struct {
	Kind     string // audio, video, …
	Port     int    // 0: refused or removed
	Proto    string
	Formats  []string
	Addr     netip.Addr // zero when it is a host name
	Host     string     // the connection address as written
	Nowhere  bool       // c=0.0.0.0: hold as RFC 2543 wrote it
	RTCP     netip.AddrPort
	Codecs   []Payload
	Unknown  []string      // names of the formats that we do not know
	Ptime    time.Duration // 0: not said
	MaxPtime time.Duration // maxptime, 0: not said
	Dir      Direction

	Cryptos      []Crypto // a=crypto lines that can be used, in order
	Unusable     []string // why others cannot
	Fingerprints []rtp.Fingerprint
	Setup        string // a=setup; empty: not said
	Mux          bool   // a=rtcp-mux
}

// Parse reads a session description, RFC 8866. The error says in words what
// was wrong; it never repeats the body.
func Parse(body []byte) (*Description, error) {
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
	base, err := directionOf(s.Attributes, SendRecv)
	if err != nil {
		return nil, err
	}
	d := &Description{}
	for i, m := range s.MediaDescriptions {
		st, err := parseStream(m, slots[i], s.ConnectionInformation, base)
		if err != nil {
			return nil, fmt.Errorf("m-line %d: %w", i+1, err)
		}
		st.parseSecurity(m.Attributes, s.Attributes)
		d.Streams = append(d.Streams, st)
	}
	return d, nil
}

// sdpFault keeps the kind of a grammar error and drops what it quotes.
func sdpFault(err error) string {
	words, _, _ := strings.Cut(err.Error(), "`")
	words = strings.TrimRight(strings.TrimPrefix(words, "sdp: "), " :")
	return text.Printable(words, 80)
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

func parseStream(m *pionsdp.MediaDescription, is slot, session *pionsdp.ConnectionInformation, base Direction) (Stream, error) {
	st := Stream{
		Kind:    is.Kind,
		Port:    m.MediaName.Port.Value,
		Proto:   is.Proto,
		Formats: is.Formats,
	}
	for _, word := range append([]string{is.Kind, is.Proto}, is.Formats...) {
		if word == "" || text.Printable(word, len(word)) != word {
			return st, errors.New("the m-line holds letters outside ASCII")
		}
	}
	if st.Port < 0 || st.Port > 65535 {
		return st, fmt.Errorf("port %d is out of range", st.Port)
	}
	c := m.ConnectionInformation
	if c == nil {
		c = session
	}
	if c == nil && st.Port != 0 {
		return st, fmt.Errorf("no c= line says where the media goes")
	}
	if c != nil && c.Address != nil {
		st.Host, _, _ = strings.Cut(c.Address.Address, "/")
		if addr, err := netip.ParseAddr(st.Host); err == nil {
			st.Addr = addr.Unmap()
			st.Nowhere = st.Addr.IsUnspecified()
		}
	}
	var err error
	if st.Dir, err = directionOf(m.Attributes, base); err != nil {
		return st, err
	}
	return st, parseAttributes(m, &st)
}

// directionOf finds the direction among attributes; two different ones contradict each other.
func directionOf(attributes []pionsdp.Attribute, fallback Direction) (Direction, error) {
	found, said := fallback, false
	for _, a := range attributes {
		for d, name := range directionNames {
			if a.Key != name {
				continue
			}
			if said && found != Direction(d) {
				return 0, fmt.Errorf("the SDP gives two directions, %s and %s", found, name)
			}
			found, said = Direction(d), true
		}
	}
	return found, nil
}

func parseAttributes(m *pionsdp.MediaDescription, st *Stream) error {
	maps, fmtp := map[string]string{}, map[string]string{}
	for _, a := range m.Attributes {
		switch a.Key {
		case "rtpmap":
			number, encoding, ok := strings.Cut(strings.TrimSpace(a.Value), " ")
			if !ok {
				return fmt.Errorf("an rtpmap without an encoding")
			}
			maps[number] = strings.TrimSpace(encoding)
		case "fmtp":
			number, rest, _ := strings.Cut(strings.TrimSpace(a.Value), " ")
			fmtp[number] = rest
		case "ptime":
			st.Ptime = milliseconds(a.Value)
		case "maxptime":
			st.MaxPtime = milliseconds(a.Value)
		case "rtcp":
			st.RTCP = parseRTCP(a.Value, st.Addr)
		}
	}
	for _, format := range m.MediaName.Formats {
		if p, ok := payloadOf(format, maps[format]); ok {
			p.Opus = parseOpus(fmtp[format])
			st.Codecs = append(st.Codecs, p)
		} else {
			st.Unknown = append(st.Unknown, formatName(format, maps[format]))
		}
	}
	return nil
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

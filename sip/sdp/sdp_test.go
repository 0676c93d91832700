package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

func newTestNegotiation(addr string) Negotiation {
	n := New(netip.MustParseAddr(addr), 30000, Terms{})
	n.SessionID = 77
	return n
}

// want is what an answer must say, m-line by m-line.
type wantStream struct {
	kind string
	port int
	list string // payload numbers
	dir  Direction
}

// The offers follow the examples of RFC 4317, RFC 3264 section 10 and what
// phones send; the answers are what RFC 3264 section 6 asks of us.
func TestAnswers(t *testing.T) {
	const head = "v=0\r\no=alice 2890844526 2890844526 IN IP4 host.atlanta.example.com\r\ns=\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
	for _, c := range []struct {
		name, offer string
		want        []wantStream
		codec       media.Codec
		ptime       time.Duration
		send, recv  bool
		held        bool
	}{
		{"RFC 4317 2.1: audio and video", head + "m=audio 49170 RTP/AVP 0 8 97\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:97 iLBC/8000\r\nm=video 51372 RTP/AVP 31 32\r\na=rtpmap:31 H261/90000\r\na=rtpmap:32 MPV/90000\r\n",
			[]wantStream{{"audio", 30000, "0 8", SendRecv}, {"video", 0, "31 32", SendRecv}}, media.PCMU, 20 * time.Millisecond, true, true, false},
		{"RFC 4317 2.4: two audio streams", head + "m=audio 49170 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\nm=audio 49172 RTP/AVP 97\r\na=rtpmap:97 telephone-event/8000\r\n",
			[]wantStream{{"audio", 30000, "0", SendRecv}, {"audio", 0, "97", SendRecv}}, media.PCMU, 20 * time.Millisecond, true, true, false},
		{"the first audio has no common codec", head + "m=audio 49170 RTP/AVP 97\r\na=rtpmap:97 iLBC/8000\r\nm=audio 49172 RTP/AVP 8\r\n",
			[]wantStream{{"audio", 0, "97", SendRecv}, {"audio", 30000, "8", SendRecv}}, media.PCMA, 20 * time.Millisecond, true, true, false},
		{"RFC 3264 10.1: a stream refused before", head + "m=video 0 RTP/AVP 31\r\nm=audio 49920 RTP/AVP 0 110\r\na=rtpmap:110 telephone-event/8000\r\n",
			[]wantStream{{"video", 0, "31", SendRecv}, {"audio", 30000, "0 110", SendRecv}}, media.PCMU, 20 * time.Millisecond, true, true, false},
		{"hold by direction on the session", strings.Replace(head, "t=0 0", "t=0 0\r\na=sendonly", 1) + "m=audio 4000 RTP/AVP 0\r\n",
			[]wantStream{{"audio", 30000, "0", Receives}}, media.PCMU, 20 * time.Millisecond, false, true, true},
		{"hold by address", strings.Replace(head, "192.0.2.10", "0.0.0.0", 1) + "m=audio 4000 RTP/AVP 0\r\n",
			[]wantStream{{"audio", 30000, "0", Receives}}, media.PCMU, 20 * time.Millisecond, false, true, true},
		{"inactive by address and direction", strings.Replace(head, "192.0.2.10", "0.0.0.0", 1) + "m=audio 4000 RTP/AVP 0\r\na=inactive\r\n",
			[]wantStream{{"audio", 30000, "0", Inactive}}, media.PCMU, 20 * time.Millisecond, false, false, true},
		{"receive only", head + "m=audio 4000 RTP/AVP 0\r\na=recvonly\r\n",
			[]wantStream{{"audio", 30000, "0", Sends}}, media.PCMU, 20 * time.Millisecond, true, false, false},
		{"dynamic numbers for G.711, comfort noise", head + "m=audio 4000 RTP/AVP 96 13 98\r\na=rtpmap:96 pcma/8000/1\r\na=rtpmap:98 telephone-event/8000\r\na=ptime:30\r\n",
			[]wantStream{{"audio", 30000, "96 13 98", SendRecv}}, media.PCMA, 30 * time.Millisecond, true, true, false},
		{"AVPF, events at the clock of the voice", head + "m=audio 4000 RTP/AVPF 0 101 102\r\na=rtpmap:101 telephone-event/48000\r\na=rtpmap:102 telephone-event/8000\r\na=rtcp:4005\r\n",
			[]wantStream{{"audio", 30000, "0 102", SendRecv}}, media.PCMU, 20 * time.Millisecond, true, true, false},
		{"fax beside audio", head + "m=audio 4000 RTP/AVP 0\r\nm=image 4002 udptl t38\r\n",
			[]wantStream{{"audio", 30000, "0", SendRecv}, {"image", 0, "t38", SendRecv}}, media.PCMU, 20 * time.Millisecond, true, true, false},
	} {
		n := newTestNegotiation("192.0.2.1")
		d, err := Parse([]byte(c.offer))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		body, a, err := n.Answer(d)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := Parse(body)
		if err != nil || len(got.Streams) != len(c.want) {
			t.Errorf("%s: %v\n%s", c.name, err, body)
			continue
		}
		for i, w := range c.want {
			s := got.Streams[i]
			if s.Kind != w.kind || s.Port != w.port || strings.Join(s.Formats, " ") != w.list || s.Dir != w.dir || s.Proto != d.Streams[i].Proto {
				t.Errorf("%s: m-line %d is %+v, want %+v", c.name, i, s, w)
			}
		}
		if p := a.Params; p.Codec != c.codec || p.Ptime != c.ptime || p.Send != c.send || p.Receive != c.recv || a.Held != c.held {
			t.Errorf("%s: agreed on %+v", c.name, a)
		}
	}
}

func TestPeerDefect02PtimeIsAnswered(t *testing.T) {
	for said, want := range map[string]time.Duration{
		"a=ptime:10": 10, "a=ptime:20": 20, "a=ptime:30": 30, "a=ptime:40": 40, "a=ptime:60": 60, "": 20,
		"a=ptime:5": 10, "a=ptime:25": 20, "a=ptime:120": 60, "a=ptime:0": 20, "a=ptime:x": 20,
		"a=maxptime:10": 10, "a=ptime:40\r\na=maxptime:35": 30, "a=ptime:-20": 20, "a=ptime:NaN": 20,
	} {
		n := newTestNegotiation("127.0.0.1")
		if said != "" {
			said += "\r\n"
		}
		d, err := Parse([]byte(sampleSDP("127.0.0.1", 0, "m=audio 4000 RTP/AVP 0\r\n"+said)))
		if err != nil {
			t.Fatal(err)
		}
		body, a, err := n.Answer(d)
		if err != nil || a.Params.Ptime != want*time.Millisecond || !strings.Contains(string(body), "a=ptime:"+strconv.Itoa(int(want))+"\r\n") {
			t.Errorf("%q: %v, %v\n%s", said, a.Params.Ptime, err, body)
		}
	}
}

func TestOffersThatDoNotFit(t *testing.T) {
	for sdp, warning := range map[string]int{
		sampleSDP("192.0.2.1", 0, "m=audio 4000 RTP/AVP 18\r\n"):                                       305,
		sampleSDP("192.0.2.1", 0, "m=audio 0 RTP/AVP 0\r\n"):                                           304,
		sampleSDP("192.0.2.1", 0, "a=sendrecv\r\n"):                                                    304,
		sampleSDP("192.0.2.1", 0, "m=audio 4000 RTP/SAVP 0\r\n"):                                       302,
		sampleSDP("224.2.1.1", 0, "m=audio 4000 RTP/AVP 0\r\n"):                                        301,
		sampleSDP("::1", 0, "m=audio 4000 RTP/AVP 0\r\n"):                                              301,
		sampleSDP("192.0.2.1", 0, "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 L16/44100\r\n"):                305,
		sampleSDP("192.0.2.1", 0, "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n"): 305,
	} {
		n := newTestNegotiation("192.0.2.9")
		before := n.Version
		d, err := Parse([]byte(sdp))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = n.Answer(d)
		var f *Fault
		if !errors.As(err, &f) || f.Warning != warning || n.Version != before || n.Audio != -1 {
			t.Errorf("%q: %v", sdp, err)
		}
	}
}

func TestBrokenSDPIsNamedAndNotRepeated(t *testing.T) {
	for _, sdp := range []string{
		"", "hello", "v=0", "v=1\r\n", "v=0\r\no=secret\r\ns=-\r\n",
		sampleSDP("127.0.0.1", 0, "m=audio secret RTP/AVP 0\r\n"),
		sampleSDP("127.0.0.1", 0, "m=audio 99999 RTP/AVP 0\r\n"),
		sampleSDP("127.0.0.1", 0, "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\na=recvonly\r\n"),
		sampleSDP("127.0.0.1", 0, "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0\r\n"),
		"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
		sampleSDP("127.0.0.1", 0, strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", maxStreams+1)),
	} {
		_, err := Parse([]byte(sdp))
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", sdp, err)
		}
	}
}

func TestOffersKeepPlacesAndNumbers(t *testing.T) {
	n := newTestNegotiation("192.0.2.1")
	d, _ := Parse([]byte(sampleSDP("192.0.2.9", 0, "m=video 4002 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 8 96\r\na=rtpmap:96 telephone-event/8000\r\n")))
	if _, _, err := n.Answer(d); err != nil {
		t.Fatal(err)
	}
	first := n.Version
	n.Hold = true
	o, err := Parse(n.Offer())
	if err != nil || len(o.Streams) != 2 || o.Streams[0].Port != 0 || o.Streams[1].Dir != Sends {
		t.Fatalf("%+v, %v", o, err)
	}
	if list := strings.Join(o.Streams[1].Formats, " "); list != "0 8 96" {
		t.Errorf("formats %s", list)
	}
	if n.Version != first+1 {
		t.Errorf("version %d after %d", n.Version, first)
	}
	n.Offer()
	if n.Version != first+1 {
		t.Error("the same offer again has a new version")
	}
	held, _ := Parse([]byte(sampleSDP("192.0.2.9", 0, "m=video 0 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 8 96\r\na=rtpmap:96 telephone-event/8000\r\na=sendonly\r\n")))
	if a, err := n.Accept(held); err != nil || a.Params.Send || a.Params.Receive || !a.Held {
		t.Errorf("both hold: %+v, %v", a, err)
	}
}

func TestIPv6Answer(t *testing.T) {
	n := newTestNegotiation("2001:db8::1")
	d, _ := Parse([]byte(sampleSDP("2001:db8::9", 4000, "")))
	body, a, err := n.Answer(d)
	if err != nil || !strings.Contains(string(body), "c=IN IP6 2001:db8::1\r\n") || a.Params.Remote.String() != "[2001:db8::9]:4000" {
		t.Errorf("%v %+v\n%s", err, a, body)
	}
}

func TestRTCPAttribute(t *testing.T) {
	for line, want := range map[string]string{
		"a=rtcp:4007": "192.0.2.9:4007", "a=rtcp:4007 IN IP4 192.0.2.10": "192.0.2.10:4007", "a=rtcp:x": "invalid AddrPort", "": "invalid AddrPort",
	} {
		n := newTestNegotiation("192.0.2.1")
		if line != "" {
			line += "\r\n"
		}
		d, _ := Parse([]byte(sampleSDP("192.0.2.9", 0, "m=audio 4000 RTP/AVP 0\r\n"+line)))
		_, a, err := n.Answer(d)
		if err != nil || a.Params.RemoteRTCP.String() != want {
			t.Errorf("%q: %v, %v", line, a.Params.RemoteRTCP, err)
		}
	}
}

func TestCodecsAndTheirOrder(t *testing.T) {
	wide := []media.Codec{media.PCMU, media.G722, media.Opus}
	const opus = "m=audio 4000 RTP/AVP 96 9 0 97 98\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 maxplaybackrate=16000; useinbandfec=1;stereo=1;maxaveragebitrate=20000;x\r\n" +
		"a=rtpmap:97 telephone-event/8000\r\na=rtpmap:98 telephone-event/48000\r\n"
	for _, c := range []struct {
		name, offer string
		terms       Terms
		codec       media.Codec
		formats     string
		eventHz     int
	}{
		{"the offer's order", opus, Terms{Codecs: wide}, media.Opus, "96 9 0 98", 48000},
		{"our own order", opus, Terms{Codecs: wide, Ordered: true}, media.PCMU, "0 9 96 97", 8000},
		{"no events", opus, Terms{Codecs: wide, NoEvents: true}, media.Opus, "96 9 0", 0},
		{"G.722 by its static number", "m=audio 4000 RTP/AVP 9 101\r\na=rtpmap:101 telephone-event/8000\r\n", Terms{Codecs: wide}, media.G722, "9 101", 8000},
		{"events at 8000 only", "m=audio 4000 RTP/AVP 96 101\r\na=rtpmap:96 OPUS/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n", Terms{Codecs: wide}, media.Opus, "96 101", 8000},
	} {
		n := New(netip.MustParseAddr("192.0.2.1"), 30000, c.terms)
		d, err := Parse([]byte(sampleSDP("192.0.2.9", 0, c.offer)))
		if err != nil {
			t.Fatal(err)
		}
		body, a, err := n.Answer(d)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, _ := Parse(body)
		if p := a.Params; p.Codec != c.codec || p.EventHz != c.eventHz || strings.Join(got.Streams[0].Formats, " ") != c.formats {
			t.Errorf("%s: %+v\n%s", c.name, p, body)
		}
		if p := a.Params; p.Codec == media.Opus && strings.Contains(c.offer, "fmtp") && p.Opus != (rtp.Opus{MaxPlaybackHz: 16000, MaxBitrate: 20000, FEC: true, Stereo: true}) {
			t.Errorf("%s: %+v", c.name, p.Opus)
		}
		if p := got.Streams[0].Codecs[0]; p.Codec == media.Opus && (!p.Opus.FEC || p.Opus.Stereo || p.Opus.MaxPlaybackHz != 48000) {
			t.Errorf("%s: we ask for %+v", c.name, p.Opus)
		}
	}
}

func TestOffersNameEveryCodecWithAnEventForItsClock(t *testing.T) {
	n := New(netip.MustParseAddr("192.0.2.1"), 30000, Terms{Codecs: []media.Codec{media.Opus, media.G722, media.PCMA}})
	d, err := Parse(n.Offer())
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	seen := map[uint8]bool{}
	for _, p := range d.Streams[0].Codecs {
		list = append(list, fmt.Sprintf("%s/%d", p.Codec, p.Hz))
		if seen[p.Number] {
			t.Errorf("number %d twice", p.Number)
		}
		seen[p.Number] = true
	}
	if got := strings.Join(list, " "); got != "opus/48000 G722/8000 PCMA/8000 telephone-event/48000 telephone-event/8000" {
		t.Error(got)
	}
}

func TestNumbersThatThePeerUsesOtherwiseMeanThat(t *testing.T) {
	n := New(netip.MustParseAddr("192.0.2.1"), 30000, Terms{Codecs: []media.Codec{media.Opus, media.PCMU}})
	d, _ := Parse([]byte(sampleSDP("192.0.2.9", 0, "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 opus/48000/2\r\n")))
	if _, _, err := n.Answer(d); err != nil {
		t.Fatal(err)
	}
	again, err := Parse(n.Offer())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint8]bool{}
	for _, p := range again.Streams[0].Codecs {
		if seen[p.Number] || p.Codec == media.Opus && p.Number != 101 {
			t.Errorf("%s is number %d", p.Codec, p.Number)
		}
		seen[p.Number] = true
	}
	if len(again.Streams[0].Codecs) != 4 {
		t.Errorf("offered %+v", again.Streams[0].Codecs)
	}
}

func TestNoCommonCodecNamesBothSides(t *testing.T) {
	n := newTestNegotiation("192.0.2.1")
	d, _ := Parse([]byte(sampleSDP("192.0.2.9", 0, "m=audio 4000 RTP/AVP 18 97 9 101\r\na=rtpmap:97 iLBC/8000\r\na=rtpmap:101 telephone-event/8000\r\n")))
	if _, _, err := n.Answer(d); err == nil || err.Error() != "no codec in common: they offer G722, G729, iLBC, this side has PCMU, PCMA" {
		t.Error(err)
	}
}

func FuzzSDP(f *testing.F) {
	f.Add([]byte(sampleSDP("127.0.0.1", 4000, "")))
	f.Add([]byte(sampleSDP("0.0.0.0", 0, "m=audio 4000/2 RTP/AVP 0 96\r\na=rtpmap:96 PCMA/8000\r\na=ptime:20\r\na=rtcp:1 IN IP4 1.2.3.4\r\na=inactive\r\n")))
	f.Add([]byte(sampleSDP("::1", 0, "b=AS:64\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP6 ::2/3\r\nm=video 0 RTP/AVP 31\r\n")))
	f.Add([]byte(sampleSDP("127.0.0.1", 0, "m=audio 4000 RTP/SAVP 0 9\r\na="+line80+"\r\na=rtcp-mux\r\n")))
	f.Add([]byte(sampleSDP("127.0.0.1", 0, "m=audio 4000 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 opus/48000/2\r\na="+finger+"\r\na=setup:actpass\r\n")))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := Parse(body)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("error with control characters: %q", err)
			}
			return
		}
		n := newTestNegotiation("127.0.0.1")
		n.SRTP, n.Fingerprint = Optional, ourPrint
		out, a, err := n.Answer(d)
		if err != nil {
			return
		}
		got, err := Parse(out)
		if err != nil || len(got.Streams) != len(d.Streams) {
			t.Fatalf("our answer cannot be read: %v\n%q", err, out)
		}
		if p := a.Params; p.Ptime < minPtime || p.Ptime > maxPtime || !p.Codec.Audio() || p.Send && !p.Remote.IsValid() {
			t.Errorf("agreed on %+v", p)
		}
	})
}

// sampleSDP is an offer with its media at an address.
func sampleSDP(ip string, port int, rest string) string {
	if rest == "" {
		rest = fmt.Sprintf("m=audio %d RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n", port)
	}
	kind := "IP4"
	if strings.Contains(ip, ":") {
		kind = "IP6"
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n%s", kind, ip, kind, ip, rest)
}

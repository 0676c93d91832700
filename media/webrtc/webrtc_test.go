package webrtc

import (
	"bytes"
	"context"
	"errors"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

type packet struct {
	track string
	media.Packet
}

// collect copies packets into a channel.
func collect(ch chan packet) func(*InTrack, *media.Packet) {
	return func(t *InTrack, p *media.Packet) {
		c := *p
		c.Payload = bytes.Clone(p.Payload)
		select {
		case ch <- packet{t.ID(), c}:
		default:
		}
	}
}

func TestServerOffersAndBothSidesHearEachOther(t *testing.T) {
	server, client := engine(t, Config{ICELite: true}), engine(t, Config{})
	toServer, toClient := make(chan packet, 100), make(chan packet, 100)
	hs, cs := listen(collect(toServer))
	hc, cc := listen(collect(toClient))
	s, c := peer(t, server, cs), peer(t, client, cc)

	for _, k := range []Kind{Audio, Video} {
		if err := s.Receive(k); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.OpenData("events"); err != nil {
		t.Fatal(err)
	}
	down, err := s.AddTrack(Audio, media.Opus, "trk", "pt_1")
	if err != nil {
		t.Fatal(err)
	}
	up, err := c.AddTrack(Audio, media.Opus, "mic", "me")
	if err != nil {
		t.Fatal(err)
	}
	s.SetMaxPlaybackRate(8000)
	offer, answer := negotiate(t, s, c, false)
	for _, want := range []string{"a=ice-lite", "useinbandfec=1;maxplaybackrate=8000", "opus/48000/2", "msid:pt_1 trk", "telephone-event/8000"} {
		if !strings.Contains(offer, want) {
			t.Errorf("the offer lacks %q:\n%s", want, offer)
		}
	}
	if !strings.Contains(answer, "minptime=10;useinbandfec=1\r\n") {
		t.Errorf("the answer lacks our Opus parameters:\n%s", answer)
	}
	waitState(t, hs, Connected)
	waitState(t, hc, Connected)

	defer pump(down, media.Opus, []byte("down"))()
	defer pump(up, media.Opus, []byte("up"))()
	if got := wait(t, "a packet at the client", toClient); string(got.Payload) != "down" || got.track != "trk" || got.Codec != media.Opus {
		t.Errorf("client got %+v", got)
	}
	var last uint16
	for i := range 50 {
		got := wait(t, "a packet at the server", toServer)
		if string(got.Payload) != "up" || got.Arrived.IsZero() || (i > 0 && got.SequenceNumber != last+1) {
			t.Fatalf("packet %d after %d: %+v", i, last, got)
		}
		last = got.SequenceNumber
		if got.Marker != (got.SequenceNumber%10 == 0) || got.Timestamp != uint32(got.SequenceNumber)*960 {
			t.Fatalf("header not carried: %+v", got)
		}
	}
	wait(t, "the open data channel", hs.open)
	wait(t, "the open data channel", hc.open)
	if err := s.SendData([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, "data", hc.data); got != "ping" {
		t.Errorf("data %q", got)
	}
	if err := c.SendData([]byte("pong")); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, "data", hs.data); got != "pong" {
		t.Errorf("data %q", got)
	}
	q := s.Quality()
	if q.PacketsReceived < 50 || q.PacketsSent == 0 || q.PacketsLost != 0 {
		t.Errorf("quality %+v", q)
	}
}

func TestReportsGiveRoundTrip(t *testing.T) {
	server, client := engine(t, Config{ICELite: true}), engine(t, Config{})
	hs, cs := listen(nil)
	_, cc := listen(nil)
	s, c := peer(t, server, cs), peer(t, client, cc)
	out, err := s.AddTrack(Audio, media.PCMU, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	negotiate(t, s, c, false)
	waitState(t, hs, Connected)
	defer pump(out, media.PCMU, make([]byte, 160))()
	// The client's second report refers to the server's first: 4 to 5 s.
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.Quality().RoundTripMS == 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no round trip in 10 s: %+v", s.Quality())
		}
	}
	if rtt := s.Quality().RoundTripMS; rtt > 500 {
		t.Errorf("round trip on loopback: %v ms", rtt)
	}
}

func TestOnePortForAll(t *testing.T) {
	server := engine(t, Config{ICELite: true})
	for range 4 {
		client := engine(t, Config{})
		hs, cs := listen(nil)
		s, c := peer(t, server, cs), peer(t, client, PeerConfig{})
		if _, err := s.AddTrack(Audio, media.Opus, "a", "b"); err != nil {
			t.Fatal(err)
		}
		offer, _ := negotiate(t, s, c, false)
		if want := server.Addr().Addr().String() + " " + portOf(server); strings.Count(offer, "typ host") != strings.Count(offer, want) || !strings.Contains(offer, want) {
			t.Errorf("candidates besides %s:\n%s", want, offer)
		}
		waitState(t, hs, Connected)
	}
	if server.Peers() != 4 {
		t.Errorf("%d peers", server.Peers())
	}
}

func portOf(e *Engine) string {
	_, port, _ := strings.Cut(e.Addr().String(), ":")
	return port
}

func TestPublicIPReplacesTheLocalAddress(t *testing.T) {
	server := engine(t, Config{ICELite: true, PublicIP: public})
	s := peer(t, server, PeerConfig{})
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	offer, err := s.CreateOffer(false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(offer, public.String()+" "+portOf(server)+" typ host") || strings.Contains(offer, "127.0.0.1 "+portOf(server)) {
		t.Errorf("want only %s:\n%s", public, offer)
	}
}

func TestTCPCandidateIsOffered(t *testing.T) {
	server := engine(t, Config{ICELite: true, TCPAddr: "127.0.0.1:0"})
	s := peer(t, server, PeerConfig{})
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	offer, err := s.CreateOffer(false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(offer, "tcptype passive") {
		t.Errorf("no passive TCP candidate:\n%s", offer)
	}
}

func TestLinesAreReusedWithANewSSRC(t *testing.T) {
	server, client := engine(t, Config{ICELite: true}), engine(t, Config{})
	got := make(chan packet, 1000)
	hs, cs := listen(nil)
	hc, cc := listen(collect(got))
	s, c := peer(t, server, cs), peer(t, client, cc)
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	first, err := s.AddTrack(Audio, media.Opus, "one", "p1")
	if err != nil {
		t.Fatal(err)
	}
	offer, _ := negotiate(t, s, c, false)
	ssrc := regexp.MustCompile(`a=ssrc:\d+`)
	old := ssrc.FindString(offer)
	waitState(t, hs, Connected)
	stop := pump(first, media.Opus, []byte("one"))
	wait(t, "track one", hc.tracks)
	wait(t, "a packet", got)
	stop()
	if err := s.RemoveTrack(first); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveTrack(first); err != nil {
		t.Fatal("removing twice:", err)
	}
	if err := first.WritePacket(&media.Packet{Codec: media.Opus, Payload: []byte("late")}); err != nil {
		t.Fatal("a write after removal:", err)
	}
	offer, _ = negotiate(t, s, c, false)
	if strings.Contains(offer, "msid:p1 one") || strings.Count(offer, "m=audio") != 2 {
		t.Fatalf("after removal:\n%s", offer)
	}
	wait(t, "the end of track one", hc.ends)
	for len(got) > 0 {
		<-got
	}

	second, err := s.AddTrack(Audio, media.Opus, "two", "p2")
	if err != nil {
		t.Fatal(err)
	}
	offer, _ = negotiate(t, s, c, false)
	if strings.Count(offer, "m=audio") != 2 || !strings.Contains(offer, "msid:p2 two") {
		t.Fatalf("the line was not reused:\n%s", offer)
	}
	if was := ssrc.FindString(offer); was == old || was == "" || strings.Count(offer, "a=recvonly") != 1 {
		t.Fatalf("the first track had %s, the second has %s:\n%s", old, was, offer)
	}
	defer pump(second, media.Opus, []byte("two"))()
	p := wait(t, "a packet of track two", got)
	if string(p.Payload) != "two" {
		t.Errorf("came %+v", p)
	}
	if in := wait(t, "track two", hc.tracks); in.ID() != "two" || in.StreamID() != "p2" {
		t.Errorf("track %s %s", in.StreamID(), in.ID())
	}
}

func TestVideoIsForwardedUntouchedAndKeyframesAreAskedFor(t *testing.T) {
	server, client := engine(t, Config{ICELite: true}), engine(t, Config{})
	got := make(chan packet, 1000)
	hs, cs := listen(collect(got))
	_, cc := listen(nil)
	s, c := peer(t, server, cs), peer(t, client, cc)
	if err := s.Receive(Video); err != nil {
		t.Fatal(err)
	}
	for _, codec := range []media.Codec{media.VP8} {
		out, err := c.AddTrack(Video, codec, "cam", "me")
		if err != nil {
			t.Fatal(err)
		}
		wanted := make(chan struct{}, 10)
		out.OnKeyframeRequest(func() { wanted <- struct{}{} })
		offer, _ := negotiate(t, s, c, false)
		for _, want := range []string{"nack pli", "ccm fir", "transport-cc", "profile-level-id=42e01f", "VP8/90000"} {
			if !strings.Contains(offer, want) {
				t.Errorf("the offer lacks %q", want)
			}
		}
		waitState(t, hs, Connected)
		payload := []byte{0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 9, 9, 9}
		defer pump(out, codec, payload)()
		in := wait(t, "the camera", hs.tracks)
		if p := wait(t, "a video packet", got); !bytes.Equal(p.Payload, payload) || p.Codec != codec {
			t.Errorf("got %+v", p)
		}
		if in.Kind() != Video || in.Codec() != codec {
			t.Errorf("%v %v", in.Kind(), in.Codec())
		}
		begin := time.Now()
		for range 20 {
			in.RequestKeyframe()
		}
		wait(t, "the first keyframe request", wanted)
		wait(t, "the second, delayed one", wanted)
		if d := time.Since(begin); d < keyframeInterval {
			t.Errorf("two requests within %v", d)
		}
	}
}

func TestConnectionComesBackByItselfAfterALoss(t *testing.T) {
	var cut atomic.Bool
	fast := Timeouts{Disconnected: 300 * time.Millisecond, Failed: 10 * time.Second, KeepAlive: 50 * time.Millisecond}
	server := engine(t, Config{ICELite: true, Timeouts: fast, Listen: lossyListen(&cut)})
	client := engine(t, Config{Timeouts: fast})
	hs, cs := listen(nil)
	hc, cc := listen(nil)
	s, c := peer(t, server, cs), peer(t, client, cc)
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	negotiate(t, s, c, false)
	waitState(t, hs, Connected)
	waitState(t, hc, Connected)
	cut.Store(true)
	waitState(t, hs, Disconnected)
	waitState(t, hc, Disconnected)
	cut.Store(false)
	waitState(t, hs, Connected)
	waitState(t, hc, Connected)
}

func TestICERestartAfterFailure(t *testing.T) {
	var cut atomic.Bool
	fast := Timeouts{Disconnected: 500 * time.Millisecond, Failed: time.Second, KeepAlive: 100 * time.Millisecond}
	server := engine(t, Config{ICELite: true, Timeouts: fast, Listen: lossyListen(&cut)})
	client := engine(t, Config{Timeouts: fast})
	got := make(chan packet, 1000)
	hs, cs := listen(nil)
	hc, cc := listen(collect(got))
	s, c := peer(t, server, cs), peer(t, client, cc)
	out, err := s.AddTrack(Audio, media.Opus, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	first, _ := negotiate(t, s, c, false)
	waitState(t, hs, Connected)
	waitState(t, hc, Connected)
	defer pump(out, media.Opus, []byte("x"))()
	wait(t, "a packet", got)
	cut.Store(true)
	waitState(t, hs, Failed)
	waitState(t, hc, Failed)
	for len(got) > 0 {
		<-got
	}
	cut.Store(false)
	second, _ := negotiate(t, s, c, true)
	if ufrag(first) == ufrag(second) || ufrag(second) == "" {
		t.Errorf("the offer keeps ufrag %q", ufrag(second))
	}
	waitState(t, hs, Connected)
	wait(t, "a packet after the restart", got)
}

func ufrag(sdp string) string {
	_, rest, _ := strings.Cut(sdp, "a=ice-ufrag:")
	u, _, _ := strings.Cut(rest, "\r\n")
	return u
}

func TestCandidatesMayComeFirst(t *testing.T) {
	client := engine(t, Config{})
	c := peer(t, client, PeerConfig{})
	mid := "0"
	for range maxEarlyCandidates {
		if err := c.AddCandidate(Candidate{Candidate: "candidate:1 1 udp 2130706431 127.0.0.1 9 typ host", SDPMid: &mid}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.AddCandidate(Candidate{}); !errors.Is(err, ErrCandidates) {
		t.Errorf("err = %v", err)
	}
	server := engine(t, Config{ICELite: true})
	s := peer(t, server, PeerConfig{})
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	negotiate(t, s, c, false)
	if err := c.AddCandidate(Candidate{Candidate: "candidate:nonsense"}); err == nil {
		t.Error("a malformed candidate was accepted")
	}
	if err := s.AcceptAnswer("v=0"); err == nil || !strings.Contains(err.Error(), "without an offer") {
		t.Errorf("err = %v", err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	server, client := engine(t, Config{ICELite: true}), engine(t, Config{})
	var packets atomic.Int64
	var closed atomic.Bool
	hs, cs := listen(func(*InTrack, *media.Packet) {
		if closed.Load() {
			t.Error("a packet after Close")
		}
		packets.Add(1)
	})
	_, cc := listen(nil)
	s, c := peer(t, server, cs), peer(t, client, cc)
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	out, err := c.AddTrack(Audio, media.Opus, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	negotiate(t, s, c, false)
	waitState(t, hs, Connected)
	defer pump(out, media.Opus, []byte("x"))()
	wait(t, "the track", hs.tracks)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	closed.Store(true)
	wait(t, "the end of the track", hs.ends)
	if err := s.Close(); err != nil {
		t.Error("closing twice:", err)
	}
	if server.Peers() != 0 {
		t.Errorf("%d peers left", server.Peers())
	}
	if _, err := s.AddTrack(Audio, media.Opus, "a", "b"); !errors.Is(err, ErrClosed) {
		t.Errorf("err = %v", err)
	}
}

// Nothing of an offer that came at the moment of Close is left running, which
// TestMain looks for.
func TestCloseAmidAnOffer(t *testing.T) {
	server, client := engine(t, Config{ICELite: true}), engine(t, Config{})
	for n := range 40 {
		s, c := peer(t, server, PeerConfig{}), peer(t, client, PeerConfig{})
		if err := s.Receive(Audio); err != nil {
			t.Fatal(err)
		}
		offer, err := s.CreateOffer(false)
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan error)
		go func() { _, err := c.AcceptOffer(t.Context(), offer); answered <- err }()
		time.Sleep(time.Duration(n) * 50 * time.Microsecond) // wherever it then is
		_ = c.Close()
		_ = wait(t, "the end of the offer", answered)
		if _, err := c.AcceptOffer(t.Context(), offer); !errors.Is(err, ErrClosed) {
			t.Errorf("an offer after Close: %v", err)
		}
		_ = s.Close()
	}
}

func TestAPanicInACallbackCostsOnePeer(t *testing.T) {
	server, client := engine(t, Config{ICELite: true}), engine(t, Config{})
	hs, cs := listen(func(*InTrack, *media.Packet) { panic("on purpose") })
	_, cc := listen(nil)
	s, c := peer(t, server, cs), peer(t, client, cc)
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	out, err := c.AddTrack(Audio, media.Opus, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	negotiate(t, s, c, false)
	waitState(t, hs, Connected)
	defer pump(out, media.Opus, []byte("x"))()
	wait(t, "the track", hs.tracks)
	wait(t, "the end of the track", hs.ends)
}

func TestAnswererWithoutOurCodecDoesNotSpoilTheRest(t *testing.T) {
	server, client := engine(t, Config{ICELite: true}), engine(t, Config{})
	hs, cs := listen(nil)
	s, c := peer(t, server, cs), peer(t, client, PeerConfig{})
	out, err := s.AddTrack(Video, media.H264, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	offer, err := s.CreateOffer(false)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.AcceptOffer(context.Background(), offer)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, l := range strings.Split(answer, "\r\n") {
		if strings.Contains(l, ":102 ") {
			continue
		}
		kept = append(kept, strings.Replace(l, "SAVPF 96 102", "SAVPF 96", 1))
	}
	if err := s.AcceptAnswer(strings.Join(kept, "\r\n")); err != nil {
		t.Fatal(err)
	}
	waitState(t, hs, Connected)
	if out.Supports(media.H264) || !out.Supports(media.VP8) {
		t.Errorf("supports H264 %v, VP8 %v", out.Supports(media.H264), out.Supports(media.VP8))
	}
	if err := out.WritePacket(&media.Packet{Codec: media.H264, Payload: []byte{1}}); err != nil {
		t.Error(err)
	}
}

func TestOneOfferAtATime(t *testing.T) {
	server, client := engine(t, Config{ICELite: true}), engine(t, Config{})
	hs, cs := listen(nil)
	s, c := peer(t, server, cs), peer(t, client, PeerConfig{})
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	offer, err := s.CreateOffer(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateOffer(false); !errors.Is(err, ErrOfferPending) {
		t.Errorf("err = %v", err)
	}
	answer, err := c.AcceptOffer(context.Background(), offer)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AcceptAnswer("v=0"); err == nil {
		t.Error("a broken answer was accepted")
	}
	if err := s.AcceptAnswer(answer); err != nil {
		t.Fatal("the right answer after a broken one:", err)
	}
	waitState(t, hs, Connected)
}

func TestSpliceGoesOnAfterTheLastNumber(t *testing.T) {
	track := boundTrack()
	for _, seq := range []uint16{65534, 65535} {
		_ = track.WritePacket(&media.Packet{Codec: media.Opus, SequenceNumber: seq})
	}
	track.Splice()
	for i, seq := range []uint16{7000, 7001, 7003} {
		_ = track.WritePacket(&media.Packet{Codec: media.Opus, SequenceNumber: seq})
		if want := seq - 7000; track.header.SequenceNumber != want {
			t.Errorf("packet %d has number %d, want %d", i, track.header.SequenceNumber, want)
		}
	}
}

func TestInspectTellsWhatIsWrong(t *testing.T) {
	const head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
	const ice = "a=ice-ufrag:aaaa\r\na=ice-pwd:bbbbbbbbbbbbbbbbbbbbbb\r\na=fingerprint:sha-256 00\r\n"
	for name, c := range map[string]struct{ sdp, want string }{
		"empty":       {"", "no m-line"},
		"text":        {"hello", "not a session description"},
		"no line":     {head + ice, "no m-line"},
		"no ice":      {head + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n", "no a=ice-ufrag"},
		"no mid":      {head + ice + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "m-line 1: no a=mid"},
		"huge":        {strings.Repeat("a", MaxSDP+1), "at most"},
		"many lines":  {head + ice + strings.Repeat("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", MaxLines+1), "m-lines"},
		"fingerprint": {head + "a=ice-ufrag:aaaa\r\na=ice-pwd:b\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n", "no a=fingerprint"},
	} {
		if _, err := Inspect(c.sdp); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	lines, err := Inspect(head + ice + "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 77\r\na=mid:x\r\na=rtpmap:111 opus/48000/2\r\na=sendonly\r\n" +
		"m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:y\r\na=rtpmap:96 VP8/90000\r\na=inactive\r\n")
	if err != nil {
		t.Fatal(err)
	}
	a, v := lines[0], lines[1]
	if a.Kind != Audio || a.MID != "x" || !a.Sends || a.Receives || !a.Supports(media.Opus) || !a.Supports(media.PCMU) || len(a.Codecs) != 2 {
		t.Errorf("audio %+v", a)
	}
	if v.Kind != Video || !v.Rejected || v.Sends || v.Receives || !v.Supports(media.VP8) {
		t.Errorf("video %+v", v)
	}
}

func FuzzInspect(f *testing.F) {
	f.Add("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\na=fingerprint:x\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := Inspect(text)
		if err == nil && len(lines) == 0 {
			t.Error("no lines and no error")
		}
		small := strings.ToLower(text)
		out := localSDP(text, wishes{sound: DefaultAudio, redundancy: true, maxPlaybackHz: 8000})
		if len(out) > len(text)+100*(strings.Count(small, "opus/")+strings.Count(small, "red/")) {
			t.Errorf("%d bytes became %d", len(text), len(out))
		}
	})
}

func TestTCPCarriesWhatUDPCannot(t *testing.T) {
	var cut atomic.Bool
	cut.Store(true)
	server := engine(t, Config{ICELite: true, TCPAddr: "127.0.0.1:0", Listen: lossyListen(&cut)})
	client := engine(t, Config{TCPAddr: "127.0.0.1:0"})
	got := make(chan packet, 100)
	hs, cs := listen(collect(got))
	_, cc := listen(nil)
	s, c := peer(t, server, cs), peer(t, client, cc)
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	out, err := c.AddTrack(Audio, media.Opus, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	negotiate(t, s, c, false)
	waitState(t, hs, Connected)
	defer pump(out, media.Opus, []byte("over TCP"))()
	if p := wait(t, "a packet", got); string(p.Payload) != "over TCP" {
		t.Errorf("%+v", p)
	}
}

// Only what was configured is bound: PEERS.md, defect 12.
func TestPeerDefect12OnlyTheConfiguredAddressIsBound(t *testing.T) {
	var opened []string
	e := engine(t, Config{ICELite: true, TCPAddr: "127.0.0.1:0", Listen: func(ctx context.Context, network, address string) (net.PacketConn, error) {
		opened = append(opened, network+" "+address)
		return media.ListenUDP(ctx, network, address)
	}})
	s := peer(t, e, PeerConfig{})
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	offer, err := s.CreateOffer(false)
	if err != nil {
		t.Fatal(err)
	}
	if len(opened) != 1 || opened[0] != "udp4 127.0.0.1:0" || !e.Addr().Addr().IsLoopback() || !e.TCPAddr().Addr().IsLoopback() {
		t.Errorf("opened %v, bound %v and %v", opened, e.Addr(), e.TCPAddr())
	}
	for _, line := range strings.Split(offer, "\r\n") {
		if strings.HasPrefix(line, "a=candidate:") && !strings.Contains(line, " 127.0.0.1 ") {
			t.Error(line)
		}
	}
}

// PEERS.md, defect 14: IPv6 has its right answer too.
func TestPeerDefect14IPv6(t *testing.T) {
	if c, err := media.ListenUDP(context.Background(), "udp6", "[::1]:0"); err != nil {
		t.Skip("no IPv6 loopback:", err)
	} else {
		_ = c.Close()
	}
	server, client := engine(t, Config{ICELite: true, UDPAddr: "[::1]:0"}), engine(t, Config{UDPAddr: "[::1]:0"})
	got := make(chan packet, 100)
	hs, cs := listen(collect(got))
	s, c := peer(t, server, cs), peer(t, client, PeerConfig{})
	if err := s.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	out, err := c.AddTrack(Audio, media.Opus, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	negotiate(t, s, c, false)
	waitState(t, hs, Connected)
	defer pump(out, media.Opus, []byte("six"))()
	if p := wait(t, "a packet", got); string(p.Payload) != "six" {
		t.Errorf("%+v", p)
	}
}

func TestAPortInUseIsSaidSo(t *testing.T) {
	first := engine(t, Config{ICELite: true})
	_, err := NewEngine(context.Background(), Config{UDPAddr: first.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "listen for WebRTC on udp "+first.Addr().String()) {
		t.Errorf("err = %v", err)
	}
	if _, err := NewEngine(context.Background(), Config{UDPAddr: "nonsense"}); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("err = %v", err)
	}
}

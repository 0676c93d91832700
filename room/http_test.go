package room

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
	"github.com/roomline/roomline/transcode"
)

// tone makes 20 ms packets of a sine.
func tone(t testing.TB, codec media.Codec, hz, level float64) func(int) media.Packet {
	t.Helper()
	e, err := transcode.NewEncoder(codec, media.NarrowbandHz, transcode.OpusSettings{Bitrate: 24000, Complexity: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	sine := media.Sine(hz, media.NarrowbandHz, level)
	pcm, out := make([]int16, media.FrameSamples), make([]byte, 1500)
	return func(i int) media.Packet {
		sine.Fill(pcm)
		n, err := e.Encode(pcm, out)
		if err != nil {
			t.Error(err)
		}
		return media.Packet{Codec: codec, SequenceNumber: uint16(i), Timestamp: uint32(i * codec.ClockRate() / 50), Payload: out[:n]}
	}
}

// hear decodes what a client gets, n packets of it.
func (c *client) hear(codec media.Codec, n int) []int16 {
	c.h.t.Helper()
	d, err := transcode.NewDecoder(codec, media.NarrowbandHz)
	if err != nil {
		c.h.t.Fatal(err)
	}
	defer d.Close()
	var heard []int16
	pcm := make([]int16, 960)
	for range n {
		p := wait(c.h.t, "sound", c.got)
		if p.Codec != codec {
			c.h.t.Fatalf("codec %v, want %v", p.Codec, codec)
		}
		k, err := d.Decode(p.Payload, pcm)
		if err != nil {
			c.h.t.Fatal(err)
		}
		heard = append(heard, pcm[:k]...)
	}
	return heard
}

func TestWHIPToWHEPByTone(t *testing.T) {
	for _, c := range []struct{ up, down media.Codec }{{media.Opus, media.Opus}, {media.PCMU, media.Opus}} {
		t.Run(c.up.String()+" to "+c.down.String(), func(t *testing.T) {
			h := build(t, Timeouts{})
			pub, sub := h.client(), h.client()
			up := pub.track(webrtc.Audio, c.up, "mic")
			h.open("whip", guest("ann"), pub)
			if err := sub.peer.Receive(webrtc.Audio); err != nil {
				t.Fatal(err)
			}
			h.open("whep", guest("bob"), sub)
			defer beat(up, tone(t, c.up, 440, -20))()
			sub.hear(c.down, 10)
			heard := sub.hear(c.down, 50)
			if l := media.ToneLevel(heard, media.NarrowbandHz, 440); l < -21 || l > -19 {
				t.Errorf("440 Hz at %.1f dB, want -20", l)
			}
		})
	}
}

func TestOneIdentityDoesNotHearItself(t *testing.T) {
	h := build(t, Timeouts{})
	pub, own, other := h.client(), h.client(), h.client()
	up := pub.track(webrtc.Audio, media.Opus, "mic")
	h.open("whip", guest("ann"), pub)
	for _, c := range []*client{own, other} {
		if err := c.peer.Receive(webrtc.Audio); err != nil {
			t.Fatal(err)
		}
	}
	h.open("whep", guest("ann"), own)
	h.open("whep", guest("bob"), other)
	defer beat(up, tone(t, media.Opus, 440, -20))()
	other.hear(media.Opus, 40)
	select {
	case <-own.got:
		t.Error("a person hears itself")
	default:
	}
}

// An answer that waits for a publisher never comes: PEERS.md, defect 9.
func TestPeerDefect09WHEPAnswersInAnEmptyRoom(t *testing.T) {
	h := build(t, Timeouts{})
	sub := h.client()
	if err := sub.peer.Receive(webrtc.Audio); err != nil {
		t.Fatal(err)
	}
	offer, err := sub.peer.CreateOffer(false)
	if err != nil {
		t.Fatal(err)
	}
	resp := h.request("POST", "/v1/rooms/lobby/whep", h.token(guest("bob")), mimeSDP, offer)
	answer := text(resp)
	lines, err := webrtc.Inspect(answer)
	if err != nil || len(lines) != 1 || lines[0].Kind != webrtc.Audio || !lines[0].Sends || !strings.Contains(answer, "a=msid:") {
		t.Errorf("%v\n%s", err, answer)
	}
	if err := sub.peer.AcceptAnswer(answer); err != nil {
		t.Fatal(err)
	}
	sub.waitState(webrtc.Connected)
	// Who comes later is heard on that track.
	pub := h.client()
	up := pub.track(webrtc.Audio, media.Opus, "mic")
	h.open("whip", guest("ann"), pub)
	defer beat(up, tone(t, media.Opus, 440, -20))()
	sub.hear(media.Opus, 10)
}

// Identity is no key: two of one identity are two participants. PEERS.md, defect 3.
func TestPeerDefect03OneIdentityTwice(t *testing.T) {
	h := build(t, Timeouts{})
	for range 2 {
		pub := h.client()
		pub.track(webrtc.Audio, media.Opus, "mic")
		h.open("whip", guest("ann"), pub)
	}
	if rooms := h.x.Rooms(); len(rooms) != 1 || len(rooms[0].Participants) != 2 {
		t.Errorf("%+v", rooms)
	}
}

func TestWHIPResponseIsAsRFC9725Says(t *testing.T) {
	h := build(t, Timeouts{})
	pub := h.client()
	pub.track(webrtc.Audio, media.Opus, "mic")
	offer, err := pub.peer.CreateOffer(false)
	if err != nil {
		t.Fatal(err)
	}
	resp := h.request("POST", "/v1/rooms/lobby/whip", h.token(guest("ann")), mimeSDP, offer, "Origin", "https://studio.example.com")
	head := resp.Header
	for name, want := range map[string]string{
		"Content-Type": mimeSDP, "Accept-Patch": mimeFrag, "Accept-Post": mimeSDP,
		"Access-Control-Allow-Origin": "https://studio.example.com",
	} {
		if got := head.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if resp.StatusCode != 201 || !strings.HasPrefix(head.Get("Location"), "/v1/rooms/lobby/sessions/") || !strings.HasPrefix(head.Get("ETag"), `"`) ||
		!strings.HasPrefix(head.Get("Link"), `<turn:192.0.2.9:3478>; rel="ice-server"; username="`) {
		t.Errorf("%s %v", resp.Status, head)
	}
	if answer := text(resp); !strings.Contains(answer, "a=recvonly") || !strings.Contains(answer, "a=ice-lite") {
		t.Errorf("answer:\n%s", answer)
	}
	session, token := head.Get("Location"), h.token(guest("ann"))
	etag := head.Get("ETag")
	const candidate = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host\r\n"
	for name, c := range map[string]struct {
		method, path, token, kind, body, match string
		want                                   int
	}{
		"trickle":           {"PATCH", session, token, mimeFrag, candidate, etag, 204},
		"no If-Match":       {"PATCH", session, token, mimeFrag, candidate, "", 428},
		"old tag":           {"PATCH", session, token, mimeFrag, candidate, `"0"`, 412},
		"no fragment":       {"PATCH", session, token, mimeSDP, candidate, etag, 415},
		"broken fragment":   {"PATCH", session, token, mimeFrag, "nonsense", etag, 400},
		"broken candidate":  {"PATCH", session, token, mimeFrag, "a=candidate:x", etag, 400},
		"restart, no pwd":   {"PATCH", session, token, mimeFrag, "a=ice-ufrag:abcd\r\n", "*", 400},
		"no token":          {"PATCH", session, "", mimeFrag, candidate, etag, 401},
		"somebody else's":   {"PATCH", session, h.token(guest("eve")), mimeFrag, candidate, etag, 403},
		"get":               {"GET", session, token, "", "", "", 405},
		"put":               {"PUT", session, token, "", "", "", 405},
		"unknown session":   {"DELETE", "/v1/rooms/lobby/sessions/ses_x", token, "", "", "", 404},
		"of another room":   {"DELETE", strings.Replace(session, "lobby", "attic", 1), h.token(Claims{Identity: "ann", Role: bridge.RoleGuest, Room: "attic"}), "", "", "", 404},
		"token of another":  {"DELETE", session, h.token(Claims{Identity: "ann", Role: bridge.RoleGuest, Room: "attic"}), "", "", "", 403},
		"preflight":         {"OPTIONS", session, "", "", "", "", 204},
		"preflight of whip": {"OPTIONS", "/v1/rooms/lobby/whip", "", "", "", "", 204},
	} {
		var headers []string
		if c.match != "" {
			headers = []string{"If-Match", c.match}
		}
		if got := h.request(c.method, c.path, c.token, c.kind, c.body, headers...); got.StatusCode != c.want {
			t.Errorf("%s: %s %s, want %d", name, got.Status, text(got), c.want)
		}
	}
	if got := h.request("DELETE", session, token, "", ""); got.StatusCode != 200 {
		t.Errorf("delete: %s", got.Status)
	}
	if got := h.request("DELETE", session, token, "", ""); got.StatusCode != 404 {
		t.Errorf("delete again: %s", got.Status)
	}
	if len(h.x.Rooms()) != 0 {
		t.Error("the publisher is still in the room")
	}
}

func TestWHIPAndWHEPRefusePrecisely(t *testing.T) {
	h := build(t, Timeouts{})
	k := h.client()
	k.track(webrtc.Audio, media.Opus, "mic")
	sends, err := k.peer.CreateOffer(false)
	if err != nil {
		t.Fatal(err)
	}
	v := h.client()
	v.track(webrtc.Video, media.VP8, "cam")
	sendsVideo, err := v.peer.CreateOffer(false)
	if err != nil {
		t.Fatal(err)
	}
	ann := h.token(guest("ann"))
	agent := h.token(Claims{Identity: "bot", Role: bridge.RoleAgent, Room: "lobby"})
	for name, c := range map[string]struct {
		method, path, token, kind, body string
		want                            int
		words                           string
	}{
		"no token":        {"POST", "/v1/rooms/lobby/whip", "", mimeSDP, sends, 401, "a room token is needed"},
		"other room":      {"POST", "/v1/rooms/attic/whip", ann, mimeSDP, sends, 403, "the token is for room"},
		"bad room":        {"POST", "/v1/rooms/a%20b/whip", ann, mimeSDP, sends, 404, "no such room name"},
		"JSON":            {"POST", "/v1/rooms/lobby/whip", ann, "application/json", sends, 415, "application/sdp"},
		"no type":         {"POST", "/v1/rooms/lobby/whip", ann, "", sends, 415, "application/sdp"},
		"no SDP":          {"POST", "/v1/rooms/lobby/whip", ann, mimeSDP, "hello", 400, "not a session description"},
		"empty":           {"POST", "/v1/rooms/lobby/whip", ann, mimeSDP, "", 400, "no m-line"},
		"too long":        {"POST", "/v1/rooms/lobby/whip", ann, mimeSDP, strings.Repeat("a", webrtc.MaxSDP+1), 413, "64 KiB"},
		"a listener":      {"POST", "/v1/rooms/lobby/whip", ann, mimeSDP, strings.Replace(sends, "a=sendonly", "a=recvonly", 1), 422, "sends nothing"},
		"a speaker":       {"POST", "/v1/rooms/lobby/whep", ann, mimeSDP, sends, 422, "receive nothing"},
		"unknown codecs":  {"POST", "/v1/rooms/lobby/whip", ann, mimeSDP, strings.NewReplacer("opus", "opxs", "111 63 0 8 ", "111 63 ").Replace(sends), 422, "sends nothing"},
		"agent's camera":  {"POST", "/v1/rooms/lobby/whip", agent, mimeSDP, sendsVideo, 403, "may not send video"},
		"broken mid":      {"POST", "/v1/rooms/lobby/whip", ann, mimeSDP, strings.Replace(sends, "a=mid:0\r\n", "", 1), 400, "no a=mid"},
		"no fingerprint":  {"POST", "/v1/rooms/lobby/whip", ann, mimeSDP, strings.Replace(sends, "a=fingerprint", "a=xfingerprint", -1), 400, "a=fingerprint"},
		"bad fingerprint": {"POST", "/v1/rooms/lobby/whip", ann, mimeSDP, strings.Replace(sends, "a=fingerprint:sha-256 ", "a=fingerprint:", -1), 400, "cannot be answered"},
		"get":             {"GET", "/v1/rooms/lobby/whip", ann, "", "", 405, "POST an SDP offer"},
		"delete":          {"DELETE", "/v1/rooms/lobby/whep", ann, "", "", 405, "POST an SDP offer"},
	} {
		resp := h.request(c.method, c.path, c.token, c.kind, c.body)
		if resp.StatusCode != c.want || !strings.Contains(text(resp), c.words) {
			t.Errorf("%s: %s %s, want %d %q", name, resp.Status, text(resp), c.want, c.words)
		}
		if c.want == 401 && resp.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
	if len(h.x.Rooms()) != 0 {
		t.Errorf("somebody was let in: %+v", h.x.Rooms())
	}
	if got := h.request("OPTIONS", "/v1/rooms/lobby/whip", "", "", "", "Origin", "https://evil.example.org"); got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a strange origin is allowed")
	}
}

func TestWHIPRestartsICE(t *testing.T) {
	h := build(t, Timeouts{})
	pub, sub := h.client(), h.client()
	up := pub.track(webrtc.Audio, media.Opus, "mic")
	first, err := pub.peer.CreateOffer(false)
	if err != nil {
		t.Fatal(err)
	}
	created := h.request("POST", "/v1/rooms/lobby/whip", h.token(guest("ann")), mimeSDP, first)
	answer, session := text(created), created.Header.Get("Location")
	if err := pub.peer.AcceptAnswer(answer); err != nil {
		t.Fatal(err)
	}
	pub.waitState(webrtc.Connected)
	if err := sub.peer.Receive(webrtc.Audio); err != nil {
		t.Fatal(err)
	}
	h.open("whep", guest("bob"), sub)
	defer beat(up, same(media.Opus, []byte("x")))()
	wait(t, "sound", sub.got)

	offer, err := pub.peer.CreateOffer(true)
	if err != nil {
		t.Fatal(err)
	}
	resp := h.request("PATCH", session, h.token(guest("ann")), mimeFrag, fragmentOf(offer), "If-Match", "*")
	if resp.StatusCode != 200 || resp.Header.Get("ETag") != `"2"` || resp.Header.Get("Content-Type") != mimeFrag {
		t.Fatalf("%s %v %s", resp.Status, resp.Header, text(resp))
	}
	frag, err := parseFragment(text(resp))
	if err != nil || frag.ufrag == "" || frag.pwd == "" || len(frag.candidates) == 0 {
		t.Fatalf("%+v %v\n%s", frag, err, text(resp))
	}
	// The client makes its answer of the old one, as RFC 9725 asks.
	if err := pub.peer.AcceptAnswer(withCredentials(answer, frag.ufrag, frag.pwd)); err != nil {
		t.Fatal(err)
	}
	for _, c := range frag.candidates {
		if err := pub.peer.AddCandidate(c); err != nil {
			t.Fatal(err)
		}
	}
	pub.waitState(webrtc.Connected)
	sub.flush()
	wait(t, "sound after the restart", sub.got)
	if got := h.request("PATCH", session, h.token(guest("ann")), mimeFrag, "", "If-Match", `"1"`); got.StatusCode != 412 {
		t.Errorf("the old tag: %s", got.Status)
	}
}

func TestWHEPFollowsTheNewestCamera(t *testing.T) {
	h := build(t, Timeouts{})
	sub := h.client()
	for _, k := range []webrtc.Kind{webrtc.Audio, webrtc.Video} {
		if err := sub.peer.Receive(k); err != nil {
			t.Fatal(err)
		}
	}
	h.open("whep", guest("eve"), sub)
	publish := func(who string, payload []byte) (stop func(), asked chan struct{}, session string) {
		pub := h.client()
		cam := pub.track(webrtc.Video, media.VP8, "cam")
		asked = make(chan struct{}, 100)
		cam.OnKeyframeRequest(func() { asked <- struct{}{} })
		session = h.open("whip", guest(who), pub)
		return beat(cam, same(media.VP8, payload)), asked, session
	}
	see := func(want []byte) uint16 {
		t.Helper()
		for {
			p := wait(t, "a picture", sub.got)
			if bytes.Equal(p.Payload, want) {
				return p.SequenceNumber
			}
		}
	}
	first, asked, _ := publish("ann", []byte{0x10, 1, 1, 1})
	defer first()
	wait(t, "a keyframe request to the first camera", asked)
	see([]byte{0x10, 1, 1, 1})
	second, asked, session := publish("bob", []byte{0x10, 2, 2, 2})
	wait(t, "a keyframe request to the second camera", asked)
	n := see([]byte{0x10, 2, 2, 2})
	if m := see([]byte{0x10, 2, 2, 2}); m != n+1 {
		t.Errorf("after %d came %d", n, m)
	}
	second()
	h.request("DELETE", session, h.token(guest("bob")), "", "")
	see([]byte{0x10, 1, 1, 1})
}

func TestPLIGoesFromWHEPToWHIP(t *testing.T) {
	h := build(t, Timeouts{})
	pub, sub := h.client(), h.client()
	cam := pub.track(webrtc.Video, media.VP8, "cam")
	asked := make(chan struct{}, 100)
	cam.OnKeyframeRequest(func() { asked <- struct{}{} })
	h.open("whip", guest("ann"), pub)
	defer beat(cam, same(media.VP8, []byte{0x10, 1, 1}))()
	if err := sub.peer.Receive(webrtc.Video); err != nil {
		t.Fatal(err)
	}
	h.open("whep", guest("bob"), sub)
	in := wait(t, "the camera", sub.tracks)
	quietFor(asked, 800*time.Millisecond)
	in.RequestKeyframe()
	wait(t, "the PLI at the publisher", asked)
}

// quietFor returns when nothing came for so long.
func quietFor(ch chan struct{}, d time.Duration) {
	for {
		select {
		case <-ch:
		case <-time.After(d):
			return
		}
	}
}

func TestAPublisherThatVanishesLeaves(t *testing.T) {
	h := build(t, Timeouts{Resume: time.Second, Refresh: 100 * time.Millisecond})
	pub := h.client()
	pub.track(webrtc.Audio, media.Opus, "mic")
	h.open("whip", guest("ann"), pub)
	eventually(t, "our side being connected", func() bool {
		h.srv.mu.Lock()
		defer h.srv.mu.Unlock()
		for _, x := range h.srv.sessions {
			return x.peer.State() == webrtc.Connected
		}
		return false
	})
	h.cut.Store(true)
	eventually(t, "the publisher being away", func() bool {
		rooms := h.x.Rooms()
		return len(rooms) == 1 && rooms[0].Participants[0].Away
	})
	eventually(t, "the publisher having left", func() bool { return len(h.x.Rooms()) == 0 })
}

func TestLateComersAreToldOfTheShutdown(t *testing.T) {
	h := build(t, Timeouts{})
	h.srv.Close()
	pub := h.client()
	pub.track(webrtc.Audio, media.Opus, "mic")
	offer, err := pub.peer.CreateOffer(false)
	if err != nil {
		t.Fatal(err)
	}
	if resp := h.request("POST", "/v1/rooms/lobby/whip", h.token(guest("ann")), mimeSDP, offer); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%s %s", resp.Status, text(resp))
	}
}

package room

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

func TestTwoBrowsersGetEachOthersTracksApart(t *testing.T) {
	h := build(t, Timeouts{})
	var mic, cam *webrtc.OutTrack
	asked := make(chan struct{}, 100)
	ann := h.join(guest("ann"), func(c *client) {
		mic, cam = c.track(webrtc.Audio, media.Opus, "a"), c.track(webrtc.Video, media.VP8, "v")
		cam.OnKeyframeRequest(func() { asked <- struct{}{} })
	})
	ann.waitState(webrtc.Connected)
	bob := h.join(guest("bob"))
	bob.waitState(webrtc.Connected)
	picture := append([]byte{0x10}, bytes.Repeat([]byte{7}, 1100)...)
	defer beat(mic, same(media.Opus, []byte{0x08, 1, 2, 3}))()
	defer beat(cam, same(media.VP8, picture))()
	seen := map[string]bool{}
	for len(seen) < 2 {
		in := wait(t, "a track of ann's", bob.tracks)
		if in.StreamID() != ann.id {
			t.Errorf("msid %q, want %q", in.StreamID(), ann.id)
		}
		seen[in.ID()] = true
	}
	if !seen["mic"] || !seen["cam"] {
		t.Errorf("tracks %v", seen)
	}
	for media := map[webrtc.Kind]bool{}; len(media) < 2; {
		p := wait(t, "packets", bob.got)
		media[p.track.Kind()] = true
		want := []byte{0x08, 1, 2, 3}
		if p.track.Kind() == webrtc.Video {
			want = picture
		}
		if !bytes.Equal(p.Payload, want) {
			t.Fatalf("%v payload %x", p.track.Kind(), p.Payload)
		}
	}
	wait(t, "a keyframe request", asked)

	// She leaves: her tracks end, the lines stay for the next one.
	ann.say(map[string]any{"type": "leave"})
	if m := ann.expect("leave"); m["reason"] != "you left" {
		t.Errorf("%v", m)
	}
	wait(t, "the end of a track", bob.ends)
	wait(t, "the end of the other", bob.ends)
	eventually(t, "bob being alone", func() bool {
		rooms := h.x.Rooms()
		return len(rooms) == 1 && len(rooms[0].Participants) == 1
	})
}

func TestJoinedSaysWhoIAm(t *testing.T) {
	h := build(t, Timeouts{})
	for role, want := range map[bridge.Role]map[string]any{
		bridge.RoleDispatcher: {"speak": true, "camera": true, "watch": true, "hang_up": true, "digits": true, "whisper": false},
		bridge.RoleGuest:      {"speak": true, "camera": true, "watch": true, "hang_up": false, "digits": false, "whisper": false},
		bridge.RoleCaller:     {"speak": true, "camera": true, "watch": false, "hang_up": false, "digits": false, "whisper": false},
	} {
		c := guest("ann")
		c.Role = role
		p := &page{client: h.client()}
		p.answers.Store(true)
		p.connect("lobby")
		p.say(map[string]any{"type": "join", "token": h.token(c), "name": "Ann"})
		m := p.expect("joined")
		if m["room"] != "lobby" || m["role"] != string(role) || len(m["ice_servers"].([]any)) != 1 {
			t.Errorf("%v", m)
		}
		for grant, allowed := range m["grants"].(map[string]any) {
			if allowed != want[grant] {
				t.Errorf("%s: %s is %v", role, grant, allowed)
			}
		}
		if list := p.expect("participants")["participants"].([]any); list[len(list)-1].(map[string]any)["name"] != "Ann" {
			t.Errorf("%v", list)
		}
		offer := p.expect("offer")["sdp"].(string)
		lines, err := webrtc.Inspect(offer)
		if err != nil || len(lines) < 3 || lines[0].Kind != webrtc.Audio || !lines[0].Receives || lines[0].Sends ||
			lines[1].Kind != webrtc.Video || !lines[1].Receives || lines[1].Sends {
			t.Errorf("%v %+v", err, lines)
		}
		p.say(map[string]any{"type": "leave"})
		p.expect("leave")
		<-p.ended
	}
}

func TestTokenAsSubprotocol(t *testing.T) {
	h := build(t, Timeouts{})
	for _, protocols := range [][]string{{tokenProtocol + h.token(guest("ann"))}, {"roomline", tokenProtocol + h.token(guest("ann"))}} {
		ws := h.dial("lobby", protocols...)
		if got := ws.Subprotocol(); got != protocols[0] {
			t.Errorf("agreed on %.30q", got)
		}
		if err := ws.Write(context.Background(), websocket.MessageText, []byte(`{"type":"join"}`)); err != nil {
			t.Fatal(err)
		}
		if _, text, err := ws.Read(context.Background()); err != nil || !strings.Contains(string(text), `"type":"joined"`) {
			t.Errorf("%s %v", text, err)
		}
	}
}

func TestADroppedWebSocketResumesAsTheSameParticipant(t *testing.T) {
	h := build(t, fast)
	var mic *webrtc.OutTrack
	ann := h.join(guest("ann"), func(c *client) { mic = c.track(webrtc.Audio, media.Opus, "a") })
	bob := h.join(guest("bob"))
	ann.waitState(webrtc.Connected)
	bob.waitState(webrtc.Connected)
	defer beat(mic, same(media.Opus, []byte{0x08, 1}))()
	wait(t, "sound", bob.got)

	id, session := ann.id, ann.session
	ann.drop()
	eventually(t, "ann being away", func() bool { p, ok := h.participant(id); return ok && p.Away })
	bob.flush()
	wait(t, "sound from a page without WebSocket", bob.got)

	ann.connect("lobby")
	ann.say(map[string]any{"type": "resume", "session": "wrong"})
	if m := ann.expect("error"); m["code"] != "not_found" {
		t.Errorf("%v", m)
	}
	ann.say(map[string]any{"type": "resume", "session": session})
	ann.welcomed()
	if ann.id != id || ann.session != session {
		t.Errorf("came back as %s, was %s", ann.id, id)
	}
	eventually(t, "ann being back", func() bool { p, ok := h.participant(id); return ok && !p.Away })
	if rooms := h.x.Rooms(); len(rooms[0].Participants) != 2 {
		t.Errorf("%+v", rooms[0].Participants)
	}
}

func TestWhoDoesNotResumeLeaves(t *testing.T) {
	h := build(t, Timeouts{Resume: 200 * time.Millisecond})
	ann := h.join(guest("ann"))
	session := ann.session
	ann.drop()
	eventually(t, "ann having left", func() bool { return len(h.x.Rooms()) == 0 })
	ann.connect("lobby")
	ann.say(map[string]any{"type": "resume", "session": session})
	if m := ann.expect("error"); m["code"] != "not_found" || !strings.Contains(m["message"].(string), "join again") {
		t.Errorf("%v", m)
	}
}

// Ten seconds without network, in small: WebSocket and media are lost past the
// point where ICE fails, then both come back as the same participant.
func TestANetworkLossEndsInTheSameSeat(t *testing.T) {
	h := build(t, fast)
	var mic *webrtc.OutTrack
	ann := h.join(guest("ann"), func(c *client) { mic = c.track(webrtc.Audio, media.Opus, "a") })
	bob := h.join(guest("bob"))
	ann.waitState(webrtc.Connected)
	bob.waitState(webrtc.Connected)
	defer beat(mic, same(media.Opus, []byte{0x08, 1}))()
	wait(t, "sound", bob.got)
	id := ann.id

	ann.drop()
	h.cut.Store(true)
	ann.waitState(webrtc.Disconnected)
	ann.waitState(webrtc.Failed)
	bob.waitState(webrtc.Failed)
	eventually(t, "both being away", func() bool {
		a, _ := h.participant(ann.id)
		b, _ := h.participant(bob.id)
		return a.Away && b.Away
	})
	bob.flush()
	h.cut.Store(false)
	ann.connect("lobby")
	ann.say(map[string]any{"type": "resume", "session": ann.session})
	ann.welcomed()
	ann.expect("offer")
	ann.waitState(webrtc.Connected)
	bob.waitState(webrtc.Connected) // whose WebSocket stayed: the server restarts ICE by itself
	wait(t, "sound after the loss", bob.got)
	if ann.id != id {
		t.Errorf("came back as %s, was %s", ann.id, id)
	}
	eventually(t, "both being back", func() bool {
		a, _ := h.participant(ann.id)
		b, _ := h.participant(bob.id)
		return !a.Away && !b.Away
	})
}

func TestHostileMessagesChangeNothing(t *testing.T) {
	h := build(t, Timeouts{})
	var mic *webrtc.OutTrack
	ann := h.join(guest("ann"), func(c *client) { mic = c.track(webrtc.Audio, media.Opus, "a") })
	bob := h.join(guest("bob"))
	ann.waitState(webrtc.Connected)
	bob.waitState(webrtc.Connected)
	defer beat(mic, same(media.Opus, []byte{0x08, 1}))()
	wait(t, "sound", bob.got)
	before := h.x.Rooms()[0]

	for name, c := range hostile {
		ann.sayRaw([]byte(c.text))
		if m := ann.expect("error"); m["code"] != "invalid" || m["message"] == "" {
			t.Errorf("%s: %v", name, m)
		}
	}
	for name, c := range map[string]struct{ text, code, words string }{
		"join twice":      {`{"type":"join"}`, "conflict", "already"},
		"answer unasked":  {`{"type":"answer","sdp":"v=0"}`, "invalid", "no open offer"},
		"candidate":       {`{"type":"candidate","candidate":{"candidate":"candidate:x"}}`, "invalid", "candidate"},
		"hang up another": {`{"type":"hangup","participant":"` + bob.id + `"}`, "forbidden", "may not hang up"},
		"digits":          {`{"type":"dtmf","call_id":"c","digits":"1"}`, "forbidden", "may not send digits"},
	} {
		ann.sayRaw([]byte(c.text))
		if m := ann.expect("error"); m["code"] != c.code || !strings.Contains(m["message"].(string), c.words) {
			t.Errorf("%s: %v", name, m)
		}
	}
	if err := ann.ws.Write(context.Background(), websocket.MessageBinary, []byte{1}); err != nil {
		t.Fatal(err)
	}
	ann.expect("error")
	after := h.x.Rooms()[0]
	if len(after.Participants) != len(before.Participants) || after.Participants[0].ID != before.Participants[0].ID {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	bob.flush()
	wait(t, "sound after all that", bob.got)
}

func TestABrokenAnswerLeavesTheOfferOpen(t *testing.T) {
	h := build(t, Timeouts{})
	p := &page{client: h.client()}
	p.connect("lobby")
	p.say(map[string]any{"type": "join", "token": h.token(guest("ann"))})
	offer := p.expect("offer")["sdp"].(string)
	for _, sdp := range []string{"v=0", "hello", strings.Repeat("a", 1000), offer[:len(offer)/2]} {
		p.say(map[string]any{"type": "answer", "sdp": sdp})
		if m := p.expect("error"); m["code"] != "invalid" {
			t.Errorf("%v", m)
		}
	}
	p.answer(p.ws, offer)
	p.waitState(webrtc.Connected)
}

func TestWrongTokensOnTheWebSocket(t *testing.T) {
	h := build(t, Timeouts{})
	ws := h.dial("lobby")
	attic := guest("ann")
	attic.Room = "attic"
	for _, c := range []struct{ first, code, words string }{
		{`{"type":"join"}`, Unauthorized, "a room token is needed"},
		{`{"type":"join","token":"x"}`, Unauthorized, "not a JWT"},
		{`{"type":"join","token":"` + h.token(attic) + `"}`, bridge.Forbidden, "is for room"},
		{`{"type":"leave"}`, bridge.Invalid, "first message"},
	} {
		if err := ws.Write(context.Background(), websocket.MessageText, []byte(c.first)); err != nil {
			t.Fatal(err)
		}
		_, text, err := ws.Read(context.Background())
		if err != nil || !strings.Contains(string(text), `"code":"`+c.code+`"`) || !strings.Contains(string(text), c.words) {
			t.Errorf("%s: %s %v", c.first, text, err)
		}
	}
	if len(h.x.Rooms()) != 0 {
		t.Error("somebody was let in")
	}
}

func TestWhoNeverJoinsIsSentAway(t *testing.T) {
	h := build(t, Timeouts{Join: 100 * time.Millisecond})
	ws := h.dial("lobby")
	if _, text, err := ws.Read(context.Background()); err != nil || !strings.Contains(string(text), "nobody joined in time") {
		t.Errorf("%s %v", text, err)
	}
	if _, _, err := ws.Read(context.Background()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("%v", err)
	}
}

func TestLimitsOfTheWebSocket(t *testing.T) {
	h := build(t, Timeouts{})
	ws := h.dial("lobby")
	limited := false
	for range 400 {
		if ws.Write(context.Background(), websocket.MessageText, []byte(`{"type":"nonsense"}`)) != nil {
			break
		}
	}
	for {
		_, text, err := ws.Read(context.Background())
		limited = limited || strings.Contains(string(text), `"code":"limit"`)
		if err != nil {
			if websocket.CloseStatus(err) != websocket.StatusPolicyViolation && !limited {
				t.Errorf("%v", err)
			}
			break
		}
	}
	if !limited {
		t.Error("a flood met no limit")
	}
	ws = h.dial("lobby")
	_ = ws.Write(context.Background(), websocket.MessageText, bytes.Repeat([]byte("a"), maxMessage+1))
	if _, _, err := ws.Read(context.Background()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("%v", err)
	}
}

func TestOnlyKnownPagesMayConnect(t *testing.T) {
	h := build(t, Timeouts{})
	for origin, want := range map[string]int{
		"": 101, h.http.URL: 101, "https://console.example.com": 101, "https://evil.example.org": 403, "null": 403, "https://example.com.evil.example.org": 403,
	} {
		head := http.Header{}
		if origin != "" {
			head.Set("Origin", origin)
		}
		ws, resp, err := websocket.Dial(context.Background(), strings.Replace(h.http.URL, "http", "ws", 1)+"/v1/rooms/lobby/ws",
			&websocket.DialOptions{HTTPHeader: head})
		if resp == nil || resp.StatusCode != want {
			t.Errorf("%q: %v %v, want %d", origin, resp, err, want)
		}
		if ws != nil {
			_ = ws.CloseNow()
		}
	}
}

func TestTextGoesToEverybodyInTheRoom(t *testing.T) {
	h := build(t, Timeouts{})
	ann, bob := h.join(guest("ann")), h.join(guest("bob"))
	wait(t, "ann's data channel", ann.open)
	wait(t, "bob's data channel", bob.open)
	hears := func(p *page, want string) {
		t.Helper()
		for {
			if m := wait(t, want, p.data); strings.Contains(m, `"type":"text"`) {
				if !strings.Contains(m, want) || !strings.Contains(m, ann.id) {
					t.Errorf("got %s", m)
				}
				return
			}
		}
	}
	ann.say(map[string]any{"type": "event", "event": map[string]any{"type": "text", "data": map[string]any{"text": "by WebSocket"}}})
	hears(bob, "by WebSocket")
	hears(ann, "by WebSocket")
	if err := ann.peer.SendData([]byte(`{"type":"event","event":{"type":"text","data":{"text":"by data channel"}}}`)); err != nil {
		t.Fatal(err)
	}
	hears(bob, "by data channel")
	for _, bad := range []string{"", "x", `{"type":"leave"}`, `{"type":"event"}`} {
		_ = ann.peer.SendData([]byte(bad))
	}
	ann.say(map[string]any{"type": "event", "event": map[string]any{"type": "text", "data": map[string]any{"text": "still here"}}})
	hears(bob, "still here")
}

func TestADispatcherMayEndOthers(t *testing.T) {
	h := build(t, Timeouts{})
	boss := guest("boss")
	boss.Role = bridge.RoleDispatcher
	ann, bob := h.join(boss), h.join(guest("bob"))
	pub := h.client()
	pub.track(webrtc.Audio, media.Opus, "mic")
	session := h.open("whip", guest("carol"), pub)
	ann.say(map[string]any{"type": "hangup", "participant": bob.id})
	if m := bob.expect("leave"); m["reason"] != "you were asked to leave" {
		t.Errorf("%v", m)
	}
	for _, p := range h.x.Rooms()[0].Participants {
		if p.Identity == "carol" {
			ann.say(map[string]any{"type": "hangup", "participant": p.ID})
		}
	}
	eventually(t, "only ann being left", func() bool { return len(h.x.Rooms()[0].Participants) == 1 })
	if got := h.request("DELETE", session, h.token(guest("carol")), "", ""); got.StatusCode != 404 {
		t.Errorf("%s", got.Status)
	}
	ann.say(map[string]any{"type": "hangup", "participant": "p_nobody"})
	if m := ann.expect("error"); m["code"] != "not_found" {
		t.Errorf("%v", m)
	}
}

func TestMuteIsToldAndKeepsTheLine(t *testing.T) {
	h := build(t, Timeouts{})
	var mic, cam *webrtc.OutTrack
	ann := h.join(guest("ann"), func(c *client) {
		mic, cam = c.track(webrtc.Audio, media.Opus, "a"), c.track(webrtc.Video, media.VP8, "v")
	})
	bob := h.join(guest("bob"))
	defer beat(mic, same(media.Opus, []byte{0x08, 1}))()
	defer beat(cam, same(media.VP8, []byte{0x10, 1}))()
	wait(t, "a track", bob.tracks)
	wait(t, "another", bob.tracks)
	ann.say(map[string]any{"type": "mute", "kind": "audio", "muted": true})
	eventually(t, "ann being muted", func() bool { p, _ := h.participant(ann.id); return p.Muted })
	select {
	case in := <-bob.ends:
		t.Errorf("track %s ended by a mute", in.ID())
	case <-time.After(100 * time.Millisecond):
	}
	bob.flush()
	for range 10 {
		if p := wait(t, "pictures", bob.got); p.track.Kind() == webrtc.Audio {
			t.Fatal("a muted microphone is heard")
		}
	}
	ann.say(map[string]any{"type": "mute", "kind": "audio", "muted": false})
	for wait(t, "sound again", bob.got).track.Kind() != webrtc.Audio {
	}
	ann.say(map[string]any{"type": "mute", "kind": "video", "muted": true})
	if in := wait(t, "the end of the camera", bob.ends); in.Kind() != webrtc.Video {
		t.Errorf("%s ended", in.ID())
	}
	ann.say(map[string]any{"type": "mute", "kind": "video", "muted": false})
	if in := wait(t, "the camera again", bob.tracks); in.Kind() != webrtc.Video {
		t.Errorf("%s began", in.ID())
	}
}

// Lines are reused. One guest at a time, since pion as the client cannot take
// up a line again that two offers in a row have called inactive; browsers can.
func TestWhoComesAndGoesDoesNotGrowTheOffer(t *testing.T) {
	h := build(t, Timeouts{})
	bob := h.join(guest("bob"))
	bob.waitState(webrtc.Connected)
	for round := range 4 {
		var mic *webrtc.OutTrack
		p := h.join(guest("ann"), func(c *client) { mic = c.track(webrtc.Audio, media.Opus, "a") })
		stop := beat(mic, same(media.Opus, []byte{0x08, byte(round)}))
		if in := wait(t, "a track", bob.tracks); in.StreamID() != p.id {
			t.Errorf("round %d: the track is of %s, want %s", round, in.StreamID(), p.id)
		}
		for got := wait(t, "sound", bob.got); got.Payload[1] != byte(round); {
			got = wait(t, "sound", bob.got)
		}
		stop()
		p.say(map[string]any{"type": "leave"})
		wait(t, "its end", bob.ends)
	}
	last := ""
	for len(bob.messages) > 0 {
		if m := <-bob.messages; m["type"] == "offer" {
			last = m["sdp"].(string)
		}
	}
	if n := strings.Count(last, "m=audio"); n != 2 {
		t.Errorf("%d audio lines:\n%s", n, last)
	}
}

// A phone's G.711 reaches a browser as Opus, and a browser that only phones
// hear is asked for narrowband.
func TestAPhoneAndABrowser(t *testing.T) {
	h := build(t, Timeouts{})
	room, err := h.x.OpenRoom("lobby")
	if err != nil {
		t.Fatal(err)
	}
	phone, err := room.Join(bridge.JoinSpec{Identity: "+15551230000", Kind: bridge.KindPhone, Role: bridge.RoleGuest, Person: "call_1"})
	if err != nil {
		t.Fatal(err)
	}
	defer phone.Leave()
	line, err := phone.Publish(bridge.TrackSpec{ID: "mic", Codec: media.PCMU})
	if err != nil {
		t.Fatal(err)
	}
	p := &page{client: h.client()}
	p.answers.Store(true)
	p.connect("lobby")
	p.say(map[string]any{"type": "join", "token": h.token(guest("ann"))})
	if offer := p.expect("offer")["sdp"].(string); !strings.Contains(offer, "maxplaybackrate=8000") {
		t.Errorf("no hint for narrowband:\n%s", offer)
	}
	p.waitState(webrtc.Connected)
	next := tone(t, media.PCMU, 440, -20)
	defer beat(pusher{line}, next)()
	p.hear(media.Opus, 10)
	if l := media.ToneLevel(p.hear(media.Opus, 50), media.NarrowbandHz, 440); l < -21 || l > -19 {
		t.Errorf("440 Hz at %.1f dB, want -20", l)
	}
	h.join(guest("bob"))
	if offer := p.expect("offer")["sdp"].(string); strings.Contains(offer, "maxplaybackrate") {
		t.Error("still asked for narrowband though a browser listens")
	}
}

// pusher is the road from a socket to a source.
type pusher struct{ s *bridge.Source }

func (p pusher) WritePacket(packet *media.Packet) error {
	packet.Arrived = time.Now()
	p.s.Push(packet)
	return nil
}

// Who comes late sees how the sound of the others travelled before; who comes back
// is told again.
func TestLateComersAreToldThePast(t *testing.T) {
	h := build(t, Timeouts{})
	r, err := h.x.OpenRoom("lobby")
	if err != nil {
		t.Fatal(err)
	}
	phone, err := r.Join(bridge.JoinSpec{Identity: "+15551234567", Kind: bridge.KindPhone, Role: bridge.RoleGuest})
	if err != nil {
		t.Fatal(err)
	}
	defer phone.Leave()
	now := time.Now()
	for i := range uint64(100) {
		phone.SetQuality(media.Quality{Codec: media.PCMU, PacketsReceived: 250 * i, PacketsLost: i / 50 * 10}, now.Add(time.Duration(i)*5*time.Second))
	}
	ann := h.join(guest("ann"))
	past := func() {
		t.Helper()
		for {
			history, _ := ann.expect("participants")["history"].(map[string]any)
			if history == nil {
				continue
			}
			points, _ := history[phone.ID()].([]any)
			if len(points) != historyPoints {
				t.Fatalf("%d points", len(points))
			}
			bad := 0
			for _, p := range points {
				if p.(map[string]any)["loss_percent"].(float64) > 3 {
					bad++
				}
			}
			if bad != 1 {
				t.Errorf("%d bad points in %v", bad, points)
			}
			return
		}
	}
	past()
	ann.drop()
	ann.connect("lobby")
	ann.say(map[string]any{"type": "resume", "session": ann.session})
	past()
}

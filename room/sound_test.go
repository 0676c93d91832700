package room

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

func TestSoundCodec(t *testing.T) {
	const opus, u, a, wide = media.Opus, media.PCMU, media.PCMA, media.G722
	list := func(c ...media.Codec) []media.Codec { return c }
	for _, c := range []struct {
		policy, takes []media.Codec
		source, want  media.Codec
	}{
		{list(opus, u, a), list(opus, u, a), u, opus},
		{list(opus, u, a), list(u, a), u, u},
		{list(opus, u, a), list(u, a), a, a}, // untouched rather than the first
		{list(opus, u, a), list(u), a, u},
		{list(u, opus), list(opus, u, a), opus, u},
		{list(u, opus), list(opus, u, a), a, u}, // A-law is not of the policy
		{list(u, a), list(opus, u, a), a, a},
		{list(u, a), list(opus, u, a), wide, u},
		{list(u), list(opus), u, media.NoCodec},
	} {
		if got := soundCodec(c.policy, c.takes, c.source); got != c.want {
			t.Errorf("by %v, to one who takes %v, from %v: %v, want %v", c.policy, c.takes, c.source, got, c.want)
		}
	}
}

// by makes a house with a policy of codecs.
func by(codecs ...media.Codec) func(*webrtc.Config) {
	return func(c *webrtc.Config) { c.Audio = codecs }
}

// telephone is a phone in a room: what it says, and what it is sent.
type telephone struct {
	*bridge.Participant
	mic *bridge.Source
	got chan media.Packet
}

// WritePacket implements media.Writer.
func (p *telephone) WritePacket(packet *media.Packet) error {
	kept := *packet
	kept.Payload = bytes.Clone(packet.Payload)
	select {
	case p.got <- kept:
	default:
	}
	return nil
}

func (h *house) phone(room string, codec media.Codec) *telephone {
	h.t.Helper()
	r, err := h.x.OpenRoom(room)
	if err != nil {
		h.t.Fatal(err)
	}
	p := &telephone{got: make(chan media.Packet, 4096)}
	p.Participant, err = r.Join(bridge.JoinSpec{Identity: "+15551230000", Kind: bridge.KindPhone, Role: bridge.RoleGuest, Person: "call_1"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(p.Leave)
	if p.mic, err = p.Publish(bridge.TrackSpec{ID: "mic", Codec: codec}); err != nil {
		h.t.Fatal(err)
	}
	p.Listen(p, codec, 20*time.Millisecond)
	return p
}

// numbered payloads of 20 ms of G.711 differ from each other and from silence.
func numbered(codec media.Codec, from byte) func(int) media.Packet {
	return func(i int) media.Packet {
		payload := bytes.Repeat([]byte{from, byte(i), byte(i >> 8), 0x55}, 40)
		return media.Packet{Codec: codec, SequenceNumber: uint16(i), Timestamp: uint32(i * 160), Payload: payload}
	}
}

// untouched waits for so many payloads in a row that numbered made.
func untouched[P any](t *testing.T, what string, got <-chan P, packet func(P) media.Packet, codec media.Codec, from byte) {
	t.Helper()
	last := -1
	for run := 0; run < 20; {
		p := packet(wait(t, what, got))
		if len(p.Payload) != 160 || p.Payload[0] != from {
			if run > 0 {
				t.Fatalf("%s: %d bytes of %v beginning with %x after %d that were untouched", what, len(p.Payload), p.Codec, p.Payload[0], run)
			}
			continue // silence, before the road is made
		}
		i := int(p.Payload[1]) | int(p.Payload[2])<<8
		if want := numbered(codec, from)(i); p.Codec != codec || !bytes.Equal(p.Payload, want.Payload) || run > 0 && i != last+1 {
			t.Fatalf("%s: packet %d after %d of %v: %x", what, i, last, p.Codec, p.Payload)
		}
		last = i
		run++
	}
}

// By policy a µ-law phone and a browser exchange payloads untouched.
func TestG711ByPolicyPassesUntouched(t *testing.T) {
	for name, policy := range map[string][]media.Codec{
		"alone": {media.PCMU}, "first": {media.PCMU, media.Opus}, "the other law too": {media.PCMA, media.PCMU},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, Timeouts{}, by(policy...))
			phone := h.phone("lobby", media.PCMU)
			var mic *webrtc.OutTrack
			p := h.join(guest("ann"), func(c *client) { mic = c.track(webrtc.Audio, media.PCMU, "mic") })
			p.waitState(webrtc.Connected)
			defer beat(pusher{phone.mic}, numbered(media.PCMU, 0x10))()
			defer beat(mic, numbered(media.PCMU, 0x20))()
			untouched(t, "the browser", p.got, func(p packet) media.Packet { return p.Packet }, media.PCMU, 0x10)
			untouched(t, "the phone", phone.got, func(p media.Packet) media.Packet { return p }, media.PCMU, 0x20)
		})
	}
}

// WHEP follows the policy too.
func TestWHEPListensByPolicy(t *testing.T) {
	h := build(t, Timeouts{}, by(media.PCMU, media.Opus))
	phone, sub := h.phone("lobby", media.PCMU), h.client()
	if err := sub.peer.Receive(webrtc.Audio); err != nil {
		t.Fatal(err)
	}
	h.open("whep", guest("bob"), sub)
	defer beat(pusher{phone.mic}, numbered(media.PCMU, 0x10))()
	untouched(t, "the listener", sub.got, func(p packet) media.Packet { return p.Packet }, media.PCMU, 0x10)
}

// A browser that turns down the first codec of the policy hears the next one.
func TestTheAnswerDecidesWhatIsSent(t *testing.T) {
	h := build(t, Timeouts{})
	phone := h.phone("lobby", media.PCMA)
	p := &page{client: h.clientOf(by(media.PCMA))}
	p.answers.Store(true)
	p.connect("lobby")
	p.say(map[string]any{"type": "join", "token": h.token(guest("ann"))})
	p.welcomed()
	defer beat(pusher{phone.mic}, numbered(media.PCMA, 0x10))()
	untouched(t, "the browser", p.got, func(p packet) media.Packet { return p.Packet }, media.PCMA, 0x10)
}

func TestOffersThatThePolicyRefuses(t *testing.T) {
	h := build(t, Timeouts{}, by(media.PCMU, media.PCMA))
	for kind, want := range map[string]string{
		"whip": "expected a sendonly line with PCMU, PCMA, VP8 or H264", "whep": "expected a recvonly line with PCMU or PCMA",
	} {
		c := h.clientOf(by(media.Opus))
		if kind == "whip" {
			c.track(webrtc.Audio, media.Opus, "mic")
		} else if err := c.peer.Receive(webrtc.Audio); err != nil {
			t.Fatal(err)
		}
		offer, err := c.peer.CreateOffer(false)
		if err != nil {
			t.Fatal(err)
		}
		resp := h.request("POST", "/v1/rooms/lobby/"+kind, h.token(guest("ann")), mimeSDP, offer)
		if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text(resp), want) {
			t.Errorf("%s: %s %s, want %q", kind, resp.Status, text(resp), want)
		}
	}
}

// Narrowband is asked for as long as only phones listen that have no more.
func TestWhoListensDecidesThePlaybackRate(t *testing.T) {
	h := build(t, Timeouts{})
	phone := h.phone("lobby", media.PCMU)
	p := h.join(guest("ann"))
	narrow := func() bool { return strings.Contains(p.expect("offer")["sdp"].(string), "maxplaybackrate=8000") }
	if !narrow() {
		t.Error("not asked for narrowband although only a phone listens")
	}
	p.waitState(webrtc.Connected)
	phone.mic.Recode(media.G722)
	if narrow() {
		t.Error("asked for narrowband although the phone has G.722")
	}
	phone.mic.Recode(media.PCMA)
	if !narrow() {
		t.Error("not asked for narrowband although the phone is back at G.711")
	}
	bob := h.join(guest("bob"))
	if narrow() {
		t.Error("asked for narrowband although a browser listens")
	}
	bob.say(map[string]any{"type": "leave"})
	if !narrow() {
		t.Error("not asked for narrowband although the browser left")
	}
	phone.Leave()
	if narrow() {
		t.Error("asked for narrowband although nobody listens")
	}
}

// clients are told by a new offer to repeat their packets, while these get lost.
func TestRedundancyIsAskedForOnLoss(t *testing.T) {
	formats := func(m map[string]any) []string {
		_, rest, _ := strings.Cut(m["sdp"].(string), "m=audio ")
		line, _, _ := strings.Cut(rest, "\r\n")
		return strings.Fields(line)[2:]
	}
	h := build(t, fast)
	n := 0
	var mic *webrtc.OutTrack
	p := h.join(guest("ann"), func(c *client) { mic = c.track(webrtc.Audio, media.Opus, "mic") })
	if got := formats(p.expect("offer")); !slices.Equal(got[:2], []string{"111", "63"}) {
		t.Errorf("without loss the formats are %v", got)
	}
	p.waitState(webrtc.Connected)
	say := tone(t, media.Opus, 440, -20)
	defer beat(mic, func(int) media.Packet { // each tenth is lost
		sound := say(n)
		if n++; n%10 == 0 {
			n++
		}
		sound.SequenceNumber, sound.Timestamp = uint16(n), uint32(n)*960
		return sound
	})()
	if got := formats(p.expect("offer")); !slices.Equal(got[:2], []string{"63", "111"}) {
		t.Errorf("with loss the formats are %v", got)
	}
}

// Between two browsers each leg has its own redundancy: what one loses is had
// from the next packet before it is sent on, and no packet comes twice.
func TestForwardsAreMendedOnEachLeg(t *testing.T) {
	h := build(t, fast)
	var mic *webrtc.OutTrack
	ann := h.join(guest("ann"), func(c *client) { mic = c.track(webrtc.Audio, media.Opus, "mic") })
	ann.waitState(webrtc.Connected)
	bob := h.join(guest("bob"))
	defer beat(mic, func(i int) media.Packet {
		payload := make([]byte, 60)
		payload[0] = 0x78 // 20 ms of Opus, RFC 6716 section 3.1
		binary.BigEndian.PutUint32(payload[1:], uint32(i))
		return media.Packet{Codec: media.Opus, SequenceNumber: uint16(i), Timestamp: uint32(i) * 960, Payload: payload}
	})()
	wait(t, "sound", bob.got)
	h.lose.Store(10)
	eventually(t, "redundancy on both legs", func() bool { return h.came[63].Load() > 10 && h.sent[63].Load() > 10 })
	bob.flush()
	first, last, seen := -1, 0, map[int]bool{}
	var offset uint16
	for len(seen) < 250 {
		p := wait(t, "sound", bob.got)
		i := int(binary.BigEndian.Uint32(p.Payload[1:]))
		if first < 0 {
			first, offset = i, p.SequenceNumber-uint16(i)
		}
		if p.SequenceNumber-uint16(i) != offset || p.Codec != media.Opus || len(p.Payload) != 60 {
			t.Errorf("packet %d has number %d, %d bytes, codec %v", i, p.SequenceNumber, len(p.Payload), p.Codec)
		}
		if seen[i] {
			t.Errorf("packet %d came twice", i)
		}
		seen[i], last = true, max(last, i)
	}
	sent := last - first + 1
	t.Logf("%d of %d packets are missing", sent-len(seen), sent)
	if share := 100 * float64(sent-len(seen)) / float64(sent); share > 6 { // 19 % without
		t.Errorf("%.1f %% are missing after two legs that lose 10 %% each", share)
	}
}

package room

import (
	"net/http"
	"slices"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

// WHEP serves /v1/rooms/{room}/whep (draft-ietf-wish-whep): one audio track
// with what a phone in this seat would hear, from the answer on, and the
// newest camera when the offer has video.
func (s *Server) WHEP(w http.ResponseWriter, r *http.Request) {
	defer recovered(s.log)
	if s.endpoint(w, r) {
		return
	}
	x, answer, err := s.hear(r)
	if err != nil {
		refuse(w, err)
		return
	}
	x.created(w, answer)
}

func (s *Server) hear(r *http.Request) (*session, string, error) {
	room, c, offer, lines, err := s.accept(r)
	if err != nil {
		return nil, "", err
	}
	sound := s.cfg.Engine.Audio()
	audio, video := receivable(lines, webrtc.Audio, sound...), receivable(lines, webrtc.Video, media.VP8, media.H264)
	if audio == media.NoCodec && video == media.NoCodec {
		return nil, "", &Denial{http.StatusUnprocessableEntity, bridge.Invalid,
			"the offer can receive nothing from here: expected a recvonly line with " + codecWords(sound...)}
	}
	x := newSession(s, room, c, offer)
	if err := x.open(bridge.KindWHEP, webrtc.PeerConfig{}); err != nil {
		return nil, "", err
	}
	if err := x.supply(audio, video); err != nil {
		x.end()
		return nil, "", err
	}
	answer, err := x.begin(r.Context())
	return x, answer, err
}

// receivable is the first of the codecs that the first usable line of a kind receives.
func receivable(lines []webrtc.Line, kind webrtc.Kind, codecs ...media.Codec) media.Codec {
	for _, l := range lines {
		if l.Kind != kind || l.Rejected || !l.Receives {
			continue
		}
		for _, codec := range codecs {
			if l.Supports(codec) {
				return codec
			}
		}
	}
	return media.NoCodec
}

// supply makes the tracks before the answer, and their sinks. The seat's sinks
// end with the seat.
func (x *session) supply(audio, video media.Codec) error {
	stream := x.seat.ID()
	if audio != media.NoCodec {
		out, err := x.peer.AddTrack(webrtc.Audio, audio, "audio", stream)
		if err != nil {
			return err
		}
		x.seat.Listen(out, audio, 0)
	}
	if video != media.NoCodec {
		out, err := x.peer.AddTrack(webrtc.Video, video, "video", stream)
		if err != nil {
			return err
		}
		x.camera = &camera{out: out, seat: x.seat}
	}
	return nil
}

// camera shows the newest camera of a room on one track. It belongs to the
// session's goroutine.
type camera struct {
	out  *webrtc.OutTrack
	seat *bridge.Participant
	seen []*bridge.Source // oldest first
	now  *bridge.Source
	sink *bridge.Sink
}

// restart asks for a picture that stands alone.
func (c *camera) restart() {
	if c != nil && c.now != nil {
		c.now.RequestKeyframe()
	}
}

// follow chooses the camera. A session without video has none.
func (c *camera) follow() {
	if c == nil {
		return
	}
	newest := c.newest()
	if newest == c.now {
		return
	}
	c.now = newest
	if c.sink != nil {
		c.sink.Close()
		c.sink = nil
	}
	if newest == nil {
		return
	}
	c.out.Splice() // the new sink numbers from anew
	c.out.OnKeyframeRequest(newest.RequestKeyframe)
	c.sink = newest.Forward(c.out, newest.Codec(), c.seat)
	newest.RequestKeyframe()
}

func (c *camera) newest() *bridge.Source {
	var videos []*bridge.Source
	for _, s := range c.seat.Sources() {
		if s.Codec().Video() && c.out.Supports(s.Codec()) {
			videos = append(videos, s)
		}
	}
	c.seen = slices.DeleteFunc(c.seen, func(s *bridge.Source) bool { return !slices.Contains(videos, s) })
	for _, s := range videos {
		if !slices.Contains(c.seen, s) {
			c.seen = append(c.seen, s)
		}
	}
	if len(c.seen) == 0 {
		return nil
	}
	return c.seen[len(c.seen)-1]
}

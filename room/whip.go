package room

import (
	"net/http"
	"slices"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

const endpointMethods = "POST, OPTIONS"

// endpoint answers what is no POST; true when it has.
func (s *Server) endpoint(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Set("Accept-Post", mimeSDP)
	if s.preflight(w, r, endpointMethods) {
		return true
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", endpointMethods)
		problem(w, http.StatusMethodNotAllowed, "POST an SDP offer here")
		return true
	}
	return false
}

// WHIP serves /v1/rooms/{room}/whip, RFC 9725.
func (s *Server) WHIP(w http.ResponseWriter, r *http.Request) {
	defer recovered(s.log)
	if s.endpoint(w, r) {
		return
	}
	x, answer, err := s.publish(r)
	if err != nil {
		refuse(w, err)
		return
	}
	x.created(w, answer)
}

func (s *Server) publish(r *http.Request) (*session, string, error) {
	room, c, offer, lines, err := s.accept(r)
	if err != nil {
		return nil, "", err
	}
	if err := mayPublish(c, lines, s.cfg.Engine.Audio()); err != nil {
		return nil, "", err
	}
	x := newSession(s, room, c, offer)
	if err := x.open(bridge.KindWHIP, webrtc.PeerConfig{}); err != nil {
		return nil, "", err
	}
	answer, err := x.begin(r.Context())
	return x, answer, err
}

// mayPublish wants a line that we can carry, with sound in one of the codecs
// given, and that the role may send.
func mayPublish(c Claims, lines []webrtc.Line, sound []media.Codec) error {
	usable := false
	for _, l := range lines {
		if l.Rejected || !l.Sends || len(l.Codecs) == 0 {
			continue
		}
		if l.Kind == webrtc.Video && !c.Role.SendsVideo() {
			return forbidden("a %s may not send video", c.Role)
		}
		usable = usable || carried(l, sound)
	}
	if !usable {
		return &Denial{http.StatusUnprocessableEntity, bridge.Invalid,
			"the offer sends nothing that is understood here: expected a sendonly line with " +
				codecWords(append(slices.Clone(sound), media.VP8, media.H264)...)}
	}
	return nil
}

func carried(l webrtc.Line, sound []media.Codec) bool {
	return slices.ContainsFunc(l.Codecs, func(c media.Codec) bool { return c.Video() || slices.Contains(sound, c) })
}

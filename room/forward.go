package room

import (
	"slices"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

// forward is one source on its way to one browser.
type forward struct {
	out  *webrtc.OutTrack
	sink *bridge.Sink
}

// syncTracks makes the forwards what the room says they should be; true when
// the browser must be told by a new offer.
func (b *browser) syncTracks() (renegotiate bool) {
	wanted := make(map[*bridge.Source]bool)
	for _, s := range b.seat.Sources() {
		wanted[s] = true
		if b.forwards[s] == nil && b.addForward(s) {
			renegotiate = true
		}
	}
	var here map[string]bool
	for s, f := range b.forwards {
		if wanted[s] {
			continue
		}
		if here == nil {
			here = b.tracksHere()
		}
		// A muted microphone keeps its line: the bridge sends nothing on it.
		if here[trackKey(s)] {
			continue
		}
		b.dropForward(s, f)
		renegotiate = true
	}
	b.recode()
	return b.hintPlayback() || renegotiate
}

func (b *browser) addForward(s *bridge.Source) bool {
	kind, codec := webrtc.Audio, b.soundFor(s)
	if s.Codec().Video() {
		kind, codec = webrtc.Video, s.Codec()
	}
	out, err := b.peer.AddTrack(kind, codec, s.ID(), s.Participant().ID())
	if err != nil {
		b.log.Warn("room: cannot forward a track", "error", err)
		return false
	}
	out.OnKeyframeRequest(s.RequestKeyframe)
	b.forwards[s] = &forward{out: out, sink: s.Forward(out, codec, b.seat)}
	return true
}

func (b *browser) dropForward(s *bridge.Source, f *forward) {
	delete(b.forwards, s)
	f.sink.Close()
	if err := b.peer.RemoveTrack(f.out); err != nil {
		b.log.Warn("room: cannot take a track away", "error", err)
	}
}

func trackKey(s *bridge.Source) string { return s.Participant().ID() + " " + s.ID() }

// tracksHere are the tracks of those who are in the room, heard or not.
func (b *browser) tracksHere() map[string]bool {
	here := make(map[string]bool)
	for _, p := range b.watched.Record().Participants {
		for _, t := range p.Tracks {
			here[p.ID+" "+t.ID] = true
		}
	}
	return here
}

// hintPlayback asks for narrowband Opus when only narrowband phones listen: it
// costs a quarter to decode, and they hear no more. True when the hint has changed.
func (b *browser) hintPlayback() bool {
	phones, others := 0, 0
	me := b.seat.Record()
	for _, p := range b.watched.Record().Participants {
		switch {
		case p.Person == me.Person:
		case p.Kind == bridge.KindPhone && !hearsWideband(p):
			phones++
		default:
			others++
		}
	}
	narrow := phones > 0 && others == 0
	if narrow == b.narrow {
		return false
	}
	b.narrow = narrow
	rate := 0
	if narrow {
		rate = media.NarrowbandHz
	}
	b.peer.SetMaxPlaybackRate(rate)
	return true
}

// hearsWideband reports whether a phone's codec, the same both ways, has more than 3.4 kHz.
func hearsWideband(p bridge.ParticipantRecord) bool {
	return slices.ContainsFunc(p.Tracks, func(t bridge.TrackRecord) bool {
		return t.Codec == media.G722.String() || t.Codec == media.Opus.String()
	})
}

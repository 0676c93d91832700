package room

import (
	"slices"
	"strings"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

// soundCodec is what a source is sent in to somebody who takes these codecs: the
// first of the policy. Where that is G.711, either of its laws goes untouched to
// who takes it. NoCodec when nothing fits.
func soundCodec(policy, takes []media.Codec, source media.Codec) media.Codec {
	first := slices.IndexFunc(policy, func(c media.Codec) bool { return slices.Contains(takes, c) })
	switch {
	case first < 0:
		return media.NoCodec
	case isG711(policy[first]) && isG711(source) && slices.Contains(policy, source) && slices.Contains(takes, source):
		return source
	}
	return policy[first]
}

func isG711(c media.Codec) bool { return c == media.PCMU || c == media.PCMA }

// taken are the codecs of sound that a description takes, by its first line that
// is not rejected; nil without one.
func taken(lines []webrtc.Line) []media.Codec {
	for _, l := range lines {
		if l.Kind == webrtc.Audio && !l.Rejected && len(l.Codecs) > 0 {
			return l.Codecs
		}
	}
	return nil
}

// soundFor is what a source is sent in to this browser. Before its first answer
// it is taken to know every codec of the policy, as RFC 7874 asks of browsers.
func (b *browser) soundFor(s *bridge.Source) media.Codec {
	policy := b.srv.cfg.Engine.Audio()
	takes := b.takes
	if takes == nil {
		takes = policy
	}
	if c := soundCodec(policy, takes, s.Codec()); c != media.NoCodec {
		return c
	}
	return policy[0] // nothing will be sent
}

// recode lets forwards follow what the browser takes, and what phones change to.
func (b *browser) recode() {
	for s, f := range b.forwards {
		if s.Codec().Audio() {
			f.sink.Recode(b.soundFor(s), 0)
		}
	}
}

// codecWords lists codecs for people: "opus, PCMU or PCMA".
func codecWords(codecs ...media.Codec) string {
	names := make([]string, len(codecs))
	for i, c := range codecs {
		names[i] = c.String()
	}
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

package room

import (
	"errors"
	"time"

	"github.com/roomline/roomline/media/webrtc"
)

// negotiate makes an offer when one is wanted, none is open, and somebody is
// there to answer it. Changes that come meanwhile are gathered into the next one.
func (b *browser) negotiate() {
	if b.openOffer != "" || b.wire == nil || !b.wantOffer && !b.wantICE {
		return
	}
	restart, redundant := b.wantICE, b.peer.WantsRedundancy()
	sdp, err := b.peer.CreateOffer(restart)
	if err != nil {
		if !errors.Is(err, webrtc.ErrClosed) {
			b.log.Warn("room: no offer could be made", "error", err)
		}
		return
	}
	if restart {
		b.askedICE = time.Now()
		b.log.Info("room: ICE restarts")
	}
	b.wantOffer, b.wantICE, b.redundant, b.openOffer = false, false, redundant, sdp
	b.answer(offerMessage{"offer", sdp})
}

// answered takes the client's answer to the open offer.
func (b *browser) answered(m message) error {
	if b.openOffer == "" {
		return invalid("sdp", "there is no open offer to answer")
	}
	lines, err := webrtc.Inspect(m.SDP)
	if err != nil {
		return invalid("sdp", "%s", err)
	}
	if err := b.peer.AcceptAnswer(m.SDP); err != nil {
		return invalid("sdp", "%s", err)
	}
	b.openOffer = ""
	if takes := taken(lines); takes != nil {
		b.takes = takes
		b.recode()
	}
	for s := range b.forwards {
		if s.Codec().Video() {
			s.RequestKeyframe()
		}
	}
	b.negotiate()
	return nil
}

package webrtc

import (
	"time"

	pion "github.com/pion/webrtc/v4"
)

// sendLong sends by pion's road.
func (t *OutTrack) sendLong(stream pion.TrackLocalWriter, payload []byte, now time.Time) error {
	n, err := stream.WriteRTP(&t.header, payload)
	if n > 0 && err == nil { // not before SRTP is ready: there the roll-over counter starts
		t.pion.taken(now)
		t.numbers.saw(t.numbers.index(t.header.SequenceNumber))
	}
	return err
}

// sendShort sends by the short road, if it is open.
func (t *OutTrack) sendShort(payload []byte) bool {
	if t.kind != Audio || len(payload) > maxPacket-rtpHeader-tagRoom {
		return false
	}
	k, to := t.peer.shortcut.ready()
	if k == nil {
		return false
	}
	n, err := t.header.MarshalTo(t.out[:])
	if err != nil {
		return false
	}
	n += copy(t.out[n:], payload)
	i := t.numbers.index(t.header.SequenceNumber)
	b, err := k.seal.seal(t.out[:n], t.header.SSRC, uint32(i>>16))
	if err != nil {
		return false
	}
	t.numbers.saw(i)
	t.peer.shortcut.sent.Add(1)
	_, _ = t.peer.shortcut.socket.WriteToAddrPort(b, to) // lost, as on any network
	return true
}

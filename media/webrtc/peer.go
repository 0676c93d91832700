package webrtc

import (
	"context"
	"errors"

	"github.com/roomline/roomline/media"
)

// Peer is one connection to a browser, or to a server when used as a client.
// Its methods are safe for concurrent use; offers and answers must alternate
// as SDP asks, which the caller sees to.
type Peer struct{}

// Receive adds a line on which the other side may send: for offers.
func (p *Peer) Receive(kind Kind) error { return errors.ErrUnsupported }

// AddTrack adds an outgoing track. It is heard after the next offer and answer.
// Its msid will be "streamID trackID".
func (p *Peer) AddTrack(kind Kind, codec media.Codec, trackID, streamID string) (*OutTrack, error) {
	return nil, errors.ErrUnsupported
}

// RemoveTrack takes a track away; the next offer says so.
func (p *Peer) RemoveTrack(t *OutTrack) error { return errors.ErrUnsupported }

// OpenData adds the data channel with this label: for offers. The answering side gets it by itself.
func (p *Peer) OpenData(label string) error { return errors.ErrUnsupported }

// SendData sends one text message on the data channel; an error when it is not open or congested.
func (p *Peer) SendData(text []byte) error { return errors.ErrUnsupported }

// CreateOffer makes and sets the local offer; restart asks for new ICE credentials.
func (p *Peer) CreateOffer(restart bool) (string, error) { return "", errors.ErrUnsupported }

// AcceptAnswer sets the remote answer to the last CreateOffer.
func (p *Peer) AcceptAnswer(sdp string) error { return errors.ErrUnsupported }

// AcceptOffer sets the remote offer and returns our answer with all our candidates in it.
func (p *Peer) AcceptOffer(ctx context.Context, sdp string) (answer string, err error) {
	return "", errors.ErrUnsupported
}

// AddCandidate adds a remote candidate. Those that come before the remote description wait for it.
func (p *Peer) AddCandidate(c Candidate) error { return errors.ErrUnsupported }

// State is where the transport stands now.
func (p *Peer) State() State { return Connecting }

// Quality sums up all audio of this Peer, both ways.
func (p *Peer) Quality() media.Quality { return media.Quality{} }

// Close ends the connection and returns after every goroutine and callback of the Peer has ended. It must not
// be called from a callback. Closing twice is harmless.
func (p *Peer) Close() error { return nil }

package webrtc

import (
	"context"
	"errors"
	"fmt"
	"time"

	pion "github.com/pion/webrtc/v4"
)

// gatherTimeout bounds waiting for local candidates. On the one UDP port they
// are known within a millisecond.
const gatherTimeout = 3 * time.Second

// maxEarlyCandidates is how many remote candidates may wait for the remote description.
const maxEarlyCandidates = 64

// ErrCandidates is returned when more candidates came than anybody needs.
var ErrCandidates = errors.New("too many candidates before the description")

// ErrOfferPending is returned when the last offer has not been answered.
var ErrOfferPending = errors.New("the last offer has not been answered")

// Receive adds a line on which the other side may send: for offers.
func (p *Peer) Receive(kind Kind) error {
	_, err := p.pc.AddTransceiverFromKind(kind.pion(), pion.RTPTransceiverInit{Direction: pion.RTPTransceiverDirectionRecvonly})
	if err != nil {
		return fmt.Errorf("add a line to receive %s: %w", kind, err)
	}
	return nil
}

// SetMaxPlaybackRate makes later offers and answers tell the other side that
// sound above hz/2 is not heard by anybody here (RFC 7587 section 6.1:
// 8000, 12000, 16000, 24000 or 48000); 0 takes the hint back. When only
// phones listen, 8000 makes a browser's Opus 4 times cheaper to decode.
func (p *Peer) SetMaxPlaybackRate(hz int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.maxPlaybackRate = hz
}

// CreateOffer makes and sets the local offer, with our candidates in it unless
// the Engine has ICE servers to ask; restart asks for new ICE credentials. One
// offer may be open at a time, since pion cannot take one back: [ErrOfferPending].
func (p *Peer) CreateOffer(restart bool) (sdp string, err error) {
	defer asError("offer", &err)
	p.negotiating.Lock()
	defer p.negotiating.Unlock()
	if p.isClosed() {
		return "", ErrClosed
	}
	if p.pc.SignalingState() == pion.SignalingStateHaveLocalOffer {
		return "", ErrOfferPending
	}
	offer, err := p.pc.CreateOffer(&pion.OfferOptions{
		ICERestart: restart, OfferAnswerOptions: pion.OfferAnswerOptions{ICETricklingSupported: true},
	})
	if err != nil {
		return "", fmt.Errorf("make an offer: %w", err)
	}
	if err := p.pc.SetLocalDescription(offer); err != nil {
		return "", fmt.Errorf("set our offer: %w", err)
	}
	p.linesOffered()
	if len(p.engine.cfg.ICEServers) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), gatherTimeout)
		defer cancel()
		if err := p.gathered(ctx); err != nil {
			return "", err
		}
	}
	return p.local()
}

// AcceptAnswer sets the remote answer to the last CreateOffer.
func (p *Peer) AcceptAnswer(sdp string) (err error) {
	defer asError("answer", &err)
	p.negotiating.Lock()
	defer p.negotiating.Unlock()
	if p.isClosed() {
		return ErrClosed
	}
	if p.pc.SignalingState() != pion.SignalingStateHaveLocalOffer {
		return errors.New("an answer without an offer")
	}
	if err := p.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: sdp}); err != nil {
		return fmt.Errorf("set the answer: %w", err)
	}
	p.linesAnswered()
	return p.flushEarly()
}

// AcceptOffer sets the remote offer and returns our answer with all our candidates in it.
func (p *Peer) AcceptOffer(ctx context.Context, sdp string) (answer string, err error) {
	defer asError("offer", &err)
	p.negotiating.Lock()
	defer p.negotiating.Unlock()
	if p.isClosed() {
		return "", ErrClosed
	}
	if err := p.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeOffer, SDP: sdp}); err != nil {
		return "", fmt.Errorf("set the offer: %w", err)
	}
	if err := p.flushEarly(); err != nil {
		return "", err
	}
	desc, err := p.pc.CreateAnswer(&pion.AnswerOptions{
		OfferAnswerOptions: pion.OfferAnswerOptions{ICETricklingSupported: true},
	})
	if err != nil {
		return "", fmt.Errorf("make an answer: %w", err)
	}
	if err := p.pc.SetLocalDescription(desc); err != nil {
		return "", fmt.Errorf("set our answer: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	if err := p.gathered(ctx); err != nil {
		return "", err
	}
	return p.local()
}

func (p *Peer) gathered(ctx context.Context) error {
	select {
	case <-pion.GatheringCompletePromise(p.pc):
		return nil
	case <-p.stop:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("gather local candidates: %w", ctx.Err())
	}
}

// local is the local description as the other side shall see it.
func (p *Peer) local() (string, error) {
	desc := p.pc.LocalDescription()
	if desc == nil {
		return "", ErrClosed
	}
	w := wishes{sound: p.engine.cfg.Audio, redundancy: p.WantsRedundancy()}
	p.mu.Lock()
	w.maxPlaybackHz = p.maxPlaybackRate
	p.mu.Unlock()
	return localSDP(desc.SDP, w), nil
}

// AddCandidate adds a remote candidate. Those that come before the remote description wait for it.
func (p *Peer) AddCandidate(c Candidate) (err error) {
	defer asError("candidate", &err)
	p.mu.Lock()
	if !p.described {
		defer p.mu.Unlock()
		if len(p.early) >= maxEarlyCandidates {
			return ErrCandidates
		}
		p.early = append(p.early, c)
		return nil
	}
	p.mu.Unlock()
	return p.addCandidate(c)
}

func (p *Peer) addCandidate(c Candidate) error {
	err := p.pc.AddICECandidate(pion.ICECandidateInit{
		Candidate: c.Candidate, SDPMid: c.SDPMid, SDPMLineIndex: c.SDPMLineIndex, UsernameFragment: c.UsernameFragment,
	})
	if err != nil {
		return fmt.Errorf("add candidate: %w", err)
	}
	return nil
}

func (p *Peer) flushEarly() error {
	p.mu.Lock()
	early := p.early
	p.early, p.described = nil, true
	p.mu.Unlock()
	for _, c := range early {
		if err := p.addCandidate(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *Peer) candidateFound(c *pion.ICECandidate) {
	if p.cfg.OnCandidate == nil {
		return
	}
	if c == nil {
		p.cfg.OnCandidate(Candidate{})
		return
	}
	init := c.ToJSON()
	p.cfg.OnCandidate(Candidate{
		Candidate: init.Candidate, SDPMid: init.SDPMid, SDPMLineIndex: init.SDPMLineIndex, UsernameFragment: init.UsernameFragment,
	})
}

// asError turns a panic over hostile text into an error: one bad message must
// not cost the process.
func asError(what string, err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("the %s cannot be understood: %v", what, v)
	}
}

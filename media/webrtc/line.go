package webrtc

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/pion/rtcp"
	pion "github.com/pion/webrtc/v4"

	"github.com/roomline/roomline/media"
)

// line is one m-line that we send on. Lines outlive the tracks on them, so
// that a room where people come and go for days does not grow its SDP without
// end. Every track has a sender of its own and with it a new SSRC: Chromium
// stays silent when a line that was at rest comes back with the SSRC it had.
//
//	busy ─ RemoveTrack ─→ leaving ─ CreateOffer ─→ offered ─ AcceptAnswer ─→ free ─ AddTrack ─→ busy
type line struct {
	transceiver *pion.RTPTransceiver
	sender      *pion.RTPSender
	kind        Kind
	use         lineUse // guarded by Peer.mu
	track       atomic.Pointer[OutTrack]
}

type lineUse uint8

const (
	lineBusy lineUse = iota
	lineLeaving
	lineOffered
	lineFree
)

// AddTrack adds an outgoing track. It is heard after the next offer and answer.
// Its msid will be "streamID trackID". codec is what the caller means to send;
// the other side may have accepted others too, see [OutTrack.Supports].
func (p *Peer) AddTrack(kind Kind, codec media.Codec, trackID, streamID string) (*OutTrack, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	t := &OutTrack{peer: p, id: trackID, streamID: streamID, kind: kind, codec: codec}
	for _, l := range p.lines {
		if l.use == lineFree && l.kind == kind {
			return t, p.reuseLocked(l, t)
		}
	}
	return t, p.addLineLocked(t)
}

func (p *Peer) addLineLocked(t *OutTrack) error {
	tr, err := p.pc.AddTransceiverFromTrack(localTrack{t}, pion.RTPTransceiverInit{Direction: pion.RTPTransceiverDirectionSendonly})
	if err != nil {
		return fmt.Errorf("add %s track %q: %w", t.kind, t.id, err)
	}
	l := &line{transceiver: tr, sender: tr.Sender(), kind: t.kind}
	l.track.Store(t)
	t.line = l
	p.lines = append(p.lines, l)
	p.readFeedbackLocked(l)
	return nil
}

func (p *Peer) reuseLocked(l *line, t *OutTrack) error {
	t.line = l
	l.track.Store(t)
	if err := p.renewSenderLocked(l, localTrack{t}); err != nil {
		l.track.Store(nil)
		return fmt.Errorf("add %s track %q: %w", t.kind, t.id, err)
	}
	l.use = lineBusy
	p.readFeedbackLocked(l)
	return nil
}

// renewSenderLocked puts a new sender on a free line. Only pion's AddTrack makes
// one that is wired to this connection, but it chooses the transceiver, which may
// be one that we receive on: that one is put back as it was.
func (p *Peer) renewSenderLocked(l *line, track localTrack) error {
	sender, err := p.pc.AddTrack(track)
	if err != nil {
		return err
	}
	for _, tr := range p.pc.GetTransceivers() {
		if tr.Sender() == sender && tr != l.transceiver {
			if err := tr.SetSender(l.sender, nil); err != nil {
				return err
			}
			if err := l.transceiver.SetSender(sender, track); err != nil {
				return err
			}
		}
	}
	l.sender = sender
	return nil
}

// readFeedbackLocked starts the loop that ends with the line's sender. Sound needs
// none: see [control].
func (p *Peer) readFeedbackLocked(l *line) {
	if l.kind == Audio {
		return
	}
	sender := l.sender
	p.loops.Add(1)
	go func() {
		defer p.loops.Done()
		defer p.recovered("feedback")
		p.feedbackLoop(l, sender)
	}()
}

// RemoveTrack takes a track away; the next offer says so. Removing it twice is harmless.
func (p *Peer) RemoveTrack(t *OutTrack) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := t.line
	if p.closed || l == nil || l.track.Load() != t {
		return nil
	}
	l.track.Store(nil)
	t.detach()
	l.use = lineLeaving
	if err := errors.Join(l.sender.Stop(), l.transceiver.SetSender(l.sender, nil)); err != nil {
		return fmt.Errorf("remove %s track %q: %w", t.kind, t.id, err)
	}
	return nil
}

func (p *Peer) linesOffered()  { p.moveLines(lineLeaving, lineOffered) }
func (p *Peer) linesAnswered() { p.moveLines(lineOffered, lineFree) }

func (p *Peer) moveLines(from, to lineUse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if l.use == from {
			l.use = to
		}
	}
}

// feedbackLoop reads what the other side reports about one of our streams, by way
// of the interceptors, which send again what was lost.
func (p *Peer) feedbackLoop(l *line, sender *pion.RTPSender) {
	buf := make([]byte, maxPacket)
	for {
		n, _, err := sender.Read(buf)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		if err != nil {
			continue
		}
		if t := l.track.Load(); t != nil {
			t.feedback(packets)
		}
	}
}

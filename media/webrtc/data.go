package webrtc

import (
	"errors"
	"fmt"

	pion "github.com/pion/webrtc/v4"
)

// maxBuffered is how much may wait to be sent on the data channel, in bytes,
// before SendData refuses more: a browser that does not read must not cost memory.
const maxBuffered = 256 << 10

// Errors of SendData.
var (
	ErrDataClosed    = errors.New("the data channel is not open")
	ErrDataCongested = errors.New("the data channel is congested")
)

// OpenData adds the data channel with this label: for offers. The answering side gets it by itself.
func (p *Peer) OpenData(label string) error {
	d, err := p.pc.CreateDataChannel(label, nil)
	if err != nil {
		return fmt.Errorf("open data channel %q: %w", label, err)
	}
	p.adoptData(d)
	return nil
}

// adoptData takes the first data channel; others are closed.
func (p *Peer) adoptData(d *pion.DataChannel) {
	p.mu.Lock()
	taken := p.data != nil
	if !taken {
		p.data = d
	}
	p.mu.Unlock()
	if taken {
		_ = d.Close()
		return
	}
	d.OnMessage(func(m pion.DataChannelMessage) {
		p.run("data message", func() {
			if p.cfg.OnData != nil {
				p.cfg.OnData(m.Data)
			}
		})
	})
	d.OnOpen(func() {
		p.run("data open", func() {
			if p.cfg.OnDataOpen != nil {
				p.cfg.OnDataOpen()
			}
		})
	})
}

// SendData sends one text message on the data channel; an error when it is not
// open or congested.
func (p *Peer) SendData(text []byte) error {
	p.mu.Lock()
	d := p.data
	p.mu.Unlock()
	if d == nil || d.ReadyState() != pion.DataChannelStateOpen {
		return ErrDataClosed
	}
	if d.BufferedAmount() > maxBuffered {
		return ErrDataCongested
	}
	if err := d.SendText(string(text)); err != nil {
		return fmt.Errorf("send on the data channel: %w", err)
	}
	return nil
}

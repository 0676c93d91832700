package agent

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// phone is a caller's line without signalling. Its RTP session is a real one on
// loopback, and talks to itself.
type phone struct {
	events chan bridge.LineEvent
	media  *rtp.Session

	mu   sync.Mutex
	over bool
}

func newPhone(t testing.TB) *phone {
	t.Helper()
	s, err := rtp.Open(context.Background(), rtp.Config{LocalIP: netip.MustParseAddr("127.0.0.1")})
	if err == nil {
		err = s.Update(rtp.Params{
			Remote: s.LocalAddr(), Codec: media.PCMU, Accept: []rtp.PayloadCodec{{PayloadType: 0, Codec: media.PCMU}}, Send: true, Receive: true,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return &phone{events: make(chan bridge.LineEvent, 64), media: s}
}

func (p *phone) Ring() error                                          { return nil }
func (p *phone) Early() error                                         { return nil }
func (p *phone) Hold(context.Context, bool) error                     { return nil }
func (p *phone) SendDigit(context.Context, rune, time.Duration) error { return nil }
func (p *phone) Refer(context.Context, string, bridge.Line) error     { return errors.New("it does not") }
func (p *phone) Events() <-chan bridge.LineEvent                      { return p.events }
func (p *phone) Media() *rtp.Session                                  { return p.media }
func (p *phone) SIPCallID() string                                    { return "abc@192.0.2.1" }
func (p *phone) End(cause bridge.Cause, _ string)                     { p.hangUp(cause) }

// Answer is acknowledged at once.
func (p *phone) Answer() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.events <- bridge.LineEvent{Kind: bridge.LineAnswered}
	}
	return nil
}

func (p *phone) hangUp(cause bridge.Cause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.over = true
	p.events <- bridge.LineEvent{Kind: bridge.LineEnded, Cause: cause}
	close(p.events)
	p.media.Close()
}

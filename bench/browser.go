package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
	"github.com/roomline/roomline/media/webrtc/whip"
)

// browser is our end of a room leg: what a page or a WHIP client would be. It
// speaks and listens over DTLS-SRTP.
type browser struct {
	engine    *webrtc.Engine // nil for WHIP
	sessions  []*whip.Client // WHIP's
	codec     media.Codec
	speaks    media.Writer
	rateHz    int // to encode at: what the gateway asked for, 48000 if nothing
	connected chan struct{}
	once      sync.Once

	socket *websocket.Conn // nil for WHIP
	stop   context.CancelFunc
	wait   sync.WaitGroup
}

const joinTimeout = 20 * time.Second

// join enters a room the way that o says, and returns when sound can flow.
func (g *gateway) join(ctx context.Context, o Scene, room string, heard func(*media.Packet)) (*browser, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	token, err := g.token(ctx, room, "browser")
	if err != nil {
		return nil, err
	}
	b := &browser{codec: o.browserCodec(), rateHz: 48000, connected: make(chan struct{})}
	if o.Room == roomWHIP {
		err = b.whip(ctx, g, room, token, heard)
	} else {
		err = b.web(ctx, g, room, token, heard)
	}
	if err == nil {
		select {
		case <-b.connected:
		case <-ctx.Done():
			err = errors.New("no WebRTC connection in time")
		}
	}
	if err != nil {
		b.close()
		return nil, fmt.Errorf("join room %s: %w", room, err)
	}
	return b, nil
}

// peer makes a peer with a port of its own, as every browser has.
func (b *browser) peer(ctx context.Context, heard func(*media.Packet)) (*webrtc.Peer, error) {
	quiet := slog.New(slog.DiscardHandler)
	e, err := webrtc.NewEngine(ctx, webrtc.Config{UDPAddr: "127.0.0.1:0", Log: quiet})
	if err != nil {
		return nil, err
	}
	b.engine = e
	return e.NewPeer(webrtc.PeerConfig{
		OnState: func(s webrtc.State) {
			if s == webrtc.Connected {
				b.once.Do(func() { close(b.connected) })
			}
		},
		OnTrack: func(t *webrtc.InTrack) {
			if t.Kind() == webrtc.Audio && heard != nil {
				t.Receive(heard)
			}
		},
	})
}

// whip publishes with one session and listens with another.
func (b *browser) whip(ctx context.Context, g *gateway, room, token string, heard func(*media.Packet)) error {
	url := "http://" + g.http + "/v1/rooms/" + room
	speaker, err := whip.Publish(ctx, url+"/whip", token)
	if err != nil {
		return err
	}
	b.sessions = append(b.sessions, speaker)
	b.speaks, b.rateHz = speaker, speaker.PlaybackRate()
	listener, err := whip.Listen(ctx, url+"/whep", token, heard)
	if err != nil {
		return err
	}
	b.sessions = append(b.sessions, listener)
	b.once.Do(func() { close(b.connected) })
	return nil
}

// signal is every message of the room's WebSocket that matters here.
type signal struct {
	Type      string            `json:"type"`
	Token     string            `json:"token,omitempty"`
	SDP       string            `json:"sdp,omitempty"`
	Candidate *webrtc.Candidate `json:"candidate,omitempty"`
	Message   string            `json:"message,omitempty"`
}

// web joins over the room's WebSocket with one peer for both directions.
func (b *browser) web(ctx context.Context, g *gateway, room, token string, heard func(*media.Packet)) error {
	p, err := b.peer(ctx, heard)
	if err != nil {
		return err
	}
	track, err := p.AddTrack(webrtc.Audio, b.codec, "mic", "bench")
	if err != nil {
		return err
	}
	b.speaks = track
	b.socket, _, err = websocket.Dial(ctx, "ws://"+g.http+"/v1/rooms/"+room+"/ws", nil)
	if err != nil {
		return err
	}
	b.socket.SetReadLimit(1 << 20)
	if err := b.say(ctx, signal{Type: "join", Token: token}); err != nil {
		return err
	}
	if err := b.listenFor(ctx, p, "offer"); err != nil {
		return err
	}
	// From here on the room may change: every offer is answered until the end.
	running, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.wait.Go(func() { _ = b.listenFor(running, p, "leave") })
	return nil
}

// listenFor handles messages up to and with the first of a type.
func (b *browser) listenFor(ctx context.Context, p *webrtc.Peer, last string) error {
	for {
		_, text, err := b.socket.Read(ctx)
		if err != nil {
			return err
		}
		var s signal
		if err := json.Unmarshal(text, &s); err != nil {
			continue // a message with other fields, which are not for us
		}
		if err := b.handle(ctx, p, s); err != nil {
			return err
		}
		if s.Type == last {
			return nil
		}
	}
}

func (b *browser) handle(ctx context.Context, p *webrtc.Peer, s signal) error {
	switch s.Type {
	case "offer":
		b.rateHz = whip.PlaybackRate(s.SDP)
		answer, err := p.AcceptOffer(ctx, s.SDP)
		if err != nil {
			return err
		}
		return b.say(ctx, signal{Type: "answer", SDP: answer})
	case "candidate":
		if s.Candidate != nil {
			return p.AddCandidate(*s.Candidate)
		}
	case "error":
		return errors.New(s.Message)
	}
	return nil
}

func (b *browser) say(ctx context.Context, s signal) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return b.socket.Write(ctx, websocket.MessageText, text)
}

func (b *browser) close() {
	if b.stop != nil {
		b.stop()
	}
	if b.socket != nil {
		_ = b.socket.CloseNow()
	}
	b.wait.Wait()
	for _, c := range b.sessions {
		c.Close()
	}
	if b.engine != nil {
		_ = b.engine.Close()
	}
}

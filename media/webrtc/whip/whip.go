// Package whip is a client of WHIP (RFC 9725) and WHEP: it publishes or listens
// to one audio track over HTTP signalling. It owns the peer and its port; each
// client has a port of its own, as every browser has. Packets come on the
// goroutine that read them.
package whip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

// Client is one WHIP or WHEP session.
type Client struct {
	engine   *webrtc.Engine
	peer     *webrtc.Peer
	out      *webrtc.OutTrack // publishing only
	token    string
	resource string // where DELETE ends the session
	rateHz   int
	up       chan struct{}
	once     sync.Once
}

// Publish opens a WHIP session at endpoint with a track of sound, to be fed by
// [Client.WritePacket], and returns when media can flow.
func Publish(ctx context.Context, endpoint, token string) (*Client, error) {
	return open(ctx, endpoint, token, nil, func(c *Client) (err error) {
		c.out, err = c.peer.AddTrack(webrtc.Audio, media.Opus, "mic", "whip")
		return err
	})
}

// Listen opens a WHEP session at endpoint; heard gets every packet of its audio
// and may not keep it.
func Listen(ctx context.Context, endpoint, token string, heard func(*media.Packet)) (*Client, error) {
	return open(ctx, endpoint, token, heard, func(c *Client) error { return c.peer.Receive(webrtc.Audio) })
}

func open(ctx context.Context, endpoint, token string, heard func(*media.Packet), prepare func(*Client) error) (c *Client, err error) {
	c = &Client{token: token, up: make(chan struct{})}
	defer func() {
		if err != nil {
			c.Close()
			c = nil
		}
	}()
	quiet := slog.New(slog.DiscardHandler)
	if c.engine, err = webrtc.NewEngine(ctx, webrtc.Config{UDPAddr: "127.0.0.1:0", Log: quiet}); err != nil {
		return c, err
	}
	c.peer, err = c.engine.NewPeer(webrtc.PeerConfig{OnState: c.changed, OnTrack: func(t *webrtc.InTrack) {
		if heard != nil && t.Kind() == webrtc.Audio {
			t.Receive(heard)
		}
	}})
	if err != nil {
		return c, err
	}
	if err = prepare(c); err != nil {
		return c, err
	}
	if err = c.negotiate(ctx, endpoint); err != nil {
		return c, err
	}
	select {
	case <-c.up:
		return c, nil
	case <-ctx.Done():
		return c, errors.New("no WebRTC connection in time")
	}
}

func (c *Client) changed(s webrtc.State) {
	if s == webrtc.Connected {
		c.once.Do(func() { close(c.up) })
	}
}

func (c *Client) negotiate(ctx context.Context, endpoint string) error {
	offer, err := c.peer.CreateOffer(false)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(offer))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/sdp")
	answer, location, err := c.do(req, http.StatusCreated)
	if err != nil {
		return err
	}
	base, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	if at, err := base.Parse(location); err == nil && location != "" {
		c.resource = at.String()
	}
	c.rateHz = PlaybackRate(string(answer))
	return c.peer.AcceptAnswer(string(answer))
}

var playbackRate = regexp.MustCompile(`maxplaybackrate=(\d{4,5})`)

// PlaybackRate is the sampling rate in Hz above which an SDP says that sound is
// not heard (RFC 7587 section 6.1): what to encode Opus at. 48000 when it is silent.
func PlaybackRate(sdp string) int {
	if m := playbackRate.FindStringSubmatch(sdp); m != nil {
		if hz, err := strconv.Atoi(m[1]); err == nil && (hz == 8000 || hz == 16000) {
			return hz
		}
	}
	return 48000
}

// PlaybackRate is what the server wants a published track to be encoded at, in Hz.
func (c *Client) PlaybackRate() int { return c.rateHz }

func (c *Client) do(req *http.Request, want int) (body []byte, location string, err error) {
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, res.Status, bytes.TrimSpace(body))
	}
	return body, res.Header.Get("Location"), err
}

// Codec is what the server would rather have of a published track, once media can flow.
func (c *Client) Codec() media.Codec { return c.out.Preferred() }

// WritePacket sends one packet of a published track; see [media.Writer].
func (c *Client) WritePacket(p *media.Packet) error { return c.out.WritePacket(p) }

// Quality sums up the session's audio.
func (c *Client) Quality() media.Quality { return c.peer.Quality() }

// Leave tells the server that the session is over, and closes it.
func (c *Client) Leave(ctx context.Context) error {
	var err error
	if c.resource != "" {
		var req *http.Request
		if req, err = http.NewRequestWithContext(ctx, http.MethodDelete, c.resource, nil); err == nil {
			_, _, err = c.do(req, http.StatusOK)
		}
	}
	c.Close()
	return err
}

// Close ends the session without a word to the server. Closing twice is harmless.
func (c *Client) Close() {
	if c.peer != nil {
		c.peer.Close()
	}
	if c.engine != nil {
		c.engine.Close()
	}
}

package room

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a gateway's inside: exchange, engine and server, on loopback.
type house struct {
	t    testing.TB
	x    *bridge.Exchange
	srv  *Server
	http *httptest.Server
	cut  atomic.Bool  // the WebRTC network is gone
	lose atomic.Int32 // percent of RTP that the WebRTC network loses, each way

	sent, came [128]atomic.Int32 // RTP packets by payload type, before the loss
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// fast are timeouts for tests that wait for them.
var fast = Timeouts{Restart: 300 * time.Millisecond, Refresh: 100 * time.Millisecond}

func build(t testing.TB, timeouts Timeouts, configure ...func(*webrtc.Config)) *house {
	t.Helper()
	h := &house{t: t, x: &bridge.Exchange{Log: quiet()}}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); h.x.Run(ctx) }()
	cfg := webrtc.Config{
		Listen: h.listen, UDPAddr: "127.0.0.1:0", ICELite: true, Log: quiet(),
		Timeouts: webrtc.Timeouts{Disconnected: 500 * time.Millisecond, Failed: 3 * time.Second, KeepAlive: 100 * time.Millisecond},
	}
	for _, f := range configure {
		f(&cfg)
	}
	engine, err := webrtc.NewEngine(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.srv = New(Config{
		Exchange: h.x, Engine: engine, Keys: testKeys(t), Timeouts: timeouts, Log: quiet(), Origins: []string{"*.example.com"},
		TURN: TURN{URLs: []string{"turn:192.0.2.9:3478"}, Secret: "s"},
	})
	mux := http.NewServeMux()
	h.srv.Register(mux)
	h.http = httptest.NewServer(mux)
	t.Cleanup(func() {
		h.srv.Close()
		h.http.CloseClientConnections()
		h.http.Close()
		if n := engine.Peers(); n != 0 {
			t.Errorf("%d peers left", n)
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
		if rooms := h.x.Rooms(); len(rooms) != 0 {
			t.Errorf("rooms left: %+v", rooms)
		}
		cancel()
		<-ran
	})
	return h
}

// listen opens sockets whose network can be taken away.
func (h *house) listen(ctx context.Context, network, address string) (net.PacketConn, error) {
	c, err := media.ListenUDP(ctx, network, address)
	return lossy{c, h}, err
}

type lossy struct {
	net.PacketConn
	h *house
}

// lost counts a packet, and decides whether it is lost.
func (c lossy) lost(b []byte, count *[128]atomic.Int32) bool {
	if c.h.cut.Load() {
		return true
	}
	if len(b) < 12 || b[0]>>6 != 2 || b[1] >= 192 && b[1] <= 223 { // RFC 7983, RFC 5761: no RTP
		return false
	}
	count[b[1]&0x7f].Add(1)
	return rand.Int32N(100) < c.h.lose.Load()
}

func (c lossy) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, a, err := c.PacketConn.ReadFrom(b)
		if err != nil || !c.lost(b[:n], &c.h.came) {
			return n, a, err
		}
	}
}

func (c lossy) WriteTo(b []byte, a net.Addr) (int, error) {
	if c.lost(b, &c.h.sent) {
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, a)
}

func (h *house) token(c Claims) string {
	h.t.Helper()
	token, _, err := h.srv.cfg.Keys.Mint(c, 0, time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// client is the other side's engine and peer.
type client struct {
	h      *house
	peer   *webrtc.Peer
	states chan webrtc.State
	tracks chan *webrtc.InTrack
	ends   chan *webrtc.InTrack
	got    chan packet
	data   chan string
	open   chan struct{}
}

type packet struct {
	track *webrtc.InTrack
	media.Packet
}

func (h *house) client() *client { return h.clientOf(func(*webrtc.Config) {}) }

func (h *house) clientOf(configure func(*webrtc.Config)) *client {
	h.t.Helper()
	cfg := webrtc.Config{
		UDPAddr: "127.0.0.1:0", Log: quiet(),
		Timeouts: webrtc.Timeouts{Disconnected: 500 * time.Millisecond, Failed: 3 * time.Second, KeepAlive: 100 * time.Millisecond},
	}
	configure(&cfg)
	engine, err := webrtc.NewEngine(context.Background(), cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = engine.Close() })
	c := &client{
		h: h, states: make(chan webrtc.State, 32), tracks: make(chan *webrtc.InTrack, 32), ends: make(chan *webrtc.InTrack, 32),
		got: make(chan packet, 4096), data: make(chan string, 256), open: make(chan struct{}, 1),
	}
	c.peer, err = engine.NewPeer(webrtc.PeerConfig{
		OnState: func(s webrtc.State) { c.states <- s },
		OnTrack: func(t *webrtc.InTrack) {
			t.Receive(func(p *media.Packet) {
				kept := *p
				kept.Payload = append([]byte(nil), p.Payload...)
				select {
				case c.got <- packet{t, kept}:
				default:
				}
			})
			c.tracks <- t
		},
		OnTrackEnd: func(t *webrtc.InTrack) { c.ends <- t },
		OnDataOpen: func() { c.open <- struct{}{} },
		OnData:     func(b []byte) { c.data <- string(b) },
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (c *client) track(kind webrtc.Kind, codec media.Codec, id string) *webrtc.OutTrack {
	c.h.t.Helper()
	out, err := c.peer.AddTrack(kind, codec, id, "me")
	if err != nil {
		c.h.t.Fatal(err)
	}
	return out
}

func (c *client) waitState(want webrtc.State) {
	c.h.t.Helper()
	for {
		if s := wait(c.h.t, want.String(), c.states); s == want {
			return
		}
	}
}

// flush forgets what was received so far.
func (c *client) flush() {
	for {
		select {
		case <-c.got:
		default:
			return
		}
	}
}

func wait[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("waited 10 s for %s", what)
		panic("unreachable")
	}
}

// eventually polls what no channel tells.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited 10 s for %s", what)
		}
	}
}

// beat writes a packet each 20 ms until stopped.
func beat(out media.Writer, next func(i int) media.Packet) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-tick.C:
				p := next(i)
				_ = out.WritePacket(&p)
			}
		}
	}()
	return func() { close(done); <-ended }
}

// same sends one payload over and over.
func same(codec media.Codec, payload []byte) func(int) media.Packet {
	step := codec.ClockRate() / 50
	return func(i int) media.Packet {
		return media.Packet{Codec: codec, SequenceNumber: uint16(i), Timestamp: uint32(i * step), Payload: payload}
	}
}

// page is a browser's page: a WebSocket and a client, answering every offer.
type page struct {
	*client
	ws       *websocket.Conn
	answers  atomic.Bool // answer offers by itself
	messages chan map[string]any
	ended    chan struct{}
	session  string
	id       string
}

func (h *house) dial(room string, protocols ...string) *websocket.Conn {
	h.t.Helper()
	ws, _, err := websocket.Dial(context.Background(), strings.Replace(h.http.URL, "http", "ws", 1)+"/v1/rooms/"+room+"/ws",
		&websocket.DialOptions{Subprotocols: protocols})
	if err != nil {
		h.t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	h.t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

// join opens a page in the room that the claims name.
func (h *house) join(c Claims, prepare ...func(*client)) *page {
	h.t.Helper()
	p := &page{client: h.client()}
	for _, f := range prepare {
		f(p.client)
	}
	p.answers.Store(true)
	p.connect(c.Room)
	p.say(map[string]any{"type": "join", "token": h.token(c)})
	p.welcomed()
	return p
}

func (p *page) connect(room string) {
	p.ws = p.h.dial(room)
	p.messages, p.ended = make(chan map[string]any, 1024), make(chan struct{})
	go p.read(p.ws, p.messages, p.ended)
	ws, ended := p.ws, p.ended
	p.h.t.Cleanup(func() { _ = ws.CloseNow(); <-ended }) // nothing is read, or logged, after the test
}

func (p *page) welcomed() {
	p.h.t.Helper()
	m := p.expect("joined")
	p.session, p.id = m["session"].(string), m["participant"].(string)
}

// drop loses the WebSocket without a goodbye.
func (p *page) drop() {
	_ = p.ws.CloseNow()
	<-p.ended
}

func (p *page) say(v any) {
	p.h.t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		p.h.t.Fatal(err)
	}
	p.sayRaw(text)
}

func (p *page) sayRaw(text []byte) {
	p.h.t.Helper()
	if err := p.ws.Write(context.Background(), websocket.MessageText, text); err != nil {
		p.h.t.Fatal(err)
	}
}

func (p *page) read(ws *websocket.Conn, messages chan map[string]any, ended chan struct{}) {
	defer close(ended)
	for {
		_, text, err := ws.Read(context.Background())
		if err != nil {
			return
		}
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			p.h.t.Errorf("the server sent %q", text)
			return
		}
		if m["type"] == "offer" && p.answers.Load() {
			p.answer(ws, m["sdp"].(string))
		}
		messages <- m
	}
}

func (p *page) answer(ws *websocket.Conn, offer string) {
	sdp, err := p.peer.AcceptOffer(context.Background(), offer)
	if err != nil {
		p.h.t.Logf("offer refused, by a page that is closing: %v", err)
		return
	}
	text, _ := json.Marshal(map[string]any{"type": "answer", "sdp": sdp})
	_ = ws.Write(context.Background(), websocket.MessageText, text)
}

// expect returns the next message of a type and passes over others.
func (p *page) expect(kind string) map[string]any {
	p.h.t.Helper()
	for {
		if m := wait(p.h.t, "a message "+kind, p.messages); m["type"] == kind {
			return m
		}
	}
}

// post sends an SDP, as WHIP and WHEP do.
func (h *house) request(method, path, token, contentType, body string, headers ...string) *http.Response {
	h.t.Helper()
	r, err := http.NewRequest(method, h.http.URL+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		h.t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(string(text)))
	return resp
}

func text(r *http.Response) string {
	b, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(b)))
	return string(b)
}

// open runs a whole WHIP or WHEP exchange and returns the session's path.
func (h *house) open(kind string, c Claims, k *client) (location string) {
	h.t.Helper()
	offer, err := k.peer.CreateOffer(false)
	if err != nil {
		h.t.Fatal(err)
	}
	resp := h.request("POST", "/v1/rooms/"+c.Room+"/"+kind, h.token(c), mimeSDP, offer)
	if resp.StatusCode != http.StatusCreated {
		h.t.Fatalf("%s: %s %s", kind, resp.Status, text(resp))
	}
	if err := k.peer.AcceptAnswer(text(resp)); err != nil {
		h.t.Fatal(err)
	}
	k.waitState(webrtc.Connected)
	return resp.Header.Get("Location")
}

func (h *house) participant(id string) (bridge.ParticipantRecord, bool) {
	for _, r := range h.x.Rooms() {
		for _, p := range r.Participants {
			if p.ID == id {
				return p, true
			}
		}
	}
	return bridge.ParticipantRecord{}, false
}

package agent

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// mood is what a machine does with those who connect.
type mood string

const (
	works     mood = "works"    // it answers as an agent in Twilio's protocol, and talks
	turnsAway mood = "refuses"  // 503
	staysMute mood = "hangs"    // no answer to the handshake
	hangsUp   mood = "hangs up" // after a moment
	babbles   mood = "babbles"  // no JSON
	dies      mood = "dies"
)

var moods = []mood{works, works, works, turnsAway, staysMute, hangsUp, babbles, dies}

// machine is an agent's program that can be killed and started again.
type machine struct {
	t    *testing.T
	addr string

	mu      sync.Mutex
	mood    mood
	server  *http.Server
	serving sync.WaitGroup
	stopped context.CancelFunc
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, addr: "127.0.0.1:0", mood: works}
	m.start()
	return m
}

func (m *machine) url() string { return "ws://" + m.addr + "/media" }

func (m *machine) becomes(now mood) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mood = now
}

// start lets it listen, if it does not.
func (m *machine) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.server != nil {
		return
	}
	l, err := net.Listen("tcp", m.addr)
	if err != nil {
		m.t.Errorf("a worker cannot listen: %v", err)
		return
	}
	m.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(ctx, w, r) })}
	m.server, m.stopped = server, cancel
	m.serving.Go(func() { server.Serve(l) })
}

// kill closes everything at once.
func (m *machine) kill() {
	m.mu.Lock()
	server, stopped := m.server, m.stopped
	m.server = nil
	m.mu.Unlock()
	if server == nil {
		return
	}
	stopped()
	server.Close()
	m.serving.Wait()
}

func (m *machine) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	now := m.mood
	m.mu.Unlock()
	switch now {
	case turnsAway:
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	case staysMute:
		select {
		case <-ctx.Done():
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	m.serving.Add(1) // hijacked: the server does not know of it
	defer m.serving.Done()
	defer ws.CloseNow()
	m.talk(ctx, ws, now)
}

// talk reads what comes, and says something as soon as the call has started.
func (m *machine) talk(ctx context.Context, ws *websocket.Conn, now mood) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ws.SetReadLimit(1 << 20)
	if now == hangsUp {
		var over context.CancelFunc
		ctx, over = context.WithTimeout(ctx, 50*time.Millisecond)
		defer over()
	}
	for {
		e, err := next(ctx, ws)
		switch {
		case err != nil:
			return
		case e.Event == "start" && now == babbles:
			err = tell(ws, "hello, who is there?")
		case e.Event == "start":
			err = tell(ws, `{"event":"media","streamSid":"`+e.StreamSID+`","media":{"payload":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}`)
		case e.Event == "stop":
			return
		}
		if err != nil {
			return
		}
	}
}

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/transcode"
)

// stage is an exchange with a caller in a room, and a house whose agents are
// programs of the test.
type stage struct {
	testing.TB
	x      *bridge.Exchange
	house  *House
	plan   dialplan.Plan
	caller *bridge.Participant
	voice  *bridge.Source // the caller's
	ear    *ear           // the caller's
}

const testRoom = "call-1"

func newStage(t testing.TB, agents ...dialplan.Agent) *stage {
	t.Helper()
	for i := range agents {
		agents[i].Probe = "off"
	}
	s := &stage{TB: t, x: &bridge.Exchange{}, plan: dialplan.Plan{Agents: agents}, ear: &ear{}}
	s.house = &House{Exchange: s.x, Plan: func() *dialplan.Plan { return &s.plan }}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.x.Run(ctx) })
	running.Go(func() { s.house.Run(ctx) })
	room, err := s.x.OpenRoom(testRoom)
	if err != nil {
		t.Fatal(err)
	}
	if s.caller, err = room.Join(bridge.JoinSpec{Identity: "+15551230000", Kind: bridge.KindPhone, Role: bridge.RoleGuest}); err != nil {
		t.Fatal(err)
	}
	if s.voice, err = s.caller.Publish(bridge.TrackSpec{ID: "voice", Codec: media.PCMU}); err != nil {
		t.Fatal(err)
	}
	s.caller.Listen(s.ear, media.PCMU, 20*time.Millisecond)
	t.Cleanup(func() {
		cancel()
		s.caller.Leave()
		running.Wait()
	})
	return s
}

// speak pushes packets of 20 ms, as fast as they can be made.
func (s *stage) speak(from, packets int, b byte) {
	sound := make([]byte, media.FrameSamples)
	for i := range sound {
		sound[i] = b
	}
	for n := from; n < from+packets; n++ {
		s.voice.Push(&media.Packet{
			Codec: media.PCMU, SequenceNumber: uint16(n), Timestamp: uint32(n * media.FrameSamples), Payload: sound, Arrived: time.Now(),
		})
	}
}

// ear keeps what is heard.
type ear struct {
	mu    sync.Mutex
	heard []byte
}

func (e *ear) WritePacket(p *media.Packet) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, p.Payload...)
	return nil
}

// count returns how often a byte was heard.
func (e *ear) count(b byte) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return bytes.Count(e.heard, []byte{b})
}

// program serves one WebSocket after the other.
func program(t testing.TB, serve func(ctx context.Context, ws *websocket.Conn, r *http.Request)) (url string) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		ws.SetReadLimit(-1)
		defer ws.CloseNow()
		serve(r.Context(), ws, r)
	}))
	t.Cleanup(srv.Close)
	return "ws" + strings.TrimPrefix(srv.URL, "http") + "/media?token=hidden"
}

// event is a message of Twilio's protocol.
type event struct {
	Event          string `json:"event"`
	SequenceNumber string `json:"sequenceNumber"`
	StreamSID      string `json:"streamSid"`
	Protocol       string `json:"protocol"`
	Start          struct {
		AccountSID       string            `json:"accountSid"`
		CallSID          string            `json:"callSid"`
		StreamSID        string            `json:"streamSid"`
		Tracks           []string          `json:"tracks"`
		MediaFormat      map[string]any    `json:"mediaFormat"`
		CustomParameters map[string]string `json:"customParameters"`
	} `json:"start"`
	Media struct {
		Track     string `json:"track"`
		Chunk     string `json:"chunk"`
		Timestamp string `json:"timestamp"`
		Payload   []byte `json:"payload"`
	} `json:"media"`
	Mark  struct{ Name string }             `json:"mark"`
	DTMF  struct{ Digit, Track string }     `json:"dtmf"`
	Error struct{ Event, Message string }   `json:"error"`
	Stop  struct{ AccountSID, CallSID any } `json:"stop"`
}

// next reads the next event, err is the end of the connection.
func next(ctx context.Context, ws *websocket.Conn) (e event, err error) {
	_, text, err := ws.Read(ctx)
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	return e, err
}

// until reads on to the first event of a kind.
func until(t *testing.T, ws *websocket.Conn, kind string) event {
	t.Helper()
	for {
		e, err := next(context.Background(), ws)
		if err != nil {
			t.Errorf("no %s came: %v", kind, err)
			return e
		}
		if e.Event == kind {
			return e
		}
	}
}

func tell(ws *websocket.Conn, text string) error {
	return ws.Write(context.Background(), websocket.MessageText, []byte(text))
}

// send leases an agent for the caller.
func (s *stage) send(name string) bridge.AgentLeg {
	s.Helper()
	leg, err := s.house.Send(bridge.AgentSpec{Agent: name, Room: testRoom, From: "+15551230000", To: "+15559990000", Direction: bridge.Inbound})
	if err != nil {
		s.Fatal(err)
	}
	return leg
}

// await reads events up to one of a kind.
func await(t testing.TB, l bridge.AgentLeg, kind bridge.AgentEventKind) bridge.AgentEvent {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case e, open := <-l.Events():
			if !open {
				t.Fatalf("no event %d came", kind)
			}
			if e.Kind == kind {
				return e
			}
			if e.Kind == bridge.AgentEnded {
				t.Fatalf("the leg has ended before event %d: %q %s", kind, e.Fault, e.Reason)
			}
		case <-late:
			t.Fatalf("event %d did not come within 20 s", kind)
		}
	}
}

// pcm decodes what was heard.
func (e *ear) pcm(t *testing.T) []int16 {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	d, err := transcode.NewDecoder(media.PCMU, media.NarrowbandHz)
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, len(e.heard))
	if _, err := d.Decode(e.heard, pcm); err != nil {
		t.Fatal(err)
	}
	return pcm
}

package bench

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

// agents is the program whose agents talk to the phones, one WebSocket each, over
// Twilio's protocol. Its goroutines are its connections' and the server's.
type agents struct {
	url    string
	server *http.Server
	wait   sync.WaitGroup

	mu    sync.Mutex
	seats map[string]chan *agentSeat // by the name of the call
}

func startAgents() (*agents, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &agents{url: "ws://" + l.Addr().String() + "/media", seats: map[string]chan *agentSeat{}}
	a.server = &http.Server{Handler: http.HandlerFunc(a.serve), ReadHeaderTimeout: 5 * time.Second}
	a.wait.Go(func() { _ = a.server.Serve(l) })
	return a, nil
}

func (a *agents) close() {
	_ = a.server.Close()
	a.wait.Wait()
}

// plan sends every call to the agents.
func (a *agents) plan(calls int) string {
	return fmt.Sprintf(`trunks:
  - {name: bench, addresses: [127.0.0.1], codecs: [PCMU]}
agents:
  - {name: bench, url: %q, pool: %d, patience: "off", filler: silence}
routes:
  - {name: bench, to: "*", agent: bench}
`, a.url, calls+10)
}

// seat is where the agent of a call will be found.
func (a *agents) seat(call string) chan *agentSeat {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seats[call] == nil {
		a.seats[call] = make(chan *agentSeat, 1)
	}
	return a.seats[call]
}

// come waits for the agent of a call.
func (a *agents) come(ctx context.Context, call string) (*agentSeat, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	select {
	case s := <-a.seat(call):
		return s, nil
	case <-ctx.Done():
		return nil, errors.New("no agent came to call " + call)
	}
}

func (a *agents) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	conn.SetReadLimit(1 << 20)
	a.wait.Add(1)
	defer a.wait.Done()
	defer conn.CloseNow()
	s := &agentSeat{conn: conn, echoed: map[string]time.Time{}}
	for {
		_, text, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		if call := s.take(text, time.Now()); call != "" {
			a.seat(call) <- s
		}
	}
}

// agentSeat is one agent: it speaks as a media.Writer.
type agentSeat struct {
	conn *websocket.Conn
	lane *lane // what it hears; nil: nobody asks
	seq  uint16

	mu     sync.Mutex
	stream string
	buf    []byte
	echoed map[string]time.Time // by the name of the mark
	sent   int
}

// markEvery is how many packets lie between two marks.
const markEvery = 25

// agentMessage is what the gateway sends.
type agentMessage struct {
	Event string `json:"event"`
	Start struct {
		StreamSID  string            `json:"streamSid"`
		Parameters map[string]string `json:"customParameters"`
	} `json:"start"`
	Media struct {
		Payload []byte `json:"payload"`
	} `json:"media"`
	Mark struct {
		Name string `json:"name"`
	} `json:"mark"`
}

// take takes a message; on the first it returns the call's name.
func (s *agentSeat) take(text []byte, now time.Time) (call string) {
	var m agentMessage
	if json.Unmarshal(text, &m) != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Event {
	case "start":
		s.stream = m.Start.StreamSID
		return m.Start.Parameters["from_number"]
	case "media":
		s.seq++
		if s.lane != nil {
			s.lane.arrived(&media.Packet{Codec: media.PCMU, SequenceNumber: s.seq, Payload: m.Media.Payload, Arrived: now})
		}
	case "mark":
		s.echoed[m.Mark.Name] = now
	}
	return ""
}

// hears has what the agent hears counted.
func (s *agentSeat) hears(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lane = l
}

// WritePacket sends 20 ms, and now and then a mark after them, named by their number.
func (s *agentSeat) WritePacket(p *media.Packet) error {
	s.mu.Lock()
	number := s.sent
	s.sent++
	s.mu.Unlock()
	if err := s.say(p.Payload); err != nil || number%markEvery != 0 {
		return err
	}
	return s.write(`{"event":"mark","streamSid":"` + s.stream + `","mark":{"name":"` + strconv.Itoa(number) + `"}}`)
}

func (s *agentSeat) say(payload []byte) error {
	s.buf = append(append(append(s.buf[:0], `{"event":"media","streamSid":"`...), s.stream...), `","media":{"payload":"`...)
	s.buf = append(base64.StdEncoding.AppendEncode(s.buf, payload), `"}}`...)
	return s.conn.Write(context.Background(), websocket.MessageText, s.buf)
}

func (s *agentSeat) write(text string) error {
	return s.conn.Write(context.Background(), websocket.MessageText, []byte(text))
}

// markErrors is, by mark, how long after its sound had been played out it came back, in
// milliseconds: 20 ms after the phone got the packet that ends with it.
func (s *agentSeat) markErrors(l *lane) (ms []float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.match(l.ties(), func(a arrival, number int64, known bool) {
		if at, ok := s.echoed[strconv.FormatInt(number, 10)]; known && ok {
			ms = append(ms, milliseconds(at.Sub(a.at.Add(beat))))
		}
	})
	return ms
}

// flood is the byte of which clearing is measured: loud, and in no recording.
const flood = 0x2A

// clearTime sends seconds of sound at once, drops them in the middle, and returns
// how long after that the last of them came to the phone, in milliseconds.
func (s *agentSeat) clearTime(ctx context.Context, phone bridge.Line) (ms float64, err error) {
	var mu sync.Mutex
	var last time.Time
	phone.Media().Receive(func(p *media.Packet) {
		mu.Lock()
		defer mu.Unlock()
		if len(p.Payload) == media.FrameSamples && p.Payload[100] == flood {
			last = time.Now()
		}
	}, nil)
	sound := make([]byte, 4*media.NarrowbandHz)
	for i := range sound {
		sound[i] = flood
	}
	if err := s.write(`{"event":"clear","streamSid":"` + s.stream + `"}`); err != nil { // nothing else waits
		return 0, err
	}
	if err := s.say(sound); err != nil {
		return 0, err
	}
	if err := pause(ctx, time.Second); err != nil {
		return 0, err
	}
	cleared := time.Now()
	if err := s.write(`{"event":"clear","streamSid":"` + s.stream + `"}`); err != nil {
		return 0, err
	}
	if err := pause(ctx, 300*time.Millisecond); err != nil {
		return 0, err
	}
	mu.Lock()
	defer mu.Unlock()
	if last.IsZero() {
		return 0, errors.New("nothing of what was cleared had been heard")
	}
	return milliseconds(max(0, last.Sub(cleared))), nil
}

// AgentFigures is what agents see of their own voice.
type AgentFigures struct {
	MarkErrorMS Spread `json:"mark_error_ms"`      // from when a mark's sound is played out to its echo
	ClearMS     Spread `json:"clear_to_silent_ms"` // from clear to the last packet of what it dropped
}

// judgeAgents measures marks and clears, when the calls' streams have stopped.
func (r *Report) judgeAgents(ctx context.Context, l *load) {
	if r.Room != roomAgent {
		return
	}
	var marks, clears []float64
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, c := range l.calls {
		marks = append(marks, c.agent.markErrors(c.down)...)
		all.Go(func() {
			ms, err := c.agent.clearTime(ctx, c.line)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.note("call %s: %v", c.name, err)
				return
			}
			clears = append(clears, ms)
		})
	}
	all.Wait()
	r.Agents = &AgentFigures{spread(marks), spread(clears)}
}

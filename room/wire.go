package room

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"
)

// wire is one WebSocket. A browser outlives its wires: after a loss it comes
// back with another one.
type wire struct {
	conn   *websocket.Conn
	log    *slog.Logger
	out    chan []byte
	closed chan struct{} // no more is written
	once   sync.Once
	last   websocket.StatusCode // set before closed
	reason string
	limit  *rate.Limiter
	excess int
}

// queued is how many messages may wait for a slow client before it is cut off.
const queued = 256

func newWire(conn *websocket.Conn, log *slog.Logger) *wire {
	conn.SetReadLimit(maxMessage)
	return &wire{
		conn: conn, log: log, out: make(chan []byte, queued), closed: make(chan struct{}),
		// Candidates come in bursts; people do not type 20 messages a second.
		limit: rate.NewLimiter(20, 100),
	}
}

// send queues one message; it never blocks. A client that does not read is cut off.
func (w *wire) send(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		w.log.Error("room: message cannot be encoded", "error", err)
		return
	}
	select {
	case w.out <- text:
	default:
		w.close(websocket.StatusPolicyViolation, "you read too slowly")
	}
}

// close ends the wire after what is queued has been written. It does not block.
func (w *wire) close(code websocket.StatusCode, reason string) {
	w.once.Do(func() {
		w.last, w.reason = code, reason
		close(w.closed)
	})
}

// write writes what is queued and pings until the wire is closed or broken.
func (w *wire) write(ping time.Duration) {
	defer func() { _ = w.conn.CloseNow() }()
	ticker := time.NewTicker(ping)
	defer ticker.Stop()
	for {
		var err error
		select {
		case text := <-w.out:
			err = w.put(text, ping)
		case <-ticker.C:
			ctx, cancel := context.WithTimeout(context.Background(), ping)
			err = w.conn.Ping(ctx)
			cancel()
		case <-w.closed:
			w.drain(ping)
			return
		}
		if err != nil {
			w.close(websocket.StatusGoingAway, "")
			return
		}
	}
}

func (w *wire) put(text []byte, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return w.conn.Write(ctx, websocket.MessageText, text)
}

// drain writes the last words, then says goodbye without waiting for long.
func (w *wire) drain(timeout time.Duration) {
	for {
		select {
		case text := <-w.out:
			if w.put(text, min(timeout, time.Second)) != nil {
				return
			}
		default:
			_ = w.conn.Close(w.last, w.reason)
			return
		}
	}
}

// errFlood ends a wire whose client does not stop.
var errFlood = invalid("", "too many messages")

// read returns the next message. bad is what is wrong with it, in words for
// the client; err means that the wire is gone.
func (w *wire) read(ctx context.Context) (m message, bad, err error) {
	kind, text, err := w.conn.Read(ctx)
	if err != nil {
		return m, nil, err
	}
	if !w.limit.Allow() {
		if w.excess++; w.excess > 200 {
			return m, nil, errFlood
		}
		return m, &Denial{Code: "limit", Message: "more than 20 messages a second; this one was dropped"}, nil
	}
	if kind != websocket.MessageText {
		return m, invalid("", "messages are text, not binary"), nil
	}
	m, bad = parseMessage(text)
	return m, bad, nil
}

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/roomline/roomline/bridge"
)

// Times of an event stream.
const (
	heartbeat    = 15 * time.Second
	eventTimeout = 10 * time.Second       // a client that takes nothing for so long is dropped
	eventPage    = 500                    // events read from the store at once
	catchUpPoll  = 250 * time.Millisecond // how often the store is asked while it is behind
	catchUpMost  = 10 * time.Second       // how long live events wait for the store before the gap is told
)

// eventID is the form of event ids: they sort as text.
var eventID = regexp.MustCompile(`^[0-9a-f]{16}([0-9a-f]{4})?$`)

// events serves GET /v1/events as server-sent events: every event as one
// unnamed message, its id for Last-Event-ID. Two messages have a name of their
// own: "gap" when older events cannot be had, "end" when the stream ends and why.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	after := r.Header.Get("Last-Event-ID")
	if after != "" && !eventID.MatchString(after) {
		writeProblem(w, invalid("header.Last-Event-ID", "expected the id of an event"))
		return
	}
	for name := range r.URL.Query() {
		writeProblem(w, invalid("query."+name, "is not a parameter that exists here"))
		return
	}
	sub := s.exchange.Subscribe(after)
	defer sub.Close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies must not collect events
	stream := &eventStream{w: w, control: http.NewResponseController(w), last: after}
	if stream.send("retry: 1000\n\n") != nil {
		return
	}
	if reason := s.stream(r.Context(), stream, sub); reason != "" {
		stream.named("end", map[string]any{"reason": reason, "resume": "reconnect with Last-Event-ID"})
	}
}

// stream sends what was missed and then what happens, until the client goes. The
// reason says why the server ended it; it is empty when nobody is there to read it.
func (s *Server) stream(ctx context.Context, out *eventStream, sub Subscription) (reason string) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	backlog := sub.Backlog
	if !sub.Complete {
		first, err := s.catchUp(ctx, out, sub)
		if err != nil {
			return endReason(err)
		}
		if first != nil {
			backlog = append(backlog, *first)
		}
	}
	for _, e := range backlog {
		if out.event(e) != nil {
			return ""
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ""
		case <-stopping(ctx):
			return "the gateway is stopping"
		case <-ticker.C:
			if out.send(": still here\n\n") != nil {
				return ""
			}
		case e, ok := <-sub.Events:
			if !ok {
				return endReason(errBehind)
			}
			if out.event(e) != nil {
				return ""
			}
		}
	}
}

// Why a stream ends.
var (
	errBehind   = errors.New("this reader was too slow")
	errStopping = errors.New("the gateway is stopping")
)

// endReason is what the client is told; nothing when it is the client who went.
func endReason(err error) string {
	if errors.Is(err, errBehind) || errors.Is(err, errStopping) {
		return err.Error()
	}
	return ""
}

// catchUp sends what only the store remembers. It ends when the store has shown
// an event that is in memory too, so that nothing between the two is missed: the
// oldest of the backlog, or the first live one, which it returns. Without news
// it goes on reading; a store that stays behind for too long leaves a told gap.
func (s *Server) catchUp(ctx context.Context, out *eventStream, sub Subscription) (first *bridge.Event, err error) {
	live, meeting := sub.Events, ""
	if len(sub.Backlog) > 0 {
		live, meeting = nil, sub.Backlog[0].ID
	}
	poll := time.NewTicker(catchUpPoll)
	defer poll.Stop()
	var giveUp <-chan time.Time
	quiet := time.Now()
	for {
		if meeting != "" && giveUp == nil {
			timer := time.NewTimer(catchUpMost)
			defer timer.Stop()
			giveUp = timer.C
		}
		more, err := s.fromStoreTo(ctx, out, meeting)
		if err != nil || (meeting != "" && out.last >= meeting) {
			return first, err
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-stopping(ctx):
			return nil, errStopping
		case e, ok := <-live:
			if !ok {
				return nil, errBehind
			}
			first, live, meeting = &e, nil, e.ID
		case <-giveUp:
			return first, out.named("gap", map[string]any{"after": out.last, "before": meeting,
				"reason": "the store is away or behind; what lies between is in it later"})
		case now := <-poll.C:
			if now.Sub(quiet) > heartbeat {
				quiet = now
				if err := out.send(": still here\n\n"); err != nil {
					return nil, err
				}
			}
		}
	}
}

// fromStoreTo sends one page of the store, up to an event that is in memory.
// more says that the next page may be read at once. A store that is away is
// asked again by the caller.
func (s *Server) fromStoreTo(ctx context.Context, out *eventStream, meeting string) (more bool, err error) {
	page, err := s.store.Events(ctx, out.last, eventPage)
	if err != nil {
		return false, ctx.Err()
	}
	for _, e := range page {
		if err := out.event(e); err != nil {
			return false, err
		}
		if meeting != "" && e.ID >= meeting {
			return false, nil
		}
	}
	return len(page) == eventPage, nil
}

// eventStream writes one client's stream. An error of its methods means that
// the client is gone or reads too slowly.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	last    string // id of the newest event sent
}

// event sends e, unless it was sent before.
func (o *eventStream) event(e bridge.Event) error {
	if e.ID <= o.last {
		return nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	o.last = e.ID
	return o.send("id: " + e.ID + "\ndata: " + string(text) + "\n\n")
}

// named sends a message that is not an event of the house, and so has no id.
func (o *eventStream) named(name string, data map[string]any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return o.send("event: " + name + "\ndata: " + string(text) + "\n\n")
}

// send writes and flushes, with a deadline of its own.
func (o *eventStream) send(text string) error {
	o.control.SetWriteDeadline(time.Now().Add(eventTimeout)) // an error means that there is no connection: tests
	if _, err := fmt.Fprint(o.w, text); err != nil {
		return err
	}
	return o.control.Flush()
}

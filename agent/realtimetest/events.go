package realtimetest

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/coder/websocket"
)

// longestSend is how long a client may take no event.
const longestSend = 10 * time.Second

// sendLocked sends an event and notes it.
func (s *Session) sendLocked(kind string, event body) {
	event["type"], event["event_id"] = kind, s.id("event")
	message, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	s.noteLocked(false, kind, event)
	ctx, cancel := context.WithTimeout(context.Background(), longestSend)
	defer cancel()
	_ = s.conn.Write(ctx, websocket.MessageText, message)
}

// refuseLocked sends an error; cause is the id of the client's event.
func (s *Session) refuseLocked(cause, kind, code, param, message string) {
	s.sendLocked("error", body{"error": body{
		"type": kind, "code": nullable(code), "message": message, "param": nullable(param), "event_id": nullable(cause),
	}})
}

// noteLocked keeps an event for the test, without its sound.
func (s *Session) noteLocked(client bool, kind string, event body) {
	switch {
	case kind == "input_audio_buffer.append":
		event = nil
	case kind == "response.output_audio.delta":
		event = maps.Clone(event)
		delete(event, "delta")
	}
	s.log = append(s.log, Event{time.Now(), client, kind, event})
	close(s.news)
	s.news = make(chan struct{})
}

// Await waits for the n-th event of a kind, counted from 0, of either side, and
// fails the test when there is none in time.
func (s *Session) Await(ctx context.Context, kind string, n int) Event {
	s.server.t.Helper()
	for {
		s.mu.Lock()
		all, news := s.ofLocked(kind), s.news
		s.mu.Unlock()
		if len(all) > n {
			return all[n]
		}
		select {
		case <-news:
		case <-ctx.Done():
			s.server.t.Fatalf("waited for %s number %d, have %v", kind, n, s.Kinds())
		}
	}
}

// Events returns the events of a kind so far.
func (s *Session) Events(kind string) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ofLocked(kind)
}

// Kinds returns what happened in order, without the sound of both sides.
func (s *Session) Kinds() (kinds []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.log {
		if e.Type != "input_audio_buffer.append" && e.Type != "response.output_audio.delta" {
			kinds = append(kinds, e.Type)
		}
	}
	return kinds
}

func (s *Session) ofLocked(kind string) (all []Event) {
	for _, e := range s.log {
		if e.Type == kind {
			all = append(all, e)
		}
	}
	return all
}

// Str returns a string of the event, which lies under the names given.
func (e Event) Str(names ...string) string {
	v, _ := e.at(names).(string)
	return v
}

// Num returns a number of the event, which lies under the names given.
func (e Event) Num(names ...string) float64 {
	switch v := e.at(names).(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	case int:
		return float64(v)
	}
	return -1
}

func (e Event) at(names []string) (v any) {
	v = e.Body
	for _, name := range names {
		object, _ := v.(body)
		v = object[name]
	}
	return v
}

// nullable makes null of an empty string, as the real server does.
func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

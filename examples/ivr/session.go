package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Patience with callers who say nothing.
const (
	awaitAnswer = 8 * time.Second
	mostAsks    = 2
	slowness    = 7 * time.Second // of --break slow
)

// message is what the gateway sends.
type message struct {
	Event     string `json:"event"`
	StreamSID string `json:"streamSid"`
	Start     struct {
		AccountSID string `json:"accountSid"`
		CallSID    string `json:"callSid"`
	} `json:"start"`
	Media struct {
		Payload []byte `json:"payload"` // base64
	} `json:"media"`
	DTMF struct {
		Digit string `json:"digit"`
	} `json:"dtmf"`
	Mark struct {
		Name string `json:"name"`
	} `json:"mark"`
}

// session is one call.
type session struct {
	socket *websocket.Conn
	voices *voices
	o      options

	streamSID, callSID, account string

	ear     *listener
	now     *turn
	saying  int // number of the sentence; its mark bears it
	talking bool
	asks    int
	patient *time.Timer
	later   chan func() error // what recognising has found out
	helpers sync.WaitGroup    // who recognises
}

func newSession(c *websocket.Conn, v *voices, o options) *session {
	c.SetReadLimit(1 << 20)
	s := &session{socket: c, voices: v, o: o, ear: newListener(), later: make(chan func() error, 8), patient: time.NewTimer(time.Hour)}
	return s
}

// run serves the call until it ends.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.helpers.Wait()
	defer cancel()
	messages, failed := make(chan message, 64), make(chan error, 1)
	go func() { failed <- s.read(ctx, messages) }()
	for {
		var err error
		select {
		case err = <-failed:
			return err
		case m := <-messages:
			if m.Event == "stop" {
				return s.socket.Close(websocket.StatusNormalClosure, "")
			}
			err = s.take(ctx, m)
		case f := <-s.later:
			err = f()
		case <-s.patient.C:
			err = s.ask(ctx)
		}
		if err != nil {
			cancel()
			<-failed
			return err
		}
	}
}

func (s *session) read(ctx context.Context, into chan<- message) error {
	for {
		_, text, err := s.socket.Read(ctx)
		if err != nil {
			if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
				return nil
			}
			return err
		}
		var m message
		if err := json.Unmarshal(text, &m); err != nil {
			return fmt.Errorf("read a message: %w", err)
		}
		select {
		case into <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *session) take(ctx context.Context, m message) error {
	switch m.Event {
	case "start":
		s.streamSID, s.callSID, s.account = m.StreamSID, m.Start.CallSID, m.Start.AccountSID
		return s.turn(ctx, start)
	case "media":
		return s.hear(ctx, m.Media.Payload)
	case "dtmf":
		return s.key(ctx, m.DTMF.Digit)
	case "mark":
		if m.Mark.Name == strconv.Itoa(s.saying) {
			s.talking = false
			return s.said(ctx)
		}
	}
	return nil
}

// turn goes on with the conversation.
func (s *session) turn(ctx context.Context, t *turn) error {
	s.now, s.asks = t, 0
	text := t.say
	switch s.o.fault {
	case "silent":
		return nil
	case "wrong":
		if t != start {
			text = wrongly(text)
		}
	case "slow":
		time.AfterFunc(slowness, func() { s.do(ctx, func() error { return s.say(ctx, text) }) })
		return nil
	case "crash":
		if t != start {
			return fmt.Errorf("broken on purpose")
		}
	}
	return s.say(ctx, text)
}

// say sends a sentence at once, and a mark behind it that comes back when the
// caller has heard all of it.
func (s *session) say(ctx context.Context, text string) error {
	s.patient.Reset(time.Hour)
	s.saying++
	s.talking = true
	sound := s.voices.said[text]
	if err := s.send(ctx, map[string]any{"event": "media", "streamSid": s.streamSID, "media": map[string]any{"payload": sound}}); err != nil {
		return err
	}
	return s.send(ctx, map[string]any{"event": "mark", "streamSid": s.streamSID, "mark": map[string]any{"name": strconv.Itoa(s.saying)}})
}

// said: the caller has heard the sentence.
func (s *session) said(ctx context.Context) error {
	switch s.now.action {
	case "hang up":
		if s.o.desk.key == "" {
			return s.socket.Close(websocket.StatusNormalClosure, "the conversation is over")
		}
		return s.o.desk.hangUp(ctx, s.account, s.callSID)
	case "transfer":
		if s.o.desk.person == "" {
			return s.turn(ctx, alone)
		}
		if err := s.o.desk.transfer(ctx, s.account, s.callSID); err != nil {
			slog.Warn("a caller could not be passed on", "call", s.callSID, "error", err)
			return s.turn(ctx, alone)
		}
		return nil
	}
	s.patient.Reset(awaitAnswer)
	return nil
}

// ask: the caller has said nothing for a while.
func (s *session) ask(ctx context.Context) error {
	if s.asks++; s.asks > mostAsks {
		return s.turn(ctx, bye)
	}
	return s.say(ctx, stillHere)
}

// hear takes the caller's sound; who begins to speak interrupts the agent.
func (s *session) hear(ctx context.Context, sound []byte) error {
	if s.o.fault == "deaf" || s.now == nil {
		return nil
	}
	began, said := s.ear.hear(sound)
	if began {
		s.patient.Reset(time.Hour)
		if err := s.yield(ctx); err != nil {
			return err
		}
	}
	if said == nil || s.now.listen == nil {
		return nil
	}
	ear, now := s.voices.ears[s.now.listen], s.now
	s.helpers.Go(func() { // recognising takes a moment, and sound keeps coming
		words, err := ear.Recognize(ctx, said)
		s.do(ctx, func() error { return s.understood(ctx, now, words, err) })
	})
	return nil
}

// yield falls silent in the middle of a sentence. The gateway sends the mark back
// at once, which must not count as heard.
func (s *session) yield(ctx context.Context) error {
	if !s.talking || s.now.listen == nil || s.o.fault == "no-yield" {
		return nil
	}
	s.talking = false
	s.saying++
	return s.send(ctx, map[string]any{"event": "clear", "streamSid": s.streamSID})
}

func (s *session) understood(ctx context.Context, asked *turn, words string, err error) error {
	if err != nil {
		slog.Warn("recognising failed", "call", s.callSID, "error", err)
	}
	if s.now != asked { // a key was quicker
		return nil
	}
	if next := asked.onWords[words]; next != nil {
		return s.turn(ctx, next)
	}
	return s.say(ctx, pardon)
}

func (s *session) key(ctx context.Context, digit string) error {
	if s.now == nil || s.o.fault == "deaf" {
		return nil
	}
	next := s.now.onKeys[digit]
	if next == nil {
		return nil
	}
	if err := s.yield(ctx); err != nil {
		return err
	}
	return s.turn(ctx, next)
}

// do has the session's goroutine run f.
func (s *session) do(ctx context.Context, f func() error) {
	select {
	case s.later <- f:
	case <-ctx.Done():
	}
}

func (s *session) send(ctx context.Context, m any) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.socket.Write(ctx, websocket.MessageText, text)
}

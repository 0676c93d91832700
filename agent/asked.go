package agent

import (
	"context"
	"errors"
	"time"

	"github.com/roomline/roomline/bridge"
)

// actTimeout bounds what an agent asks of a call.
const actTimeout = 60 * time.Second

// mostSpeech is for how long a hang-up waits for what the agent has still to say.
const mostSpeech = 30 * time.Second

// What follows is asked by protocols; the leg's mutex is held.

// send queues a message for the agent.
func (l *leg) send(text bool, message []byte) error {
	if !l.out.put(text, message) {
		return faulty(bridge.FaultSlow, "the agent does not take what it is sent")
	}
	l.inbox.ring()
	return nil
}

// say plays sound to the room, µ-law of any length.
func (l *leg) say(sound []byte) error {
	if l.voice == nil || l.left {
		l.spoken.Add(int64(len(sound)))
		return nil
	}
	return flooded(l.voice.Write(sound))
}

// mark asks to be told, by protocol.played, when all before it has been played.
func (l *leg) mark(name string) error {
	if l.voice == nil || l.left {
		return nil
	}
	return flooded(l.voice.Mark(name))
}

// flooded makes a fault of what a Speaker refuses; one that has ended takes no more.
func flooded(err error) error {
	var refused *bridge.Error
	if errors.As(err, &refused) && refused.Code == bridge.LimitReached {
		return faulty(bridge.FaultFlood, "%s", refused.Message)
	}
	return nil
}

// clear drops what waits to be played; its marks are told at once.
func (l *leg) clear() (dropped time.Duration) {
	if l.voice == nil {
		return 0
	}
	if dropped = l.voice.Clear(); dropped > 0 {
		l.emit("agent.interrupted", map[string]any{"dropped_ms": dropped.Milliseconds()})
	}
	return dropped
}

// heardOf is how much of the agent's sound has been played out since the beginning.
func (l *leg) heardOf() time.Duration {
	if l.voice == nil {
		return 0
	}
	return l.voice.Played()
}

// call is the one that the agent serves.
func (l *leg) call() (*bridge.Call, error) {
	c, ok := l.house.Exchange.Call(l.spec.CallID)
	if !ok {
		return nil, errors.New("there is no call any more, or never was one")
	}
	return c, nil
}

// act does what takes time. told is called afterwards with the mutex held, unless
// the leg has ended; what was asked goes on in any case.
func (l *leg) act(do func(context.Context, *bridge.Call) error, told func(error)) {
	l.house.running.Go(func() {
		defer l.guard()
		ctx, cancel := context.WithTimeout(context.Background(), actTimeout)
		defer cancel()
		c, err := l.call()
		if err == nil {
			err = do(ctx, c)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if told != nil && !l.left {
			told(err)
		}
	})
}

// hangup ends the call when what the agent has said until now has been heard.
func (l *leg) hangup(reason string, told func(error)) {
	voice := l.voice
	l.act(func(ctx context.Context, c *bridge.Call) error {
		if voice != nil {
			outSpoken(ctx, voice, c.Done())
		}
		c.Hangup(bridge.CauseNormal, reason)
		return nil
	}, told)
}

// outSpoken waits until nothing more is to be said.
func outSpoken(ctx context.Context, voice *bridge.Speaker, over <-chan struct{}) {
	late := time.After(mostSpeech)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for voice.Waiting() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-late:
			return
		case <-over:
			return
		case <-look.C:
		}
	}
}

// transfer sends the call on.
func (l *leg) transfer(req bridge.TransferRequest, told func(error)) {
	if req.Handover == nil {
		req.Handover = &bridge.Handover{}
	}
	if req.Handover.By == "" {
		req.Handover.By = l.agent.Name
	}
	l.act(func(ctx context.Context, c *bridge.Call) error {
		if len(req.Handover.Transcript) == 0 {
			req.Handover.Transcript = c.Transcript()
		}
		return c.Transfer(ctx, req)
	}, told)
}

// digits presses keys towards the phone.
func (l *leg) digits(keys string, told func(error)) {
	l.act(func(ctx context.Context, c *bridge.Call) error { return c.SendDigits(ctx, keys) }, told)
}

// said is something that was said, by the agent or, as it understood, by others.
type said struct {
	text       string
	final, cut bool
	byAgent    bool
	start, end time.Duration // on the call's media clock; both 0: now
}

// transcribe adds to the call's transcript.
func (l *leg) transcribe(s said) {
	c, err := l.call()
	if err != nil {
		return
	}
	if s.start == 0 && s.end == 0 {
		s.end = c.MediaTime()
		s.start = s.end
	}
	u := bridge.Utterance{
		Kind: bridge.KindPhone, Text: s.text, Final: s.final, Cut: s.cut,
		StartMS: s.start.Milliseconds(), EndMS: max(s.start, s.end).Milliseconds(),
	}
	if p := l.seat.Load(); s.byAgent && p != nil {
		u.Participant, u.Identity, u.Kind = p.ID(), l.agent.Name, bridge.KindAgent
	} else if s.byAgent {
		u.Identity, u.Kind = l.agent.Name, bridge.KindAgent
	} else {
		u.Identity = c.Record().From
	}
	c.Transcribe(u)
}

// joined, departed and emit tell the world.
func (l *leg) joined() {
	l.emit("agent.joined", map[string]any{"waited_ms": time.Since(l.asked).Milliseconds()})
}

func (l *leg) departed(why *fault) {
	data := map[string]any{"reason": why.reason}
	if why.kind == bridge.FaultNone {
		l.emit("agent.left", data)
		return
	}
	data["fault"] = why.kind
	if !l.probes() {
		l.log.Warn("an agent failed", "fault", string(why.kind), "reason", why.reason)
	}
	l.emit("agent.failed", data)
}

func (l *leg) emit(kind string, data map[string]any) {
	if l.probes() {
		return
	}
	data["agent"], data["worker"] = l.agent.Name, l.worker
	if p := l.seat.Load(); p != nil {
		data["participant"] = p.ID()
	}
	l.house.Exchange.Emit(bridge.Event{Type: kind, CallID: l.spec.CallID, Room: l.spec.Room, Data: data})
}

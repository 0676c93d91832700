package agent

import (
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
)

const defaultPatience = 4 * time.Second

// patience notices that an agent does not answer: somebody else in the room has
// finished a turn, and for too long nothing is heard of the agent.
type patience struct {
	after time.Duration // 0: it has no end
	lost  func()

	mu     sync.Mutex
	speaks bool // the agent, whatever others say
	timer  *time.Timer
	cancel func() // of the watch over the room
	closed bool
}

func newPatience(setting string, lost func()) *patience {
	p := &patience{after: defaultPatience, lost: lost}
	if d, err := time.ParseDuration(setting); err == nil {
		p.after = d
	} else if setting == "off" {
		p.after = 0
	}
	return p
}

// watch looks for turns of everybody in the room but ours.
func (p *patience) watch(r *bridge.Room, ours string) {
	if p.after <= 0 {
		return
	}
	cancel := r.Watch(func(e bridge.Event) {
		if e.Type != "participant.speaking" || e.Data["participant"] == ours {
			return
		}
		if speaking, _ := e.Data["speaking"].(bool); speaking {
			p.answered() // they go on: the turn is not over
			return
		}
		p.turn()
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancel = cancel
}

// turn: somebody has finished theirs.
func (p *patience) turn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.after <= 0 || p.closed || p.speaks:
	case p.timer == nil:
		p.timer = time.AfterFunc(p.after, p.lost)
	default:
		p.timer.Reset(p.after)
	}
}

// answered: something is heard.
func (p *patience) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
}

// began and rested say when the agent speaks.
func (p *patience) began() {
	p.answered()
	p.setSpeaks(true)
}

func (p *patience) rested() { p.setSpeaks(false) }

func (p *patience) setSpeaks(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.speaks = on
}

func (p *patience) close() {
	p.mu.Lock()
	cancel := p.cancel
	p.cancel, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

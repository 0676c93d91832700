package bench

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

// call is one phone in its own room, with whoever else is there.
type call struct {
	name     string
	line     bridge.Line
	other    bridge.Line // the second phone or the Opus trunk, if that is who is there
	browser  *browser
	agent    *agentSeat
	up, down *lane // phone to room, room to phone
	setup    time.Duration
	since    time.Time // when both sides could speak
}

// load is all calls of a run.
type load struct {
	options Options
	gateway *gateway
	phones  *phones
	agents  *agents
	paced   *pacers
	sounds  soundBooth

	mu     sync.Mutex
	calls  []*call
	failed int
	why    error // of the first failure
}

// place sets up all calls at the asked rate and returns when each is up or has failed.
func (l *load) place(ctx context.Context) {
	var setups sync.WaitGroup
	every := time.Duration(float64(time.Second) / l.options.CPS)
	begin := time.Now()
	for i := range l.options.Calls {
		if pause(ctx, time.Until(begin.Add(time.Duration(i)*every))) != nil {
			break
		}
		setups.Go(func() { l.placeOne(ctx, i) })
	}
	setups.Wait()
}

func (l *load) placeOne(ctx context.Context, i int) {
	c := &call{name: fmt.Sprintf("bench-%d", i+1)}
	err := l.setUp(ctx, c, i)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		c.hangUp()
		l.failed++
		if l.why == nil {
			l.why = err
		}
		return
	}
	l.calls = append(l.calls, c)
	l.speak(c)
}

// setUp brings both sides into the room.
func (l *load) setUp(ctx context.Context, c *call, i int) (err error) {
	room := int((l.options.Duration + l.options.Settle + time.Minute) / beat)
	phone, err := l.sounds.get(media.PCMU, media.NarrowbandHz, 0)
	if err != nil {
		return err
	}
	if c.up, err = newLane(phone, i*37, l.options.heardInRoom(), room); err != nil {
		return err
	}
	begin := time.Now()
	if c.line, err = l.phones.dial(ctx, c.name, c.name, media.PCMU); err != nil {
		return err
	}
	c.setup = time.Since(begin)
	back, err := l.bring(ctx, c)
	if err != nil {
		return err
	}
	if c.down, err = newLane(back, i*53, media.PCMU, room); err != nil {
		return err
	}
	c.line.Media().Receive(c.down.arrived, nil)
	c.since = time.Now()
	return nil
}

// bring lets somebody into the call's room, who hears what c.up expects, and
// returns what they will say.
func (l *load) bring(ctx context.Context, c *call) (says *sound, err error) {
	o := l.options
	switch o.Room {
	case roomPhone, roomTrunk:
		if c.other, err = l.phones.dial(ctx, c.name, c.name+"-b", c.up.heard); err != nil {
			return nil, err
		}
		c.other.Media().Receive(c.up.arrived, nil)
		return l.say(c.up.heard, media.NarrowbandHz)
	case roomBrowser, roomWHIP:
		if c.browser, err = l.gateway.join(ctx, o.Scene, c.name, c.up.arrived); err != nil {
			return nil, err
		}
		return l.say(c.up.heard, c.browser.rateHz)
	case roomAgent:
		if c.agent, err = l.agents.come(ctx, c.name); err != nil {
			return nil, err
		}
		c.agent.hears(c.up)
	}
	return c.up.sound, nil // nobody will say it
}

// say is the sound of somebody in a room who by themselves encode at rateHz.
func (l *load) say(codec media.Codec, rateHz int) (*sound, error) {
	if codec != media.Opus {
		return l.sounds.get(codec, media.NarrowbandHz, 0)
	}
	return l.sounds.get(codec, cmp.Or(l.options.RoomRate, rateHz), l.options.RoomBitrate)
}

// speak lets both sides talk from now on.
func (l *load) speak(c *call) {
	l.paced.add(newSpeaker(c.up, c.line.Media()))
	switch {
	case c.browser != nil:
		l.paced.add(newSpeaker(c.down, c.browser.speaks))
	case c.agent != nil:
		l.paced.add(newSpeaker(c.down, c.agent))
	case c.other != nil:
		l.paced.add(newSpeaker(c.down, c.other.Media()))
	}
}

// hangUp ends whatever had come about.
func (c *call) hangUp() {
	for _, line := range []bridge.Line{c.line, c.other} {
		if line != nil {
			line.End(bridge.CauseNormal, "the bench is done")
		}
	}
	if c.browser != nil {
		c.browser.close()
	}
}

// close hangs all calls up. Streams have stopped.
func (l *load) close() {
	var ends sync.WaitGroup
	for _, c := range l.calls {
		ends.Go(c.hangUp)
	}
	ends.Wait()
}

// soundBooth makes each sound once.
type soundBooth struct {
	mu   sync.Mutex
	made map[soundKey]*sound
}

type soundKey struct {
	codec   media.Codec
	rateHz  int
	bitrate int
}

func (b *soundBooth) get(codec media.Codec, rateHz, bitrate int) (*sound, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := soundKey{codec, rateHz, bitrate}
	if s := b.made[key]; s != nil {
		return s, nil
	}
	s, err := newSound(codec, rateHz, bitrate)
	if err != nil {
		return nil, err
	}
	if b.made == nil {
		b.made = make(map[soundKey]*sound)
	}
	b.made[key] = s
	return s, nil
}

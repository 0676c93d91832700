package bridge

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/media"
)

const (
	beatSlots = 4 // phases within a beat, so that rooms do not all wake at once
	slotTime  = media.FrameDuration / beatSlots
	// beatStall is how far the beat may fall behind and still catch up packet by
	// packet; after a longer stall streams jump to where the clock is.
	beatStall = 5 * media.FrameDuration
)

// beat is the clock of mixed and paced roads: one lane per CPU, each with its
// own goroutine, 20 ms to a beat, absolute deadlines.
type beat struct {
	lanes []*lane
	turn  atomic.Uint32
}

// lane serves its rooms, each in one of the slots of a beat.
type lane struct {
	mu    sync.Mutex
	slots [beatSlots][]*Room // replaced, never changed in place
	count int
	wake  chan struct{}
}

func newBeat() *beat {
	b := &beat{lanes: make([]*lane, runtime.GOMAXPROCS(0))}
	for i := range b.lanes {
		b.lanes[i] = &lane{wake: make(chan struct{}, 1)}
	}
	return b
}

// run serves all lanes until ctx ends.
func (b *beat) run(ctx context.Context, log *slog.Logger) {
	var wg sync.WaitGroup
	for _, l := range b.lanes {
		wg.Go(func() { l.run(ctx, log) })
	}
	wg.Wait()
}

func (b *beat) attach(r *Room) {
	turn := b.turn.Add(1)
	l := b.lanes[turn%uint32(len(b.lanes))]
	slot := turn / uint32(len(b.lanes)) % beatSlots
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots[slot] = append(l.slots[slot][:len(l.slots[slot]):len(l.slots[slot])], r)
	l.count++
	r.detach = func() { l.remove(slot, r) }
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lane) remove(slot uint32, r *Room) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := make([]*Room, 0, len(l.slots[slot]))
	for _, other := range l.slots[slot] {
		if other != r {
			kept = append(kept, other)
		}
	}
	l.count -= len(l.slots[slot]) - len(kept)
	l.slots[slot] = kept
}

// rooms returns the rooms of a slot and how many the lane has in all.
func (l *lane) rooms(slot uint64) ([]*Room, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.slots[slot], l.count
}

func (l *lane) run(ctx context.Context, log *slog.Logger) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	start, step := time.Now(), uint64(0)
	for {
		rooms, count := l.rooms(step % beatSlots)
		if count == 0 {
			select {
			case <-ctx.Done():
				return
			case <-l.wake:
				start, step = time.Now(), step&^(beatSlots-1)+beatSlots
				start = start.Add(-time.Duration(step) * slotTime)
			}
			continue
		}
		if len(rooms) == 0 {
			step++
			continue
		}
		timer.Reset(time.Until(start.Add(time.Duration(step) * slotTime)))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		for _, r := range rooms {
			r.tickSafely(now, step/beatSlots, log)
		}
		if behind := now.Sub(start.Add(time.Duration(step) * slotTime)); behind > beatStall {
			step += uint64(behind/media.FrameDuration) * beatSlots
		}
		step++
	}
}

// tickSafely lets a panic cost one room's beat, not the lane.
func (r *Room) tickSafely(now time.Time, beat uint64, log *slog.Logger) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("beat panicked", "room", r.name, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	r.tick(now, beat)
}

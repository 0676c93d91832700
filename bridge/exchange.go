package bridge

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/transcode"
)

// Exchange holds all live calls and rooms. Set its fields, then start Run; what
// is left nil or zero gets a default.
type Exchange struct {
	Plan         func() *dialplan.Plan  // the dial plan in force; nil: an empty one
	Trusts       func(netip.Addr) bool  // sources trusted without a trunk, see [TrustedBy]; nil: none
	Dialer       Dialer                 // places outbound calls; nil: none can be placed
	Agents       Agents                 // leases AI voices; nil: there are none
	Recorded     func(CDR)              // called once for every call that ended; must not block for long
	Emitted      func(Event)            // called for every logged event, in the order of their ids, with locks held: it must return at once
	Refusals     func(Refusal)          // called for every INVITE that was refused
	Opus         transcode.OpusSettings // for every rendition; zero: transcode.DefaultOpus
	MediaTimeout time.Duration          // RTP silence that ends a call, 30 s; negative: never
	RingTimeout  time.Duration          // how long outbound calls ring by default, 60 s
	ReadyTimeout time.Duration          // how long an `answer: ready` route waits for a listener, 60 s
	HoldSound    func() Voice           // makes what a phone on hold hears; nil: a soft chime; a nil Voice: silence
	Log          *slog.Logger
	// SpentMinutes says how long outbound calls over a trunk have lasted since
	// midnight UTC, before this process; asked once per trunk with such a limit. nil: not at all.
	SpentMinutes func(trunk string) time.Duration

	loads   loads
	guesses guesses
	events  hub
	queues  *queues
	beat    *beat
	once    sync.Once

	mu         sync.Mutex // the control lock: rooms, membership, calls
	rooms      map[string]*Room
	calls      map[string]*Call
	waiting    map[string][]chan struct{} // by room: who rings until somebody listens
	lines      map[Line]*Call             // by the Line in use
	stopping   bool                       // Run hangs up
	companions map[*companion]struct{}

	draining atomic.Bool
	running  sync.WaitGroup // calls
}

func (x *Exchange) init() {
	x.once.Do(func() {
		x.queues = x.newQueues()
		x.beat, x.events.emitted = newBeat(), x.Emitted
		x.rooms, x.calls, x.lines = map[string]*Room{}, map[string]*Call{}, map[Line]*Call{}
		x.loads.spentBefore = x.SpentMinutes
		x.waiting, x.companions = map[string][]chan struct{}{}, map[*companion]struct{}{}
		if x.Log == nil {
			x.Log = slog.New(slog.DiscardHandler)
		}
		if x.Opus == (transcode.OpusSettings{}) {
			x.Opus = transcode.DefaultOpus()
		}
		defaultTo(&x.MediaTimeout, 30*time.Second)
		defaultTo(&x.RingTimeout, 60*time.Second)
		defaultTo(&x.ReadyTimeout, 60*time.Second)
	})
}

func defaultTo(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Run keeps the beat until ctx ends, then hangs up what is left and returns
// when every call has written its CDR.
func (x *Exchange) Run(ctx context.Context) {
	x.init()
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { x.beat.run(beating, x.Log) })
	wg.Go(func() { x.queues.run(beating) })
	<-ctx.Done()
	x.draining.Store(true)
	x.mu.Lock()
	x.stopping = true
	x.mu.Unlock()
	for _, c := range x.live() {
		c.Hangup(CauseShutdown, "the gateway is shutting down")
	}
	x.dismissCompanions()
	x.running.Wait()
	stop()
	wg.Wait()
}

// Drain refuses new calls and waits until the live ones have ended, or ctx has.
func (x *Exchange) Drain(ctx context.Context) {
	x.init()
	x.draining.Store(true)
	for len(x.live()) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Draining reports whether new calls are refused because the gateway is about to stop.
func (x *Exchange) Draining() bool { return x.draining.Load() }

func (x *Exchange) plan() *dialplan.Plan {
	if x.Plan != nil {
		if p := x.Plan(); p != nil {
			return p
		}
	}
	return &dialplan.Plan{}
}

func (x *Exchange) live() []*Call {
	x.mu.Lock()
	defer x.mu.Unlock()
	calls := make([]*Call, 0, len(x.calls))
	for _, c := range x.calls {
		calls = append(calls, c)
	}
	return calls
}

// Call finds a live call.
func (x *Exchange) Call(id string) (*Call, bool) {
	x.init()
	x.mu.Lock()
	defer x.mu.Unlock()
	c, ok := x.calls[id]
	return c, ok
}

// Calls returns the live calls, oldest first.
func (x *Exchange) Calls() []CallRecord {
	x.init()
	var out []CallRecord
	for _, c := range x.live() {
		out = append(out, c.Record())
	}
	sortByID(out)
	return out
}

// Room finds an open room.
func (x *Exchange) Room(name string) (*Room, bool) {
	x.init()
	x.mu.Lock()
	defer x.mu.Unlock()
	r, ok := x.rooms[name]
	return r, ok
}

// OpenRoom returns the room with that name, which opens when somebody joins.
// The name must be of the form that dialplan.RoomName accepts.
func (x *Exchange) OpenRoom(name string) (*Room, error) {
	x.init()
	if clean, err := dialplan.RoomName(name); err != nil {
		return nil, refuse(Invalid, "room", "%s", err)
	} else if clean != name {
		return nil, refuse(Invalid, "room", "%q is no room name; did you mean %q?", name, clean)
	}
	if r, ok := x.Room(name); ok {
		return r, nil
	}
	return x.newRoom(name), nil
}

func (x *Exchange) newRoom(name string) *Room {
	r := &Room{x: x, name: name, openedAt: time.Now(), watchers: map[*watcher]struct{}{}}
	r.stage.Store(&stage{})
	return r
}

// roomLocked returns the open room with that name, opening it if need be.
func (x *Exchange) roomLocked(name string, c *change) *Room {
	r, ok := x.rooms[name]
	if !ok {
		r = x.newRoom(name)
		x.rooms[name] = r
		x.beat.attach(r)
		c.event("room.opened", r, nil, nil)
	}
	return r
}

func (x *Exchange) closeIfEmptyLocked(r *Room, c *change) {
	if len(r.members) == 0 && x.rooms[r.name] == r {
		delete(x.rooms, r.name)
		r.detach()
		c.event("room.closed", r, nil, nil)
	}
}

// Rooms returns the open rooms, by name.
func (x *Exchange) Rooms() []RoomRecord {
	x.init()
	x.mu.Lock()
	defer x.mu.Unlock()
	out := []RoomRecord{}
	for _, r := range x.rooms {
		out = append(out, r.recordLocked())
	}
	sortByName(out)
	return out
}

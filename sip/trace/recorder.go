package trace

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds on what waits to be written, and how long.
const (
	queueRoom = 16384 // messages; more are dropped and counted
	flushTime = 200 * time.Millisecond
	largest   = 16 << 10 // bytes of one message that are kept
)

// Config says where messages are kept, and how long.
type Config struct {
	Dir  string        // the folder; made if need be, private to its owner
	Keep time.Duration // how long; 0 means 24 h
	Size int64         // bytes at most, the oldest go first; 0 means 512 MB
	Log  *slog.Logger  // may be nil
}

// Recorder keeps messages. Its methods are safe for concurrent use.
type Recorder struct {
	c       Config
	flush   chan chan struct{}
	dropped atomic.Int64

	mu    sync.Mutex
	queue []entry // since the last beat: whoever records wakes nobody
}

// entry is a message on its way to the disk.
type entry struct {
	Message
	callID string
}

// New makes a Recorder and its folder; Run writes.
func New(c Config) (*Recorder, error) {
	if c.Keep <= 0 {
		c.Keep = 24 * time.Hour
	}
	if c.Size <= 0 {
		c.Size = 512 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	return &Recorder{c: c, flush: make(chan chan struct{})}, nil
}

// Record keeps a copy of the message; it does not keep m.Raw and does not
// block. What cannot be written in time is dropped and counted.
func (r *Recorder) Record(m Message) {
	id := CallID(m.Raw)
	if id == "" {
		return
	}
	m.Raw = append([]byte(nil), m.Raw[:min(len(m.Raw), largest)]...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) >= queueRoom {
		r.dropped.Add(1)
		return
	}
	r.queue = append(r.queue, entry{m, id})
}

// Dropped counts the messages that came faster than they could be written.
func (r *Recorder) Dropped() int64 { return r.dropped.Load() }

// Run writes until ctx ends, then what still waits.
func (r *Recorder) Run(ctx context.Context) error {
	w := &writer{Config: r.c}
	defer w.close()
	beat := time.NewTicker(flushTime)
	defer beat.Stop()
	w.tidy(time.Now())
	for {
		select {
		case <-beat.C:
			r.drain(w)
		case done := <-r.flush:
			r.drain(w)
			close(done)
		case <-ctx.Done():
			r.drain(w)
			return nil
		}
	}
}

// drain writes what waits.
func (r *Recorder) drain(w *writer) {
	r.mu.Lock()
	waiting := r.queue
	r.queue = make([]entry, 0, len(waiting))
	r.mu.Unlock()
	for _, e := range waiting {
		w.write(e)
	}
	w.flush(time.Now())
}

// settle waits until what was recorded before can be read.
func (r *Recorder) settle(ctx context.Context) {
	done := make(chan struct{})
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	select {
	case r.flush <- done:
		<-done
	case <-ctx.Done(): // Run has ended and written everything
	}
}

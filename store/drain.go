package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Sink takes batches, idempotent by id; [Store] is one. An error that is
// ErrRejected says that trying again cannot help.
type Sink interface {
	PutBatch(ctx context.Context, b Batch) error
}

// Beats of Run, and how much it hands over at once.
const (
	batchRecords = 256
	syncEvery    = 200 * time.Millisecond
	retryFirst   = 100 * time.Millisecond
	retryMost    = 5 * time.Second
	putTimeout   = 15 * time.Second       // for one batch; a network may swallow everything
	lastChance   = 2 * time.Second        // for what is left when ctx ends
	gather       = 100 * time.Millisecond // from one hand-over to the next: a transaction costs more than its rows
)

// Run drains the journal into the sink until ctx ends, then once more for at
// most two seconds; what cannot be written then stays for the next start. A sink
// that is away is asked again and again, after 100 ms to 5 s.
func (s *Spool) Run(ctx context.Context, to Sink) error {
	var syncing sync.WaitGroup
	syncing.Go(func() { s.keepSynced(ctx) })
	defer syncing.Wait()
	pause := time.Duration(0)
	for {
		err := s.drain(ctx, to)
		switch {
		case ctx.Err() != nil:
			return s.drainLast(ctx, to)
		case err == nil:
			pause = 0
			s.linger(ctx)
		default:
			pause = min(max(2*pause, retryFirst), retryMost)
			s.log.Warn("spool: the database does not take records now; they wait on disk", "error", err, "records", s.Backlog(), "again_in", pause)
		}
		s.await(ctx, pause)
	}
}

// await returns when there is something to do: at once when a record was
// appended, or after a pause, or when ctx ended.
func (s *Spool) await(ctx context.Context, pause time.Duration) {
	wake := s.wake
	var over <-chan time.Time
	if pause > 0 {
		wake, over = nil, time.After(pause)
	}
	select {
	case <-ctx.Done():
	case <-wake:
	case <-over:
	}
}

// linger lets records gather after a hand-over. The first one after a quiet time
// does not wait.
func (s *Spool) linger(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(gather):
	}
}

// keepSynced puts events and refusals on the disk at every beat.
func (s *Spool) keepSynced(ctx context.Context) {
	beat := time.NewTicker(syncEvery)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			if err := s.syncAll(); err != nil {
				s.log.Error("spool: the disk does not take records", "error", err)
			}
		}
	}
}

func (s *Spool) syncAll() error {
	s.mu.Lock()
	position := s.appended
	s.mu.Unlock()
	return s.sync(position)
}

func (s *Spool) drainLast(ctx context.Context, to Sink) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastChance)
	defer cancel()
	if err := s.drain(last, to); err != nil {
		s.log.Warn("spool: records stay on disk for the next start", "records", s.Backlog(), "error", err)
	}
	return s.syncAll()
}

// drain hands over everything that is there.
func (s *Spool) drain(ctx context.Context, to Sink) error {
	for {
		g, from, size := s.next()
		if g == nil {
			return nil
		}
		records, end, err := s.take(g, from, size)
		if err == nil {
			err = s.handOver(ctx, to, records)
		}
		if err != nil {
			return err
		}
		if err := s.arrived(g, end, len(records)); err != nil {
			return err
		}
	}
}

// next is where the oldest records stand that have not arrived; nil when all have.
func (s *Spool) next() (g *segment, from, to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		if g.arrived < g.size {
			return g, g.arrived, g.size
		}
	}
	return nil, 0, 0
}

// take returns records from an offset on, out of memory if they are there.
func (s *Spool) take(g *segment, from, to int64) (records []record, end int64, err error) {
	s.mu.Lock()
	records, end = g.remembered(batchRecords)
	s.mu.Unlock()
	if len(records) > 0 {
		return records, end, nil
	}
	return g.read(from, to, batchRecords)
}

// arrived forgets records: a segment whose last one arrived is removed, or
// emptied if it is the one that is written.
func (s *Spool) arrived(g *segment, upTo int64, records int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.arrived = upTo
	g.forget(upTo)
	s.waiting -= records
	last := s.segments[len(s.segments)-1]
	for s.segments[0] != last && s.segments[0].arrived == s.segments[0].size {
		if err := errors.Join(s.segments[0].file.Close(), os.Remove(s.segments[0].file.Name())); err != nil {
			return fmt.Errorf("remove a part of the spool: %w", err)
		}
		s.segments = s.segments[1:]
	}
	if last.arrived == last.size && last.size > 0 {
		if err := last.file.Truncate(0); err != nil {
			return fmt.Errorf("empty the spool: %w", err)
		}
		last.arrived, last.size = 0, 0
	}
	return nil
}

// handOver writes records to the sink; those that it refuses for good are put
// aside one by one, so that they hold up nobody.
func (s *Spool) handOver(ctx context.Context, to Sink, records []record) error {
	limited, cancel := context.WithTimeout(ctx, putTimeout)
	err := to.PutBatch(limited, batchOf(records))
	cancel()
	switch {
	case !errors.Is(err, ErrRejected):
		return err
	case len(records) == 1:
		return s.putAside(records[0], err)
	}
	half := len(records) / 2
	if err := s.handOver(ctx, to, records[:half]); err != nil {
		return err
	}
	return s.handOver(ctx, to, records[half:])
}

func batchOf(records []record) (b Batch) {
	for _, r := range records {
		switch {
		case r.CDR != nil:
			b.CDRs = append(b.CDRs, *r.CDR)
		case r.Event != nil:
			b.Events = append(b.Events, *r.Event)
		case r.Refusal != nil:
			b.Refusals = append(b.Refusals, *r.Refusal)
		}
	}
	return b
}

// putAside keeps a refused record in refused.jsonl.
func (s *Spool) putAside(r record, why error) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(s.dir, "refused.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	s.failed.Add(1)
	s.log.Error("spool: the database refuses a record; it was put aside", "file", file.Name(), "error", why)
	return nil
}

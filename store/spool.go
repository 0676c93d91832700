package store

import (
	"context"
	"log/slog"

	"github.com/roomline/roomline/bridge"
)

// Batch is what a spool hands to a store at once.
type Batch struct {
	CDRs     []bridge.CDR
	Events   []bridge.Event
	Refusals []bridge.Refusal
}

// Sink takes batches, idempotent by id; [Store] is one.
type Sink interface {
	PutBatch(ctx context.Context, b Batch) error
}

// PutBatch writes a batch in one transaction; what is there already stays as it is.
func (s *Store) PutBatch(ctx context.Context, b Batch) error { return errNotBuilt }

// Spool is a journal in a folder. It is safe for concurrent use.
type Spool struct{}

// OpenSpool opens or makes the journal in dir and repairs a torn tail.
func OpenSpool(dir string, log *slog.Logger) (*Spool, error) { return nil, errNotBuilt }

// AppendCDR writes a CDR to disk; it waits for the disk, never for the database.
func (s *Spool) AppendCDR(c bridge.CDR) error { return errNotBuilt }

// AppendEvent queues an event for the disk and returns at once.
func (s *Spool) AppendEvent(e bridge.Event) error { return errNotBuilt }

// AppendRefusal queues a refusal for the disk and returns at once.
func (s *Spool) AppendRefusal(r bridge.Refusal) error { return errNotBuilt }

// Run drains the spool into the sink until ctx ends; it retries a sink that is away.
func (s *Spool) Run(ctx context.Context, to Sink) error { return errNotBuilt }

// Backlog is the number of records that wait for the database.
func (s *Spool) Backlog() int { return 0 }

// Close flushes to disk and closes the journal. Run must have returned.
func (s *Spool) Close() error { return nil }

package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/bridge"
)

// Spool is a journal in a folder. Records are appended to the newest of its
// segments; [Spool.Run] hands them to a [Sink] in their order and removes what
// has arrived. After a crash, records that arrived already may be handed over
// again, which a Sink ignores by their ids: so each is written exactly once.
//
// It is safe for concurrent use. Its one goroutine, which syncs the disk, lives
// inside Run.
type Spool struct {
	dir    string
	log    *slog.Logger
	lock   *os.File
	wake   chan struct{} // capacity 1: something was appended
	failed atomic.Int64  // records that the sink refused for good
	synced syncPoint
	limit  int64 // bytes of a segment, after which a new one is started

	mu       sync.Mutex
	segments []*segment // oldest first; the last one is written
	waiting  int        // records that have not arrived
	appended int64      // records since the start
	closed   bool
}

// syncPoint is up to where the journal is on the disk.
type syncPoint struct {
	mu   sync.Mutex
	upTo int64     // count of appended records
	at   time.Time // of the last sync
}

// syncPause is the least time between two syncs: when many calls end at once,
// those that wait share one.
const syncPause = 10 * time.Millisecond

var errClosed = errors.New("the spool is closed")

// OpenSpool opens or makes the journal in dir and repairs a torn tail. One
// process at a time may have it open.
func OpenSpool(dir string, log *slog.Logger) (*Spool, error) {
	s, err := openSpool(dir, log)
	if err != nil {
		return nil, fmt.Errorf("open the spool in %s: %w", dir, err)
	}
	return s, nil
}

func openSpool(dir string, log *slog.Logger) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(lock); err != nil {
		lock.Close()
		return nil, errors.New("another process has it open; stop that one first, or use another data folder")
	}
	s := &Spool{dir: dir, log: log, lock: lock, wake: make(chan struct{}, 1), limit: segmentSize}
	if err := s.openSegments(); err != nil {
		s.closeSegments()
		lock.Close()
		return nil, err
	}
	return s, nil
}

func (s *Spool) openSegments() error {
	names, err := filepath.Glob(filepath.Join(s.dir, "*"+segmentSuffix))
	if err != nil {
		return err
	}
	for _, name := range names { // Glob sorts, and the names have one width
		g, err := openSegment(name, s.log)
		if err != nil {
			return err
		}
		s.segments = append(s.segments, g)
		s.waiting += g.records
	}
	if s.waiting > 0 {
		s.log.Info("spool: records wait from the last run", "records", s.waiting)
		s.signal()
	}
	if len(s.segments) > 0 {
		return nil
	}
	return s.addSegmentLocked()
}

// addSegmentLocked starts a new segment.
func (s *Spool) addSegmentLocked() error {
	number := 1
	if n := len(s.segments); n > 0 {
		number = s.segments[n-1].number + 1
	}
	g, err := openSegment(filepath.Join(s.dir, fmt.Sprintf("%012d%s", number, segmentSuffix)), s.log)
	if err != nil {
		return err
	}
	s.segments = append(s.segments, g)
	return syncDir(s.dir)
}

// AppendCDR writes a CDR and returns when it is on the disk; it never waits for
// the database. Several who wait share one sync.
func (s *Spool) AppendCDR(c bridge.CDR) error {
	position, err := s.append(record{CDR: &c})
	if err != nil {
		return fmt.Errorf("spool the CDR of call %s: %w", c.ID, err)
	}
	return s.sync(position)
}

// AppendEvent hands an event to the operating system and returns at once: it
// survives a crash of the process; a crash of the machine may take the last 200 ms.
func (s *Spool) AppendEvent(e bridge.Event) error {
	row, err := rowOf(e)
	if err == nil {
		_, err = s.append(record{Event: &row})
	}
	if err != nil {
		return fmt.Errorf("spool event %s: %w", e.ID, err)
	}
	return nil
}

// AppendRefusal hands a refusal to the operating system and returns at once, like AppendEvent.
func (s *Spool) AppendRefusal(r bridge.Refusal) error {
	_, err := s.append(record{Refusal: &r})
	if err != nil {
		return fmt.Errorf("spool refusal %s: %w", r.ID, err)
	}
	return nil
}

// append returns the record's place in the order of all records.
func (s *Spool) append(r record) (position int64, err error) {
	framed, err := frame(r)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, errClosed
	}
	if last := s.segments[len(s.segments)-1]; last.size+int64(len(framed)) > s.limit && last.size > 0 {
		if err := last.file.Sync(); err != nil { // sync looks at the last one only
			return 0, err
		}
		if err := s.addSegmentLocked(); err != nil {
			return 0, err
		}
	}
	if err := s.segments[len(s.segments)-1].append(r, framed); err != nil {
		return 0, err
	}
	s.waiting++
	s.appended++
	s.signal()
	return s.appended, nil
}

// sync returns when everything up to position is on the disk. Who comes first
// syncs for all who have appended meanwhile.
func (s *Spool) sync(position int64) error {
	s.synced.mu.Lock()
	defer s.synced.mu.Unlock()
	if s.synced.upTo >= position {
		return nil
	}
	time.Sleep(syncPause - time.Since(s.synced.at))
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	upTo, last := s.appended, s.segments[len(s.segments)-1]
	s.mu.Unlock()
	// The last segment is never removed, and Close takes synced.mu: the file stays open.
	if err := last.file.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("sync the spool: %w", err)
	}
	s.synced.upTo, s.synced.at = upTo, time.Now()
	return nil
}

func (s *Spool) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Backlog is the number of records that wait for the database.
func (s *Spool) Backlog() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

// Refused is the number of records that the database refused for good since the
// start; they are kept in the file refused.jsonl beside the journal.
func (s *Spool) Refused() int { return int(s.failed.Load()) }

// Close puts everything on the disk and closes the journal. Run must have returned.
func (s *Spool) Close() error {
	s.synced.mu.Lock()
	defer s.synced.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.segments[len(s.segments)-1].file.Sync()
	return errors.Join(err, s.closeSegments(), s.lock.Close())
}

func (s *Spool) closeSegments() error {
	var errs []error
	for _, g := range s.segments {
		errs = append(errs, g.file.Close())
	}
	return errors.Join(errs...)
}

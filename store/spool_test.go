package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/store/pgtest"
)

// memory is a sink that can be away, refuse, and tell what came.
type memory struct {
	mu      sync.Mutex
	away    error
	refuse  string // id that it refuses for good
	ids     []string
	batches int
	came    chan struct{} // capacity 1
}

func newMemory() *memory { return &memory{came: make(chan struct{}, 1)} }

func (m *memory) PutBatch(_ context.Context, b Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches++
	defer func() {
		select {
		case m.came <- struct{}{}:
		default:
		}
	}()
	if m.away != nil {
		return m.away
	}
	var ids []string
	for _, c := range b.CDRs {
		ids = append(ids, c.ID)
	}
	for _, e := range b.Events {
		ids = append(ids, e.ID)
	}
	for _, r := range b.Refusals {
		ids = append(ids, r.ID)
	}
	if m.refuse != "" && slices.Contains(ids, m.refuse) {
		return fmt.Errorf("%w: %s", ErrRejected, m.refuse)
	}
	m.ids = append(m.ids, ids...)
	return nil
}

func (m *memory) set(away error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func (m *memory) got() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ids)
}

var quiet = slog.New(slog.DiscardHandler)

func openTestSpool(t testing.TB, dir string) *Spool {
	t.Helper()
	s, err := OpenSpool(dir, quiet)
	must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// run starts Run; stop ends it and waits.
func run(t testing.TB, s *Spool, to Sink) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, to) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// await waits until the sink satisfies a condition.
func (m *memory) await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !condition() {
		select {
		case <-m.came:
		case <-late:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestSpoolHandsOverEachRecordOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s, m := openTestSpool(t, dir), newMemory()
	stop := run(t, s, m)
	var want []string
	for i := range 200 {
		id := fmt.Sprintf("id%03d", i)
		want = append(want, id)
		switch i % 3 {
		case 0:
			must(t, s.AppendCDR(cdr(id, 0)))
		case 1:
			must(t, s.AppendEvent(bridge.Event{ID: id}))
		case 2:
			must(t, s.AppendRefusal(bridge.Refusal{ID: id}))
		}
	}
	m.await(t, "all records", func() bool { return len(m.got()) == 200 })
	stop()
	got := m.got()
	slices.Sort(got)
	if !slices.Equal(got, want) || s.Backlog() != 0 {
		t.Errorf("got %d records, backlog %d", len(got), s.Backlog())
	}
	if g := s.segments[0]; g.size != 0 || len(s.segments) != 1 {
		t.Errorf("the journal keeps %d bytes in %d segments", g.size, len(s.segments))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.AppendCDR(cdr("late", 0)); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
}

func TestSpoolManyAtOnceOverManySegments(t *testing.T) {
	dir := t.TempDir()
	s, m := openTestSpool(t, dir), newMemory()
	s.limit = 2000 // four CDRs or so
	m.set(errors.New("away"))
	stop := run(t, s, m)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 25 {
				if err := s.AppendCDR(cdr(fmt.Sprintf("%d-%d", g, i), 0)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if s.Backlog() != 200 || len(s.segments) < 40 {
		t.Errorf("backlog %d in %d segments", s.Backlog(), len(s.segments))
	}
	m.set(nil)
	m.await(t, "all records", func() bool { return len(m.got()) == 200 })
	stop()
	got := m.got()
	slices.Sort(got)
	files, _ := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if len(slices.Compact(got)) != 200 || len(files) != 1 {
		t.Errorf("got %d records, left %v", len(got), files)
	}
}

// A crash may cut the journal anywhere. Whole records survive it, and the
// journal goes on behind them.
func TestSpoolSurvivesACutAtEveryByte(t *testing.T) {
	content, ends := journal(t, 5)
	dir := t.TempDir()
	path := filepath.Join(dir, "000000000001"+segmentSuffix)
	for cut := range len(content) + 1 {
		must(t, os.WriteFile(path, content[:cut], 0o600))
		whole := 0
		for whole < len(ends) && ends[whole] <= cut {
			whole++
		}
		s, err := OpenSpool(dir, quiet)
		if err != nil || s.Backlog() != whole {
			t.Fatalf("cut at %d: %v, want %d records", cut, err, whole)
		}
		must(t, s.AppendEvent(bridge.Event{ID: "after"}))
		m := newMemory()
		must(t, s.drain(t.Context(), m))
		must(t, s.Close())
		want := append([]string{"e0", "e1", "e2", "e3", "e4"}[:whole:whole], "after")
		if got := m.got(); !slices.Equal(got, want) {
			t.Fatalf("cut at %d: got %v, want %v", cut, got, want)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*damaged*")); len(files) != 0 {
		t.Errorf("a cut is no damage: %v", files)
	}
}

// journal makes the bytes of n events and says where each ends.
func journal(t testing.TB, n int) (content []byte, ends []int) {
	for i := range n {
		row, err := rowOf(bridge.Event{ID: fmt.Sprintf("e%d", i), Type: "call.created", Time: start})
		must(t, err)
		framed, err := frame(record{Event: &row})
		must(t, err)
		content = append(content, framed...)
		ends = append(ends, len(content))
	}
	return content, ends
}

func TestSpoolPutsDamageAside(t *testing.T) {
	content, ends := journal(t, 3)
	for at := range content {
		dir := t.TempDir()
		broken := slices.Clone(content)
		broken[at] ^= 0x10
		must(t, os.WriteFile(filepath.Join(dir, "000000000001"+segmentSuffix), broken, 0o600))
		s, err := OpenSpool(dir, quiet)
		must(t, err)
		m := newMemory()
		must(t, s.drain(t.Context(), m))
		must(t, s.Close())
		before := slices.IndexFunc(ends, func(end int) bool { return at < end })
		if got := m.got(); len(got) != before {
			t.Fatalf("damage at %d: got %v, want %d records", at, got, before)
		}
		kept, _ := filepath.Glob(filepath.Join(dir, "*damaged*"))
		torn := at-append([]int{0}, ends...)[before] < 4 // a length that grew looks like a cut
		if len(kept) == 0 && !torn {
			t.Fatalf("damage at %d was thrown away", at)
		}
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "000000000001"+segmentSuffix), append(slices.Clone(content), make([]byte, 100)...), 0o600))
	if s := openTestSpool(t, dir); s.Backlog() != 3 {
		t.Errorf("zeros at the end: got %d records", s.Backlog())
	}
}

func FuzzUnframe(f *testing.F) {
	content, _ := journal(f, 2)
	f.Add(content)
	f.Fuzz(func(t *testing.T, b []byte) {
		for {
			_, n, err := unframe(b)
			if err != nil {
				return
			}
			if n <= headerSize || n > len(b) {
				t.Fatalf("a record of %d bytes out of %d", n, len(b))
			}
			b = b[n:]
		}
	})
}

// The process may die after the database took a batch and before the journal
// forgot it: the same records come again.
func TestSpoolAfterACrashWritesNothingTwice(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "roomline.db"))
	must(t, db.Migrate(t.Context()))
	_, err := db.PutWebhook(t.Context(), Webhook{URL: "https://example.com/"})
	must(t, err)
	dir := t.TempDir()
	path := filepath.Join(dir, "000000000001"+segmentSuffix)
	s := openTestSpool(t, dir)
	for i := range 20 {
		must(t, s.AppendCDR(cdr(fmt.Sprintf("c%d", i), 0)))
		must(t, s.AppendEvent(event(i, "call.ended")))
	}
	content, err := os.ReadFile(path)
	must(t, err)
	must(t, s.drain(t.Context(), db))
	must(t, s.Close())
	claimed, err := db.ClaimDeliveries(t.Context(), time.Now(), time.Minute, 100)
	must(t, err)
	for _, d := range claimed {
		must(t, db.DeliveryDone(t.Context(), d))
	}
	must(t, os.WriteFile(path, content, 0o600))
	s = openTestSpool(t, dir)
	if s.Backlog() != 40 {
		t.Errorf("backlog %d", s.Backlog())
	}
	must(t, s.drain(t.Context(), db))
	items, _, err := db.CDRs(t.Context(), CDRFilter{}, Page{Limit: 100})
	must(t, err)
	again, err := db.ClaimDeliveries(t.Context(), time.Now(), time.Minute, 100)
	must(t, err)
	if len(items) != 20 || len(claimed) != 20 || len(again) != 0 {
		t.Errorf("%d CDRs, %d and %d deliveries", len(items), len(claimed), len(again))
	}
}

func TestSpoolWithADatabaseThatIsAway(t *testing.T) {
	server := pgtest.Start(t)
	url := server.Database(t)
	db := open(t, url)
	must(t, db.Migrate(t.Context()))
	server.Down(t)
	away := open(t, url) // a gateway starts without its database
	if err := away.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "reach the database") {
		t.Errorf("got %v", err)
	}
	s := openTestSpool(t, t.TempDir())
	watched := &watch{Sink: away, memory: newMemory()}
	stop := run(t, s, watched)
	for i := range 300 {
		must(t, s.AppendEvent(event(i, "call.ended")))
	}
	must(t, s.AppendCDR(cdr("c1", 0)))
	watched.await(t, "an attempt", func() bool { return watched.attempts() > 0 })
	if s.Backlog() != 301 {
		t.Errorf("backlog %d", s.Backlog())
	}
	server.Up(t)
	watched.await(t, "the database", func() bool { return s.Backlog() == 0 || watched.handed() >= 301 })
	stop()
	events, err := db.Events(t.Context(), "", 500)
	if err != nil || len(events) != 300 || s.Backlog() != 0 {
		t.Errorf("got %d events, %v, backlog %d", len(events), err, s.Backlog())
	}
	if _, err := db.CDR(t.Context(), "c1"); err != nil {
		t.Error(err)
	}
}

// watch tells when something was handed to a sink.
type watch struct {
	Sink
	*memory
	records int
}

func (w *watch) PutBatch(ctx context.Context, b Batch) error {
	err := w.Sink.PutBatch(ctx, b)
	w.mu.Lock()
	if err == nil {
		w.records += len(b.CDRs) + len(b.Events) + len(b.Refusals)
	}
	w.mu.Unlock()
	_ = w.memory.PutBatch(ctx, Batch{})
	return err
}

func (w *watch) attempts() int { w.mu.Lock(); defer w.mu.Unlock(); return w.batches }
func (w *watch) handed() int   { w.mu.Lock(); defer w.mu.Unlock(); return w.records }

func TestSpoolPutsAsideWhatTheDatabaseRefuses(t *testing.T) {
	dir := t.TempDir()
	s, m := openTestSpool(t, dir), newMemory()
	m.refuse = "e7"
	for i := range 20 {
		must(t, s.AppendEvent(bridge.Event{ID: fmt.Sprintf("e%d", i)}))
	}
	must(t, s.drain(t.Context(), m))
	kept, err := os.ReadFile(filepath.Join(dir, "refused.jsonl"))
	if err != nil || !strings.Contains(string(kept), `"id":"e7"`) || strings.Count(string(kept), "\n") != 1 {
		t.Errorf("got %s, %v", kept, err)
	}
	if len(m.got()) != 19 || s.Backlog() != 0 || s.Refused() != 1 {
		t.Errorf("got %v, backlog %d", m.got(), s.Backlog())
	}
}

func TestSpoolWritesWhatIsLeftWhenItStops(t *testing.T) {
	s, m := openTestSpool(t, t.TempDir()), newMemory()
	must(t, s.AppendCDR(cdr("c1", 0)))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ended, m); err != nil || len(m.got()) != 1 {
		t.Errorf("got %v, %v", m.got(), err)
	}
}

func TestSpoolIsPrivateAndTakenOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := openTestSpool(t, dir)
	must(t, s.AppendCDR(cdr("c1", 0)))
	if _, err := OpenSpool(dir, quiet); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("got %v", err)
	}
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("folder mode %v", info.Mode())
	}
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if info, _ := f.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
	}
	must(t, s.Close())
	if again := openTestSpool(t, dir); again.Backlog() != 1 {
		t.Errorf("backlog %d", again.Backlog())
	}
}

func BenchmarkSpoolAppendEvent(b *testing.B) {
	s := openTestSpool(b, b.TempDir())
	e := event(1, "call.created")
	b.ReportAllocs()
	for b.Loop() {
		must(b, s.AppendEvent(e))
	}
}

func BenchmarkSpoolAppendCDR(b *testing.B) {
	s := openTestSpool(b, b.TempDir())
	c := cdr("c", 0)
	b.SetParallelism(50)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			must(b, s.AppendCDR(c))
		}
	})
}

func BenchmarkPutBatchSQLite(b *testing.B) {
	db := open(b, filepath.Join(b.TempDir(), "roomline.db"))
	must(b, db.Migrate(b.Context()))
	n := 0
	for b.Loop() {
		var batch Batch
		for range batchRecords {
			n++
			row, err := rowOf(event(n, "call.created"))
			must(b, err)
			batch.Events = append(batch.Events, row)
		}
		must(b, db.PutBatch(b.Context(), batch))
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

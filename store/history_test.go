package store

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

var start = time.Date(2026, 3, 10, 9, 30, 0, 123456789, time.FixedZone("", -5*3600))

func cdr(id string, after time.Duration) bridge.CDR {
	created := start.Add(after)
	answered, ended := created.Add(time.Second), created.Add(time.Minute)
	return bridge.CDR{
		CallRecord: bridge.CallRecord{
			ID: id, State: bridge.StateEnded, Direction: bridge.Inbound, From: "+15551230000", To: "lobby", Room: "lobby",
			Trunk: "carrier", Cause: bridge.CauseNormal, SIPCode: 200, CreatedAt: created, AnsweredAt: &answered, EndedAt: &ended,
			Quality: &media.Quality{PacketsReceived: 5, MOS: 4.4},
		},
		DurationMS: 59000, RingMS: 1000,
		Trend: &media.QualityTrend{From: created.UTC(), StepMS: 5000, R: []float32{92.5, 0}, RemoteR: []float32{0, 88}, Loss: []float32{0, 1.5},
			Concealed: []float32{0, 0.7}, JitterMS: []float32{3, 4}, DelayMS: []float32{40, 41.5}, BufferMS: []float32{0, 20}},
	}
}

func testCDRs(t *testing.T, s *Store, _ func() *Store) {
	want := cdr("call_1", 0)
	must(t, s.PutCDR(t.Context(), want))
	again := want
	again.Room = "another"
	must(t, s.PutCDR(t.Context(), again))
	got, err := s.CDR(t.Context(), "call_1")
	must(t, err)
	want.CreatedAt, want.AnsweredAt, want.EndedAt = stored(want.CreatedAt), storedPtr(want.AnsweredAt), storedPtr(want.EndedAt)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got.CreatedAt.Location() != time.UTC || got.CreatedAt.Nanosecond() != 123456000 {
		t.Errorf("expected UTC and microseconds, got %v", got.CreatedAt)
	}
	if _, err := s.CDR(t.Context(), "call_2"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func testCDRLists(t *testing.T, s *Store, _ func() *Store) {
	var batch Batch
	for i := range 25 {
		c := cdr(fmt.Sprintf("call_%c%02d", "aB"[i%2], i), time.Duration(i/5)*time.Second) // five of each time
		c.Room = fmt.Sprintf("room%d", i%3)
		c.ParentID = map[bool]string{true: "call_a00"}[i > 20]
		batch.CDRs = append(batch.CDRs, c)
	}
	must(t, s.PutBatch(t.Context(), batch))
	all := func(f CDRFilter, limit int) (ids []string) {
		for page := (Page{Limit: limit}); ; {
			items, next, err := s.CDRs(t.Context(), f, page)
			must(t, err)
			if len(items) > limit || next != "" && len(items) < limit {
				t.Fatalf("a page of %d with limit %d, next %q", len(items), limit, next)
			}
			for _, c := range items {
				ids = append(ids, c.ID)
			}
			if next == "" {
				return ids
			}
			page.Cursor = next
		}
	}
	whole := all(CDRFilter{}, 500)
	if len(whole) != 25 || !slices.IsSortedFunc(whole, func(a, b string) int { return strings.Compare(b[6:8], a[6:8]) / 5 }) {
		t.Errorf("newest first: got %v", whole)
	}
	for _, limit := range []int{1, 4, 5, 24, 25} {
		if got := all(CDRFilter{}, limit); !slices.Equal(got, whole) {
			t.Errorf("limit %d: got %v\nwant %v", limit, got, whole)
		}
	}
	for _, c := range []struct {
		f    CDRFilter
		want int
	}{
		{CDRFilter{Room: "room1"}, 8}, {CDRFilter{Room: "room1", Trunk: "x"}, 0}, {CDRFilter{ParentID: "call_a00"}, 4},
		{CDRFilter{Since: start.Add(time.Second)}, 20}, {CDRFilter{Until: start.Add(time.Second)}, 5},
		{CDRFilter{Since: start.Add(time.Second), Until: start.Add(3 * time.Second), Room: "room0"}, 3},
		{CDRFilter{Direction: "inbound", Cause: "normal", From: "+15551230000", To: "lobby", Trunk: "carrier"}, 25},
		{CDRFilter{Room: "' OR 1=1 --"}, 0},
	} {
		if got := all(c.f, 3); len(got) != c.want {
			t.Errorf("%+v: got %d, want %d", c.f, len(got), c.want)
		}
	}
	for _, bad := range []string{"x", "!", cursor("a", "b\x00"), "AAAA\n"} {
		if _, _, err := s.CDRs(t.Context(), CDRFilter{}, Page{Cursor: bad}); !errors.Is(err, ErrCursor) {
			t.Errorf("cursor %q: got %v", bad, err)
		}
	}
	if items, _, err := s.CDRs(t.Context(), CDRFilter{Room: "nowhere"}, Page{}); err != nil || items == nil {
		t.Errorf("an empty list is a list: got %v, %v", items, err)
	}
}

func testPagesHold(t *testing.T, s *Store, _ func() *Store) {
	must(t, s.PutBatch(t.Context(), Batch{CDRs: []bridge.CDR{cdr("c1", 1), cdr("c2", time.Second), cdr("c3", 2*time.Second)}}))
	first, next, err := s.CDRs(t.Context(), CDRFilter{}, Page{Limit: 2})
	must(t, err)
	must(t, s.PutCDR(t.Context(), cdr("c4", 3*time.Second)))
	second, last, err := s.CDRs(t.Context(), CDRFilter{}, Page{Limit: 2, Cursor: next})
	must(t, err)
	if first[1].ID != "c2" || len(second) != 1 || second[0].ID != "c1" || last != "" {
		t.Errorf("got %v, %v, %q", first, second, last)
	}
}

func testHostileText(t *testing.T, s *Store, _ func() *Store) {
	for i, text := range []string{"a\x00b", "\xff\xfe", "'; DROP TABLE cdrs; --", "$1 ? :x", "日本", strings.Repeat("\u00e9", 40000), "\u2028\\u0000", "x\xed\xa0\x80"} {
		c := cdr(fmt.Sprintf("c%d", i), 0)
		c.From, c.To, c.Room, c.Reason, c.SIPCallID = text, text, text, text, text
		must(t, s.PutCDR(t.Context(), c))
		if _, err := s.CDR(t.Context(), c.ID); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if items, _, err := s.CDRs(t.Context(), CDRFilter{From: text}, Page{}); err != nil || len(items) != 1 {
			t.Errorf("%.20q: found %d, %v", text, len(items), err)
		}
		must(t, s.PutRefusal(t.Context(), bridge.Refusal{ID: c.ID, Time: start, From: text, To: text, Reason: text}))
		must(t, s.PutEvents(t.Context(), []bridge.Event{{ID: c.ID, Type: text, Time: start, CallID: text, Room: text, Data: map[string]any{"x": text}}}))
		if _, err := s.KeyOf(t.Context(), text); !errors.Is(err, ErrNotFound) {
			t.Errorf("%.20q: %v", text, err)
		}
		if _, err := s.CDR(t.Context(), text); !errors.Is(err, ErrNotFound) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func event(i int, kind string) bridge.Event {
	return bridge.Event{ID: fmt.Sprintf("%016x", i), Type: kind, Time: start.Add(time.Duration(i) * time.Millisecond), CallID: fmt.Sprintf("call_%d", i%2), Room: "lobby", Data: map[string]any{"n": float64(i)}}
}

func testEvents(t *testing.T, s *Store, _ func() *Store) {
	var events []bridge.Event
	for i := range 600 {
		events = append(events, event(i, "call.created"))
	}
	must(t, s.PutEvents(t.Context(), events[:300]))
	must(t, s.PutEvents(t.Context(), events[200:])) // some of them again
	must(t, s.PutEvents(t.Context(), append(events[:1:1], events[0])))
	must(t, s.PutEvents(t.Context(), nil))
	got, err := s.Events(t.Context(), "", 1000)
	must(t, err)
	if len(got) != 500 || got[499].ID != events[499].ID || !reflect.DeepEqual(got[7].Data, events[7].Data) || !got[7].Time.Equal(stored(events[7].Time)) {
		t.Errorf("got %d events", len(got))
	}
	got, err = s.Events(t.Context(), events[590].ID, 5)
	must(t, err)
	if len(got) != 5 || got[0].ID != events[591].ID {
		t.Errorf("got %v", got)
	}
	first, next, err := s.CallEvents(t.Context(), "call_1", Page{Limit: 299})
	must(t, err)
	rest, last, err := s.CallEvents(t.Context(), "call_1", Page{Limit: 299, Cursor: next})
	must(t, err)
	if len(first) != 299 || len(rest) != 1 || rest[0].ID != events[599].ID || last != "" {
		t.Errorf("got %d and %d", len(first), len(rest))
	}
}

func testRefusals(t *testing.T, s *Store, _ func() *Store) {
	for i := range 5 {
		r := bridge.Refusal{ID: fmt.Sprintf("r%d", i), Time: start.Add(time.Duration(i) * time.Second), Source: "198.51.100.1:5060", Transport: "udp",
			From: "x", To: fmt.Sprintf("t%d", i%2), SIPCode: 403, Cause: bridge.CauseForbidden, Reason: "the source is not trusted"}
		must(t, s.PutRefusal(t.Context(), r))
		r.Reason = "another"
		must(t, s.PutRefusal(t.Context(), r))
	}
	got, next, err := s.Refusals(t.Context(), RefusalFilter{To: "t0", Cause: "forbidden"}, Page{Limit: 2})
	must(t, err)
	if len(got) != 2 || got[0].ID != "r4" || next == "" || got[0].Reason != "the source is not trusted" {
		t.Errorf("got %+v", got)
	}
	got, next, err = s.Refusals(t.Context(), RefusalFilter{To: "t0", Since: start, Until: start.Add(5 * time.Second)}, Page{Limit: 2, Cursor: next})
	if err != nil || len(got) != 1 || got[0].ID != "r0" || next != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func testBatches(t *testing.T, s *Store, _ func() *Store) {
	unwritable := event(2, "x")
	unwritable.Data = map[string]any{"f": func() {}}
	if err := s.PutEvents(t.Context(), []bridge.Event{event(1, "x"), unwritable}); !errors.Is(err, ErrRejected) {
		t.Errorf("got %v", err)
	}
	cdrs := []bridge.CDR{cdr("c1", 0)}
	for len(cdrs) <= rowsPerInsert { // the bad one is in another statement
		cdrs = append(cdrs, cdr(fmt.Sprintf("more%d", len(cdrs)), 0))
	}
	cdrs[rowsPerInsert].Quality = &media.Quality{MOS: math.NaN()}
	err := s.PutBatch(t.Context(), Batch{CDRs: cdrs})
	if !errors.Is(err, ErrRejected) {
		t.Errorf("got %v", err)
	}
	if _, err := s.CDR(t.Context(), "c1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("half a batch was written: %v", err)
	}
	must(t, s.PutBatch(t.Context(), Batch{}))
}

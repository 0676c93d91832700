package trace

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A segment is a file of messages, each behind one line:
//
//	1771000000000000000 in udp 192.0.2.1:5060 198.51.100.7:5060 812 "call-id"
//
// Its name is the time of its first message in nanoseconds, 19 digits, so that
// names sort by time.
const (
	segmentSize = 8 << 20
	segmentTime = 10 * time.Minute
	suffix      = ".sip"
	slack       = time.Minute // a message may be written later than its time
)

// writer appends to the newest segment; it belongs to Run's goroutine.
type writer struct {
	Config
	file   *os.File
	buf    *bufio.Writer
	begun  time.Time
	size   int64
	broken bool // the disk refused; told once
}

func (w *writer) write(e entry) {
	if w.file == nil && !w.open(e.Time) {
		return
	}
	line := w.buf.AvailableBuffer()
	n, err := w.buf.Write(e.appendTo(line))
	if w.size += int64(n); err != nil {
		w.fail(err)
	}
}

// appendTo writes the entry as it stands in a segment.
func (e entry) appendTo(b []byte) []byte {
	direction := " in "
	if e.Sent {
		direction = " out "
	}
	raw := Masked(e.Raw)
	b = append(strconv.AppendInt(b, e.Time.UnixNano(), 10), direction...)
	b = append(append(b, e.Transport...), ' ')
	b = append(e.Local.AppendTo(b), ' ')
	b = append(e.Remote.AppendTo(b), ' ')
	b = append(strconv.AppendInt(b, int64(len(raw)), 10), ' ')
	b = append(strconv.AppendQuote(b, e.callID), '\n')
	return append(append(b, raw...), '\n')
}

func (w *writer) open(t time.Time) bool {
	name := filepath.Join(w.Dir, fmt.Sprintf("%019d%s", t.UnixNano(), suffix))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		w.fail(err)
		return false
	}
	w.file, w.buf, w.begun, w.size = f, bufio.NewWriterSize(f, 64<<10), t, 0
	return true
}

// flush makes what was written readable, and begins a new segment when it is time.
func (w *writer) flush(now time.Time) {
	if w.file == nil {
		return
	}
	if err := w.buf.Flush(); err != nil {
		w.fail(err)
		return
	}
	w.broken = false
	if w.size >= segmentSize || now.Sub(w.begun) >= segmentTime {
		w.close()
		w.tidy(now)
	}
}

func (w *writer) close() {
	if w.file != nil {
		w.buf.Flush()
		w.file.Close()
		w.file = nil
	}
}

func (w *writer) fail(err error) {
	if !w.broken {
		w.Log.Error("SIP messages are not kept", "error", err)
	}
	w.broken = true
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
}

// tidy deletes what is too old, and the oldest of what is too much.
func (w *writer) tidy(now time.Time) {
	list, err := segments(w.Dir)
	if err != nil {
		return
	}
	var total int64
	for i := len(list) - 1; i >= 0; i-- {
		total += list[i].size
		if ended := list[i].modified; total > w.Size || now.Sub(ended) > w.Keep {
			os.Remove(list[i].path)
		}
	}
}

type segment struct {
	path     string
	begun    time.Time
	modified time.Time
	size     int64
}

// segments lists a folder's segments, the oldest first.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	var list []segment
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), suffix)
		nano, bad := strconv.ParseInt(digits, 10, 64)
		if info, gone := e.Info(); ok && bad == nil && gone == nil {
			list = append(list, segment{filepath.Join(dir, e.Name()), time.Unix(0, nano), info.ModTime(), info.Size()})
		}
	}
	slices.SortFunc(list, func(a, b segment) int { return a.begun.Compare(b.begun) })
	return list, err
}

// Find returns the messages of SIP calls with these Call-IDs between two times,
// in the order in which they were seen. None is no error: they may be too old.
func (r *Recorder) Find(ctx context.Context, from, until time.Time, callIDs ...string) ([]Message, error) {
	r.settle(ctx)
	list, err := segments(r.c.Dir)
	if err != nil {
		return nil, fmt.Errorf("read the SIP messages: %w", err)
	}
	var found []Message
	for _, s := range list {
		if s.begun.After(until.Add(slack)) || s.modified.Before(from.Add(-slack)) {
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if found, err = s.find(found, callIDs); err != nil {
			return nil, fmt.Errorf("read the SIP messages: %w", err)
		}
	}
	slices.SortStableFunc(found, func(a, b Message) int { return a.Time.Compare(b.Time) })
	return found, nil
}

// find appends a segment's messages of these calls. A segment that breaks off, as
// after a power cut, is good up to there.
func (s segment) find(found []Message, callIDs []string) ([]Message, error) {
	f, err := os.Open(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return found, nil // tidied meanwhile
	}
	if err != nil {
		return found, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 256<<10)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return found, nil
		}
		m, id, size, ok := parseLine(line)
		if !ok {
			return found, nil
		}
		if !slices.Contains(callIDs, id) {
			if _, err := in.Discard(size + 1); err != nil {
				return found, nil
			}
			continue
		}
		m.Raw = make([]byte, size)
		if _, err := io.ReadFull(in, m.Raw); err != nil {
			return found, nil
		}
		in.Discard(1)
		found = append(found, m)
	}
}

// parseLine reads the line before a message.
func parseLine(line string) (m Message, callID string, size int, ok bool) {
	parts := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 7)
	if len(parts) != 7 {
		return m, "", 0, false
	}
	nano, err1 := strconv.ParseInt(parts[0], 10, 64)
	local, err2 := netip.ParseAddrPort(parts[3])
	remote, err3 := netip.ParseAddrPort(parts[4])
	size, err4 := strconv.Atoi(parts[5])
	callID, err5 := strconv.Unquote(parts[6])
	if errors.Join(err1, err2, err3, err4, err5) != nil || size < 0 || size > 2*largest {
		return m, "", 0, false
	}
	return Message{Time: time.Unix(0, nano).UTC(), Sent: parts[1] == "out", Transport: parts[2], Local: local, Remote: remote}, callID, size, true
}

package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/roomline/roomline/bridge"
)

const (
	segmentSuffix = ".spool"
	segmentSize   = 8 << 20 // bytes after which a new one is started
	maxRecord     = 4 << 20 // bytes of one record
	headerSize    = 8       // length and CRC-32C of what follows, both big endian
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is one of the three.
type record struct {
	CDR     *bridge.CDR     `json:"cdr,omitempty"`
	Event   *EventRow       `json:"event,omitempty"`
	Refusal *bridge.Refusal `json:"refusal,omitempty"`
}

// text is the record as JSON. An event's is there already.
func (r record) text() ([]byte, error) {
	if r.Event == nil {
		return json.Marshal(r)
	}
	return slices.Concat([]byte(`{"event":`), r.Event.Body, []byte("}")), nil
}

// frame makes the bytes of a record in the journal.
func frame(r record) ([]byte, error) {
	text, err := r.text()
	if err != nil {
		return nil, err
	}
	if len(text) > maxRecord {
		return nil, fmt.Errorf("the record has %d bytes, more than %d", len(text), maxRecord)
	}
	framed := make([]byte, headerSize, headerSize+len(text))
	binary.BigEndian.PutUint32(framed, uint32(len(text)))
	binary.BigEndian.PutUint32(framed[4:], crc32.Checksum(text, castagnoli))
	return append(framed, text...), nil
}

var (
	errTorn    = errors.New("the record ends too early")
	errDamaged = errors.New("the record is damaged")
)

// unframe reads the first record of b and its length. io.EOF when b is empty.
func unframe(b []byte) (r record, n int, err error) {
	if len(b) == 0 {
		return r, 0, io.EOF
	}
	if len(b) < headerSize {
		return r, 0, errTorn
	}
	length := binary.BigEndian.Uint32(b)
	if length == 0 || length > maxRecord {
		return r, 0, errDamaged
	}
	if n = headerSize + int(length); len(b) < n {
		return r, 0, errTorn
	}
	text := b[headerSize:n]
	if crc32.Checksum(text, castagnoli) != binary.BigEndian.Uint32(b[4:]) || json.Unmarshal(text, &r) != nil {
		return record{}, 0, errDamaged
	}
	return r, n, nil
}

// segment is one file of the journal.
type segment struct {
	number  int
	file    *os.File
	size    int64 // bytes of whole records
	arrived int64 // bytes of records that the sink has
	records int   // found when it was opened

	recent []recentRecord // the oldest that have not arrived, if they were appended by us
}

// recentRecord is a record that need not be read back from the disk.
type recentRecord struct {
	record
	from, end int64 // in the file
}

// recentMost bounds what a segment remembers while the database is away.
const recentMost = 4096

// remember keeps a record that was just appended, unless older ones wait on the
// disk alone.
func (g *segment) remember(r record, from int64) {
	expected := g.arrived
	if n := len(g.recent); n > 0 {
		expected = g.recent[n-1].end
	}
	if from == expected && len(g.recent) < recentMost {
		g.recent = append(g.recent, recentRecord{r, from, g.size})
	}
}

// forget drops what has arrived.
func (g *segment) forget(upTo int64) {
	n := 0
	for n < len(g.recent) && g.recent[n].end <= upTo {
		n++
	}
	g.recent = slices.Delete(g.recent, 0, n)
}

// remembered returns the oldest records that have not arrived, up to most of
// them, and where they end; none when they have to be read from the disk.
func (g *segment) remembered(most int) (records []record, end int64) {
	if len(g.recent) == 0 || g.recent[0].from != g.arrived {
		return nil, 0
	}
	for _, r := range g.recent[:min(most, len(g.recent))] {
		records, end = append(records, r.record), r.end
	}
	return records, end
}

// openSegment opens or makes a segment and cuts off what a crash left unfinished.
func openSegment(path string, log *slog.Logger) (*segment, error) {
	number, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), segmentSuffix))
	if err != nil {
		return nil, fmt.Errorf("%s is not a segment of the journal", filepath.Base(path))
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	g := &segment{number: number, file: file}
	if err := g.repair(log); err != nil {
		file.Close()
		return nil, err
	}
	return g, nil
}

// repair counts the whole records and cuts the file behind the last of them.
// What is cut off is kept beside it, unless it is only the start of a record.
func (g *segment) repair(log *slog.Logger) error {
	content, err := os.ReadFile(g.file.Name())
	if err != nil {
		return err
	}
	for {
		_, n, err := unframe(content[g.size:])
		if err == nil {
			g.size += int64(n)
			g.records++
			continue
		}
		rest := content[g.size:]
		if errors.Is(err, errDamaged) && len(bytes.Trim(rest, "\x00")) > 0 {
			kept := fmt.Sprintf("%s.damaged-%d", g.file.Name(), g.size)
			if err := os.WriteFile(kept, rest, 0o600); err != nil {
				return err
			}
			log.Error("spool: a part of the journal is damaged and was put aside", "file", kept, "bytes", len(rest))
		}
		break
	}
	if g.size == int64(len(content)) {
		return nil
	}
	log.Warn("spool: cut off what a crash left unfinished", "file", g.file.Name(), "bytes", int64(len(content))-g.size)
	return g.file.Truncate(g.size)
}

// append writes a record behind the others; on failure the file is as before.
func (g *segment) append(r record, framed []byte) error {
	if _, err := g.file.WriteAt(framed, g.size); err != nil {
		return errors.Join(err, g.file.Truncate(g.size))
	}
	from := g.size
	g.size += int64(len(framed))
	g.remember(r, from)
	return nil
}

// read returns records from an offset on, up to most of them or a few
// megabytes, and where they end.
func (g *segment) read(from, to int64, most int) (records []record, end int64, err error) {
	content := make([]byte, min(to-from, maxRecord+headerSize))
	if _, err := g.file.ReadAt(content, from); err != nil {
		return nil, from, err
	}
	end = from
	for len(records) < most {
		r, n, err := unframe(content[end-from:])
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) && len(records) > 0 {
			break // the next read starts here
		}
		if err != nil {
			return nil, from, err
		}
		records = append(records, r)
		end += int64(n)
	}
	return records, end, nil
}

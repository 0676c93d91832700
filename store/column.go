package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// stampForm is how times stand in the database: UTC, microseconds, one width.
const stampForm = "2006-01-02T15:04:05.000000Z"

func stamp(t time.Time) string { return t.UTC().Format(stampForm) }

// stored is a time as the database gives it back.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func storedPtr(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := stored(*t)
	return &at
}

// unstamp reads what stamp wrote; empty text is the zero time.
func unstamp(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(stampForm, s)
}

// clean makes a column of what a peer sent: PostgreSQL takes neither NUL nor
// broken UTF-8, and refuses to index long text.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) > 512 {
		s = strings.ToValidUTF8(s[:512], "")
	}
	return s
}

// body writes an object as JSON text.
func body(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("%w: %v", ErrRejected, err)
	}
	return string(b), nil
}

// scanBody reads a row of one body.
func scanBody[T any](rows *sql.Rows) (item T, err error) {
	var text string
	if err = rows.Scan(&text); err != nil {
		return item, err
	}
	return item, json.Unmarshal([]byte(text), &item)
}

// insert is "INSERT … VALUES ($1, $2), ($3, $4)" for a number of rows.
func insert(head string, columns, rows int, tail string) string {
	var s strings.Builder
	s.WriteString(head + " VALUES ")
	for n := 1; n <= columns*rows; n++ {
		switch {
		case n == 1:
			s.WriteString("(")
		case n%columns == 1 || columns == 1:
			s.WriteString("), (")
		default:
			s.WriteString(", ")
		}
		fmt.Fprintf(&s, "$%d", n)
	}
	return s.String() + ") " + tail
}

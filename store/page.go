package store

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Page asks for a part of a list. Limit 0 means 50, at most 500. Cursor is the
// "next" of the page before; empty for the first one.
type Page struct {
	Limit  int
	Cursor string
}

func (p Page) limit() int {
	if p.Limit <= 0 {
		return 50
	}
	return min(p.Limit, 500)
}

// search builds the condition of a list out of the parts that are set. The text
// is the same for both databases; parameters stand in the order of their numbers.
type search struct {
	conditions []string
	args       []any
}

// where adds a condition with one ? when its value is set.
func (s *search) where(condition, value string) {
	if value != "" {
		s.args = append(s.args, value)
		s.conditions = append(s.conditions, strings.Replace(condition, "?", fmt.Sprintf("$%d", len(s.args)), 1))
	}
}

// list reads one page: rows sorted by the columns key1 and key2, which identify
// a row; order is ASC or DESC. keys gives the two of an item.
func list[T any](ctx context.Context, db queryer, q listQuery[T], s search, page Page) (items []T, next string, err error) {
	if page.Cursor != "" {
		a, b, err := readCursor(page.Cursor)
		if err != nil {
			return nil, "", err
		}
		s.args = append(s.args, a, b)
		compare := map[string]string{"ASC": ">", "DESC": "<"}[q.order]
		s.conditions = append(s.conditions, fmt.Sprintf("(%s, %s) %s ($%d, $%d)", q.key1, q.key2, compare, len(s.args)-1, len(s.args)))
	}
	text := q.from
	if len(s.conditions) > 0 {
		text += " WHERE " + strings.Join(s.conditions, " AND ")
	}
	limit := page.limit()
	text += fmt.Sprintf(" ORDER BY %s %s, %s %s LIMIT %d", q.key1, q.order, q.key2, q.order, limit+1)
	items, err = collect(ctx, db, q.scan, text, s.args...)
	if err == nil && len(items) > limit {
		items = items[:limit]
		next = cursor(q.keys(items[limit-1]))
	}
	return items, next, err
}

// listQuery is what all pages of one list share.
type listQuery[T any] struct {
	from       string // SELECT … FROM …
	key1, key2 string
	order      string
	scan       scanner[T]
	keys       func(T) (string, string)
}

func cursor(a, b string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(a + "\x00" + b))
}

func readCursor(s string) (a, b string, err error) {
	text, err := base64.RawURLEncoding.DecodeString(s)
	a, b, ok := strings.Cut(string(text), "\x00")
	if err != nil || !ok || clean(a) != a || clean(b) != b {
		return "", "", ErrCursor
	}
	return a, b, nil
}

// between narrows a time column to [since, until).
func (s *search) between(column string, since, until time.Time) {
	if !since.IsZero() {
		s.where(column+" >= ?", stamp(since))
	}
	if !until.IsZero() {
		s.where(column+" < ?", stamp(until))
	}
}

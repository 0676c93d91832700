package store

// Page asks for a part of a list. Limit 0 means 50, at most 500. Cursor is the
// "next" of the page before; empty for the first one.
type Page struct {
	Limit  int
	Cursor string
}

package bridge

import "fmt"

// Codes of [Error], which the API translates into HTTP statuses.
const (
	NotFound     = "not_found"
	Invalid      = "invalid"
	Conflict     = "conflict"
	Forbidden    = "forbidden"
	Unavailable  = "unavailable"
	LimitReached = "limit"
)

// Error is a refusal that its reader can act on: what kind it is, which field
// of the request caused it, and a sentence that says what to do.
type Error struct {
	Code    string
	Field   string // empty when no single field is to blame
	Message string
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Message }

func refuse(code, field, format string, args ...any) *Error {
	return &Error{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

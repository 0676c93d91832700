package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/store"
)

// Every answer that is not a success is made here: an RFC 9457 problem with a
// sentence in detail and, where a field is at fault, errors[].location.

// statusOf is the one table from the house's error codes to HTTP.
//
// 503 is for a gateway that drains or a store that is away: what was asked for
// is right and may be asked again, here or elsewhere, after Retry-After.
var statusOf = map[string]int{
	"not_found":   http.StatusNotFound,
	"invalid":     http.StatusUnprocessableEntity,
	"conflict":    http.StatusConflict,
	"forbidden":   http.StatusForbidden,
	"limit":       http.StatusTooManyRequests,
	"unavailable": http.StatusServiceUnavailable,
}

// at says which field is wrong: location is like "body.to" or "query.limit".
func at(location, format string, args ...any) *huma.ErrorDetail {
	return &huma.ErrorDetail{Location: location, Message: fmt.Sprintf(format, args...)}
}

// problem makes the answer for status with a sentence and the fields at fault.
func problem(status int, detail string, fields ...*huma.ErrorDetail) *huma.ErrorModel {
	return &huma.ErrorModel{
		Type: "about:blank", Title: http.StatusText(status),
		Status: status, Detail: detail, Errors: fields,
	}
}

// invalid is a 422 about one field.
func invalid(location, format string, args ...any) error {
	field := at(location, format, args...)
	return problem(http.StatusUnprocessableEntity, location+": "+field.Message, field)
}

// notFound is a 404 for one thing of a kind.
func notFound(kind, name string) error {
	return problem(http.StatusNotFound, fmt.Sprintf("there is no %s %q", kind, name))
}

// notYet is the answer to what the contract names and this version cannot do.
// It is 422, not 501: the contract lists 422, the request is what cannot be
// processed, and a 5xx would make clients retry and operators look for a fault.
func notYet(location, what string) error {
	return invalid(location, "%s: not available yet", what)
}

// later adds Retry-After, in whole seconds, at least one.
func later(err error, wait time.Duration) error {
	seconds := max(1, int((wait+time.Second-1)/time.Second))
	return huma.ErrorWithHeaders(err, http.Header{"Retry-After": {strconv.Itoa(seconds)}})
}

// fromBridge translates an error of the exchange. What is not a [bridge.Error]
// is our fault; the words stay in the log.
func (s *Server) fromBridge(ctx context.Context, err error) error {
	var known *bridge.Error
	if !errors.As(err, &known) {
		return s.internal(ctx, err)
	}
	status, ok := statusOf[string(known.Code)]
	if !ok {
		return s.internal(ctx, err)
	}
	p := problem(status, known.Message)
	if known.Field != "" {
		p.Errors = []*huma.ErrorDetail{at("body."+known.Field, "%s", known.Message)}
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		return later(p, 2*time.Second)
	}
	return p
}

// internal logs what went wrong and answers 500 without the particulars. A
// caller that has gone or a deadline of ours is not an error of the house.
func (s *Server) internal(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return later(problem(http.StatusServiceUnavailable, "this took too long and was given up; try again"), time.Second)
	}
	if ctx.Err() == nil {
		s.log.Error("api: request ended in an error", "error", err)
	}
	return problem(http.StatusInternalServerError, "something went wrong on our side; the gateway's log says what")
}

// storeAway answers for a store that cannot be reached now, or that was asked to
// go on from where no list of it had ended.
func (s *Server) storeAway(ctx context.Context, err error) error {
	if errors.Is(err, store.ErrCursor) {
		return invalid("query.cursor", "expected the next of a page before")
	}
	if ctx.Err() == nil {
		s.log.Warn("api: the store does not answer", "error", err)
	}
	return later(problem(http.StatusServiceUnavailable, "the store cannot be reached now; nothing was changed"), 5*time.Second)
}

// writeProblem sends err, made by the functions above, outside huma.
func writeProblem(w http.ResponseWriter, err error) {
	var headers huma.HeadersError
	if errors.As(err, &headers) {
		for name, values := range headers.GetHeaders() {
			w.Header()[name] = values
		}
	}
	var p *huma.ErrorModel
	if !errors.As(err, &p) {
		p = problem(http.StatusInternalServerError, "something went wrong on our side")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// missingProperty matches huma's complaint, which stands at the parent.
var missingProperty = regexp.MustCompile(`^expected required property (\S+) to be present$`)

// wrongType matches what encoding/json says of a value that the schema let
// through, such as 1e2 for an integer.
var wrongType = regexp.MustCompile(`^json: cannot unmarshal .* into Go struct field [^.\s]*\.(\S+) of type`)

// tidy makes huma's own problems as precise as ours: the detail is a sentence,
// a missing field is located by its own name, and nothing that was sent comes
// back, for it may be a password.
func tidy(_ huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p.Type = "about:blank"
	for _, field := range p.Errors {
		field.Value = nil
		if m := missingProperty.FindStringSubmatch(field.Message); m != nil {
			field.Location, field.Message = join(field.Location, m[1]), "is required"
		}
		if m := wrongType.FindStringSubmatch(field.Message); m != nil {
			field.Location, field.Message = join("body", m[1]), "is written in a way that is not understood here"
		}
		if field.Message == "unexpected property" {
			field.Message = "is not a field that exists here"
		}
	}
	if p.Detail == "validation failed" && len(p.Errors) > 0 {
		p.Detail = "nothing was changed: " + sentence(p.Errors)
	}
	return p, nil
}

// sentence lists what is wrong, the first three fields of it.
func sentence(fields []*huma.ErrorDetail) string {
	var parts []string
	for i, f := range fields {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("and %d more", len(fields)-i))
			break
		}
		parts = append(parts, strings.TrimSpace(f.Location+" "+f.Message))
	}
	return strings.Join(parts, "; ")
}

// join puts a field behind a location.
func join(location, field string) string {
	if location == "" {
		return field
	}
	return location + "." + field
}

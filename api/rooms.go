package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/room"
)

// RoomInput is a call about one room.
type RoomInput struct {
	Room string `path:"room" maxLength:"64"`
}

// tokenInput is POST /v1/rooms/{room}/tokens.
type tokenInput struct {
	RoomInput
	Body struct {
		Identity string `json:"identity" minLength:"1" maxLength:"128" doc:"who this is; WHIP and WHEP with one identity are one person"`
		Name     string `json:"name,omitempty" maxLength:"128" doc:"what others see; the identity when empty"`
		Role     string `json:"role" enum:"dispatcher,supervisor,agent,guest,caller"`
		Person   string `json:"person,omitempty" maxLength:"128" doc:"participants with one person are one human"`
		CallID   string `json:"call_id,omitempty" maxLength:"64" doc:"binds this browser to the person on that phone"`
		TTL      int    `json:"ttl,omitempty" minimum:"0" maximum:"604800" doc:"seconds; 3600 when absent"`
	}
}

// tokenAnswer is what lets somebody in.
type tokenAnswer struct {
	Token     string    `json:"token" doc:"send it as Bearer, or after the # of url; never in a query"`
	ExpiresAt time.Time `json:"expires_at"`
	URL       string    `json:"url" doc:"the room's page with this token"`
}

// roomOperations registers rooms and their tokens.
func (s *Server) roomOperations(a huma.API) {
	huma.Register(a, operation("list-rooms", http.MethodGet, "/v1/rooms", "List open rooms by name", 0), s.listRooms)
	huma.Register(a, operation("get-room", http.MethodGet, "/v1/rooms/{room}", "Who is in a room, their tracks, and who hears whom", 0), s.getRoom)
	huma.Register(a, operation("create-token", http.MethodPost, "/v1/rooms/{room}/tokens", "Make a token that lets one participant in", 201), s.createToken)
}

// listRooms pages by name; the cursor is the last one shown.
func (s *Server) listRooms(_ context.Context, in *Paging) (*listOutput[bridge.RoomRecord], error) {
	rooms := s.exchange.Rooms()
	slices.SortFunc(rooms, func(a, b bridge.RoomRecord) int { return cmp.Compare(a.Name, b.Name) })
	items, next := pageAfter(rooms, in, func(r bridge.RoomRecord) string { return r.Name })
	return listed(items, next), nil
}

// pageAfter cuts a page out of a list that is in memory, in an order by key.
func pageAfter[T any](all []T, in *Paging, key func(T) string) (items []T, next string) {
	start := 0
	if in.Cursor != "" {
		start = 1 + slices.IndexFunc(all, func(t T) bool { return key(t) == in.Cursor })
		if start == 0 { // it is gone: go on where it stood
			start = sortedAfter(all, in.Cursor, key)
		}
	}
	items = all[start:]
	if len(items) > in.Limit {
		items = items[:in.Limit]
		next = key(items[len(items)-1])
	}
	return items, next
}

// sortedAfter is where keys greater than the cursor begin.
func sortedAfter[T any](all []T, cursor string, key func(T) string) int {
	for i, t := range all {
		if key(t) > cursor {
			return i
		}
	}
	return len(all)
}

func (s *Server) getRoom(_ context.Context, in *RoomInput) (*one[bridge.RoomRecord], error) {
	record, ok := s.exchange.RoomRecord(in.Room)
	if !ok {
		return nil, notFound("open room", in.Room)
	}
	return &one[bridge.RoomRecord]{Body: record}, nil
}

// createToken works for a room that is not open yet: it opens with its first participant.
func (s *Server) createToken(ctx context.Context, in *tokenInput) (*one[tokenAnswer], error) {
	if err := checkRoom("path.room", in.Room); err != nil {
		return nil, err
	}
	if s.tokens == nil {
		return nil, problem(http.StatusServiceUnavailable, "this gateway has no rooms for browsers")
	}
	b := in.Body
	if b.CallID != "" {
		if _, ok := s.exchange.Live(b.CallID); !ok {
			return nil, invalid("body.call_id", "there is no live call %q", b.CallID)
		}
	}
	claims := room.Claims{
		Room: in.Room, Identity: b.Identity, Name: cmp.Or(b.Name, b.Identity), Role: bridge.Role(b.Role),
		Person: b.Person, CallID: b.CallID,
	}
	token, err := s.tokenFor(ctx, claims, time.Duration(b.TTL)*time.Second)
	if err != nil {
		return nil, err
	}
	return &one[tokenAnswer]{Body: token}, nil
}

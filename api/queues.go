package api

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/room"
)

// QueueInput is a call about one queue.
type QueueInput struct {
	Queue string `path:"queue" maxLength:"63"`
}

// QueuedInput is a call about one call of a queue.
type QueuedInput struct {
	QueueInput
	ID string `path:"id" maxLength:"64"`
}

// whoAccepts is who answers for a queue.
type whoAccepts struct {
	Identity string `json:"identity" minLength:"1" maxLength:"128" doc:"who this is, in the room too"`
	Name     string `json:"name,omitempty" maxLength:"128" doc:"what others see; the identity when empty"`
	TTL      int    `json:"ttl,omitempty" minimum:"0" maximum:"604800" doc:"of the room token, in seconds; 3600 when absent"`
}

// acceptInput is POST /v1/queues/{queue}/calls/{id}/accept.
type acceptInput struct {
	QueuedInput
	Body whoAccepts
}

// acceptNextInput is POST /v1/queues/{queue}/accept.
type acceptNextInput struct {
	QueueInput
	Body whoAccepts
}

// declineInput is POST /v1/queues/{queue}/calls/{id}/decline.
type declineInput struct {
	QueuedInput
	Body struct {
		Identity string `json:"identity" minLength:"1" maxLength:"128"`
	}
}

// acceptAnswer is what lets who has accepted talk with the caller.
type acceptAnswer struct {
	CallID string            `json:"call_id"`
	Room   string            `json:"room"`
	Call   bridge.QueuedCall `json:"call" doc:"as it waited"`
	tokenAnswer
}

// queueOperations registers what people do with the calls that wait for them.
func (s *Server) queueOperations(a huma.API) {
	huma.Register(a, operation("list-queued", http.MethodGet, "/v1/queues/{queue}/calls", "List who waits in a queue, whose turn is first first", 0), s.listQueued)
	huma.Register(a, operation("accept-next", http.MethodPost, "/v1/queues/{queue}/accept", "Accept the call whose turn it is", 0), s.acceptNext)
	huma.Register(a, operation("accept-queued", http.MethodPost, "/v1/queues/{queue}/calls/{id}/accept", "Accept a call that waits; the first to accept wins", 0), s.acceptQueued)
	huma.Register(a, operation("decline-queued", http.MethodPost, "/v1/queues/{queue}/calls/{id}/decline", "Leave a call that waits to others", 204), s.declineQueued)
}

// listQueued shows the whole line: nobody waits in one so long that it needs pages.
func (s *Server) listQueued(ctx context.Context, in *QueueInput) (*listOutput[bridge.QueuedCall], error) {
	calls, err := s.exchange.QueueCalls(in.Queue)
	if err != nil {
		return nil, s.fromBridge(ctx, err)
	}
	return listed(calls, ""), nil
}

func (s *Server) acceptNext(ctx context.Context, in *acceptNextInput) (*one[acceptAnswer], error) {
	return s.accept(ctx, in.Queue, "", in.Body)
}

func (s *Server) acceptQueued(ctx context.Context, in *acceptInput) (*one[acceptAnswer], error) {
	return s.accept(ctx, in.Queue, in.ID, in.Body)
}

// accept wins the call first, and then makes the token: a token that cannot be
// made gives the call back.
func (s *Server) accept(ctx context.Context, queue, call string, who whoAccepts) (*one[acceptAnswer], error) {
	if s.tokens == nil {
		return nil, problem(http.StatusServiceUnavailable, "this gateway has no rooms for browsers")
	}
	won, err := s.exchange.AcceptQueued(queue, call, who.Identity, who.Name)
	if err != nil {
		return nil, s.fromBridge(ctx, err)
	}
	token, err := s.tokenFor(ctx, room.Claims{
		Room: won.Room, Identity: who.Identity, Name: cmp.Or(who.Name, who.Identity), Role: bridge.RoleDispatcher,
	}, time.Duration(who.TTL)*time.Second)
	if err != nil {
		_ = s.exchange.DeclineQueued(queue, won.Call.ID, who.Identity)
		return nil, err
	}
	return &one[acceptAnswer]{Body: acceptAnswer{CallID: won.Call.ID, Room: won.Room, Call: won, tokenAnswer: token}}, nil
}

func (s *Server) declineQueued(ctx context.Context, in *declineInput) (*none, error) {
	if err := s.exchange.DeclineQueued(in.Queue, in.ID, in.Body.Identity); err != nil {
		return nil, s.fromBridge(ctx, err)
	}
	return nil, nil
}

// tokenFor makes a token for a room, with the page that it opens.
func (s *Server) tokenFor(ctx context.Context, claims room.Claims, ttl time.Duration) (tokenAnswer, error) {
	token, expires, err := s.tokens.Mint(claims, ttl, time.Now())
	if err != nil {
		return tokenAnswer{}, s.fromBridge(ctx, err)
	}
	base := strings.TrimSuffix(cmp.Or(s.publicURL, callerOf(ctx).base), "/")
	link := base + "/rooms/" + url.PathEscape(claims.Room) + "#" + token
	return tokenAnswer{Token: token, ExpiresAt: expires.UTC(), URL: link}, nil
}

// queueEvents serves GET /v1/queues/{queue}/events: a message named changed
// whenever the list of calls may have changed, with how many wait. While the
// stream is open, its reader counts as somebody who may accept.
func (s *Server) queueEvents(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	identity, available := query.Get("identity"), true
	for name, values := range query {
		switch {
		case name == "identity" && len(identity) <= 128:
		case name == "available" && (values[0] == "true" || values[0] == "false"):
			available = values[0] == "true"
		default:
			writeProblem(w, invalid("query."+name, "expected identity, at most 128 bytes, and available: true or false"))
			return
		}
	}
	name := r.PathValue("queue")
	watch, err := s.exchange.WatchQueue(name, identity, available)
	if err != nil {
		writeProblem(w, s.fromBridge(r.Context(), err))
		return
	}
	defer watch.Close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies must not collect events
	stream := &eventStream{w: w, control: http.NewResponseController(w)}
	if stream.send("retry: 1000\n\n") == nil {
		s.streamQueue(r.Context(), stream, name, watch.Changed)
	}
}

// streamQueue tells of changes until the client goes.
func (s *Server) streamQueue(ctx context.Context, out *eventStream, queue string, changed <-chan struct{}) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-stopping(ctx):
			_ = out.named("end", map[string]any{"reason": "the gateway is stopping"})
			return
		case <-ticker.C:
			err = out.send(": still here\n\n")
		case <-changed:
			calls, gone := s.exchange.QueueCalls(queue)
			if gone != nil {
				_ = out.named("end", map[string]any{"reason": gone.Error()})
				return
			}
			err = out.named("changed", map[string]any{"calls": len(calls)})
		}
		if err != nil {
			return
		}
	}
}

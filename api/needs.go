package api

import (
	"context"
	"net/http"
	"time"

	"github.com/roomline/roomline/agent"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/room"
	"github.com/roomline/roomline/sip/trace"
	"github.com/roomline/roomline/store"
)

// What the API needs of the house, by use. cmd/roomline hands in the real ones.

// Exchange is where live calls and rooms are.
type Exchange interface {
	Dial(ctx context.Context, r bridge.DialRequest) (bridge.CallRecord, error)
	Live(id string) (LiveCall, bool)
	Calls() []bridge.CallRecord
	Rooms() []bridge.RoomRecord
	RoomRecord(name string) (bridge.RoomRecord, bool)
	RoomQuality(name string) ([]bridge.ParticipantQuality, bool)
	Subscribe(after string) Subscription
	SendAgent(ctx context.Context, spec bridge.AgentSpec) (bridge.ParticipantRecord, error)
	RemoveAgent(room, participant string) error
	QueueCalls(queue string) ([]bridge.QueuedCall, error)
	AcceptQueued(queue, callID, identity, name string) (bridge.QueuedCall, error)
	DeclineQueued(queue, callID, identity string) error
	WatchQueue(queue, identity string, available bool) (QueueWatch, error)
	Queues() []bridge.QueueRecord
	ChangeSeat(room, participant string, c bridge.SeatChange) (bridge.ParticipantRecord, error)
}

// LiveCall is one call that has not ended; *bridge.Call is one.
type LiveCall interface {
	Record() bridge.CallRecord
	QualityHistory() []media.QualityPoint
	Heard() []bridge.HeardSpan
	Transcript() []bridge.Utterance
	Hangup(cause bridge.Cause, reason string)
	Done() <-chan struct{}
	SendDigits(ctx context.Context, digits string) error
	Hold(ctx context.Context, on bool) error
	Mute(on bool) error
	Transfer(ctx context.Context, r bridge.TransferRequest) error
	AnswerTransfer(ctx context.Context, who, answer string) error
}

// Subscription delivers events; see [bridge.Subscription].
type Subscription struct {
	Events   <-chan bridge.Event // closed when the reader fell behind
	Backlog  []bridge.Event
	Complete bool
	Close    func()
}

// QueueWatch is somebody who looks at a queue; see [bridge.QueueWatch].
type QueueWatch struct {
	Changed <-chan struct{}
	Close   func()
}

// Bridge makes an [Exchange] of the real one.
func Bridge(x *bridge.Exchange) Exchange { return exchange{x} }

type exchange struct{ *bridge.Exchange }

func (x exchange) Live(id string) (LiveCall, bool) {
	c, ok := x.Call(id)
	if !ok {
		return nil, false
	}
	return c, true
}

func (x exchange) RoomRecord(name string) (bridge.RoomRecord, bool) {
	r, ok := x.Room(name)
	if !ok {
		return bridge.RoomRecord{}, false
	}
	return r.Record(), true
}

func (x exchange) RoomQuality(name string) ([]bridge.ParticipantQuality, bool) {
	r, ok := x.Room(name)
	if !ok {
		return nil, false
	}
	return r.Quality(), true
}

func (x exchange) Subscribe(after string) Subscription {
	s := x.Exchange.Subscribe(after)
	return Subscription{Events: s.Events, Backlog: s.Backlog, Complete: s.Complete, Close: s.Close}
}

func (x exchange) WatchQueue(queue, identity string, available bool) (QueueWatch, error) {
	w, err := x.Exchange.WatchQueue(queue, identity, available)
	if err != nil {
		return QueueWatch{}, err
	}
	return QueueWatch{Changed: w.Changed, Close: w.Close}, nil
}

// Store is everything that is asked of the database.
type Store interface {
	history
	planStore
	keyStore
	webhookStore
	outbox
	requestStore
	Ping(ctx context.Context) error
}

// history is what has happened.
type history interface {
	CDR(ctx context.Context, id string) (bridge.CDR, error)
	CDRs(ctx context.Context, f store.CDRFilter, page store.Page) (items []bridge.CDR, next string, err error)
	Refusals(ctx context.Context, f store.RefusalFilter, page store.Page) (items []bridge.Refusal, next string, err error)
	Events(ctx context.Context, after string, limit int) ([]bridge.Event, error)
	CallEvents(ctx context.Context, callID string, page store.Page) (items []bridge.Event, next string, err error)
}

// planStore keeps the dial plan.
type planStore interface {
	LoadPlan(ctx context.Context) (*dialplan.Plan, error)
	ChangePlan(ctx context.Context, change func(*dialplan.Plan) error) error
}

// keyStore keeps API keys.
type keyStore interface {
	KeyOf(ctx context.Context, secret string) (store.Key, error)
	CreateKey(ctx context.Context, name string, admin bool) (k store.Key, secret string, err error)
	Key(ctx context.Context, id string) (store.Key, error)
	Keys(ctx context.Context, page store.Page) (items []store.Key, next string, err error)
	RevokeKey(ctx context.Context, id string) error
}

// webhookStore keeps webhooks.
type webhookStore interface {
	PutWebhook(ctx context.Context, w store.Webhook) (store.Webhook, error)
	Webhook(ctx context.Context, id string) (store.Webhook, error)
	Webhooks(ctx context.Context, page store.Page) (items []store.Webhook, next string, err error)
	DeleteWebhook(ctx context.Context, id string) error
	Deliveries(ctx context.Context, webhookID, state string, page store.Page) (items []store.Delivery, next string, err error)
}

// outbox holds events on their way to webhooks.
type outbox interface {
	ClaimDeliveries(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]store.Delivery, error)
	DeliveryDone(ctx context.Context, d store.Delivery) error
	DeliveryFailed(ctx context.Context, d store.Delivery, retryAt time.Time, most int, reason string) (dead bool, err error)
}

// requestStore remembers what was answered to an Idempotency-Key.
type requestStore interface {
	ClaimRequest(ctx context.Context, scope, key, hash string, now time.Time) (r store.Request, first bool, err error)
	FinishRequest(ctx context.Context, scope, key string, status int, body []byte) error
	ReleaseRequest(ctx context.Context, scope, key string) error
}

// Trunks is the signalling as trunks are concerned; *sip.UA is one.
type Trunks interface {
	TrunkStates() []bridge.TrunkState
	// TestTrunk reports each step when it is done, from the calling goroutine.
	TestTrunk(ctx context.Context, t dialplan.Trunk, test bridge.TrunkTest, report func(bridge.TrunkStep))
}

// Agents is what keeps the pools of AI voices; *agent.House is one.
type Agents interface {
	States() []agent.PoolState
	Drain(name string) error
	Resume(name string) error
	// Test reports each step when it is done, from the calling goroutine.
	Test(ctx context.Context, name string, report func(agent.TestStep)) error
}

// Traces finds kept SIP messages; *trace.Recorder is one.
type Traces interface {
	Find(ctx context.Context, from, until time.Time, sipCallIDs ...string) ([]trace.Message, error)
}

// Backlog says how many records wait to be written to the store.
type Backlog interface{ Backlog() int }

// Minter signs room tokens and reads them; *room.Keys is one.
type Minter interface {
	Mint(c room.Claims, ttl time.Duration, now time.Time) (token string, expires time.Time, err error)
	Verify(token string, now time.Time) (room.Claims, error)
}

// Signalling mounts ws, whip, whep and sessions below /v1/rooms/{room}/, which
// check tokens of their own; *room.Server is one.
type Signalling interface{ Register(mux *http.ServeMux) }

// banning is what Trunks may be too: signalling that drops packets of scanners.
type banning interface {
	BanCount() (addresses int, dropped uint64)
}

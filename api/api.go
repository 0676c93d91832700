// Package api is the HTTP border of the gateway: REST, events, OpenAPI, health,
// metrics, and the delivery of webhooks. It translates between JSON and the
// words of [bridge], [dialplan] and [store]; it decides nothing about calls.
//
// It does not own listeners' addresses, pages, WebRTC signalling (handlers for
// these are handed in) or the plan in force (a function says what it is).
//
// # Goroutines
//
// [New] starts none. [Server.Run] delivers webhooks and waits for every
// delivery it started; [Serve] waits for its listener. Each request runs in the
// goroutine that net/http gave it.
package api

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// Config is what the API is joined to. Fields without "may be nil" are needed.
type Config struct {
	Exchange Exchange // live calls and rooms: [Bridge] makes one of a *bridge.Exchange
	Store    Store    // *store.Store is one
	Backlog  Backlog  // *store.Spool is one; may be nil
	AdminKey string   // works without the store; empty: none

	Plan        func() *dialplan.Plan // the plan in force; never nil
	PlanChanged func(*dialplan.Plan)  // the stored plan is this one now; may be nil

	Trunks Trunks // *sip.UA is one; may be nil
	Traces Traces // *trace.Recorder is one; may be nil
	Agents Agents // *agent.House is one; may be nil

	Tokens Minter       // signs room tokens: *room.Keys; may be nil
	Rooms  Signalling   // *room.Server; may be nil
	Pages  http.Handler // everything outside /v1; may be nil

	Draining      func() bool // no new calls are taken; may be nil
	RTPPortsInUse func() int  // may be nil

	PublicURL string // what links point to, such as https://gateway.example; empty: the request's host
	Version   string
	Log       *slog.Logger // may be nil
}

// Server is the API. It is safe for concurrent use.
type Server struct {
	exchange    Exchange
	store       Store
	backlog     Backlog
	plan        func() *dialplan.Plan
	planChanged func(*dialplan.Plan)
	trunks      Trunks
	traces      Traces
	agents      Agents
	tokens      Minter
	draining    func() bool
	publicURL   string
	version     string
	log         *slog.Logger

	keys     keyring
	requests requests
	recent   recent
	metrics  *metrics
	handler  http.Handler
	deliver  *deliverer

	scripts scripts       // TwiML under way; Run waits for it
	ending  chan struct{} // closed when Run ends: what is under way stops
	twiml   *http.Client

	planMu sync.Mutex // one change of the plan at a time, so that PlanChanged keeps their order
}

// New joins the parts and builds the routes.
func New(c Config) *Server {
	s := &Server{
		exchange: c.Exchange, store: c.Store, backlog: c.Backlog,
		trunks: c.Trunks, traces: c.Traces, agents: c.Agents,
		plan: c.Plan, planChanged: c.PlanChanged, tokens: c.Tokens, draining: c.Draining,
		publicURL: c.PublicURL, version: c.Version, log: c.Log,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.keys = newKeyring(c.AdminKey, c.Store)
	s.metrics = newMetrics(s, c.RTPPortsInUse)
	s.deliver = newDeliverer(c.Store, s.metrics, s.log)
	s.ending, s.twiml = make(chan struct{}), newTwimlClient()
	s.handler = s.routes(c.Rooms, c.Pages)
	return s
}

// Handler serves the API, the pages and the health checks: the public listener.
func (s *Server) Handler() http.Handler { return s.handler }

// MetricsHandler serves /metrics, /healthz and /readyz: the private listener.
func (s *Server) MetricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.handler())
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	return secure(patient(mux))
}

// Recorded notes a call that ended: it stays readable while its CDR is on its
// way to the store, and it is counted. It does not block.
func (s *Server) Recorded(c bridge.CDR) {
	s.recent.add(c, time.Now())
	s.metrics.ended(c)
}

// routes puts every path in its place. Everything below /v1/ needs a key,
// except what is mounted by a longer pattern here.
func (s *Server) routes(rooms Signalling, pages http.Handler) http.Handler {
	keyed := http.NewServeMux()
	operations := s.operations(keyed)
	keyed.HandleFunc("GET /v1/events", s.events)
	keyed.HandleFunc("GET /v1/queues/{queue}/events", s.queueEvents)

	root := http.NewServeMux()
	root.Handle("/v1/", s.authenticated(worded(keyed)))
	root.HandleFunc("GET /v1/openapi.json", openAPI(operations))
	if rooms != nil {
		rooms.Register(root)
	}
	s.registerTwilio(root)
	root.HandleFunc("GET /healthz", healthz)
	root.HandleFunc("GET /readyz", s.readyz)
	if pages != nil {
		root.Handle("/", pages)
	}
	return s.observed(secure(patient(root)))
}

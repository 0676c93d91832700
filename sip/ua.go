package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/sip/socket"
	"github.com/roomline/roomline/sip/stir"
	"github.com/roomline/roomline/sip/trace"
)

// Config is what a UA needs; it is copied by New and not changed afterwards.
type Config struct {
	// Addrs are what ParseAddress reads; each is listened on over UDP and TCP.
	// Port 0 takes a free one, the same for both. Calls that we place leave from
	// the one that their trunk names, else from the one by the route to the peer.
	Addrs []string
	// TLSAddrs are likewise, for TLS, and need TLS.Certificate.
	TLSAddrs []string
	// TLS secures TLSAddrs and the connections to trunks whose transport is tls.
	TLS socket.TLS
	// PublicIP is what Contact, Via and SDP say behind a NAT, to peers of its
	// family, where an address says nothing of its own; zero: the local address.
	PublicIP netip.Addr
	// Ports gives RTP port pairs to Lines; nil: any free ones.
	Ports *rtp.Ports
	// Listen opens UDP sockets, for signalling and RTP; nil is media.ListenUDP.
	Listen media.Listen
	// ListenTCP opens TCP listeners; nil is the operating system's.
	ListenTCP func(ctx context.Context, network, address string) (net.Listener, error)
	// Codecs of calls whose trunk names none; empty is PCMU, PCMA.
	Codecs []media.Codec
	// UserAgent is the value of the User-Agent and Server header fields; empty is "Roomline".
	UserAgent string
	// Log may be nil.
	Log *slog.Logger

	// Plan returns the plan whose trunks are registered, kept alive and known by
	// their passwords; never changed after it was returned. nil: no trunks. Call
	// UA.PlanChanged when it returns another one.
	Plan func() *dialplan.Plan
	// Known says whether a source needs no password: a trunk's address or a
	// trusted network. Everybody else hears nothing from us but answers to
	// INVITE, and may be banned. nil: everybody is known. It must not block.
	Known func(netip.Addr) bool
	// Resolver looks names up; nil is net.DefaultResolver.
	Resolver Resolver

	// Admit decides whether an INVITE may become a call, before anything is
	// allocated; nil means yes. Called by many goroutines at once, must not block.
	Admit func(bridge.Invite) *bridge.Refusal
	// TrunkOf finds the trunk that an INVITE belongs to, zero if none: its codecs,
	// SRTP and DTMF policy hold for the call. Called by many goroutines at once,
	// must not block. nil: every call is as on a trunk that says nothing.
	TrunkOf func(bridge.Invite) dialplan.Trunk
	// Incoming takes over a new inbound Line; it must return at once. nil refuses all calls.
	Incoming func(bridge.Invite, bridge.Line)
	// Refused is told of every INVITE that became no call, those that Admit
	// refused included, exactly once each. It must not block. May be nil.
	Refused func(bridge.Refusal)

	// Verifier checks STIR identities of inbound calls; nil: nothing is checked.
	Verifier *stir.Verifier

	// Trace is shown every SIP message as it is on the wire: those received,
	// whether they are sound or not, and those sent, before they leave. Raw is
	// valid only until it returns. It is called by many goroutines at once, must
	// not block and must not call the UA. nil costs nothing.
	Trace func(trace.Message)

	// SessionExpires is the session interval that calls are refreshed within
	// (RFC 4028); 0 means 30 minutes, less than 0 that we do not ask for timers.
	SessionExpires time.Duration
	// MinSE is the least session interval that we agree to; 0 means 90 seconds,
	// and the standard allows no less.
	MinSE time.Duration

	// MaxConns bounds open TCP and TLS connections; 0 means 1024.
	MaxConns int
}

// farewell is how long Run waits for the peers' answers to its last BYEs: 3 s.
func farewell() time.Duration { return 6 * sipmsg.T1 }

// UA is a SIP user agent. Its methods are safe for concurrent use.
type UA struct {
	config  Config
	log     *slog.Logger
	ready   chan struct{}
	guard   *socket.Guard
	names   *locator
	trunks  *trunks
	doorman *doorman
	bans    *socket.Bans

	stack     *sipgo.UserAgent // transactions and transports
	streams   *socket.Streams
	faces     []*face                 // those of Addrs, then those of TLSAddrs
	feeds     map[string]*socket.Feed // by transport
	serverTLS *tls.Config

	identity *rtp.Identity  // our certificate in DTLS handshakes
	dead     chan struct{}  // closed when Lines must stop without ceremony
	servers  sync.WaitGroup // sipgo's readers and acceptors
	work     sync.WaitGroup // Lines, requests being handled, transactions on their own
	mu       sync.Mutex
	stopping bool // no new Lines
	closing  bool // no new work at all
	lines    map[lineKey]*Line
	invites  map[string]invited // INVITEs in progress, to find merged ones
	dials    map[dialKey]*attempt
	narrow   narrow
	pressure pressure
}

// lineKey finds a Line: our tag is unique, the Call-ID makes sure.
type lineKey struct{ callID, localTag string }

var _ bridge.Dialer = (*UA)(nil)

var (
	errNotRunning = errors.New("the SIP user agent is not running")
	errStopping   = errors.New("the SIP user agent is stopping")
)

// New checks the configuration; Run opens the sockets.
func New(c Config) (*UA, error) {
	if len(c.Addrs) == 0 {
		return nil, errors.New("sip: no address to listen on")
	}
	for _, a := range append(slices.Clone(c.Addrs), c.TLSAddrs...) {
		if _, err := ParseAddress(a); err != nil {
			return nil, fmt.Errorf("sip: %w", err)
		}
	}
	if len(c.TLSAddrs) > 0 && c.TLS.Certificate == nil {
		return nil, errors.New("sip: an address for TLS needs a certificate")
	}
	for _, codec := range c.Codecs {
		if !codec.Audio() {
			return nil, fmt.Errorf("sip: codec %s is not available on phone legs", codec)
		}
	}
	if c.Listen == nil {
		c.Listen = media.ListenUDP
	}
	if c.ListenTCP == nil {
		c.ListenTCP = func(ctx context.Context, network, address string) (net.Listener, error) {
			var lc net.ListenConfig
			return lc.Listen(ctx, network, address)
		}
	}
	if c.Plan == nil {
		c.Plan = func() *dialplan.Plan { return &dialplan.Plan{} }
	}
	if c.SessionExpires == 0 {
		c.SessionExpires = defaultSession
	}
	if c.MinSE == 0 {
		c.MinSE = defaultMinSE
	}
	if c.UserAgent == "" {
		c.UserAgent = "Roomline"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	identity, err := rtp.NewIdentity()
	if err != nil {
		return nil, fmt.Errorf("sip: %w", err)
	}
	u := &UA{config: c, identity: identity, log: c.Log, ready: make(chan struct{}), dead: make(chan struct{}),
		lines: map[lineKey]*Line{}, invites: map[string]invited{}, feeds: map[string]*socket.Feed{}, dials: map[dialKey]*attempt{},
		serverTLS: c.TLS.Server()}
	u.pressure.bound.Store(crowded)
	u.narrow.until = map[netip.AddrPort]time.Time{}
	u.names = newLocator(c.Resolver)
	u.guard = socket.NewGuard(c.UserAgent, allowed, u.refusedRaw)
	u.bans, u.guard.Knows, u.guard.Strike = u.guard.Bans, u.knows, u.strike
	u.doorman, u.trunks = newDoorman(), newTrunks(u)
	u.streams = socket.NewStreams(u.guard, c.MaxConns, c.Trace)
	return u, nil
}

// Run listens until ctx ends, then hangs up every Line, waits for the peers'
// answers for a short time and returns after every goroutine has ended. It is called once.
func (u *UA) Run(ctx context.Context) error {
	if err := u.open(ctx); err != nil {
		u.close()
		return err
	}
	close(u.ready)
	var services sync.WaitGroup
	services.Go(func() { u.trunks.run(ctx) })
	<-ctx.Done()
	u.hangUpAll()
	services.Wait()
	u.close()
	return nil
}

// hangUpAll ends every Line and waits for their dialogs to be over.
func (u *UA) hangUpAll() {
	u.mu.Lock()
	u.stopping = true
	var list []*Line
	for _, l := range u.lines {
		list = append(list, l)
	}
	u.mu.Unlock()
	for _, l := range list {
		l.End(bridge.CauseShutdown, "the gateway is stopping")
	}
	patience := time.NewTimer(farewell())
	defer patience.Stop()
	for _, l := range list {
		select {
		case <-l.done:
		case <-patience.C:
			return
		}
	}
}

func (u *UA) close() {
	u.mu.Lock()
	u.stopping, u.closing = true, true
	u.mu.Unlock()
	close(u.dead)
	if u.stack != nil {
		u.stack.TransactionLayer().Close()
	}
	u.work.Wait()
	u.settle()
	u.closeSockets()
	if u.stack != nil {
		u.stack.Close()
	}
	u.servers.Wait()
}

// settle lets messages that were read already run through sipgo while its
// sockets are still there; it would open new ones, which nobody closes. sipgo
// does not count its goroutines, so this is a pause and not a wait.
func (u *UA) settle() {
	for _, f := range u.faces {
		if f.udp != nil {
			f.udp.Deaf.Store(true)
		}
	}
	if len(u.faces) > 0 {
		time.Sleep(50 * time.Millisecond)
	}
}

// Ready is closed when all sockets listen.
func (u *UA) Ready() <-chan struct{} { return u.ready }

// Addr is the first of Config.Addrs, with its real port; valid after Ready.
func (u *UA) Addr() netip.AddrPort {
	if len(u.faces) == 0 {
		return netip.AddrPort{}
	}
	return u.faces[0].addr
}

// TLSAddr is the first of Config.TLSAddrs, with its real port; zero without one.
func (u *UA) TLSAddr() netip.AddrPort {
	for _, f := range u.faces {
		if f.secure {
			return f.addr
		}
	}
	return netip.AddrPort{}
}

// begin counts work that Run must wait for; false when the sockets are about to
// close. A UA that is only stopping still says BYE and CANCEL, and answers.
func (u *UA) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closing {
		return false
	}
	u.work.Add(1)
	return true
}

// transactions is sipgo's transaction layer.
func (u *UA) transactions() *sipmsg.TransactionLayer { return u.stack.TransactionLayer() }

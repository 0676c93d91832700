package sip

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// Config is what a UA needs; it is copied by New and not changed afterwards.
type Config struct {
	// Addrs are host:port pairs; each is listened on over UDP and TCP. Port 0
	// takes a free one, the same for both. The first one is the face of calls that we place.
	Addrs []string
	// PublicIP is what Contact, Via and SDP say behind a NAT; zero: the local address.
	PublicIP netip.Addr
	// Ports gives RTP port pairs to Lines.
	Ports *rtp.Ports
	// Listen opens UDP sockets, for signalling and RTP; nil is media.ListenUDP.
	Listen media.Listen
	// ListenTCP opens TCP listeners; nil is the operating system's.
	ListenTCP func(ctx context.Context, network, address string) (net.Listener, error)
	// Codecs in order of preference for our own offers; empty is PCMU, PCMA.
	Codecs []media.Codec
	// UserAgent is the value of the User-Agent and Server header fields.
	UserAgent string
	Log       *slog.Logger

	// Admit decides whether an INVITE may become a call, before anything is
	// allocated; nil means yes. Called by many goroutines at once, must not block.
	Admit func(bridge.Invite) *bridge.Refusal
	// Incoming takes over a new inbound Line; it must return at once.
	Incoming func(bridge.Invite, bridge.Line)
	// Refused is told of every INVITE that became no call, those that Admit
	// refused included, exactly once each. It must not block.
	Refused func(bridge.Refusal)

	// MaxConns bounds open TCP connections; 0 means 1024.
	MaxConns int
}

// UA is a SIP user agent. Its methods are safe for concurrent use.
type UA struct {
	config Config
	ready  chan struct{}
}

var _ bridge.Dialer = (*UA)(nil)

var errNotRunning = errors.New("the SIP user agent is not running")

// New checks the configuration; Run opens the sockets.
func New(c Config) (*UA, error) { return &UA{config: c, ready: make(chan struct{})}, nil }

// Run listens until ctx ends, then hangs up every Line, waits for the peers'
// answers for a short time and returns after every goroutine has ended.
func (u *UA) Run(ctx context.Context) error { return errNotRunning }

// Ready is closed when all sockets listen.
func (u *UA) Ready() <-chan struct{} { return u.ready }

// Addr is the first address listened on, with its real port; valid after Ready.
func (u *UA) Addr() netip.AddrPort { return netip.AddrPort{} }

// Dial starts an outbound call; see bridge.Dialer.
func (u *UA) Dial(spec bridge.DialSpec) (bridge.Line, error) { return nil, errNotRunning }

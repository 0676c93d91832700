package phone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/sip"
)

// Config is what a Phone needs; the zero value listens on any port of
// 127.0.0.1 and speaks PCMU and PCMA.
type Config struct {
	Addr   string        // IP:port for SIP over UDP and TCP; empty: 127.0.0.1:0
	Codecs []media.Codec // in order of preference; empty: PCMU, PCMA
	SRTP   string        // off (default), optional or required, as on a trunk
	Ptime  time.Duration // of packets sent, 10 to 60 ms in steps of 10; 0: what the peer asks for
	Ports  *rtp.Ports    // nil: any free ones
	Listen media.Listen  // nil: the operating system's
	Log    *slog.Logger  // nil: silent

	// KeepHeard bounds the sound kept per call, heard and said alike; 0 means
	// 10 minutes, negative none. Figures go on when it is full.
	KeepHeard time.Duration
	// KeepSaid keeps what was said too, for [Call.Said].
	KeepSaid bool

	// Admit may refuse a call before it reaches [Phone.Next], with any SIP code.
	// nil takes all. Called by many goroutines at once, must not block.
	Admit func(bridge.Invite) *bridge.Refusal
}

// Phone is a softphone with any number of lines. Its methods are safe for
// concurrent use.
type Phone struct {
	config  Config
	log     *slog.Logger
	ua      *sip.UA
	stop    context.CancelFunc
	stopped chan struct{} // the user agent has returned
	failure error         // of the user agent; read after stopped

	incoming chan *Call

	mu     sync.Mutex
	closed bool
	live   map[*Call]struct{}
	calls  sync.WaitGroup // one for each call in live
}

// waitingCalls is how many calls may wait for Next; further ones hear busy.
const waitingCalls = 64

var errClosed = errors.New("the phone is closed")

// Open starts a phone; ctx bounds the start only. Close ends it.
func Open(ctx context.Context, c Config) (*Phone, error) {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.KeepHeard == 0 {
		c.KeepHeard = 10 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := checkPtime(c.Ptime); err != nil {
		return nil, err
	}
	p := &Phone{config: c, log: c.Log, stopped: make(chan struct{}), live: map[*Call]struct{}{}, incoming: make(chan *Call, waitingCalls)}
	ua, err := sip.New(sip.Config{
		Addrs: []string{c.Addr}, Ports: c.Ports, Listen: c.Listen, Codecs: c.Codecs, Log: c.Log,
		UserAgent: "Roomline phone", Admit: c.Admit, Incoming: p.ring,
		TrunkOf: func(bridge.Invite) dialplan.Trunk { return dialplan.Trunk{Name: "phone", SRTP: c.SRTP} },
	})
	if err != nil {
		return nil, err
	}
	p.ua = ua
	return p, p.start(ctx)
}

func checkPtime(d time.Duration) error {
	if d != 0 && (d < 10*time.Millisecond || d > 60*time.Millisecond || d%(10*time.Millisecond) != 0) {
		return fmt.Errorf("packet time of %s: expected 10ms to 60ms in steps of 10ms", d)
	}
	return nil
}

func (p *Phone) start(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	go func() {
		defer close(p.stopped)
		p.failure = p.ua.Run(running)
	}()
	select {
	case <-p.ua.Ready():
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), p.Close())
	case <-p.stopped:
		stop()
		return p.failure
	}
}

// Close hangs up every call, waits for them and for every goroutine.
func (p *Phone) Close() error {
	p.mu.Lock()
	p.closed = true
	live := slices.Collect(maps.Keys(p.live))
	p.mu.Unlock()
	for _, c := range live {
		c.Hangup() // before the user agent stops, which could not send a CANCEL any more
	}
	p.stop()
	<-p.stopped
	p.calls.Wait()
	return p.failure
}

// Addr is where the phone listens, with its real port.
func (p *Phone) Addr() netip.AddrPort { return p.ua.Addr() }

// URI is how others call user at this phone.
func (p *Phone) URI(user string) string { return fmt.Sprintf("sip:%s@%s", user, p.Addr()) }

// DialOptions are what a call may differ in.
type DialOptions struct {
	From               string // user part or SIP URI; empty: the username, else "phone"
	Username, Password string // for digest authentication
	Codecs             []media.Codec
	Headers            map[string]string // X- header fields of the INVITE
	RingTimeout        time.Duration     // 0: three minutes
}

// Call starts to call target, a SIP URI, and returns at once; wait with
// [Call.Answered]. An error means that nothing was sent.
func (p *Phone) Call(target string, o DialOptions) (*Call, error) {
	to, err := parseTarget(target)
	if err != nil {
		return nil, err
	}
	if o.From == "" && o.Username == "" {
		o.From = "phone"
	}
	trunk := dialplan.Trunk{Name: "phone", SRTP: p.config.SRTP, Outbound: &dialplan.Outbound{Username: o.Username, Password: o.Password}}
	for _, c := range o.Codecs {
		trunk.Codecs = append(trunk.Codecs, c.String())
	}
	c := p.newCall()
	c.from, c.to = o.From, to
	line, err := p.ua.Dial(bridge.DialSpec{
		CallID: c.id, Trunk: trunk, To: to, From: o.From, Headers: o.Headers, RingTimeout: o.RingTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", to, err)
	}
	if !p.take(c, line) {
		return nil, errClosed
	}
	return c, nil
}

// Dial calls target and waits for the answer. When ctx ends first, the call is
// given up. The Call comes with the error, a *[Failure], if anything was sent.
func (p *Phone) Dial(ctx context.Context, target string, o DialOptions) (*Call, error) {
	c, err := p.Call(target, o)
	if err != nil {
		return nil, err
	}
	return c, c.Answered(ctx)
}

// Next waits for a call that comes in. The caller hears nothing before
// [Call.Ring], [Call.Answer] or [Call.Reject].
func (p *Phone) Next(ctx context.Context) (*Call, error) {
	select {
	case c := <-p.incoming:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.stopped:
		return nil, errClosed
	}
}

// ring takes a call from the user agent.
func (p *Phone) ring(inv bridge.Invite, line bridge.Line) {
	c := p.newCall()
	c.inbound, c.Invite, c.from, c.to = true, inv, inv.From, inv.To
	if !p.take(c, line) {
		line.End(bridge.CauseShutdown, "the phone is switched off")
		return
	}
	select {
	case p.incoming <- c:
	default:
		c.Reject(bridge.CauseBusy, "too many calls wait at this phone")
	}
}

// take begins to watch a call's line; false when the phone is closed, whose
// user agent ends the line then.
func (p *Phone) take(c *Call, line bridge.Line) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	c.attach(line)
	p.live[c] = struct{}{}
	p.calls.Go(func() {
		c.watch()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.live, c)
	})
	return true
}

package sip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/sip/socket"
	"github.com/roomline/roomline/sip/text"
)

const (
	registerFor  = time.Hour // what we ask for
	registerMost = 24 * time.Hour
	answerTime   = 4 * time.Second  // patience with a server outside of calls
	goodbyeTime  = 2 * time.Second  // to take a registration back
	linkCheck    = 5 * time.Second  // how often a registration's connection is looked after
	stirTime     = 25 * time.Second // how often a NAT is reminded of us
	retryFirst   = 5 * time.Second  // after the first failure
	retryBase    = 30 * time.Second // after the second; doubles
	retryMost    = 30 * time.Minute
)

// registration keeps one trunk registered, RFC 3261 section 10. Its goroutine
// owns all but what is behind mu.
type registration struct {
	ua    *UA
	trunk dialplan.Trunk
	log   *slog.Logger

	callID  string
	seq     uint32
	auth    credentials
	ask     time.Duration  // Expires that the registrar accepts
	outside netip.AddrPort // how the registrar sees us, if that is not how we see ourselves

	mu      sync.Mutex
	status  string // registered, trying, failed
	at      time.Time
	until   time.Time
	words   string       // what is wrong
	server  target       // where we are registered
	dialog  Dialog       // the last REGISTER's
	sources []netip.Addr // of the trunk's servers
}

// registerError is a REGISTER that did not succeed.
type registerError struct {
	words string
	wait  time.Duration // what the server asks us to wait; 0: it says nothing
	final bool          // other servers would say the same
}

// Error implements error.
func (e *registerError) Error() string { return e.words }

func newRegistration(u *UA, t dialplan.Trunk) *registration {
	o := t.Outbound
	return &registration{
		ua: u, trunk: t, log: u.log.With("trunk", t.Name), callID: newCallID(), ask: registerFor, status: "trying",
		auth: credentials{username: o.Username, password: o.Password},
	}
}

// run registers and refreshes until ctx ends, then takes the registration back.
func (r *registration) run(ctx context.Context) {
	defer r.takeBack()
	failures := 0
	for ctx.Err() == nil {
		granted, err := r.cycle(ctx)
		var wait time.Duration
		if err == nil {
			failures = 0
			wait = refreshAfter(granted)
		} else if ctx.Err() == nil {
			failures++
			wait = backoff(failures, rand.Float64())
			var e *registerError
			if errors.As(err, &e) && e.wait > 0 {
				if wait = max(wait, e.wait); failures <= 3 {
					wait = e.wait
				}
			}
			r.failed(err, wait)
		}
		if !r.rest(ctx, wait) {
			return
		}
	}
}

// rest waits; false when the registration is to end. A connection that breaks
// ends the wait: calls would come over it.
func (r *registration) rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	look, stir := time.NewTicker(linkCheck), time.NewTicker(stirTime)
	defer look.Stop()
	defer stir.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-stir.C:
			r.holdOpen()
		case <-look.C:
			r.mu.Lock()
			lost := r.status == "registered" && socket.IsStream(r.server.transport) && r.ua.stream(r.server, r.dialog.Socket) == nil
			r.mu.Unlock()
			if lost {
				r.log.Warn("the connection of a registration is gone, it is made anew", "server", r.server.String())
				return true
			}
		}
	}
}

// holdOpen keeps the way in through a NAT open, RFC 5626 section 3.5.2 in its
// simplest form: an empty datagram's worth of line ends, which nobody answers.
func (r *registration) holdOpen() {
	r.mu.Lock()
	to, from := r.server, r.dialog.Socket
	on := r.status == "registered" && to.transport == "udp"
	r.mu.Unlock()
	if f := r.ua.faceAt(from); on && r.outside.IsValid() && f != nil && f.udp != nil {
		f.udp.Write([]byte("\r\n\r\n"), net.UDPAddrFromAddrPort(to.addr))
	}
}

// cycle tries the trunk's servers in order, those that are out of order last.
func (r *registration) cycle(ctx context.Context) (time.Duration, error) {
	var targets []target
	var failed error
	for _, l := range r.ua.lookUp(ctx, r.trunk) {
		if l.err != nil {
			failed = &registerError{words: text.Printable(l.err.Error(), 200)}
		}
		targets = append(targets, l.targets...)
	}
	r.mu.Lock()
	r.sources = r.sources[:0:0]
	for _, t := range targets {
		r.sources = append(r.sources, t.addr.Addr())
	}
	r.mu.Unlock()
	for _, t := range r.ua.names.downLast(targets) {
		granted, err := r.register(ctx, t, r.ask)
		if err == nil {
			return granted, nil
		}
		failed = fmt.Errorf("%s: %w", t, err)
		var e *registerError
		if ctx.Err() != nil || errors.As(err, &e) && e.final {
			break
		}
	}
	if failed == nil {
		failed = &registerError{words: "the trunk has no server"}
	}
	return 0, failed
}

// register sends REGISTER to one server until it is settled.
func (r *registration) register(ctx context.Context, to target, expires time.Duration) (time.Duration, error) {
	for range 4 {
		res, d, err := r.send(ctx, to, expires)
		if err != nil && res == nil {
			if ctx.Err() == nil {
				r.ua.names.down(to, text.Printable(err.Error(), 200), downTime)
			}
			return 0, &registerError{words: hintOf(err)}
		}
		if res.StatusCode == 503 {
			r.ua.names.down(to, "503 "+text.Printable(res.Reason, 100), retryAfterOf(res, downTime))
			return 0, r.refusal(res, err)
		}
		r.ua.names.up(to)
		switch {
		case res.StatusCode == 423:
			min, ok := secondsIn(res, "Min-Expires")
			if !ok || min <= expires || min > registerMost {
				return 0, &registerError{words: "423: the registrar wants a longer registration and does not say a usable length"}
			}
			r.ask, expires = min, min
			continue
		case res.IsSuccess():
			if r.seenOtherwise(res, d) && expires > 0 {
				continue // once more, with the address that it sees
			}
			return r.registered(to, d, res, expires), nil
		}
		return 0, r.refusal(res, err)
	}
	return 0, &registerError{words: "the registrar is not content with any answer"}
}

// send sends one REGISTER, section 10.2.
func (r *registration) send(ctx context.Context, to target, expires time.Duration) (*sipmsg.Response, Dialog, error) {
	d, err := r.ua.outside(r.trunk, to)
	if err != nil {
		return nil, d, err
	}
	d.CallID, d.LocalSeq, d.Target = r.callID, r.seq, "sip:"+domainOf(r.trunk)
	if r.outside.IsValid() && to.transport == "udp" {
		at := d
		at.SentBy = r.outside
		d.Contact = at.contact(accountUser(r.trunk))
	}
	req, err := d.request(sipmsg.REGISTER, d.LocalSeq+1)
	if err != nil {
		return nil, d, err
	}
	req.AppendHeader(sipmsg.NewHeader("Expires", itoa(int(expires/time.Second))))
	req.AppendHeader(sipmsg.NewHeader("User-Agent", r.ua.config.UserAgent))
	req.AppendHeader(sipmsg.NewHeader("Allow", allowed))
	req.SetBody(nil)
	res, err := r.ua.askAs(ctx, req, to, &d, &r.auth, answerTime)
	r.seq = max(d.LocalSeq, req.CSeq().SeqNo)
	return res, d, err
}

// seenOtherwise notes that a NAT stands between us and the registrar, RFC 3581:
// the Contact must name its outside. An address that was configured is right.
func (r *registration) seenOtherwise(res *sipmsg.Response, d Dialog) bool {
	f := r.ua.faceAt(d.Socket)
	seen, ok := seenFrom(res)
	if !ok || d.Transport != "udp" || f == nil || f.Public.IsValid() || seen == d.SentBy || seen == r.outside {
		return false
	}
	r.outside = seen
	r.log.Info("the registrar sees us at another address, the registration names that one", "address", seen.String())
	return true
}

// registered notes success.
func (r *registration) registered(to target, d Dialog, res *sipmsg.Response, asked time.Duration) time.Duration {
	granted := grantedTo(res, d.Contact, asked)
	now := time.Now()
	r.mu.Lock()
	first := r.status != "registered" || r.server != to
	if first {
		r.at = now
	}
	r.status, r.words, r.until = "registered", "", now.Add(granted)
	r.server, r.dialog = to, d
	if source, err := netip.ParseAddrPort(res.Source()); err == nil && !slices.Contains(r.sources, source.Addr().Unmap()) {
		r.sources = append(r.sources, source.Addr().Unmap())
	}
	r.mu.Unlock()
	if first {
		r.log.Info("registered", "server", to.String(), "expires", granted)
	}
	return granted
}

// refusal says in words why a REGISTER failed, and how long to wait.
func (r *registration) refusal(res *sipmsg.Response, err error) *registerError {
	e := &registerError{words: fmt.Sprintf("%d %s", res.StatusCode, text.Printable(res.Reason, 100))}
	if res.GetHeader("Retry-After") != nil {
		e.wait = retryAfterOf(res, retryBase)
	}
	hint := hintOfCode(res, "register")
	if err != nil {
		hint = hintOf(err)
	}
	if hint != "" {
		e.words += ": " + hint
	}
	e.final = res.StatusCode == 401 || res.StatusCode == 403 || res.StatusCode == 404 || res.StatusCode == 407
	return e
}

// failed notes a failure. What was granted before holds until it runs out.
func (r *registration) failed(err error, wait time.Duration) {
	words := text.Printable(err.Error(), 300)
	r.mu.Lock()
	if r.status != "registered" || time.Now().After(r.until) {
		r.status = "failed"
	}
	r.words = words
	r.mu.Unlock()
	r.log.Warn("registering failed", "error", words, "retry_in", wait.Round(time.Second))
}

// takeBack unregisters, as well as can be done in a short time.
func (r *registration) takeBack() {
	r.mu.Lock()
	on, to := r.status == "registered" && time.Now().Before(r.until), r.server
	r.status, r.sources = "trying", nil
	r.mu.Unlock()
	if !on {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
	defer cancel()
	if _, _, err := r.send(ctx, to, 0); err != nil {
		r.log.Warn("the registration could not be taken back", "error", text.Printable(err.Error(), 200))
	}
}

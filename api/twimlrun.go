package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/roomline/roomline/agent"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// Bounds of fetching TwiML.
const (
	twimlTimeout = 5 * time.Second
	twimlSize    = 64 << 10
	mostHops     = 5 // documents that redirect to each other
)

// twimlRun runs documents on one call.
type twimlRun struct {
	s    *Server
	call LiveCall
	who  twilioCaller
	hops int
	// asked: the document that runs on the call by now is to end when the first of
	// these has been read.
	asked bool
}

// document runs one. Up to the first pause, which goes on behind the caller's
// back, an error says what could not be done.
func (r *twimlRun) document(ctx context.Context, text []byte, base *url.URL) error {
	verbs, err := parseTwiML(text, base, r.agents())
	if err != nil {
		return err
	}
	if r.asked {
		r.asked = false
		r.s.scripts.stop(r.call.Record().ID)
	}
	return r.run(ctx, verbs)
}

// agents are those that the caller may send calls to.
func (r *twimlRun) agents() []dialplan.Agent {
	if r.who.all {
		return r.s.plan().Agents
	}
	return r.who.agents
}

func (r *twimlRun) run(ctx context.Context, verbs []verb) error {
	for i, v := range verbs {
		switch {
		case v.pause > 0:
			r.later(verbs[i:])
			return nil
		case v.digits != "":
			if strings.ContainsAny(v.digits, "wW") {
				r.later(verbs[i:])
				return nil
			}
			if err := r.call.SendDigits(ctx, v.digits); err != nil {
				return err
			}
		case v.address != "":
			return r.fetch(ctx, v.address, v.method)
		case v.on != nil:
			return r.call.Transfer(ctx, *v.on)
		case v.last:
			r.call.Hangup(bridge.CauseNone, "the agent's document has ended")
		}
	}
	return nil
}

// scripts are the documents under way, of which a call has one at a time.
type scripts struct {
	sync.WaitGroup
	mu   sync.Mutex
	live map[string]*script // by call id
}

type script struct{ stop context.CancelFunc }

// begin puts a call's document in the place of the one before; end takes it out.
func (s *scripts) begin(id string) (ctx context.Context, end func()) {
	s.stop(id)
	ctx, cancel := context.WithCancel(context.Background())
	ours := &script{cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		s.live = map[string]*script{}
	}
	s.live[id] = ours
	return ctx, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.live[id] == ours {
			delete(s.live, id)
		}
	}
}

// stop ends the document that runs on a call, if there is one.
func (s *scripts) stop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.live[id]; before != nil {
		before.stop()
		delete(s.live, id)
	}
}

// later runs verbs that take time.
func (r *twimlRun) later(verbs []verb) {
	ctx, end := r.s.scripts.begin(r.call.Record().ID)
	r.s.scripts.Go(func() {
		defer end()
		defer func() {
			if p := recover(); p != nil {
				r.s.log.Error("api: panic in a document", "call", r.call.Record().ID, "panic", p)
			}
		}()
		for len(verbs) > 0 {
			v := verbs[0]
			if v.pause == 0 && !strings.ContainsAny(v.digits, "wW") {
				break
			}
			if !r.slow(ctx, v) {
				return
			}
			verbs = verbs[1:]
		}
		if err := r.run(ctx, verbs); err != nil && ctx.Err() == nil {
			r.s.log.Warn("api: a document could not be run to its end", "call", r.call.Record().ID, "error", err)
		}
	})
}

// slow pauses, or presses keys with pauses between them; it reports whether the
// call still lasts.
func (r *twimlRun) slow(ctx context.Context, v verb) bool {
	if v.pause > 0 {
		return r.sleep(ctx, v.pause)
	}
	for keys := range strings.FieldsSeq(strings.NewReplacer("w", " w ", "W", " w ").Replace(v.digits)) {
		if keys == "w" {
			if !r.sleep(ctx, 500*time.Millisecond) {
				return false
			}
			continue
		}
		if err := r.call.SendDigits(ctx, keys); err != nil {
			return false
		}
	}
	return true
}

func (r *twimlRun) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-r.call.Done():
	case <-r.s.ending:
	}
	return false
}

// parseConnect finds the agent of <Connect><Stream>, by its name or its address.
// <Parameter>s go to it as data of the handover.
func parseConnect(e *element, agents []dialplan.Agent) (verb, error) {
	if len(e.Elements) != 1 || e.Elements[0].XMLName.Local != "Stream" {
		return verb{}, unknownVerb("<Connect> needs one <Stream>")
	}
	stream := &e.Elements[0]
	name, address := stream.attr("name"), stream.attr("url")
	i := slices.IndexFunc(agents, func(a dialplan.Agent) bool {
		return address != "" && slices.Contains(a.Workers(), address) || address == "" && a.Name == name
	})
	if i < 0 {
		return verb{}, unknownVerb("<Stream> names none of the account's agents: url must be that of an agent in the dial plan, or name its name")
	}
	told := map[string]string{}
	for _, p := range stream.Elements {
		if p.XMLName.Local != "Parameter" || p.attr("name") == "" {
			return verb{}, unknownVerb("<Stream> holds <Parameter name value> only")
		}
		told[p.attr("name")] = p.attr("value")
	}
	req := bridge.TransferRequest{Agent: agents[i].Name}
	if len(told) > 0 {
		data, _ := json.Marshal(told) // strings: cannot fail
		req.Handover = &bridge.Handover{Data: data}
	}
	return sends(req), nil
}

// resolve makes an address absolute.
func resolve(text string, base *url.URL) (string, error) {
	u, err := url.Parse(text)
	if err == nil && base != nil {
		u = base.ResolveReference(u)
	}
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return "", twilioFault(http.StatusBadRequest, 21205, "Url is not a valid URL: expected http:// or https:// without user and password")
	}
	return u.String(), nil
}

// fetch gets a document and runs it.
func (r *twimlRun) fetch(ctx context.Context, address, method string) error {
	if r.hops++; r.hops > mostHops {
		return twilioFault(http.StatusBadRequest, 11215, "documents redirected to each other more than %d times", mostHops)
	}
	address, err := resolve(address, nil)
	if err != nil {
		return err
	}
	req, err := r.request(address, method)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, ownHosts{}, r.hosts()), twimlTimeout)
	defer cancel()
	unreachable := twilioFault(http.StatusBadRequest, 11200, "the document at %s cannot be fetched", req.URL.Host)
	resp, err := r.s.twiml.Do(req.WithContext(ctx))
	if err != nil {
		if errors.Is(err, errInside) {
			unreachable.Message += ": " + errInside.Error()
		}
		return unreachable
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		unreachable.Message += ": it answered " + resp.Status
		return unreachable
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, twimlSize+1))
	if err != nil || len(text) > twimlSize {
		unreachable.Message += ": it breaks off, or has more than 64 KiB"
		return unreachable
	}
	return r.document(ctx, text, req.URL)
}

// request tells the program of the call, signed with its agent's key.
func (r *twimlRun) request(address, method string) (*http.Request, error) {
	rec := r.call.Record()
	form := url.Values{
		"CallSid": {agent.CallSID(rec.ID)}, "AccountSid": {r.who.account}, "From": {rec.From}, "To": {rec.To},
		"Caller": {rec.From}, "Called": {rec.To}, "CallStatus": {twilioStatus(rec)}, "Direction": {twilioDirection(rec)}, "ApiVersion": {twilioVersion},
	}
	var req *http.Request
	var err error
	signed := address
	switch strings.ToUpper(method) {
	case "", http.MethodPost:
		if req, err = http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode())); err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for _, name := range slices.Sorted(maps.Keys(form)) {
			signed += name + form.Get(name)
		}
	case http.MethodGet:
		if req, err = http.NewRequest(http.MethodGet, address, nil); err == nil {
			query := req.URL.Query()
			for name := range form {
				query.Set(name, form.Get(name))
			}
			req.URL.RawQuery = query.Encode()
			signed = req.URL.String()
		}
	default:
		return nil, twilioFault(http.StatusBadRequest, 20001, "Method must be GET or POST")
	}
	if err != nil {
		return nil, twilioFault(http.StatusBadRequest, 21205, "Url is not a valid URL")
	}
	req.Header.Set("User-Agent", "Roomline/1")
	for _, a := range r.who.agents {
		if a.Key != "" {
			req.Header.Set("X-Twilio-Signature", agent.Signature(a.Key, signed))
		}
	}
	return req, nil
}

// ownHosts finds the hosts of the caller's agents in a context: those may be
// private, everything else must be on the public Internet, for who holds an
// agent's key is not one who may look around inside.
type ownHosts struct{}

var errInside = errors.New("it is at a private address, and none of the agent's own")

func (r *twimlRun) hosts() (hosts []string) {
	for _, a := range r.agents() {
		for _, w := range a.Workers() {
			if u, err := url.Parse(w); err == nil {
				hosts = append(hosts, u.Hostname())
			}
		}
	}
	return hosts
}

func newTwimlClient() *http.Client {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		host, _, _ := net.SplitHostPort(address)
		if own, _ := ctx.Value(ownHosts{}).([]string); !slices.Contains(own, host) {
			d.Control = func(_, address string, _ syscall.RawConn) error {
				if to, err := netip.ParseAddrPort(address); err != nil || !public(to.Addr().Unmap()) {
					return errInside
				}
				return nil
			}
		}
		return d.DialContext(ctx, network, address)
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dial, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10, TLSHandshakeTimeout: twimlTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// public reports whether an address is on the Internet.
func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !sharedSpace.Contains(a)
}

// sharedSpace is between carriers and their customers, RFC 6598.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

package api

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/roomline/roomline/agent"
)

// Bounds of fetching TwiML.
const (
	twimlTimeout = 5 * time.Second
	twimlSize    = 64 << 10
	mostHops     = 5 // documents that redirect to each other
)

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

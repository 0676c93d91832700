package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// TestStep is one step of an agent's test, at one of its workers.
type TestStep struct {
	Worker string `json:"worker" doc:"its address, without what may be secret in it"`
	// Name is dns, connect, tls, websocket, start or sound.
	bridge.TrunkStep
}

// checkSound is how long a test waits for the agent's first sound.
const checkSound = 3 * time.Second

// checkStep bounds each of the steps before.
const checkStep = 5 * time.Second

// Test places a synthetic call at each of an agent's workers, marked as a probe,
// and reports every step when it is done, from the calling goroutine. It takes no
// place of the pool, and what it sees changes nothing of how workers are judged.
func (h *House) Test(ctx context.Context, name string, report func(TestStep)) error {
	h.init()
	a, ok := h.plan().AgentNamed(name)
	if !ok {
		return refuse(bridge.NotFound, "there is no agent %q in the dial plan", name)
	}
	ctx, over, err := h.begin(ctx)
	if err != nil {
		return err
	}
	defer over()
	for _, worker := range a.Workers() {
		c := check{house: h, agent: a, worker: worker, report: report}
		c.run(ctx)
	}
	return nil
}

// begin lets Run wait for a test, and end it: ctx then ends. over is called after it.
func (h *House) begin(parent context.Context) (ctx context.Context, over func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return nil, nil, refuse(bridge.Unavailable, "the gateway is shutting down")
	}
	ctx, cancel := context.WithCancel(parent)
	key := &cancel
	h.tests[key] = cancel
	h.running.Add(1)
	return ctx, func() {
		cancel()
		h.mu.Lock()
		delete(h.tests, key)
		h.mu.Unlock()
		h.running.Done()
	}, nil
}

// check is the test of one worker.
type check struct {
	house  *House
	agent  dialplan.Agent
	worker string
	report func(TestStep)
	url    *url.URL
	conn   net.Conn // of the steps before the call
}

// run goes on until a step fails; what comes after it is skipped.
func (c *check) run(ctx context.Context) {
	defer func() {
		if c.conn != nil {
			c.conn.Close()
		}
	}()
	steps := []struct {
		name string
		do   func(context.Context) (result, words, hint string)
	}{{"dns", c.dns}, {"connect", c.connect}, {"tls", c.tls}}
	for i, s := range steps {
		began := time.Now()
		result, words, hint := s.do(ctx)
		c.tell(s.name, result, words, hint, time.Since(began))
		if result == "failed" {
			for _, left := range steps[i+1:] {
				c.skip(left.name)
			}
			c.skip("websocket", "start", "sound")
			return
		}
	}
	c.call(ctx)
}

func (c *check) tell(name, result, words, hint string, took time.Duration) {
	c.report(TestStep{Worker: workerName(c.worker), TrunkStep: bridge.TrunkStep{Name: name, Result: result, Words: words, Hint: hint, MS: ms(took)}})
}

func (c *check) skip(names ...string) {
	for _, name := range names {
		c.tell(name, "skipped", "not tried: a step before it failed", "", 0)
	}
}

// dns looks the name up.
func (c *check) dns(ctx context.Context) (result, words, hint string) {
	u, err := url.Parse(c.worker)
	if err != nil {
		return "failed", "its address cannot be read", "correct the agent's url in the dial plan"
	}
	c.url = u
	host := u.Hostname()
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: httpURL(u)}); err == nil && proxy != nil {
		return "skipped", "a proxy, " + proxy.Host + ", is asked for " + host, ""
	}
	if net.ParseIP(host) != nil {
		return "skipped", host + " is an address already", ""
	}
	ctx, cancel := context.WithTimeout(ctx, checkStep)
	defer cancel()
	found, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return "failed", host + " is not known to DNS: " + innermost(err).Error(), "check the name in the agent's url, and this machine's resolver"
	}
	return "ok", host + " is " + strings.Join(found, ", "), ""
}

// httpURL is a WebSocket's address as proxies know it.
func httpURL(u *url.URL) *url.URL {
	other := *u
	other.Scheme = "http" + strings.TrimPrefix(u.Scheme, "ws")
	return &other
}

// connect opens a TCP connection.
func (c *check) connect(ctx context.Context) (result, words, hint string) {
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: httpURL(c.url)}); err == nil && proxy != nil {
		return "skipped", "through the proxy", ""
	}
	port := c.url.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[c.url.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, checkStep)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(c.url.Hostname(), port))
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "failed", fmt.Sprintf("port %s did not answer within %s", port, checkStep), "a firewall may drop packets between here and there"
	case err != nil:
		return "failed", fmt.Sprintf("port %s: %s", port, innermost(err)), "start the agent, or correct the host and the port in its url"
	}
	c.conn = conn
	return "ok", "connected to " + conn.RemoteAddr().String(), ""
}

// tls checks the certificate.
func (c *check) tls(ctx context.Context) (result, words, hint string) {
	if c.url.Scheme == "ws" {
		return "skipped", "ws: what is said is not encrypted", ""
	}
	if c.conn == nil {
		return "skipped", "through the proxy", ""
	}
	conf := c.house.TLS.Clone()
	if conf == nil {
		conf = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	conf.ServerName = c.url.Hostname()
	conn := tls.Client(c.conn, conf)
	ctx, cancel := context.WithTimeout(ctx, checkStep)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return "failed", err.Error(), "the certificate must be valid for " + conf.ServerName + " and signed by an authority that this machine trusts; a port without TLS needs ws://"
	}
	st := conn.ConnectionState()
	until := st.PeerCertificates[0].NotAfter
	return "ok", fmt.Sprintf("%s, the certificate is valid until %s", tls.VersionName(st.Version), until.UTC().Format(time.DateOnly)), ""
}

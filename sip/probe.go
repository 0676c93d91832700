package sip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/sip/socket"
	"github.com/roomline/roomline/sip/text"
)

// probe is one test of a trunk. It goes from the ground up, and a step that
// cannot be reached is skipped.
type probe struct {
	ua     *UA
	trunk  dialplan.Trunk
	test   bridge.TrunkTest
	report func(bridge.TrunkStep)
	alive  []target // that the steps so far have reached
}

// outcome is what a step found.
type outcome struct {
	result, words, hint string
}

func passed(format string, a ...any) outcome { return outcome{"ok", fmt.Sprintf(format, a...), ""} }
func skipped(words string) outcome           { return outcome{"skipped", words, ""} }
func failedStep(words, hint string) outcome  { return outcome{"failed", words, hint} }

// TestTrunk tests a trunk, which need not be in the plan, and reports each step
// when it is done, from the calling goroutine. Nothing that is live is touched:
// its REGISTER asks for the bindings and changes none. The test call is placed as
// test says; whether it may be is for the caller to decide. It returns when ctx
// ends, or after the last step, within a minute and the time it listens.
func (u *UA) TestTrunk(ctx context.Context, t dialplan.Trunk, test bridge.TrunkTest, report func(bridge.TrunkStep)) {
	p := &probe{ua: u, trunk: t, test: test, report: report}
	select {
	case <-u.ready:
	default:
		p.step("dns", func() outcome { return failedStep(errNotRunning.Error(), "wait until the gateway has started") })
		return
	}
	if t.Outbound == nil || len(t.Outbound.Servers) == 0 {
		p.step("dns", func() outcome {
			return skipped("the trunk has no outbound servers: calls only come in, and there is nobody to ask")
		})
		return
	}
	p.step("dns", func() outcome { return p.dns(ctx) })
	p.step("connect", func() outcome { return p.connect(ctx) })
	p.step("tls", func() outcome { return p.tls(ctx) })
	p.step("options", func() outcome { return p.options(ctx) })
	p.step("register", func() outcome { return p.register(ctx) })
	p.call(ctx)
}

// step runs one step and reports it with its time.
func (p *probe) step(name string, run func() outcome) {
	begin := time.Now()
	o := run()
	p.report(bridge.TrunkStep{Name: name, Result: o.result, Words: o.words, Hint: o.hint,
		MS: float64(time.Since(begin).Microseconds()) / 1000})
}

func (p *probe) dns(ctx context.Context) outcome {
	var words []string
	var failed error
	for _, l := range p.ua.lookUp(ctx, p.trunk) {
		if l.err != nil {
			failed = l.err
			words = append(words, fmt.Sprintf("%s: %s", l.server, text.Printable(l.err.Error(), 160)))
			continue
		}
		var addrs []string
		for _, t := range l.targets {
			addrs = append(addrs, t.addr.String())
		}
		words = append(words, l.server+p.ua.wayOf(ctx, l.hop)+strings.Join(addrs, ", "))
		p.alive = append(p.alive, l.targets...)
	}
	switch {
	case len(p.alive) == 0:
		return failedStep(strings.Join(words, "; "), hintOf(failed))
	case failed != nil:
		return outcome{"ok", strings.Join(words, "; "), "one of the servers cannot be found: " + hintOf(failed)}
	}
	return passed("%s", strings.Join(words, "; "))
}

// wayOf says by which records a server was found.
func (u *UA) wayOf(ctx context.Context, h hop) string {
	if _, err := netip.ParseAddr(h.host); err == nil {
		return " needs no look-up: "
	}
	if h.port != 0 {
		return " has a port, so no SRV record was asked for: "
	}
	if records, err := u.names.srv(ctx, h); err == nil && len(records) > 0 {
		return fmt.Sprintf(" by %d SRV records: ", len(records))
	}
	return " has no SRV record, its address record serves: "
}

func (p *probe) connect(ctx context.Context) outcome {
	switch {
	case len(p.alive) == 0:
		return skipped("no server has an address")
	case !socket.IsStream(p.alive[0].transport):
		return skipped("UDP has no connections")
	}
	return p.each("connected to", func(to target) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", to.addr.String())
		if err != nil {
			return "", err
		}
		return "", c.Close()
	}, hintOf)
}

func (p *probe) tls(ctx context.Context) outcome {
	switch {
	case transportOf(p.trunk.Outbound) != "tls":
		return skipped("the trunk's transport is " + transportOf(p.trunk.Outbound))
	case len(p.alive) == 0:
		return skipped("no server takes a connection")
	}
	return p.each("secured:", func(to target) (string, error) {
		d, err := p.ua.outside(p.trunk, to)
		if err != nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		return "the certificate is for " + to.hop.host, p.ua.connect(ctx, to, d.Socket)
	}, hintOfTLS)
}

// each tries all addresses and goes on with those where it worked.
func (p *probe) each(did string, try func(target) (string, error), hint func(error) string) outcome {
	var words []string
	var alive []target
	var failed error
	for _, to := range p.alive {
		more, err := try(to)
		if err != nil {
			failed = err
			said := strings.TrimPrefix(err.Error(), "connect to "+to.String()+": ")
			words = append(words, fmt.Sprintf("%s: %s", to, text.Printable(said, 200)))
			continue
		}
		alive = append(alive, to)
		words = append(words, strings.TrimSpace(strings.Join([]string{did, to.String(), more}, " ")))
	}
	p.alive = alive
	o := passed("%s", strings.Join(words, "; "))
	if failed != nil {
		o.hint = hint(failed)
	}
	if len(alive) == 0 {
		o.result = "failed"
	}
	return o
}

func (p *probe) options(ctx context.Context) outcome {
	if len(p.alive) == 0 {
		return skipped("no server was reached")
	}
	answered := 0
	var words []string
	var hint string
	for _, to := range p.alive {
		res, rtt, err := p.ua.ping(ctx, p.trunk, to)
		if err != nil {
			words = append(words, fmt.Sprintf("%s: %s", to, text.Printable(err.Error(), 160)))
			hint = hintOf(err)
			continue
		}
		said := fmt.Sprintf("%s answers %d %s in %.1f ms", to, res.StatusCode, text.Printable(res.Reason, 80), float64(rtt.Microseconds())/1000)
		if seen, ok := seenFrom(res); ok {
			said += ", and sees us at " + seen.String()
		}
		if words = append(words, said); res.StatusCode != 503 {
			answered++
		}
		if res.StatusCode == 403 || res.StatusCode == 503 {
			hint = hintOfCode(res, "options")
		}
	}
	o := outcome{"ok", strings.Join(words, "; "), hint}
	if answered == 0 {
		o.result = "failed"
	}
	return o
}

// register asks the registrar which bindings there are, RFC 3261 section 10.2.3:
// a REGISTER without Contact needs the password and changes nothing.
func (p *probe) register(ctx context.Context) outcome {
	switch {
	case !p.trunk.Register:
		return skipped("the trunk does not register")
	case len(p.alive) == 0:
		return skipped("no server was reached")
	}
	var last outcome
	for _, to := range p.alive {
		if last = p.registerAt(ctx, to); last.result == "ok" {
			return last
		}
	}
	return last
}

func (p *probe) registerAt(ctx context.Context, to target) outcome {
	d, err := p.ua.outside(p.trunk, to)
	if err != nil {
		return failedStep(err.Error(), "")
	}
	d.Target = "sip:" + domainOf(p.trunk)
	req, err := d.request(sipmsg.REGISTER, 1)
	if err != nil {
		return failedStep(err.Error(), "")
	}
	req.RemoveHeader("Contact")
	req.AppendHeader(sipmsg.NewHeader("User-Agent", p.ua.config.UserAgent))
	req.SetBody(nil)
	auth := credentials{username: p.trunk.Outbound.Username, password: p.trunk.Outbound.Password}
	res, err := p.ua.askAs(ctx, req, to, &d, &auth, answerTime)
	switch {
	case res == nil:
		return failedStep(fmt.Sprintf("%s: %s", to, text.Printable(err.Error(), 160)), hintOf(err))
	case err != nil:
		return failedStep(fmt.Sprintf("%s: %d %s", to, res.StatusCode, text.Printable(res.Reason, 100)), hintOf(err))
	case !res.IsSuccess():
		return failedStep(fmt.Sprintf("%s: %d %s", to, res.StatusCode, text.Printable(res.Reason, 100)), hintOfCode(res, "register"))
	}
	how := "with the password"
	if auth.count == 0 {
		how = "without asking for a password"
	}
	return passed("%s takes the account %s %s", to, accountUser(p.trunk)+"@"+domainOf(p.trunk), how)
}

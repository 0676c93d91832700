package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/sdp"
	"github.com/roomline/roomline/sip/socket"
	"github.com/roomline/roomline/sip/text"
)

// defaultRing bounds a call whose DialSpec sets no RingTimeout.
const defaultRing = 3 * time.Minute

// dialling is what an outbound Line still has to try.
type dialling struct {
	spec    bridge.DialSpec
	fields  []sipmsg.Header // who calls, beyond From
	hops    []hop
	targets []target
	last    error // why the target before this one did not work
	forks   map[string]*fork
	heard   *fork // whose early media is in force
}

// Dial starts an outbound call; see bridge.Dialer. It may be called after Ready.
func (u *UA) Dial(spec bridge.DialSpec) (bridge.Line, error) {
	select {
	case <-u.ready:
	default:
		return nil, errNotRunning
	}
	uri, hops, err := destination(spec)
	if err != nil {
		return nil, err
	}
	for name, value := range spec.Headers {
		if !grammar.IsToken(name) || dialogFields[strings.ToLower(name)] || grammar.OneLine(value) != value {
			return nil, fmt.Errorf("header field %q cannot be sent", text.Printable(name, 64))
		}
	}
	if err := hopsFault(spec.Hops); err != nil {
		return nil, err
	}
	if spec.Replaces != "" {
		r, f := readReplaces(spec.Replaces)
		if f != nil {
			return nil, f
		}
		spec.Replaces = r.String()
	}
	terms, err := u.termsOf(spec.Trunk)
	if err != nil {
		return nil, err
	}
	l, err := u.newOutbound(spec, uri, hops, terms)
	if err != nil {
		return nil, err
	}
	if !l.start(l.beginDial) {
		l.discard()
		return nil, errStopping
	}
	return l, nil
}

// newOutbound makes the Line of a call with its dialog and media.
func (u *UA) newOutbound(spec bridge.DialSpec, uri string, hops []hop, terms sdp.Terms) (*Line, error) {
	peer := u.likelyPeer(hops[0])
	f, err := u.faceTo(peer, hops[0].transport, spec.Trunk.Listen)
	if err != nil {
		return nil, err
	}
	d := Dialog{CallID: newCallID(), LocalTag: sipmsg.GenerateTagN(16), Target: uri, Remote: "<" + uri + ">",
		LocalSeq: 1, Transport: hops[0].transport, Socket: f.addr, Secure: grammar.IsSIPS(uri)}
	l := u.newLine(d, false, u.log.With("call_id", spec.CallID))
	if err := l.openMedia(peer, terms); err != nil {
		l.stop()
		return nil, err
	}
	l.dial = &dialling{spec: spec, hops: hops, forks: map[string]*fork{}}
	if o := spec.Trunk.Outbound; o != nil {
		l.auth = credentials{username: o.Username, password: o.Password}
	}
	if spec.From == "" && spec.Trunk.Outbound != nil {
		spec.From = spec.Trunk.Outbound.Username
	}
	who, err := callerOf(spec, l.home(spec), uri)
	if err != nil {
		l.discard()
		return nil, err
	}
	l.dial.fields = who.fields
	l.dialog.Local, l.dialog.Contact = who.from, l.contact(who.contact)
	return l, nil
}

// home is the host behind our numbers: the account's domain, else our address.
func (l *Line) home(spec bridge.DialSpec) string {
	switch o := spec.Trunk.Outbound; {
	case o == nil:
	case o.Domain != "":
		return o.Domain
	case o.Username != "":
		return bracketed(l.dial.hops[0].host)
	}
	return hostPort(l.dialog.SentBy)
}

// bracketed writes a host for a URI.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// hostPort writes an address for a URI, without the default port.
func hostPort(a netip.AddrPort) string {
	if a.Port() != 5060 {
		return a.String()
	}
	if a.Addr().Is6() {
		return "[" + a.Addr().String() + "]"
	}
	return a.Addr().String()
}

// beginDial looks the servers up, off the Line's goroutine so that End works meanwhile.
func (l *Line) beginDial() {
	ring := l.dial.spec.RingTimeout
	if ring <= 0 {
		ring = defaultRing
	}
	l.after(ring, l.onRingTimeout)
	v4 := l.dialog.Socket.Addr().Is4()
	l.aside(func() func() {
		var list []target
		var failed error
		for i, h := range l.dial.hops {
			more, err := l.ua.names.find(l.ctx, h, v4)
			if err != nil {
				failed = err
			}
			if t := l.dial.spec.Trunk; t.Outbound != nil && i < len(t.Outbound.Servers) {
				l.ua.trunks.learn(t.Name, t.Outbound.Servers[i], more)
			}
			list = append(list, more...)
		}
		list = l.ua.names.downLast(list)
		return func() {
			l.dial.targets, l.dial.last = list, failed
			l.nextTarget()
		}
	})
}

// nextTarget tries the next address, or gives up.
func (l *Line) nextTarget() {
	if l.state != inviting {
		return
	}
	if len(l.dial.targets) == 0 {
		words := "nobody answers there"
		if l.dial.last != nil {
			words = text.Printable(l.dial.last.Error(), 200)
		}
		l.over(bridge.CauseUnreachable, 0, words)
		l.state = gone
		return
	}
	t := l.dial.targets[0]
	l.dial.targets = l.dial.targets[1:]
	l.auth.forget() // another server asks by itself
	if !socket.IsStream(t.transport) {
		l.invite(t)
		return
	}
	patience := socket.DialTime
	if len(l.dial.targets) > 0 {
		patience = silenceTime
	}
	l.aside(func() func() {
		ctx, cancel := context.WithTimeout(l.ctx, patience)
		defer cancel()
		err := l.ua.connect(ctx, t, l.dialog.Socket)
		return func() {
			if err != nil {
				if l.state == inviting {
					l.ua.names.down(t, text.Printable(err.Error(), 200), downTime)
				}
				l.dial.last = err
				l.nextTarget()
				return
			}
			l.invite(t)
		}
	})
}

// invite sends the first INVITE to one address.
func (l *Line) invite(t target) {
	if l.state != inviting {
		return
	}
	l.dialog.Source, l.dialog.Transport, l.dialog.Server = t.addr, t.transport, t.hop.host
	l.dialog.Target = l.dial.requestURI(t)
	out := &clientInvite{initial: true, body: l.sdp.Offer()}
	req, err := l.buildInvite(out)
	if err != nil {
		l.dial.last = errors.New("the INVITE cannot be sent to " + t.String())
		l.nextTarget()
		return
	}
	l.fit(req, t, func(t target) {
		if l.state != inviting {
			return
		}
		if out.to = t; l.transmit(out, req) != nil {
			l.dial.last = errors.New("the INVITE cannot be sent to " + t.String())
			l.nextTarget()
		}
	})
}

// onRingTimeout gives up a call that was not answered in time.
func (l *Line) onRingTimeout() {
	if l.state != inviting {
		return
	}
	if l.uac != nil && l.uac.provisional {
		l.giveUp(bridge.CauseNoAnswer, "it was not answered in time")
		return
	}
	l.giveUp(bridge.CauseUnreachable, "there was no response in time")
}

// onUnreachable hears that a port that we send to is closed.
func (l *Line) onUnreachable(addr netip.AddrPort) {
	out := l.uac
	if out == nil || !out.initial || out.provisional || out.to.transport != "udp" || out.to.addr != addr {
		return
	}
	out.tx.Terminate()
	l.uac = nil
	if l.state == leaving {
		l.state = gone
		return
	}
	l.dial.last = fmt.Errorf("%s is unreachable (ICMP)", addr)
	l.ua.names.down(out.to, "nothing listens there (ICMP)", downTime)
	l.nextTarget()
}

func newCallID() string { return sipmsg.GenerateTagN(24) }

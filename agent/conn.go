package agent

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
)

// Times and bounds of a connection with an agent.
const (
	dialTimeout  = 3 * time.Second        // until the WebSocket handshake is over
	readyTimeout = 3 * time.Second        // from then until the protocol says that the agent is ready
	pingEvery    = 500 * time.Millisecond // after the answer to the last one
	pingPatience = 2 * time.Second
	byeTimeout   = time.Second // for the goodbye, and the peer's answer to it
	mostMessage  = 8 << 20     // bytes: ten minutes of sound in one message
	keepBuffer   = 64 << 10    // a larger reading buffer is given back
	mostUnsent   = 4 << 20     // bytes of messages that wait to be sent
)

// client opens the connections of all legs.
func (h *House) client() *http.Client {
	h.dialing.Do(func() {
		conf := h.TLS.Clone()
		if conf == nil {
			conf = &tls.Config{}
		}
		// Starts are quick: names are not looked up, and TLS keys not agreed, each time anew.
		conf.MinVersion, conf.ClientSessionCache = max(conf.MinVersion, tls.VersionTLS12), tls.NewLRUClientSessionCache(64)
		h.http = &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: h.names.dial, TLSClientConfig: conf, TLSHandshakeTimeout: dialTimeout,
				MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // a signed handshake goes where the owner said, nowhere else
			},
		}
	})
	return h.http
}

// dial connects with the worker.
func (l *leg) dial(ctx context.Context) (*websocket.Conn, error) {
	header := http.Header{"User-Agent": {"Roomline/1"}}
	subprotocols, err := l.protocol.handshake(l.url, header)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	count := func(context.Context, []byte) bool {
		l.count(0)
		return true
	}
	began := time.Now()
	conn, resp, err := websocket.Dial(ctx, l.url, &websocket.DialOptions{
		HTTPClient: l.house.client(), HTTPHeader: header, Subprotocols: subprotocols,
		OnPingReceived: count, OnPongReceived: func(ctx context.Context, b []byte) { count(ctx, b) },
	})
	if err != nil {
		return nil, refusal(resp, err)
	}
	l.dialed.Store(int64(time.Since(began)))
	conn.SetReadLimit(mostMessage)
	return conn, nil
}

// guard ends the leg, and nothing else, when one of its goroutines panics.
func (l *leg) guard() {
	if v := recover(); v != nil {
		l.log.Error("an agent's leg panicked", "panic", v, "stack", string(debug.Stack()))
		l.finish(faulty(bridge.FaultInternal, "internal error"))
	}
}

// read takes the agent's messages until the connection ends.
func (l *leg) read(conn *websocket.Conn) {
	defer l.guard()
	var buf []byte
	for {
		kind, r, err := conn.Reader(context.Background())
		if err == nil {
			buf, err = readInto(buf[:0], r)
		}
		if err != nil {
			l.finish(parting(err))
			return
		}
		if !l.count(len(buf)) {
			return
		}
		if err := l.message(kind == websocket.MessageText, buf); err != nil {
			l.finish(faultOf(err))
			return
		}
		if cap(buf) > keepBuffer {
			buf = nil
		}
	}
}

// message gives the protocol one message.
func (l *leg) message(text bool, message []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.protocol.read(text, message)
}

// count counts a message, and ends the leg when there are too many.
func (l *leg) count(bytes int) bool {
	if l.intake.take(bytes, time.Now()) {
		return true
	}
	l.finish(faulty(bridge.FaultFlood, "the agent sends more messages than any agent needs"))
	return false
}

// readInto reads all of r behind buf.
func readInto(buf []byte, r io.Reader) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// write sends what is queued until the leg ends, then says goodbye.
func (l *leg) write(conn *websocket.Conn, stop <-chan struct{}) {
	defer l.guard()
	var out outbox
	for {
		select {
		case <-stop:
			l.bye(conn, &out)
			return
		case <-l.inbox.wake:
		}
		if err := l.gather(&out); err != nil {
			l.finish(faultOf(err))
		} else if out.flush(conn) != nil {
			conn.CloseNow() // read says why: the agent may have said goodbye in this moment
		}
	}
}

// gather has the protocol put what came into messages, and fetches them.
func (l *leg) gather(out *outbox) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys, marks := l.inbox.fetchKeys()
	for _, k := range keys {
		if err := l.protocol.key(k); err != nil {
			return err
		}
	}
	for _, m := range marks {
		if err := l.protocol.played(m); err != nil {
			return err
		}
	}
	for _, words := range l.inbox.fetchNews() {
		if p, ok := l.protocol.(informed); ok {
			if err := p.inform(words); err != nil {
				return err
			}
		}
	}
	for l.inbox.fetch(&l.frame) {
		if err := l.protocol.hear(l.frame.sound[:], l.frame.n); err != nil {
			return err
		}
	}
	l.out, *out = out.emptied(), l.out
	return nil
}

// bye says goodbye to an agent that may still listen, or tells it what was wrong.
func (l *leg) bye(conn *websocket.Conn, out *outbox) {
	why := l.fault()
	status := websocket.StatusNormalClosure
	switch why.kind {
	case bridge.FaultNone:
		l.mu.Lock()
		err := l.protocol.end(why.reason)
		l.out, *out = out.emptied(), l.out
		l.mu.Unlock()
		if err == nil {
			err = out.flush(conn)
		}
		if err != nil {
			l.log.Debug("an agent did not hear the goodbye", "error", err)
		}
	case bridge.FaultGarbage, bridge.FaultFlood:
		status = websocket.StatusPolicyViolation
	case bridge.FaultTooLarge:
		status = websocket.StatusMessageTooBig
	default:
		return // nobody listens there
	}
	reason := why.reason
	if len(reason) > 120 { // RFC 6455 section 5.5: a control frame holds 125 bytes
		reason = reason[:120]
	}
	_ = conn.Close(status, reason)
}

// keep pings the agent until the leg ends, then sees to it that the connection does.
func (l *leg) keep(ctx context.Context, conn *websocket.Conn, written <-chan struct{}) {
	defer l.guard()
	defer conn.CloseNow()
	l.ping(ctx, conn)
	l.leave()
	late := time.NewTimer(byeTimeout)
	defer late.Stop()
	select {
	case <-written:
	case <-late.C:
	}
}

func (l *leg) ping(ctx context.Context, conn *websocket.Conn) {
	pause, late := time.NewTimer(pingEvery), time.NewTimer(readyTimeout)
	defer pause.Stop()
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-late.C:
			if !l.told.Load() {
				l.finish(faulty(bridge.FaultTimeout, "the agent has not taken the call within %s", readyTimeout))
			}
			continue
		case <-pause.C:
		}
		waiting, cancel := context.WithTimeout(ctx, pingPatience)
		err := conn.Ping(waiting)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && l.inbox.behind():
			l.finish(faulty(bridge.FaultSlow, "the agent does not take the sound that it is sent"))
		case err != nil && waiting.Err() != nil:
			l.finish(faulty(bridge.FaultSilent, "the agent has not answered a ping for %s", pingPatience))
		case err != nil: // the reader knows why
			<-ctx.Done()
		}
		pause.Reset(pingEvery)
	}
}

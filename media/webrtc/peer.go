package webrtc

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	pion "github.com/pion/webrtc/v4"
)

// Peer is one connection to a browser, or to a server when used as a client.
// Its methods are safe for concurrent use; offers and answers must alternate
// as SDP asks, which the caller sees to.
type Peer struct {
	engine *Engine
	pc     *pion.PeerConnection
	cfg    PeerConfig
	log    *slog.Logger

	streams  *streams
	shortcut shortcut
	stop     chan struct{} // closed by Close
	done     chan struct{} // closed when Close has finished
	loops    sync.WaitGroup

	negotiating sync.Mutex // one description at a time; held across pion's calls

	mu              sync.Mutex
	closed          bool
	lines           []*line // what we may send on, in the order of the SDP
	ins             map[*InTrack]struct{}
	data            *pion.DataChannel
	early           []Candidate // remote candidates that came before the description
	described       bool        // a remote description is set
	maxPlaybackRate int
	reports         *time.Timer

	stateMu sync.Mutex // held while OnState runs, so that states arrive in order
	state   State
}

func newPeer(e *Engine, pc *pion.PeerConnection, in *streams, cfg PeerConfig) *Peer {
	p := &Peer{
		engine: e, pc: pc, cfg: cfg, log: cfg.Log, streams: in, ins: make(map[*InTrack]struct{}),
		shortcut: shortcut{socket: e.socket},
		stop:     make(chan struct{}), done: make(chan struct{}),
	}
	pc.OnConnectionStateChange(func(pion.PeerConnectionState) { p.run("state", p.stateChanged) })
	pc.OnICECandidate(func(c *pion.ICECandidate) { p.run("candidate", func() { p.candidateFound(c) }) })
	pc.OnTrack(func(t *pion.TrackRemote, r *pion.RTPReceiver) { p.run("track", func() { p.trackFound(t, r) }) })
	pc.OnDataChannel(func(d *pion.DataChannel) { p.run("data", func() { p.adoptData(d) }) })
	p.prepareShortcut()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reports = time.AfterFunc(reportInterval, func() { p.run("reports", p.reportDue) })
	return p
}

// enter counts one more goroutine that Close waits for; false once closed.
func (p *Peer) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.loops.Add(1)
	return true
}

func (p *Peer) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// run calls f in pion's goroutine, so that Close waits for it and a panic in
// it costs this Peer alone.
func (p *Peer) run(what string, f func()) {
	if !p.enter() {
		return
	}
	defer p.loops.Done()
	defer p.recovered(what)
	f()
}

func (p *Peer) recovered(what string) {
	if v := recover(); v != nil {
		p.log.Error("webrtc: panic", "in", what, "panic", v, "stack", string(debug.Stack()))
	}
}

// stateChanged reports where the transport stands now. pion announces each
// change from a goroutine of its own, in no order: so the state is read anew
// here, and only a true change is passed on.
func (p *Peer) stateChanged() {
	p.stateMu.Lock()
	defer p.stateMu.Unlock()
	now := stateOf(p.pc.ConnectionState())
	if now == p.state || now == 0 {
		return
	}
	p.state = now
	if p.cfg.OnState != nil {
		p.cfg.OnState(now)
	}
}

func stateOf(s pion.PeerConnectionState) State {
	switch s {
	case pion.PeerConnectionStateConnecting:
		return Connecting
	case pion.PeerConnectionStateConnected:
		return Connected
	case pion.PeerConnectionStateDisconnected:
		return Disconnected
	case pion.PeerConnectionStateFailed:
		return Failed
	case pion.PeerConnectionStateClosed:
		return Closed
	}
	return 0
}

// State is where the transport stands now; 0 ("new") before anything was negotiated.
func (p *Peer) State() State { return stateOf(p.pc.ConnectionState()) }

// Close ends the connection and returns after every goroutine and callback of the Peer has ended. It must not
// be called from a callback. Closing twice is harmless.
func (p *Peer) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.done
		return nil
	}
	p.closed = true
	lines := p.lines
	p.reports.Stop()
	p.mu.Unlock()

	close(p.stop)
	p.closeShortcut()
	p.negotiating.Lock() // pion would leave behind what a description under way starts after its Close
	defer p.negotiating.Unlock()
	for _, l := range lines {
		_ = l.sender.Stop() // pion does not stop the sender of a line at rest
	}
	err := p.pc.GracefulClose()
	p.loops.Wait()
	p.engine.forget(p)
	close(p.done)
	if err != nil {
		return fmt.Errorf("close peer: %w", err)
	}
	return nil
}

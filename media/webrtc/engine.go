package webrtc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	pion "github.com/pion/webrtc/v4"

	"github.com/roomline/roomline/media"
)

// socketBuffer is what the one UDP port asks of the kernel: 100 ms of a few
// hundred browsers with cameras.
const socketBuffer = 4 << 20

// Engine owns the ports that all Peers share. It is safe for concurrent use.
//
// A server tells the Peers behind its port apart by their addresses. So a
// client needs an Engine for each of its Peers to the same server.
type Engine struct {
	cfg          Config
	settings     pion.SettingEngine // what APIs are made of: each Peer has its own
	codecs       *pion.MediaEngine
	interceptors *interceptor.Registry
	certificate  pion.Certificate
	udp          ice.UDPMux
	socket       datagrams     // under udp
	spread       *spreadSocket // socket, if there are several
	doors        doors
	udpAddr      netip.AddrPort
	tcp          ice.TCPMux
	tcpAddr      netip.AddrPort

	mu     sync.Mutex
	closed bool
	peers  map[*Peer]struct{}
}

// NewEngine opens the ports. Close the Engine to give them back.
func NewEngine(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Listen == nil {
		cfg.Listen = media.ListenUDP
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Audio == nil {
		cfg.Audio = DefaultAudio
	}
	if cfg.Readers == 0 && cfg.ICELite {
		cfg.Readers = (runtime.GOMAXPROCS(0) + 1) / 2 // phones want the others
	}
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	e := &Engine{cfg: cfg, peers: make(map[*Peer]struct{}), doors: doors{log: cfg.Log, open: make(map[netip.AddrPort]*Peer)}}
	if err := e.open(ctx); err != nil {
		e.closePorts()
		return nil, err
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the DTLS key: %w", err)
	}
	cert, err := pion.GenerateCertificate(key)
	if err != nil {
		return fmt.Errorf("make the DTLS certificate: %w", err)
	}
	e.certificate = *cert
	if err := e.openUDP(ctx); err != nil {
		return err
	}
	if e.cfg.TCPAddr != "" {
		if err := e.openTCP(ctx); err != nil {
			return err
		}
	}
	return e.prepareAPI()
}

func (e *Engine) openUDP(ctx context.Context) error {
	network, err := udpNetwork(e.cfg.UDPAddr)
	if err != nil {
		return fmt.Errorf("WebRTC UDP address %q: %w", e.cfg.UDPAddr, err)
	}
	conn, err := e.cfg.Listen(ctx, network, e.cfg.UDPAddr)
	if err != nil {
		return fmt.Errorf("listen for WebRTC on udp %s: %w", e.cfg.UDPAddr, err)
	}
	if e.udpAddr, err = netip.ParseAddrPort(conn.LocalAddr().String()); err != nil {
		_ = conn.Close()
		return fmt.Errorf("WebRTC UDP socket: %w", err)
	}
	e.udp = pion.NewICEUDPMux(quietLogger{e.cfg.Log, "ice-udp"}, e.guard(ctx, conn))
	return nil
}

// guard keeps from pion what takes the short road.
func (e *Engine) guard(ctx context.Context, conn net.PacketConn) net.PacketConn {
	enlarge(conn)
	if c, ok := conn.(*net.UDPConn); ok && e.cfg.Readers > 1 {
		if s := spread(ctx, c, e.cfg.Readers, &e.doors, e.cfg.Log); s != nil {
			e.socket, e.spread = s, s
			return s
		}
	}
	e.socket = plainSocket{conn}
	if s, ok := quick(conn); ok {
		e.socket = s
	}
	return &guardedSocket{e.socket, &e.doors}
}

// enlarge asks for larger buffers; the kernel caps them.
func enlarge(conn net.PacketConn) {
	if c, ok := conn.(interface {
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
	}); ok {
		_ = c.SetReadBuffer(socketBuffer)
		_ = c.SetWriteBuffer(socketBuffer)
	}
}

func udpNetwork(address string) (string, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() && !ip.Is4In6() {
		return "udp6", nil
	}
	return "udp4", nil
}

func (e *Engine) openTCP(ctx context.Context) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", e.cfg.TCPAddr)
	if err != nil {
		return fmt.Errorf("listen for WebRTC on tcp %s: %w", e.cfg.TCPAddr, err)
	}
	if e.tcpAddr, err = netip.ParseAddrPort(ln.Addr().String()); err != nil {
		_ = ln.Close()
		return fmt.Errorf("WebRTC TCP socket: %w", err)
	}
	e.tcp = ice.NewTCPMuxDefault(ice.TCPMuxParams{
		Listener: ln, Logger: quietLogger{e.cfg.Log, "ice-tcp"}, ReadBufferSize: 32,
		// Writes to a slow connection are dropped, so that they never hold up who sent the packet.
		WriteBufferSize: 256 << 10,
	})
	return nil
}

func (e *Engine) prepareAPI() (err error) {
	if e.settings, err = e.makeSettings(); err != nil {
		return err
	}
	if e.codecs, err = mediaEngine(e.cfg.Audio, e.cfg.Redundancy != NoRedundancy); err != nil {
		return fmt.Errorf("register codecs: %w", err)
	}
	if e.interceptors, err = interceptorRegistry(); err != nil {
		return fmt.Errorf("register interceptors: %w", err)
	}
	return nil
}

// api is for one Peer, as pion asks its settings for buffers without saying whose.
func (e *Engine) api(in *streams) *pion.API {
	settings := e.settings
	settings.BufferFactory = in.buffer
	return pion.NewAPI(pion.WithSettingEngine(settings), pion.WithMediaEngine(e.codecs),
		pion.WithInterceptorRegistry(e.interceptors))
}

// Audio is the codecs of sound that are offered, the preferred one first. It is
// not to be changed.
func (e *Engine) Audio() []media.Codec { return e.cfg.Audio }

// Addr is the address of the UDP port.
func (e *Engine) Addr() netip.AddrPort { return e.udpAddr }

// TCPAddr is the address of the ICE-TCP port; invalid when it is off.
func (e *Engine) TCPAddr() netip.AddrPort { return e.tcpAddr }

// ErrClosed is returned for an Engine or a Peer that was closed.
var ErrClosed = errors.New("the WebRTC peer is closed")

// NewPeer makes a connection that does nothing before SDP is exchanged.
func (e *Engine) NewPeer(cfg PeerConfig) (*Peer, error) {
	if cfg.Log == nil {
		cfg.Log = e.cfg.Log
	}
	in := newStreams(cfg.Log)
	pc, err := e.api(in).NewPeerConnection(pion.Configuration{
		ICEServers:   pionServers(e.cfg.ICEServers),
		BundlePolicy: pion.BundlePolicyMaxBundle,
		Certificates: []pion.Certificate{e.certificate},
	})
	if err != nil {
		return nil, fmt.Errorf("make a peer connection: %w", err)
	}
	p := newPeer(e, pc, in, cfg)
	if !e.remember(p) {
		_ = p.Close()
		return nil, ErrClosed
	}
	return p, nil
}

func (e *Engine) remember(p *Peer) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.peers[p] = struct{}{}
	return true
}

func pionServers(servers []ICEServer) []pion.ICEServer {
	var out []pion.ICEServer
	for _, s := range servers {
		out = append(out, pion.ICEServer{URLs: s.URLs, Username: s.Username, Credential: s.Credential})
	}
	return out
}

// Peers is the number of Peers that are not closed.
func (e *Engine) Peers() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.peers)
}

func (e *Engine) forget(p *Peer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.peers, p)
}

// Close closes every Peer that is left, then the ports.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	left := make([]*Peer, 0, len(e.peers))
	for p := range e.peers {
		left = append(left, p)
	}
	e.mu.Unlock()
	var closing sync.WaitGroup
	for _, p := range left {
		closing.Go(func() { _ = p.Close() })
	}
	closing.Wait()
	return e.closePorts()
}

func (e *Engine) closePorts() error {
	var errs []error
	if e.udp != nil {
		errs = append(errs, e.udp.Close())
	}
	if e.spread != nil {
		e.spread.readers.Wait()
	}
	if e.tcp != nil {
		errs = append(errs, e.tcp.Close())
	}
	return errors.Join(errs...)
}

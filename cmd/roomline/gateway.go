package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/roomline/roomline/agent"
	"github.com/roomline/roomline/api"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/media/webrtc"
	"github.com/roomline/roomline/room"
	"github.com/roomline/roomline/sip"
	"github.com/roomline/roomline/sip/socket"
	"github.com/roomline/roomline/sip/stir"
	"github.com/roomline/roomline/sip/trace"
	"github.com/roomline/roomline/store"
	"github.com/roomline/roomline/transcode"
	"github.com/roomline/roomline/web"
)

const (
	adminKeyFile = "admin.key" // in the data folder; made by store.AdminKey
	tokenKeyFile = "tokens.key"
)

// gateway is every part of a running gateway, joined by plain assignment.
type gateway struct {
	s     settings
	log   *slog.Logger
	drain time.Duration

	store    *store.Store
	spool    *store.Spool
	plans    *plans
	ports    *rtp.Ports
	exchange *bridge.Exchange
	agents   *agent.House
	traces   *trace.Recorder // nil: SIP messages are not kept
	verifier *stir.Verifier
	ua       *sip.UA
	engine   *webrtc.Engine
	keys     *room.Keys
	rooms    *room.Server
	api      *api.Server
	adminKey string
	tls      *tls.Config // nil: plain HTTP
	sipTLS   socket.TLS
	http     net.Listener
	metrics  net.Listener
}

// newGateway opens what can fail, from the ground up. After an error nothing stays open.
func newGateway(ctx context.Context, s settings, log *slog.Logger) (*gateway, error) {
	g := &gateway{s: s, log: log}
	for _, step := range []func(context.Context) error{
		g.openData, g.openMedia, g.openExchange, g.openCertificates, g.openTrace, g.openSIP, g.openRooms, g.openHTTP,
	} {
		if err := step(ctx); err != nil {
			g.close()
			return nil, err
		}
	}
	return g, nil
}

// openData opens the data folder, the database, and the dial plan in force.
func (g *gateway) openData(ctx context.Context) error {
	if err := os.MkdirAll(g.s.Data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	url := g.s.DatabaseURL
	if url == "" {
		url = filepath.Join(g.s.Data, "roomline.db")
	}
	var err error
	if g.store, err = store.Open(ctx, url); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	if g.spool, err = store.OpenSpool(filepath.Join(g.s.Data, "spool"), g.log); err != nil {
		return fmt.Errorf("open the spool: %w", err)
	}
	if g.plans, err = openPlans(ctx, g.s, g.store, g.log); err != nil {
		return err
	}
	if g.adminKey = g.s.AdminKey; g.adminKey != "" {
		return nil
	}
	key, created, err := store.AdminKey(g.s.Data)
	if err != nil {
		return fmt.Errorf("read the admin key: %w", err)
	}
	if g.adminKey = key; created {
		fmt.Fprintf(os.Stderr, "\n  Admin key (shown once, kept in %s): %s\n\n", filepath.Join(g.s.Data, adminKeyFile), key)
	}
	return nil
}

// openMedia opens the port for browsers and makes the range for phones.
func (g *gateway) openMedia(ctx context.Context) error {
	low, high, err := g.s.rtpRange()
	if err != nil {
		return err
	}
	if g.ports, err = rtp.NewPorts(low, high); err != nil {
		return fmt.Errorf("--rtp-ports: %w", err)
	}
	ip, err := g.s.publicIP()
	if err != nil {
		return err
	}
	codecs, err := g.s.webrtcCodecs()
	if err != nil {
		return err
	}
	redundancy, err := g.s.redundancy()
	if err != nil {
		return err
	}
	g.engine, err = webrtc.NewEngine(ctx, webrtc.Config{
		Listen: g.s.Listen, UDPAddr: g.s.WebRTCUDP, TCPAddr: g.s.WebRTCTCP, PublicIP: ip, ICELite: true,
		Audio: codecs, Redundancy: redundancy, Log: g.log,
	})
	if err != nil {
		return fmt.Errorf("open the WebRTC port: %w; choose another with --webrtc-udp", err)
	}
	return nil
}

func (g *gateway) openExchange(ctx context.Context) error {
	bound, err := g.s.sipAddrs()
	if err != nil {
		return err
	}
	silence, drain, err := g.s.times()
	if err != nil {
		return err
	}
	if g.drain = drain; silence == 0 {
		silence = -1
	}
	onHold, err := g.s.holdSound()
	if err != nil {
		return err
	}
	g.exchange = &bridge.Exchange{
		Plan: g.plans.inForce, Trusts: bridge.TrustedBy(bound...), Dialer: lateDialer{g},
		Recorded: g.recorded, Emitted: g.emitted, Refusals: g.refused,
		Opus:         transcode.OpusSettings{Bitrate: g.s.OpusBitrate, Complexity: g.s.OpusComplexity, FEC: true, DTX: g.s.OpusDTX},
		MediaTimeout: silence, SpentMinutes: g.spentToday(ctx), HoldSound: onHold, Log: g.log,
	}
	g.agents = &agent.House{Exchange: g.exchange, Plan: g.plans.inForce, Log: g.log}
	g.exchange.Agents = g.agents
	return nil
}

// lateDialer lets exchange and user agent know each other.
type lateDialer struct{ g *gateway }

// Dial implements bridge.Dialer.
func (d lateDialer) Dial(spec bridge.DialSpec) (bridge.Line, error) { return d.g.ua.Dial(spec) }

// openTrace makes what keeps SIP messages, and what verifies callers.
func (g *gateway) openTrace(context.Context) error {
	authorities, err := g.s.authorities()
	if err != nil {
		return err
	}
	g.verifier = stir.New(authorities)
	keep, err := g.s.traceTime()
	if err != nil || keep == 0 {
		return err
	}
	g.traces, err = trace.New(trace.Config{Dir: filepath.Join(g.s.Data, "trace"), Keep: keep, Size: int64(g.s.TraceSize) << 20, Log: g.log})
	if err != nil {
		return fmt.Errorf("make the folder of SIP messages: %w", err)
	}
	return nil
}

func (g *gateway) openSIP(context.Context) error {
	ip, err := g.s.publicIP()
	if err != nil {
		return err
	}
	c := sip.Config{
		Addrs: g.s.SIP, TLSAddrs: g.s.SIPTLS, TLS: g.sipTLS, PublicIP: ip, Ports: g.ports, Listen: g.s.Listen, UserAgent: "Roomline/" + version, Log: g.log,
		Admit: g.exchange.Admit, Incoming: g.exchange.Incoming, Refused: g.exchange.Refused,
		TrunkOf:  g.plans.trunkOf,
		Verifier: g.verifier,
		Plan:     g.plans.inForce, Known: g.known,
	}
	if g.traces != nil {
		c.Trace = g.traces.Record
	}
	if g.ua, err = sip.New(c); err == nil {
		g.plans.changed = func() {
			g.ua.PlanChanged()
			g.agents.PlanChanged()
		}
	}
	return err
}

// known says whether a source needs no password to be heard.
func (g *gateway) known(source netip.Addr) bool {
	_, ok := g.plans.inForce().TrunkOf(source)
	return ok || g.exchange.Trusts(source)
}

func (g *gateway) openRooms(context.Context) error {
	secret, err := tokenSecret(g.s.Data)
	if err != nil {
		return err
	}
	if g.keys, err = room.NewKeys(room.Key{ID: "1", Secret: secret}); err != nil {
		return err
	}
	g.rooms = room.New(room.Config{
		Exchange: g.exchange, Engine: g.engine, Keys: g.keys, Log: g.log,
		TURN: room.TURN{URLs: g.s.TURN, Secret: g.s.TURNSecret},
	})
	return nil
}

func (g *gateway) openHTTP(context.Context) (err error) {
	c := api.Config{
		Exchange: api.Bridge(g.exchange), Store: g.store, Trunks: g.ua, Agents: g.agents, Backlog: g.spool, AdminKey: g.adminKey,
		Plan: g.plans.inForce, PlanChanged: g.plans.set, Tokens: g.keys, Rooms: g.rooms, Pages: web.Handler(),
		Draining: g.exchange.Draining, RTPPortsInUse: g.ports.InUse, PublicURL: g.s.PublicURL, Version: version, Log: g.log,
	}
	if g.traces != nil {
		c.Traces = g.traces
	}
	g.api = api.New(c)
	if g.http, err = net.Listen("tcp", g.s.HTTP); err != nil {
		return fmt.Errorf("open the HTTP port: %w; choose another with --http", err)
	}
	if g.s.Metrics == "" {
		return nil
	}
	if g.metrics, err = net.Listen("tcp", g.s.Metrics); err != nil {
		return fmt.Errorf("open the metrics port: %w; choose another with --metrics", err)
	}
	return nil
}

func (g *gateway) recorded(c bridge.CDR) {
	g.api.Recorded(c)
	if err := g.spool.AppendCDR(c); err != nil {
		g.log.Error("a CDR could not be written", "call", c.ID, "error", err)
	}
}

func (g *gateway) emitted(e bridge.Event) {
	if err := g.spool.AppendEvent(e); err != nil {
		g.log.Error("an event could not be written", "event", e.ID, "error", err)
	}
}

func (g *gateway) refused(r bridge.Refusal) {
	if err := g.spool.AppendRefusal(r); err != nil {
		g.log.Error("a refusal could not be written", "error", err)
	}
}

// url is where people find the gateway.
func (g *gateway) url() string {
	if g.s.PublicURL != "" {
		return strings.TrimRight(g.s.PublicURL, "/")
	}
	scheme := "http"
	if g.s.TLSCert != "" || g.s.ACME != "" {
		scheme = "https"
	}
	addr := g.http.Addr().(*net.TCPAddr).AddrPort()
	if addr.Addr().IsUnspecified() {
		addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addr.Port())
	}
	return scheme + "://" + addr.String()
}

// tokenSecret reads the secret of room tokens from the data folder, or makes it.
func tokenSecret(dir string) ([]byte, error) {
	path := filepath.Join(dir, tokenKeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		secret := make([]byte, 32)
		rand.Read(secret)
		return secret, os.WriteFile(path, []byte(hex.EncodeToString(secret)+"\n"), 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("read the token key: %w", err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) < 32 {
		return nil, fmt.Errorf("%s does not hold 64 hexadecimal digits; remove it to have a new one made", path)
	}
	return secret, nil
}

package webrtc

import (
	"context"
	"errors"
	"net/netip"
)

// Engine owns the ports that all Peers share. It is safe for concurrent use.
type Engine struct{ cfg Config }

// NewEngine opens the ports. Close it after its Peers.
func NewEngine(ctx context.Context, cfg Config) (*Engine, error) { return &Engine{cfg: cfg}, nil }

// Addr is the address of the UDP port.
func (e *Engine) Addr() netip.AddrPort { return netip.AddrPort{} }

// TCPAddr is the address of the ICE-TCP port; invalid when it is off.
func (e *Engine) TCPAddr() netip.AddrPort { return netip.AddrPort{} }

// NewPeer makes a connection that does nothing before SDP is exchanged.
func (e *Engine) NewPeer(cfg PeerConfig) (*Peer, error) { return nil, errors.ErrUnsupported }

// Close closes every Peer that is left, then the ports, and returns when the goroutines have ended.
func (e *Engine) Close() error { return nil }

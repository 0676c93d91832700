package rtp

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/roomline/roomline/media"
)

var errNotBuilt = errors.New("rtp: not built yet")

// Config is what a Session needs from its house.
type Config struct {
	Listen  media.Listen // nil: media.ListenUDP
	Ports   *Ports       // nil: any free pair of ports
	LocalIP netip.Addr   // the one address that is bound
	Log     *slog.Logger // with the call's id; nil: silent
}

// Session is one RTP session with one peer. Its methods are safe for
// concurrent use; WritePacket has one caller at a time.
type Session struct{}

// Open binds a pair of ports and starts to read. Nothing is accepted before
// the first [Session.Update].
func Open(ctx context.Context, c Config) (*Session, error) { return nil, errNotBuilt }

// LocalAddr returns the bound RTP address; RTCP has the next port.
func (s *Session) LocalAddr() netip.AddrPort { return netip.AddrPort{} }

// SSRC returns the synchronisation source of what we send.
func (s *Session) SSRC() uint32 { return 0 }

// Update replaces the parameters. SSRC and counts go on; the peer's address is
// learnt anew only if Remote changed.
func (s *Session) Update(p Params) error { return errNotBuilt }

// Params returns the parameters in force, zero before the first Update. The
// caller owns the copy.
func (s *Session) Params() Params { return Params{} }

// Receive sets who gets the peer's packets and keys, in place of who got them
// before; nil for nobody. Both are called on the reading goroutine, one at a
// time; the packet and its Payload are only valid during the call. onPacket
// gets sound and comfort noise in order of arrival.
func (s *Session) Receive(onPacket func(*media.Packet), onDigit func(Digit)) {}

// WritePacket sends one packet, see [media.Writer]. Packets are dropped
// silently while Send is off or the peer's address is not known.
func (s *Session) WritePacket(p *media.Packet) error { return errNotBuilt }

// LastReceived returns when the last packet was accepted; before the first,
// when receiving started.
func (s *Session) LastReceived() time.Time { return time.Time{} }

// Quality returns how the sound travels.
func (s *Session) Quality() media.Quality { return media.Quality{} }

// Close says RTCP BYE, closes the sockets, waits until no callback runs and
// gives the ports back. Closing twice is harmless. It must not be called from a callback.
func (s *Session) Close() error { return nil }

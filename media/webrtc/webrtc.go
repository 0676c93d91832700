// Package webrtc puts pion behind a border: an [Engine] owns the one UDP port
// (and the optional TCP port) that all browsers share, a [Peer] is one browser's
// connection, an [InTrack] is what it sends and an [OutTrack] what it receives.
// No pion type is exported.
//
// It does not know rooms, tokens or signalling: SDP and candidates are handed
// in and out as text.
//
// Sound takes a short road past pion (shortcut.go): it is handled in the goroutine
// that reads the port, and sent by the one that writes it.
//
// Goroutines of ours: one per outgoing track of pictures, which reads RTCP. Of
// pion's, one per incoming track runs our code. Reports are sent by timers.
// [Peer.Close] returns after all of them have ended. pion runs more; they end with
// the Peer too.
package webrtc

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/roomline/roomline/media"
)

// Kind is the medium of a track.
type Kind string

// The two media.
const (
	Audio Kind = "audio"
	Video Kind = "video"
)

// State is where a Peer's transport stands.
type State uint8

// The states of a Peer. Disconnected may become Connected again by itself;
// Failed needs an ICE restart. Closed is the last one.
const (
	Connecting State = iota + 1
	Connected
	Disconnected
	Failed
	Closed
)

var stateNames = [...]string{"new", "connecting", "connected", "disconnected", "failed", "closed"}

// String names the state in small letters.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// ICEServer is a STUN or TURN server; in JSON it has the form of the browser's
// RTCIceServer dictionary.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// Candidate is one trickled ICE candidate, in the form of the browser's
// RTCIceCandidateInit. An empty Candidate text means that there are no more.
type Candidate struct {
	Candidate        string  `json:"candidate"`
	SDPMid           *string `json:"sdpMid,omitempty"`
	SDPMLineIndex    *uint16 `json:"sdpMLineIndex,omitempty"`
	UsernameFragment *string `json:"usernameFragment,omitempty"`
}

// Config is what an Engine is made of.
type Config struct {
	Listen     media.Listen  // opens the UDP port; nil means media.ListenUDP
	UDPAddr    string        // "127.0.0.1:7882"; port 0 picks a free one
	TCPAddr    string        // ICE-TCP; empty: off
	Readers    int           // sockets and goroutines that read the UDP port; 0: one, servers one per two processors
	PublicIP   netip.Addr    // what candidates say behind NAT; zero: the local address
	ICELite    bool          // servers: true; clients, as in tests and the bench: false
	ICEServers []ICEServer   // clients only
	Audio      []media.Codec // codecs of sound that are offered and accepted, the preferred one first; nil: [DefaultAudio]
	Redundancy Redundancy    // RED for Opus
	Timeouts   Timeouts      // zero fields take defaults
	Log        *slog.Logger  // nil: slog.Default()
}

// Redundancy says how RED (RFC 2198) is used: each packet of Opus repeats the one
// or two before it. It costs a browser as many bits again as its voice does, about
// 32 kbit/s, and mends what the network loses.
type Redundancy uint8

// The ways to use RED. What we send has it only while the browser reports loss,
// in any of them but NoRedundancy.
const (
	RedundancyOnLoss Redundancy = iota // browsers are asked for it by a new offer while their packets get lost
	RedundancyAlways                   // browsers send it from the start
	NoRedundancy                       // it is neither offered nor accepted
)

// Timeouts of ICE: how long nothing may arrive until a Peer is Disconnected,
// how much longer until it is Failed, and the interval between keepalives.
type Timeouts struct {
	Disconnected time.Duration // 5 s
	Failed       time.Duration // 25 s
	KeepAlive    time.Duration // 2 s
}

// PeerConfig holds the callbacks of a Peer; each may be nil. They come from
// different goroutines, must not block for long, and none comes after Close returned.
type PeerConfig struct {
	OnState     func(State)
	OnCandidate func(Candidate)   // local candidates; empty text after the last
	OnTrack     func(*InTrack)    // call InTrack.Receive in it, so that no packet is missed
	OnTrackEnd  func(*InTrack)    // no more packets will come
	OnDataOpen  func()            // SendData works from now on
	OnData      func(text []byte) // one message; valid until the callback returns
	Log         *slog.Logger      // with call or participant ids; nil: the Engine's
}

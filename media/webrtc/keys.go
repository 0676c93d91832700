package webrtc

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/pion/dtls/v3"
	pionrtp "github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	pion "github.com/pion/webrtc/v4"
)

var errNoKeys = errors.New("the keys of DTLS cannot be had")

// keys are the SRTP contexts of our own that a handshake gave, beside pion's.
// Roll-over counters and replays are the affair of [rollover] and [window], as
// packets of one stream may pass pion's contexts too. RTCP is pion's alone.
type keys struct{ seal, open *cryptor }

// exportKeys makes our contexts of what a finished handshake agreed on (RFC 5764
// section 4.2). Nothing but the contexts keeps key material.
//
// pion/webrtc has no public way to its DTLS connection, nor to which end of it
// we are. Where its fields should one day be called otherwise, that is an error,
// and sound takes pion's road. It must be called by the goroutine that announces
// the end of the handshake.
func exportKeys(t *pion.DTLSTransport) (*keys, error) {
	conn, ok := field(t, "conn", reflect.TypeFor[*dtls.Conn]())
	if !ok || conn.IsNil() {
		return nil, errNoKeys
	}
	c := (*dtls.Conn)(conn.UnsafePointer())
	agreed, ok := c.SelectedSRTPProtectionProfile()
	state, finished := c.ConnectionState()
	if !ok || !finished {
		return nil, errNoKeys
	}
	client, ok := field(&state, "isClient", reflect.TypeFor[bool]())
	if !ok {
		return nil, errNoKeys
	}
	// The numbers of the profiles are IANA's in both packages.
	material := srtp.Config{Profile: srtp.ProtectionProfile(agreed)}
	if err := material.ExtractSessionKeysFromDTLS(&state, client.Bool()); err != nil {
		return nil, fmt.Errorf("export SRTP keys: %w", err)
	}
	return newKeys(material.Profile, material.Keys)
}

// field is the private field of what p points to, if it is of that type.
func field(p any, name string, of reflect.Type) (reflect.Value, bool) {
	f := reflect.ValueOf(p).Elem().FieldByName(name)
	return f, f.IsValid() && f.Type() == of
}

// newKeys wipes k.
func newKeys(profile srtp.ProtectionProfile, k srtp.SessionKeys) (*keys, error) {
	defer func() {
		for _, b := range [][]byte{k.LocalMasterKey, k.LocalMasterSalt, k.RemoteMasterKey, k.RemoteMasterSalt} {
			clear(b)
		}
	}()
	seal, err := srtp.CreateContext(k.LocalMasterKey, k.LocalMasterSalt, profile)
	if err != nil {
		return nil, err
	}
	open, err := srtp.CreateContext(k.RemoteMasterKey, k.RemoteMasterSalt, profile, srtp.SRTPNoReplayProtection())
	if err != nil {
		return nil, err
	}
	return &keys{&cryptor{context: seal}, &cryptor{context: open}}, nil
}

// tagRoom is how much longer protection makes a packet, at most, in bytes.
const tagRoom = 16

// cryptor is one direction's key. It is safe for concurrent use.
type cryptor struct {
	mu      sync.Mutex
	context *srtp.Context
	header  pionrtp.Header
}

// seal encrypts an RTP packet where it lies; b has tagRoom to spare.
func (c *cryptor) seal(b []byte, ssrc, roc uint32) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setLocked(ssrc, roc)
	return c.context.EncryptRTP(b, b, &c.header)
}

// open decrypts an RTP packet into to, which has room for it.
func (c *cryptor) open(to, b []byte, ssrc, roc uint32) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setLocked(ssrc, roc)
	return c.context.DecryptRTP(to, b, &c.header)
}

// setLocked makes the context's roll-over counter that of the next packet.
func (c *cryptor) setLocked(ssrc, roc uint32) {
	if now, known := c.context.ROC(ssrc); !known || now != roc {
		c.context.SetROC(ssrc, roc)
	}
}

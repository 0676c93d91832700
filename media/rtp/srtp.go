package rtp

import (
	"encoding/binary"
	"time"

	pionrtcp "github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"
	pionsrtp "github.com/pion/srtp/v3"
)

// tagRoom is how much longer protection makes a packet, in bytes: the tag, and
// for RTCP the index.
const tagRoom = 20

// sealer encrypts what we send with one key. Session.writing guards it.
type sealer struct {
	suite  Suite
	secret Secret
	rtp    *pionsrtp.Context
	header pionrtp.Header
	rtcp   pionrtcp.Header
}

func newSealer(suite Suite, secret Secret) (*sealer, error) {
	c, err := suite.context(secret)
	return &sealer{suite: suite, secret: secret, rtp: c}, err
}

// seal encrypts an RTP packet where it lies; b has tagRoom to spare.
func (s *sealer) seal(b []byte) ([]byte, error) { return s.rtp.EncryptRTP(b, b, &s.header) }

// sealRTCP encrypts a compound packet.
func (s *sealer) sealRTCP(b []byte) ([]byte, error) { return s.rtp.EncryptRTCP(nil, b, &s.rtcp) }

// opener decrypts what comes with one key. Session.mu guards it.
type opener struct {
	suite   Suite
	secret  Secret
	context *pionsrtp.Context
	header  pionrtp.Header
	rtcp    pionrtcp.Header
	sources int // SSRCs that have shown the key
	until   time.Time
}

// mostSources bounds the SSRCs of one key: the state of each stays for its life.
const mostSources = 256

func newOpener(suite Suite, secret Secret) (*opener, error) {
	c, err := suite.context(secret)
	return &opener{suite: suite, secret: secret, context: c}, err
}

// open decrypts an RTP packet into to; false for what does not authenticate, was
// there before, or is too old.
func (o *opener) open(to, b []byte, ssrc uint32) ([]byte, bool) {
	_, known := o.context.ROC(ssrc)
	if !known && o.sources >= mostSources {
		return nil, false
	}
	plain, err := o.context.DecryptRTP(to, b, &o.header)
	if err == nil && !known {
		o.sources++
	}
	return plain, err == nil
}

func (o *opener) openRTCP(to, b []byte, ssrc uint32) ([]byte, bool) {
	_, known := o.context.Index(ssrc)
	if !known && o.sources >= mostSources {
		return nil, false
	}
	plain, err := o.context.DecryptRTCP(to, b, &o.rtcp)
	if err == nil && !known {
		o.sources++
	}
	return plain, err == nil
}

// keyring holds what decrypts the peer's packets. Session.mu guards it.
type keyring struct {
	now, before *opener // before: for packets under way when the keys changed
	guess       guess
	tries       tries
	rtp, rtcp   [maxPacket + 1]byte // what was decrypted
}

// oldKeys is how long packets of the key before are taken after a change: the
// answer that tells the peer to change may have to be sent again.
const oldKeys = 8 * time.Second

// change puts a new key in force; ssrc is the stream heard so far.
func (k *keyring) change(suite Suite, secret Secret, ssrc uint32, now time.Time) error {
	next, err := newOpener(suite, secret)
	if err != nil {
		return err
	}
	k.guess = guess{roc: 1, left: mostGuesses}
	if k.now != nil {
		k.now.until = now.Add(oldKeys)
		if roc, ok := k.now.context.ROC(ssrc); ok && roc > 0 {
			k.guess.roc, k.guess.any = roc, true
		}
	}
	k.now, k.before = next, k.now
	return nil
}

// open decrypts an RTP packet; the result is valid until the next one.
func (k *keyring) open(b []byte, now time.Time) ([]byte, bool) {
	if k.now == nil || len(b) < headerSize || len(b) > maxPacket || b[0]>>6 != 2 {
		return nil, false
	}
	ssrc := binary.BigEndian.Uint32(b[8:])
	if plain, ok := k.now.open(k.rtp[:0], b, ssrc); ok {
		return plain, true
	}
	if plain, ok := k.guessing(b, ssrc); ok {
		return plain, true
	}
	if k.before != nil && now.After(k.before.until) {
		k.before = nil
	}
	if k.before == nil {
		return nil, false
	}
	return k.before.open(k.rtp[:0], b, ssrc)
}

// guess is another roll-over counter than 0 that a stream may begin with. Peers
// differ on whether the counter goes on with a new key (RFC 3711 section 3.3.1)
// or starts at 0. And whoever starts to count just below 65536 may have passed
// it before the first packet that we can read.
type guess struct {
	roc  uint32
	any  bool // at any sequence number, not just at small ones
	left int  // tries; each may cost memory that an impostor chooses
}

const mostGuesses = 64

// guessing tries a packet that the key in force, which nothing has proved yet,
// does not open.
func (k *keyring) guessing(b []byte, ssrc uint32) ([]byte, bool) {
	g := &k.guess
	if k.now.sources > 0 || g.left <= 0 || !g.any && binary.BigEndian.Uint16(b[2:]) >= 1<<14 {
		return nil, false
	}
	g.left--
	other, err := newOpener(k.now.suite, k.now.secret)
	if err != nil {
		return nil, false
	}
	other.context.SetROC(ssrc, g.roc)
	plain, ok := other.open(k.rtp[:0], b, ssrc)
	if ok {
		other.sources++
		k.now = other
	}
	return plain, ok
}

// openRTCP decrypts a compound packet; the result is valid until the next one.
func (k *keyring) openRTCP(b []byte) ([]byte, bool) {
	if k.now == nil || len(b) < 8 || len(b) > maxPacket {
		return nil, false
	}
	ssrc := binary.BigEndian.Uint32(b[4:])
	return k.now.openRTCP(k.rtcp[:0], b, ssrc)
}

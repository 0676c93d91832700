package sdp

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/sip/text"
)

// Policy says whether media is protected.
type Policy uint8

// The policies. Whatever they are, a call that was protected stays so.
const (
	// Off: protected media is refused.
	Off Policy = iota
	// Optional: it is taken where it is offered, and plain RTP too. Our own offers
	// are plain RTP/AVP with keys beside it, which many peers understand though no
	// standard says so: who knows them protects, who does not ignores them.
	Optional
	// Required: plain RTP is refused, in offers and answers.
	Required
)

// offered are the suites of our offers. Every peer that has SDES has the first
// (RFC 4568 section 6.2), and some look no further.
// More lines would only make requests too large for a packet.
var offered = []rtp.Suite{rtp.AES128CMSHA1With80, rtp.AES128GCM}

// shield is what our audio m-line says about its protection.
type shield struct {
	Proto   string
	Cryptos []Crypto // with our own keys
	Setup   string   // of DTLS; empty: none
	Mux     bool     // RTCP on the RTP port, RFC 5761
}

// write writes the attributes.
func (s shield) write(b *strings.Builder, f rtp.Fingerprint) {
	for _, c := range s.Cryptos {
		b.WriteString(c.line())
	}
	if s.Setup != "" {
		fmt.Fprintf(b, "a=setup:%s\r\na=fingerprint:%s\r\n", s.Setup, f)
	}
	if s.Mux {
		b.WriteString("a=rtcp-mux\r\n")
	}
}

// isPlain says whether a protocol is RTP in the clear; ok is false for no RTP at all.
func isPlain(proto string) (plain, ok bool) {
	switch proto {
	case "RTP/AVP", "RTP/AVPF":
		return true, true
	case "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF":
		return false, true
	}
	return false, false
}

func protoFault(proto string) error {
	return &Fault{302, fmt.Sprintf("audio over %s is not available, offer RTP/AVP or RTP/SAVP", text.Printable(proto, 32))}
}

// answerShield decides how the stream of an offer is protected.
func (n *Negotiation) answerShield(s Stream) (*rtp.Security, shield, error) {
	plain, ok := isPlain(s.Proto)
	sh := shield{Proto: s.Proto, Mux: s.Mux}
	keyless := len(s.Cryptos) == 0 && len(s.Fingerprints) == 0
	switch {
	case !ok:
		return nil, sh, protoFault(s.Proto)
	case plain && (n.SRTP == Off || keyless):
		return nil, sh, n.mayBePlain(s)
	case n.SRTP == Off:
		return nil, sh, &Fault{302, "SRTP is off on this trunk: offer RTP/AVP, or set srtp: optional"}
	case n.byHandshake(s):
		return n.answerDTLS(s, sh)
	}
	return n.answerCrypto(s, sh)
}

// mayBePlain refuses a plain stream where it would take protection away.
func (n *Negotiation) mayBePlain(s Stream) error {
	switch {
	case n.Secured != nil:
		return &Fault{399, "this call is protected by SRTP and stays so: offer its keys again"}
	case n.SRTP == Required:
		return &Fault{399, "this trunk requires SRTP: offer RTP/SAVP with a=crypto, or UDP/TLS/RTP/SAVP with a=fingerprint" + s.unusable()}
	}
	return nil
}

// unusable says in words why keys that were there do not count.
func (s Stream) unusable() string {
	if len(s.Unusable) == 0 {
		return ""
	}
	return " (" + strings.Join(s.Unusable[:min(len(s.Unusable), 4)], "; ") + ")"
}

// byHandshake: the keys come by DTLS, because that is all there is, or all that
// the protocol allows, or what the call has already.
func (n *Negotiation) byHandshake(s Stream) bool {
	if len(s.Fingerprints) == 0 || n.Fingerprint == (rtp.Fingerprint{}) {
		return false
	}
	inForce := n.Secured != nil && n.Secured.DTLS != nil
	return len(s.Cryptos) == 0 || inForce || strings.HasPrefix(s.Proto, "UDP/TLS/")
}

// answerCrypto takes the first line that can be used, RFC 4568 section 7.1.2.
// Our own key stays while the suite does.
func (n *Negotiation) answerCrypto(s Stream, sh shield) (*rtp.Security, shield, error) {
	if strings.HasPrefix(s.Proto, "UDP/TLS/") {
		return nil, sh, &Fault{399, "the offer has no fingerprint that can be used: sha-256, sha-384 or sha-512"}
	}
	for _, c := range s.Cryptos {
		ours := n.ownSecret(c.Suite)
		if bytes.Equal(ours, c.Secret) { // an echo of our own key
			continue
		}
		sh.Cryptos = []Crypto{{c.Tag, c.Suite, ours}}
		return &rtp.Security{Suite: c.Suite, Send: ours, Receive: c.Secret}, sh, nil
	}
	return nil, sh, &Fault{399, "the offer has no a=crypto line that can be used" + s.unusable()}
}

// ownSecret is our key for a suite: the one in force, else a new one.
func (n *Negotiation) ownSecret(suite rtp.Suite) rtp.Secret {
	if n.Secured != nil && n.Secured.Suite == suite {
		return n.Secured.Send
	}
	return suite.NewSecret()
}

// answerDTLS takes a role in the handshake, RFC 5763 section 5.
func (n *Negotiation) answerDTLS(s Stream, sh shield) (*rtp.Security, shield, error) {
	d := &rtp.DTLS{Fingerprints: s.Fingerprints}
	switch s.Setup {
	case setupActPass:
		d.Active = !n.Await // the answerer begins, so that nothing waits for the answer
		if before := n.handshake(); before != nil && slices.Equal(before.Fingerprints, d.Fingerprints) {
			d.Active = before.Active // the same association goes on
		}
	case setupPassive:
		d.Active = true
	case setupActive, "": // RFC 4145 section 4: what an offer is that says nothing
	default:
		return nil, sh, &Fault{399, "a=setup:" + text.Printable(s.Setup, 16) + " leaves nobody to begin the DTLS handshake"}
	}
	sh.Setup = roleOf(d)
	return &rtp.Security{DTLS: d}, sh, nil
}

// roleOf is our a=setup.
func roleOf(d *rtp.DTLS) string {
	if d.Active {
		return setupActive
	}
	return setupPassive
}

// handshake is what protects the call, if it is DTLS.
func (n *Negotiation) handshake() *rtp.DTLS {
	if n.Secured == nil {
		return nil
	}
	return n.Secured.DTLS
}

// offerShield is what our offer says: what is in force, else what the policy asks
// for, the same as often as it is asked.
func (n *Negotiation) offerShield() shield {
	proto := n.Slots[n.Audio].Proto
	switch {
	case n.handshake() != nil: // the roles stay, and with them the association
		return shield{Proto: proto, Setup: roleOf(n.handshake()), Mux: n.Shield.Mux}
	case n.Secured != nil:
		return shield{Proto: proto, Cryptos: []Crypto{{1, n.Secured.Suite, n.Secured.Send}}, Mux: n.Shield.Mux}
	case n.Agreed:
		return shield{Proto: proto, Mux: n.Shield.Mux}
	case len(n.Shield.Cryptos) > 0 || n.Shield.Setup != "":
		return n.Shield
	}
	return n.firstShield(proto)
}

func (n *Negotiation) firstShield(proto string) shield {
	sh := shield{Proto: proto}
	switch {
	case n.SRTP == Off:
		return sh
	case n.OfferDTLS && n.Fingerprint != (rtp.Fingerprint{}):
		sh.Setup, sh.Mux = setupActPass, true
		if n.SRTP == Required {
			sh.Proto = "UDP/TLS/RTP/SAVP"
		}
		return sh
	case n.SRTP == Required:
		sh.Proto = "RTP/SAVP"
	}
	for i, suite := range offered {
		sh.Cryptos = append(sh.Cryptos, Crypto{i + 1, suite, suite.NewSecret()})
	}
	return sh
}

// acceptShield reads from an answer how our offer is protected.
func (n *Negotiation) acceptShield(s Stream) (*rtp.Security, error) {
	if _, ok := isPlain(s.Proto); !ok {
		return nil, protoFault(s.Proto)
	}
	switch {
	case n.Shield.Setup != "" && len(s.Fingerprints) > 0:
		return n.acceptDTLS(s)
	case len(n.Shield.Cryptos) > 0 && len(s.Cryptos) > 0:
		return n.acceptCrypto(s.Cryptos[0])
	}
	plain, _ := isPlain(s.Proto)
	switch {
	case n.Secured != nil:
		return nil, &Fault{399, "the answer takes away the SRTP that the call has" + s.unusable()}
	case n.SRTP == Required:
		return nil, &Fault{399, "the answer has no key, and this trunk requires SRTP" + s.unusable()}
	case !plain || len(s.Unusable) > 0:
		return nil, &Fault{399, "the answer speaks of SRTP and has no key that can be used" + s.unusable()}
	}
	return nil, nil
}

func (n *Negotiation) acceptCrypto(c Crypto) (*rtp.Security, error) {
	for _, ours := range n.Shield.Cryptos {
		if ours.Tag == c.Tag && ours.Suite == c.Suite && !bytes.Equal(ours.Secret, c.Secret) {
			return &rtp.Security{Suite: c.Suite, Send: ours.Secret, Receive: c.Secret}, nil
		}
	}
	return nil, &Fault{399, "the answer's a=crypto line is none of those that were offered"}
}

func (n *Negotiation) acceptDTLS(s Stream) (*rtp.Security, error) {
	d := &rtp.DTLS{Fingerprints: s.Fingerprints}
	switch s.Setup {
	case setupPassive:
		d.Active = true
	case setupActive, "":
	default:
		return nil, &Fault{399, "the answer's a=setup is neither active nor passive"}
	}
	return &rtp.Security{DTLS: d}, nil
}

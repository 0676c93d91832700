package sdp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/roomline/roomline/media/rtp"
)

const (
	// The keys of RFC 4568 section 9.1's and 6.1's examples.
	rfcKey   = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
	otherKey = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
	sum256   = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:3B:4B:65:2E:7D:46:3F:54:42:CD:54:F1"
)

var ourPrint = rtp.Fingerprint{Hash: "sha-256", Sum: sum256[3:] + ":00"}

func key(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n)) }

func TestCryptoLines(t *testing.T) {
	for value, want := range map[string]string{
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey + "|2^20":                       "1 AES_CM_128_HMAC_SHA1_80",
		"999999999 AES_CM_128_HMAC_SHA1_32 inline:" + rfcKey:                         "999999999 AES_CM_128_HMAC_SHA1_32",
		"2 AES_CM_128_HMAC_SHA1_80 INLINE:" + rfcKey + "|1048576 WSH=128 KDR=0 -X=1": "2 AES_CM_128_HMAC_SHA1_80",
		"3 AES_256_CM_HMAC_SHA1_80 inline:" + key(46):                                "3 AES_256_CM_HMAC_SHA1_80",
		"3 AES_256_CM_HMAC_SHA1_80 inline:" + strings.TrimRight(key(46), "="):        "3 AES_256_CM_HMAC_SHA1_80",
		"4 AEAD_AES_128_GCM inline:" + key(28):                                       "4 AEAD_AES_128_GCM",
		"5 AEAD_AES_256_GCM inline:" + key(44) + "|2^48":                             "5 AEAD_AES_256_GCM",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey + "|2^20|1:4":                   "MKI",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey + "|1:4":                        "MKI",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey + ";inline:" + otherKey:         "several keys",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey + " UNENCRYPTED_SRTP":           "UNENCRYPTED_SRTP",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey + " FEC_ORDER=FEC_SRTP":         "FEC_ORDER",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey + " KDR=4":                      "KDR",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey + "|2^49":                       "lifetime",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey + "|0":                          "lifetime",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey + "|2^20|2^20":                  "lifetime",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key(28):                                "28 bytes",
		"1 AES_CM_128_HMAC_SHA1_80 inline:????":                                      "base64",
		"1 AES_CM_128_HMAC_SHA1_80 uri:http://192.0.2.1/" + rfcKey:                   "not inline",
		"1 F8_128_HMAC_SHA1_80 inline:" + rfcKey:                                     "F8_128_HMAC_SHA1_80 is not known",
		"1 aes_cm_128_hmac_sha1_80 inline:" + rfcKey:                                 "not known",
		"x AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey:                                 "tag",
		"1234567890 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey:                        "tag",
		"1 AES_CM_128_HMAC_SHA1_80":                                                  "no tag, suite and key",
		"":                                                                           "no tag, suite and key",
	} {
		c, err := parseCrypto(value)
		got := fmt.Sprintf("%d %s", c.Tag, c.Suite)
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != want || err != nil && (!strings.Contains(got, want) || want == "") {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
		if strings.Contains(got, rfcKey[:8]) {
			t.Errorf("the key is repeated: %s", got)
		}
		if again, err2 := parseCrypto(strings.TrimPrefix(strings.TrimSpace(c.line()), "a=crypto:")); err == nil && (err2 != nil || !bytes.Equal(again.Secret, c.Secret)) {
			t.Errorf("%q: written as something else", value)
		}
	}
}

func TestFingerprints(t *testing.T) {
	for value, ok := range map[string]bool{
		"sha-256 " + sum256: true, "SHA-256 " + strings.ToLower(sum256): true, " sha-256  " + sum256 + " ": true,
		"sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB": false,
		"md5 00": false, "sha-256 " + sum256[3:]: false, "sha-384 " + sum256: false, "sha-256": false, "": false,
		"sha-256 " + strings.ReplaceAll(sum256, ":", "-"): false, "sha-256 " + strings.Replace(sum256, "4A", "4G", 1): false,
	} {
		f, got := parseFingerprint(value)
		if got != ok || ok && f != (rtp.Fingerprint{Hash: "sha-256", Sum: sum256}) {
			t.Errorf("%q: %v %v", value, f, got)
		}
	}
}

// audio is an offer of PCMU over a protocol.
func audio(proto string, attributes ...string) *Description {
	lines := ""
	for _, a := range attributes {
		lines += "a=" + a + "\r\n"
	}
	d, err := Parse([]byte(sampleSDP("192.0.2.9", 0, "m=audio 4000 "+proto+" 0\r\n"+lines)))
	if err != nil {
		panic(err)
	}
	return d
}

func secured(p Policy) Negotiation {
	return New(netip.MustParseAddr("192.0.2.1"), 30000, Terms{SRTP: p, Fingerprint: ourPrint})
}

const (
	line80 = "crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey
	lineF8 = "crypto:7 F8_128_HMAC_SHA1_80 inline:" + rfcKey
	finger = "fingerprint:sha-256 " + sum256
)

func TestOffersUnderEachPolicy(t *testing.T) {
	gcm := "crypto:3 AEAD_AES_128_GCM inline:" + key(28)
	for _, c := range []struct {
		name   string
		policy Policy
		offer  *Description
		want   string // protection, or a part of the refusal
		say    string // a line of our answer
	}{
		{"plain", Off, audio("RTP/AVP"), "plain", "m=audio 30000 RTP/AVP 0"},
		{"plain", Optional, audio("RTP/AVPF"), "plain", "m=audio 30000 RTP/AVPF 0"},
		{"plain", Required, audio("RTP/AVP"), "requires SRTP", ""},
		{"keys", Off, audio("RTP/SAVP", line80), "SRTP is off", ""},
		{"keys", Optional, audio("RTP/SAVP", line80), "AES_CM_128_HMAC_SHA1_80", "m=audio 30000 RTP/SAVP 0"},
		{"keys", Required, audio("RTP/SAVPF", line80), "AES_CM_128_HMAC_SHA1_80", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"},
		{"keys that may be ignored", Off, audio("RTP/AVP", line80), "plain", "m=audio 30000 RTP/AVP 0"},
		{"keys that may be ignored", Optional, audio("RTP/AVP", line80), "AES_CM_128_HMAC_SHA1_80", "m=audio 30000 RTP/AVP 0"},
		{"keys that may be ignored", Required, audio("RTP/AVP", line80), "AES_CM_128_HMAC_SHA1_80", "m=audio 30000 RTP/AVP 0"},
		{"the first usable one", Required, audio("RTP/SAVP", lineF8, "crypto:2 AES_CM_128_HMAC_SHA1_80 inline:"+rfcKey+"|1:4", gcm, line80), "AEAD_AES_128_GCM", "a=crypto:3 AEAD_AES_128_GCM inline:"},
		{"none usable", Required, audio("RTP/SAVP", lineF8), "F8_128_HMAC_SHA1_80 is not known", ""},
		{"none usable", Optional, audio("RTP/AVP", lineF8), "plain", ""},
		{"none usable", Required, audio("RTP/AVP", lineF8), "requires SRTP", ""},
		{"no key at all", Optional, audio("RTP/SAVP"), "no a=crypto line", ""},
		{"DTLS", Optional, audio("UDP/TLS/RTP/SAVP", finger, "setup:actpass", "rtcp-mux"), "dtls active mux", "a=setup:active"},
		{"DTLS", Required, audio("UDP/TLS/RTP/SAVPF", finger, "setup:active"), "dtls passive", "a=setup:passive"},
		{"DTLS", Required, audio("RTP/SAVPF", finger, "setup:passive"), "dtls active", "a=fingerprint:" + ourPrint.String()},
		{"DTLS", Off, audio("UDP/TLS/RTP/SAVP", finger, "setup:actpass"), "SRTP is off", ""},
		{"DTLS with nobody to begin", Optional, audio("UDP/TLS/RTP/SAVP", finger, "setup:holdconn"), "holdconn", ""},
		{"DTLS with SHA-1", Optional, audio("UDP/TLS/RTP/SAVP", "fingerprint:sha-1 00:11", "setup:actpass"), "sha-256", ""},
		{"both", Optional, audio("RTP/SAVP", line80, finger, "setup:actpass"), "AES_CM_128_HMAC_SHA1_80", "a=crypto:1 "},
		{"plain, RTCP on the same port", Off, audio("RTP/AVP", "rtcp-mux"), "plain mux", "a=rtcp:30000\r\n"},
		{"something else", Optional, audio("TCP/RTP/AVP"), "not available", ""},
	} {
		n := secured(c.policy)
		body, a, err := n.Answer(c.offer)
		got := protection(a.Params)
		var f *Fault
		if errors.As(err, &f) {
			got = f.Words
		}
		if !strings.Contains(got, c.want) || err == nil && got != c.want || !strings.Contains(string(body), c.say) {
			t.Errorf("%s under policy %d: %s, want %s\n%s", c.name, c.policy, got, c.want, body)
		}
		if s := a.Params.Security; s != nil && s.DTLS == nil && (bytes.Equal(s.Send, s.Receive) || !strings.Contains(string(body), base64.StdEncoding.EncodeToString(s.Send))) {
			t.Errorf("%s: the answer's key is not ours", c.name)
		}
		if strings.Contains(string(body), rfcKey) {
			t.Errorf("%s: the peer's key comes back", c.name)
		}
		if printed := fmt.Sprintf("%v %+v %#v", n, a, a.Params.Security); strings.Contains(printed, "inline:") || strings.Contains(printed, rfcKey[:10]) {
			t.Errorf("%s: keys are printed", c.name)
		}
	}
}

// protection words what was agreed.
func protection(p rtp.Params) string {
	words := "plain"
	if s := p.Security; s != nil && s.DTLS != nil {
		words = "dtls " + roleOf(s.DTLS)
	} else if s != nil {
		words = s.Suite.String()
	}
	if p.Mux {
		words += " mux"
	}
	return words
}

func TestASecuredLineOfSeveralIsTaken(t *testing.T) {
	both := "m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/SAVP 0\r\na=" + line80 + "\r\n"
	for policy, want := range map[Policy]int{Off: 0, Optional: 0, Required: 1} {
		n := secured(policy)
		d, _ := Parse([]byte(sampleSDP("192.0.2.9", 0, both)))
		if _, _, err := n.Answer(d); err != nil || n.Audio != want {
			t.Errorf("policy %d takes %d: %v", policy, n.Audio, err)
		}
	}
}

func TestOurOffersAndTheirAnswers(t *testing.T) {
	ours := func(n *Negotiation, tag int) string { // our own key, as an echo
		return base64.StdEncoding.EncodeToString(n.Shield.Cryptos[tag-1].Secret)
	}
	for _, c := range []struct {
		name   string
		terms  Terms
		proto  string // of our offer
		answer func(n *Negotiation) *Description
		want   string
	}{
		{"off", Terms{}, "RTP/AVP", func(*Negotiation) *Description { return audio("RTP/AVP") }, "plain"},
		{"required", Terms{SRTP: Required}, "RTP/SAVP", func(*Negotiation) *Description { return audio("RTP/SAVP", line80) }, "AES_CM_128_HMAC_SHA1_80"},
		{"another line", Terms{SRTP: Required}, "RTP/SAVP", func(*Negotiation) *Description {
			return audio("RTP/SAVP", "crypto:2 AEAD_AES_128_GCM inline:"+key(28))
		}, "AEAD_AES_128_GCM"},
		{"a tag that was not offered", Terms{SRTP: Required}, "RTP/SAVP", func(*Negotiation) *Description {
			return audio("RTP/SAVP", strings.Replace(line80, ":1 ", ":9 ", 1))
		}, "none of those"},
		{"another suite under our tag", Terms{SRTP: Required}, "RTP/SAVP", func(*Negotiation) *Description {
			return audio("RTP/SAVP", "crypto:1 AES_CM_128_HMAC_SHA1_32 inline:"+rfcKey)
		}, "none of those"},
		{"our own key", Terms{SRTP: Required}, "RTP/SAVP", func(n *Negotiation) *Description {
			return audio("RTP/SAVP", "crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+ours(n, 1))
		}, "none of those"},
		{"a plain answer", Terms{SRTP: Required}, "RTP/SAVP", func(*Negotiation) *Description { return audio("RTP/AVP") }, "requires SRTP"},
		{"an answer without a key", Terms{SRTP: Required}, "RTP/SAVP", func(*Negotiation) *Description { return audio("RTP/SAVP") }, "requires SRTP"},
		{"optional, taken", Terms{SRTP: Optional}, "RTP/AVP", func(*Negotiation) *Description { return audio("RTP/AVP", line80) }, "AES_CM_128_HMAC_SHA1_80"},
		{"optional, not taken", Terms{SRTP: Optional}, "RTP/AVP", func(*Negotiation) *Description { return audio("RTP/AVP") }, "plain"},
		{"optional, half taken", Terms{SRTP: Optional}, "RTP/AVP", func(*Negotiation) *Description { return audio("RTP/SAVP") }, "no key that can be used"},
		{"DTLS", Terms{SRTP: Required, OfferDTLS: true}, "UDP/TLS/RTP/SAVP", func(*Negotiation) *Description {
			return audio("UDP/TLS/RTP/SAVP", finger, "setup:active", "rtcp-mux")
		}, "dtls passive mux"},
		{"DTLS", Terms{SRTP: Optional, OfferDTLS: true}, "RTP/AVP", func(*Negotiation) *Description {
			return audio("RTP/AVP", finger, "setup:passive")
		}, "dtls active"},
		{"DTLS without a role", Terms{SRTP: Required, OfferDTLS: true}, "UDP/TLS/RTP/SAVP", func(*Negotiation) *Description {
			return audio("UDP/TLS/RTP/SAVP", finger, "setup:actpass")
		}, "neither active nor passive"},
		{"DTLS answered by SDES", Terms{SRTP: Required, OfferDTLS: true}, "UDP/TLS/RTP/SAVP", func(*Negotiation) *Description {
			return audio("RTP/SAVP", line80)
		}, "requires SRTP"},
	} {
		c.terms.Fingerprint = ourPrint
		n := New(netip.MustParseAddr("192.0.2.1"), 30000, c.terms)
		first := n.Offer()
		if again := n.Offer(); !bytes.Equal(first, again) {
			t.Errorf("%s: the second offer differs", c.name)
		}
		d, err := Parse(first)
		if err != nil || d.Streams[0].Proto != c.proto {
			t.Errorf("%s: %v, offered\n%s", c.name, err, first)
			continue
		}
		a, err := n.Accept(c.answer(&n))
		got := protection(a.Params)
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestHoldKeepsTheKeys(t *testing.T) {
	n := secured(Optional)
	_, a, err := n.Answer(audio("RTP/SAVP", line80))
	if err != nil {
		t.Fatal(err)
	}
	_, held, err := n.Answer(audio("RTP/SAVP", line80, "sendonly"))
	if err != nil || !bytes.Equal(held.Params.Security.Send, a.Params.Security.Send) || !bytes.Equal(held.Params.Security.Receive, a.Params.Security.Receive) {
		t.Errorf("held: %v", err)
	}
	n.Hold = true
	d, err := Parse(n.Offer())
	if err != nil || d.Streams[0].Proto != "RTP/SAVP" || len(d.Streams[0].Cryptos) != 1 || !bytes.Equal(d.Streams[0].Cryptos[0].Secret, a.Params.Security.Send) {
		t.Errorf("our hold offers %+v, %v", d, err)
	}
	if _, err := n.Accept(audio("RTP/SAVP", "recvonly")); err == nil {
		t.Error("an answer took the keys away")
	}
	got, err := n.Accept(audio("RTP/SAVP", line80, "recvonly"))
	if err != nil || !bytes.Equal(got.Params.Security.Send, a.Params.Security.Send) {
		t.Errorf("our hold: %v", err)
	}
}

func TestNewOffersRenewKeysAndTakeNoneAway(t *testing.T) {
	n := secured(Optional)
	_, a, err := n.Answer(audio("RTP/SAVP", line80))
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := n.Answer(audio("RTP/SAVP", strings.Replace(line80, rfcKey, otherKey, 1)))
	if err != nil || bytes.Equal(a.Params.Security.Receive, b.Params.Security.Receive) || !bytes.Equal(a.Params.Security.Send, b.Params.Security.Send) {
		t.Errorf("the peer's new key: %v", err)
	}
	_, c, err := n.Answer(audio("RTP/SAVP", "crypto:1 AEAD_AES_256_GCM inline:"+key(44)))
	if err != nil || c.Params.Security.Suite != rtp.AES256GCM || bytes.Equal(c.Params.Security.Send, b.Params.Security.Send) {
		t.Errorf("another suite: %v", err)
	}
	before := fmt.Sprintf("%+v", n)
	for _, d := range []*Description{audio("RTP/AVP"), audio("RTP/AVP", lineF8), audio("RTP/SAVP", lineF8)} {
		if _, _, err := n.Answer(d); err == nil {
			t.Error("the protection was taken away")
		}
	}
	if after := fmt.Sprintf("%+v", n); after != before {
		t.Errorf("a refused offer changed\n%s to\n%s", before, after)
	}
	plain := secured(Optional)
	if _, _, err := plain.Answer(audio("RTP/AVP")); err != nil {
		t.Fatal(err)
	}
	if _, up, err := plain.Answer(audio("RTP/SAVP", line80)); err != nil || up.Params.Security == nil {
		t.Errorf("a plain call is to be protected: %v", err)
	}
}

func TestHandshakesGoOnOrStartAnew(t *testing.T) {
	n := secured(Required)
	if _, a, err := n.Answer(audio("UDP/TLS/RTP/SAVP", finger, "setup:active")); err != nil || a.Params.Security.DTLS.Active {
		t.Fatalf("%+v %v", a, err)
	}
	_, a, err := n.Answer(audio("UDP/TLS/RTP/SAVP", finger, "setup:actpass", "sendonly"))
	if err != nil || a.Params.Security.DTLS.Active {
		t.Errorf("hold changed the roles: %v", err)
	}
	if d, err := Parse(n.Offer()); err != nil || d.Streams[0].Setup != setupPassive || !slices.Equal(d.Streams[0].Fingerprints, []rtp.Fingerprint{ourPrint}) {
		t.Errorf("our own offer: %+v %v", d, err)
	}
	other := strings.Replace(finger, "4A", "4B", 1)
	_, b, err := n.Answer(audio("UDP/TLS/RTP/SAVP", other, "setup:actpass"))
	if err != nil || slices.Equal(a.Params.Security.DTLS.Fingerprints, b.Params.Security.DTLS.Fingerprints) || !b.Params.Security.DTLS.Active {
		t.Errorf("another certificate: %+v %v", b.Params.Security, err)
	}
	if _, _, err := n.Answer(audio("RTP/AVP")); err == nil {
		t.Error("the protection was taken away")
	}
}

func TestFingerprintOfTheSessionCounts(t *testing.T) {
	n := secured(Optional)
	body := strings.Replace(sampleSDP("192.0.2.9", 0, "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=ice-ufrag:x\r\na=ice-pwd:yyyyyyyyyyyyyyyyyyyyyyyy\r\na=candidate:1 1 UDP 1 192.0.2.9 4000 typ host\r\n"),
		"t=0 0\r\n", "t=0 0\r\na="+finger+"\r\na=setup:actpass\r\n", 1)
	d, err := Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if _, a, err := n.Answer(d); err != nil || a.Params.Security == nil || a.Params.Security.DTLS == nil {
		t.Errorf("%+v %v", a, err)
	}
}

func FuzzCrypto(f *testing.F) {
	f.Add("1 AES_CM_128_HMAC_SHA1_80 inline:" + rfcKey + "|2^20|1:4 WSH=64")
	f.Add("1 AEAD_AES_256_GCM inline:" + key(44))
	f.Fuzz(func(t *testing.T, value string) {
		c, err := parseCrypto(value)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("%q", err)
			}
			return
		}
		if len(c.Secret) != c.Suite.SecretLen() || c.Suite == rtp.NoSuite || c.Tag < 0 || c.Tag > 999999999 {
			t.Errorf("%q: %+v", value, c)
		}
	})
}

package webrtc

import (
	"fmt"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	pion "github.com/pion/webrtc/v4"
)

// makeSettings is all that we ask of pion that is not a codec or an interceptor.
func (e *Engine) makeSettings() (pion.SettingEngine, error) {
	s := pion.SettingEngine{LoggerFactory: loggers{e.cfg.Log}}
	s.SetLite(e.cfg.ICELite)
	s.SetICEUDPMux(e.udp)
	types := []pion.NetworkType{pion.NetworkTypeUDP4, pion.NetworkTypeUDP6}
	if e.tcp != nil {
		s.SetICETCPMux(e.tcp)
		types = append(types, pion.NetworkTypeTCP4, pion.NetworkTypeTCP6)
	}
	s.SetNetworkTypes(types)
	s.DisableActiveTCP(e.cfg.ICELite)
	s.SetIncludeLoopbackCandidate(e.udpAddr.Addr().IsLoopback())
	// A browser hides its addresses behind mDNS names. A lite agent needs none
	// of them, as the browser's checks come to us: no multicast, no lookups.
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetICETimeouts(e.cfg.Timeouts.Disconnected, e.cfg.Timeouts.Failed, e.cfg.Timeouts.KeepAlive)
	// ICE has verified the address before DTLS starts: the cookie round trip adds nothing.
	s.SetDTLSInsecureSkipHelloVerify(true)
	// AES-128-GCM is the cheapest per packet where the CPU knows AES.
	s.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	s.SetSCTPMaxReceiveBufferSize(256 << 10)
	if ip := e.cfg.PublicIP; ip.IsValid() && !ip.IsUnspecified() {
		err := s.SetICEAddressRewriteRules(pion.ICEAddressRewriteRule{
			External: []string{ip.String()}, AsCandidateType: pion.ICECandidateTypeHost, Mode: pion.ICEAddressRewriteReplace,
		})
		if err != nil {
			return s, fmt.Errorf("public IP %s: %w", ip, err)
		}
	}
	return s, nil
}

func (t Timeouts) withDefaults() Timeouts {
	if t.Disconnected == 0 {
		t.Disconnected = 5 * time.Second
	}
	if t.Failed == 0 {
		t.Failed = 25 * time.Second
	}
	if t.KeepAlive == 0 {
		t.KeepAlive = 2 * time.Second
	}
	return t
}

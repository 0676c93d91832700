package main

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/webrtc"
	"github.com/roomline/roomline/sip"
	"github.com/roomline/roomline/sip/stir"
)

// settings are those of serve: a flag, an environment variable and a YAML key each.
type settings struct {
	Config       string   `env:"ROOMLINE_CONFIG" placeholder:"FILE" help:"YAML file with these settings; may also hold trunks, numbers and routes."`
	Data         string   `env:"ROOMLINE_DATA" default:"./data" placeholder:"DIR" help:"SQLite, spool, keys, last route snapshot."`
	DatabaseURL  string   `env:"ROOMLINE_DATABASE_URL" placeholder:"URL" help:"postgres://…; default: SQLite in the data folder."`
	HTTP         string   `name:"http" env:"ROOMLINE_HTTP" default:"127.0.0.1:8080" placeholder:"ADDR" help:"API, pages, WebSocket, WHIP and WHEP."`
	PublicURL    string   `env:"ROOMLINE_PUBLIC_URL" placeholder:"URL" help:"What links and tokens point to."`
	TLSCert      string   `env:"ROOMLINE_TLS_CERT" placeholder:"FILE" help:"Certificate chain for HTTPS, PEM."`
	TLSKey       string   `env:"ROOMLINE_TLS_KEY" placeholder:"FILE" help:"Its private key, PEM."`
	ACME         string   `env:"ROOMLINE_ACME" name:"acme" placeholder:"DOMAIN" help:"Get a certificate for this domain by ACME; needs --http on port 443."`
	SIP          []string `name:"sip" env:"ROOMLINE_SIP" default:"127.0.0.1:5060" placeholder:"ADDR" help:"SIP over UDP and TCP; may be repeated. What it says and where its RTP is may differ: 10.0.0.5:5060/public=203.0.113.7/media=10.0.0.6."`
	SIPTLS       []string `name:"sip-tls" env:"ROOMLINE_SIP_TLS" placeholder:"ADDR" help:"SIP over TLS, likewise; usually port 5061. Shows the certificate of --sip-tls-cert, --tls-cert or --acme."`
	SIPTLSCert   string   `name:"sip-tls-cert" env:"ROOMLINE_SIP_TLS_CERT" placeholder:"FILE" help:"Certificate chain for SIP over TLS, PEM; read again when it changes."`
	SIPTLSKey    string   `name:"sip-tls-key" env:"ROOMLINE_SIP_TLS_KEY" placeholder:"FILE" help:"Its private key, PEM."`
	SIPTLSCA     string   `name:"sip-tls-ca" env:"ROOMLINE_SIP_TLS_CA" placeholder:"FILE" help:"Authorities, besides the system's, that the certificates of trunks may come from, PEM."`
	SIPWS        string   `name:"sip-ws" env:"ROOMLINE_SIP_WS" placeholder:"ADDR" help:"SIP over WebSocket (not available yet)."`
	RTPPorts     string   `name:"rtp-ports" env:"ROOMLINE_RTP_PORTS" default:"20000-29999" placeholder:"LOW-HIGH" help:"UDP ports for RTP, bound to the address of the --sip in use."`
	WebRTCUDP    string   `name:"webrtc-udp" env:"ROOMLINE_WEBRTC_UDP" default:"127.0.0.1:7882" placeholder:"ADDR" help:"One UDP port for all browsers."`
	WebRTCTCP    string   `name:"webrtc-tcp" env:"ROOMLINE_WEBRTC_TCP" placeholder:"ADDR" help:"ICE-TCP for browsers whose network blocks UDP; default: off."`
	WebRTCCodecs []string `name:"webrtc-codecs" env:"ROOMLINE_WEBRTC_CODECS" default:"opus,PCMU,PCMA" placeholder:"CODECS" help:"Codecs of sound for browsers, WHIP and WHEP, the first preferred: opus, PCMU, PCMA. With PCMU first, µ-law phones and browsers exchange their sound untouched."`
	WebRTCRED    string   `name:"webrtc-red" env:"ROOMLINE_WEBRTC_RED" default:"auto" placeholder:"WHEN" help:"Redundancy (RED) of browsers' Opus: auto asks for it while their packets get lost, always from the start (about 32 kbit/s more of each browser), off never."`
	TURN         []string `name:"turn" env:"ROOMLINE_TURN" placeholder:"URL" help:"TURN server told to browsers; may be repeated."`
	TURNSecret   string   `name:"turn-secret" env:"ROOMLINE_TURN_SECRET" placeholder:"SECRET" help:"Shared with the TURN server, for time-limited credentials."`
	PublicIP     string   `name:"public-ip" env:"ROOMLINE_PUBLIC_IP" placeholder:"IP" help:"What SDP and candidates say behind NAT."`
	AdminKey     string   `env:"ROOMLINE_ADMIN_KEY" placeholder:"KEY" help:"Key of the API; default: made on first start, kept in the data folder, printed once."`
	Metrics      string   `env:"ROOMLINE_METRICS" default:"127.0.0.1:9464" placeholder:"ADDR" help:"/metrics, /healthz and /readyz."`

	OpusComplexity int    `env:"ROOMLINE_OPUS_COMPLEXITY" default:"5" help:"0 to 10: CPU against quality of what browsers hear."`
	OpusBitrate    int    `env:"ROOMLINE_OPUS_BITRATE" default:"24000" help:"Bit/s of what browsers hear."`
	OpusDTX        bool   `env:"ROOMLINE_OPUS_DTX" help:"Send browsers and Opus trunks next to nothing while nobody speaks."`
	HoldMusic      string `name:"hold-music" env:"ROOMLINE_HOLD_MUSIC" placeholder:"FILE" help:"What phones on hold hear: a mono WAV file, 8 or 16 kHz, at most 10 minutes; off for silence; default: a soft chime."`
	MediaTimeout   string `env:"ROOMLINE_MEDIA_TIMEOUT" default:"30s" help:"RTP silence that ends a call; 0 for never."`
	Trace          string `env:"ROOMLINE_TRACE" default:"24h" help:"How long the SIP messages of calls are kept, secrets masked; 0 for not at all."`
	TraceSize      int    `env:"ROOMLINE_TRACE_SIZE" default:"512" placeholder:"MB" help:"How much room they may take; the oldest go first."`
	KeepEvents     string `env:"ROOMLINE_KEEP_EVENTS" default:"720h" help:"How long events stay in the database; call records stay for ever."`
	STIRCA         string `name:"stir-ca" env:"ROOMLINE_STIR_CA" placeholder:"FILE" help:"Certificate authorities that may vouch for callers' numbers (STIR/SHAKEN), PEM; default: nothing is verified."`
	Drain          string `env:"ROOMLINE_DRAIN" default:"30s" help:"How long a stopping gateway lets its calls go on."`

	LiveKitURL    string `name:"livekit-url" env:"ROOMLINE_LIVEKIT_URL" placeholder:"URL" help:"Rooms in a LiveKit cluster (not available yet)."`
	LiveKitKey    string `name:"livekit-key" env:"ROOMLINE_LIVEKIT_KEY" placeholder:"KEY" help:"Its API key."`
	LiveKitSecret string `name:"livekit-secret" env:"ROOMLINE_LIVEKIT_SECRET" placeholder:"SECRET" help:"Its API secret."`

	Listen media.Listen `kong:"-"` // opens the UDP sockets; nil is the operating system's
	stir   *stir.Config // in place of what --stir-ca says; nil outside tests
}

// planKeys are the parts of a configuration file that belong to the dial plan.
var planKeys = map[string]bool{"trunks": true, "numbers": true, "routes": true, "agents": true, "queues": true}

// Validate checks what kong cannot, and names the flag that is wrong.
func (s *settings) Validate() error {
	for _, unbuilt := range []struct{ flag, value string }{
		{"--sip-ws", s.SIPWS}, {"--livekit-url", s.LiveKitURL},
	} {
		if unbuilt.value != "" {
			return fmt.Errorf("%s is not available yet; leave it out", unbuilt.flag)
		}
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return fmt.Errorf("--tls-cert and --tls-key go together; give both or neither")
	}
	if (s.SIPTLSCert == "") != (s.SIPTLSKey == "") {
		return fmt.Errorf("--sip-tls-cert and --sip-tls-key go together; give both or neither")
	}
	if len(s.SIPTLS) > 0 && s.SIPTLSCert == "" && s.TLSCert == "" && s.ACME == "" {
		return fmt.Errorf("--sip-tls needs a certificate; give --sip-tls-cert and --sip-tls-key")
	}
	if s.TLSCert != "" && s.ACME != "" {
		return fmt.Errorf("--acme makes its own certificate; leave --tls-cert out")
	}
	if s.OpusComplexity < 0 || s.OpusComplexity > 10 {
		return fmt.Errorf("--opus-complexity %d: expected 0 to 10", s.OpusComplexity)
	}
	if s.OpusBitrate < 6000 || s.OpusBitrate > 128000 {
		return fmt.Errorf("--opus-bitrate %d: expected 6000 to 128000 bit/s", s.OpusBitrate)
	}
	if _, _, err := s.rtpRange(); err != nil {
		return err
	}
	if _, err := s.webrtcCodecs(); err != nil {
		return err
	}
	if _, err := s.redundancy(); err != nil {
		return err
	}
	if _, err := s.publicIP(); err != nil {
		return err
	}
	if _, err := s.sipAddrs(); err != nil {
		return err
	}
	for flag, addr := range map[string]string{"--http": s.HTTP, "--webrtc-udp": s.WebRTCUDP, "--webrtc-tcp": s.WebRTCTCP, "--metrics": s.Metrics} {
		if _, _, err := net.SplitHostPort(addr); err != nil && addr != "" {
			return fmt.Errorf("%s %q: expected ADDRESS:PORT", flag, addr)
		}
	}
	if _, _, err := s.times(); err != nil {
		return err
	}
	if _, err := s.traceTime(); err != nil {
		return err
	}
	if _, err := s.eventTime(); err != nil {
		return err
	}
	if s.TraceSize < 1 {
		return fmt.Errorf("--trace-size %d: expected 1 or more MB", s.TraceSize)
	}
	_, err := s.filePlan()
	return err
}

// times reads --media-timeout and --drain.
func (s *settings) times() (mediaTimeout, drain time.Duration, err error) {
	mediaTimeout, err = time.ParseDuration(s.MediaTimeout)
	if err != nil || mediaTimeout < 0 {
		return 0, 0, fmt.Errorf("--media-timeout %q: expected a duration such as 30s, or 0 for never", s.MediaTimeout)
	}
	drain, err = time.ParseDuration(s.Drain)
	if err != nil || drain < 0 {
		return 0, 0, fmt.Errorf("--drain %q: expected a duration such as 30s", s.Drain)
	}
	return mediaTimeout, drain, nil
}

// traceTime reads --trace; 0 means that nothing is kept.
func (s *settings) traceTime() (time.Duration, error) {
	d, err := time.ParseDuration(s.Trace)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--trace %q: expected a duration such as 24h, or 0 for none", s.Trace)
	}
	return d, nil
}

// eventTime reads --keep-events.
func (s *settings) eventTime() (time.Duration, error) {
	d, err := time.ParseDuration(s.KeepEvents)
	if err != nil || d < time.Hour {
		return 0, fmt.Errorf("--keep-events %q: expected a duration of 1h or more, such as 720h", s.KeepEvents)
	}
	return d, nil
}

// authorities reads --stir-ca: who may vouch for callers' numbers.
func (s *settings) authorities() (stir.Config, error) {
	if s.stir != nil {
		return *s.stir, nil
	}
	if s.STIRCA == "" {
		return stir.Config{}, nil
	}
	text, err := os.ReadFile(s.STIRCA)
	if err != nil {
		return stir.Config{}, fmt.Errorf("--stir-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return stir.Config{}, fmt.Errorf("--stir-ca %s: expected certificates in PEM", s.STIRCA)
	}
	return stir.Config{Roots: pool}, nil
}

// webrtcCodecs reads --webrtc-codecs; nil, the usual ones, where nothing is said.
func (s *settings) webrtcCodecs() (codecs []media.Codec, err error) {
	for _, name := range s.WebRTCCodecs {
		c, _ := media.ParseCodec(strings.TrimSpace(name))
		if !slices.Contains(webrtc.DefaultAudio, c) {
			return nil, fmt.Errorf("--webrtc-codecs %q: expected a list out of opus, PCMU and PCMA, the preferred one first", name)
		}
		if slices.Contains(codecs, c) {
			return nil, fmt.Errorf("--webrtc-codecs names %s twice; leave one out", c)
		}
		codecs = append(codecs, c)
	}
	return codecs, nil
}

// redundancy reads --webrtc-red.
func (s *settings) redundancy() (webrtc.Redundancy, error) {
	switch s.WebRTCRED {
	case "auto", "":
		return webrtc.RedundancyOnLoss, nil
	case "always":
		return webrtc.RedundancyAlways, nil
	case "off":
		return webrtc.NoRedundancy, nil
	}
	return 0, fmt.Errorf("--webrtc-red %q: expected auto, always or off", s.WebRTCRED)
}

// rtpRange reads --rtp-ports.
func (s *settings) rtpRange() (low, high int, err error) {
	from, to, ok := strings.Cut(s.RTPPorts, "-")
	low, errLow := strconv.Atoi(from)
	high, errHigh := strconv.Atoi(to)
	if !ok || errLow != nil || errHigh != nil || low < 1 || high > 65535 || high < low+1 {
		return 0, 0, fmt.Errorf("--rtp-ports %q: expected LOW-HIGH, such as 20000-29999", s.RTPPorts)
	}
	return low, high, nil
}

func (s *settings) publicIP() (netip.Addr, error) {
	if s.PublicIP == "" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(s.PublicIP)
	if err != nil {
		return ip, fmt.Errorf("--public-ip %q: expected an IP address", s.PublicIP)
	}
	return ip, nil
}

// sipAddrs reads --sip and --sip-tls: the addresses that are bound.
func (s *settings) sipAddrs() (bound []netip.Addr, err error) {
	for _, group := range []struct {
		flag string
		list []string
	}{{"--sip", s.SIP}, {"--sip-tls", s.SIPTLS}} {
		for _, text := range group.list {
			a, err := sip.ParseAddress(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", group.flag, err)
			}
			bound = append(bound, a.Listen.Addr())
		}
	}
	return bound, nil
}

// filePlan reads the dial plan that the configuration file may hold; nil without one.
func (s *settings) filePlan() (*dialplan.Plan, error) {
	if s.Config == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.Config)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	plan, err := dialplan.ParseAmong(text, settingKeys(), os.Getenv)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Config, err)
	}
	if len(plan.Trunks)+len(plan.Numbers)+len(plan.Routes) == 0 {
		return nil, nil
	}
	return plan, nil
}

// settingKeys are the YAML keys of all settings: the flags' names.
func settingKeys() []string {
	parser := kong.Must(&struct {
		Serve serveCommand `cmd:""`
	}{})
	var keys []string
	for _, flag := range parser.Model.Children[0].Flags {
		keys = append(keys, flag.Name, strings.ReplaceAll(flag.Name, "-", "_"))
	}
	return keys
}

// configFile gives kong what the --config file says about settings that the
// command line and the environment leave open.
type configFile struct {
	values  map[string]any
	failure error // of reading it
	serving bool  // the command is serve, which is the one that reads it
}

func readConfig(args []string) *configFile {
	values, err := readSettings(configPath(args))
	return &configFile{values: values, failure: err}
}

// Resolve implements kong.Resolver.
func (f *configFile) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if parent.Node() == nil || parent.Node().Name != "serve" {
		return nil, nil
	}
	f.serving = true
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil
		}
	}
	if v, ok := f.values[flag.Name]; ok {
		return v, nil
	}
	return f.values[strings.ReplaceAll(flag.Name, "-", "_")], nil
}

// Validate implements kong.Resolver: here a failure is not blamed on some flag.
func (f *configFile) Validate(*kong.Application) error {
	if f.serving {
		return f.failure
	}
	return nil
}

// configPath finds --config before kong has parsed anything.
func configPath(args []string) string {
	for i, a := range args {
		if path, ok := strings.CutPrefix(a, "--config="); ok {
			return path
		}
		if a == "--config" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return os.Getenv("ROOMLINE_CONFIG")
}

func readSettings(path string) (map[string]any, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var all map[string]any
	if err := yaml.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	known := map[string]bool{}
	for _, k := range settingKeys() {
		known[k] = true
	}
	for k, v := range all {
		if !known[k] && !planKeys[k] {
			return nil, fmt.Errorf("%s: unknown setting %q; `roomline serve --help` lists all", path, k)
		}
		if known[k] {
			all[k] = asText(v)
		}
	}
	return all, nil
}

// asText writes a YAML value as the command line would have it: a list the way
// kong reads repeated flags.
func asText(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = fmt.Sprint(v)
	}
	return strings.Join(parts, ",")
}

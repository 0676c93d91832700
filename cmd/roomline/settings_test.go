package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

const sampleSettings = "../../configs/roomline.yaml"

// parsed are the settings that serve would have with a command line.
func parsed(t *testing.T, args ...string) (settings, error) {
	t.Helper()
	var c commands
	parser, err := newParser(&c, append([]string{"serve"}, args...))
	if err != nil {
		return settings{}, err
	}
	_, err = parser.Parse(append([]string{"serve"}, args...))
	return c.Serve.settings, err
}

// serveFlags are the flags of serve, without kong's own.
func serveFlags(t *testing.T) []*kong.Flag {
	t.Helper()
	parser := kong.Must(&struct {
		Serve serveCommand `cmd:""`
	}{})
	return parser.Model.Children[0].Flags
}

// uncommented is the sample with every setting switched on.
func uncommented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(sampleSettings)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^#([a-z-]+:)`).ReplaceAllString(string(text), "$1")
}

func TestTheSampleHoldsEveryFlagOfServe(t *testing.T) {
	notYet := []string{"sip-ws", "livekit-url", "livekit-key", "livekit-secret"}
	text := uncommented(t)
	for _, flag := range serveFlags(t) {
		held := regexp.MustCompile(`(?m)^` + flag.Name + `:`).MatchString(text)
		if unbuilt := slices.Contains(notYet, flag.Name) || flag.Name == "config"; held == unbuilt {
			t.Errorf("--%s: in the sample %v", flag.Name, held)
		}
	}
}

func TestTheSampleSaysTheDefaults(t *testing.T) {
	before, err := parsed(t)
	if err != nil {
		t.Fatal(err)
	}
	after, err := parsed(t, "--config", sampleSettings)
	after.Config = ""
	if err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("the sample as it is changes something: %v\n%+v\n%+v", err, before, after)
	}
	text := uncommented(t)
	for _, flag := range serveFlags(t) {
		if flag.Default == "" || flag.Name == "config" {
			continue
		}
		said := regexp.MustCompile(`(?m)^` + flag.Name + `: \[?([^\]\n]*)\]?`).FindStringSubmatch(text)
		if said == nil || said[1] != flag.Default {
			t.Errorf("--%s: default %q, the sample says %q", flag.Name, flag.Default, said)
		}
	}
}

// Every setting of the sample, switched on, arrives.
func TestEverySettingIsReadFromTheFile(t *testing.T) {
	text := uncommented(t)
	for _, name := range []string{"tls-cert", "tls-key"} { // ACME makes its own
		text = regexp.MustCompile(`(?m)^`+name+`:.*`).ReplaceAllString(text, "")
	}
	text = strings.NewReplacer("30s", "7s", ": 5\n", ": 6\n", "24000", "25000").Replace(text)
	got, err := parsed(t, "--config", planFile(t, text))
	if err != nil {
		t.Fatal(err)
	}
	if got.DatabaseURL != "postgres://roomline@db.example/roomline" || got.PublicIP != "192.0.2.1" || got.ACME != "calls.example.com" ||
		!slices.Equal(got.TURN, []string{"turn:turn.example.com:3478"}) || !slices.Equal(got.SIP, []string{"127.0.0.1:5060"}) ||
		got.MediaTimeout != "7s" || got.Drain != "7s" || got.OpusComplexity != 6 || got.OpusBitrate != 25000 {
		t.Errorf("%+v", got)
	}
	got, err = parsed(t, "--config", planFile(t, "sip: [127.0.0.1:5070, 127.0.0.1:5071]\nrtp_ports: 21000-21999\nmedia-timeout: 0\nopus-complexity: 3\nturn: turn:a.example\n"))
	if err != nil || !slices.Equal(got.SIP, []string{"127.0.0.1:5070", "127.0.0.1:5071"}) || got.RTPPorts != "21000-21999" ||
		got.MediaTimeout != "0" || got.OpusComplexity != 3 || !slices.Equal(got.TURN, []string{"turn:a.example"}) {
		t.Errorf("%v %+v", err, got)
	}
}

func TestFlagsWinOverTheEnvironmentAndBothOverTheFile(t *testing.T) {
	file := planFile(t, "drain: 1s\nrtp-ports: 21000-21999\nopus-complexity: 1\nsip: [127.0.0.1:5071]\nhttp: 127.0.0.1:8081\n")
	t.Setenv("ROOMLINE_CONFIG", file)
	t.Setenv("ROOMLINE_DRAIN", "2s")
	t.Setenv("ROOMLINE_OPUS_COMPLEXITY", "2")
	t.Setenv("ROOMLINE_SIP", "127.0.0.1:5072,127.0.0.1:5073")
	got, err := parsed(t, "--drain", "3s", "--opus-complexity=3")
	if err != nil {
		t.Fatal(err)
	}
	if got.Drain != "3s" || got.OpusComplexity != 3 {
		t.Errorf("flags: %+v", got)
	}
	if !slices.Equal(got.SIP, []string{"127.0.0.1:5072", "127.0.0.1:5073"}) {
		t.Errorf("environment: %v", got.SIP)
	}
	if got.RTPPorts != "21000-21999" || got.HTTP != "127.0.0.1:8081" {
		t.Errorf("file: %+v", got)
	}
	if got.Data != "./data" {
		t.Errorf("default: %+v", got)
	}
	if got, err = parsed(t); err != nil || got.Drain != "2s" || got.OpusComplexity != 2 {
		t.Errorf("without flags: %v %+v", err, got)
	}
}

func TestWrongCommandLinesEndWithTwoAndOneSentence(t *testing.T) {
	bad := planFile(t, "drian: 5s\n")
	broken := planFile(t, "drain: [\n")
	plan := planFile(t, "routes:\n  - {name: a, romo: x}\n")
	for _, c := range []struct {
		args  string
		words []string
	}{
		{"srve", []string{"srve", "serve"}},
		{"serve --nonsense", []string{"--nonsense"}},
		{"serve --opus-complexity 11", []string{"--opus-complexity 11", "0 to 10"}},
		{"serve --opus-complexity five", []string{"--opus-complexity"}},
		{"serve --opus-bitrate 5", []string{"--opus-bitrate 5", "6000 to 128000"}},
		{"serve --rtp-ports 20000", []string{"--rtp-ports", "LOW-HIGH"}},
		{"serve --rtp-ports 30000-20000", []string{"--rtp-ports", "LOW-HIGH"}},
		{"serve --public-ip host.example", []string{"--public-ip", "IP address"}},
		{"serve --sip 5060", []string{"--sip", "IP:PORT"}},
		{"serve --sip host.example:5060", []string{"--sip", "host.example:5060", "IP:PORT"}},
		{"serve --sip 192.0.2.1:5060/public=host", []string{"--sip", "public=host", "IP address"}},
		{"serve --sip 192.0.2.1:5060/public=2001:db8::1", []string{"--sip", "public=2001:db8::1", "IPv4"}},
		{"serve --sip 192.0.2.1:5060/pubic=192.0.2.2", []string{"--sip", "pubic", "media=IP"}},
		{"serve --sip-tls 127.0.0.1:5061", []string{"--sip-tls", "--sip-tls-cert"}},
		{"serve --sip-tls-cert a.pem", []string{"--sip-tls-cert", "--sip-tls-key"}},
		{"serve --sip-tls 5061 --sip-tls-cert a.pem --sip-tls-key b.pem", []string{"--sip-tls", "IP:PORT"}},
		{"serve --livekit-url wss://x.example", []string{"--livekit-url", "not available yet"}},
		{"serve --tls-cert a.pem", []string{"--tls-cert", "--tls-key"}},
		{"serve --media-timeout soon", []string{"--media-timeout", "30s"}},
		{"serve --drain soon", []string{"--drain", "30s"}},
		{"serve --drain -5s", []string{"--drain"}},
		{"serve --http 8080", []string{"--http"}},
		{"serve --webrtc-udp 7882", []string{"--webrtc-udp"}},
		{"serve --webrtc-codecs PCMU,G722", []string{"--webrtc-codecs", `"G722"`, "opus, PCMU and PCMA"}},
		{"serve --webrtc-codecs opus,PCMU,Opus", []string{"--webrtc-codecs", "opus twice"}},
		{"serve --webrtc-red sometimes", []string{"--webrtc-red", `"sometimes"`, "auto, always or off"}},
		{"serve --metrics 9464", []string{"--metrics"}},
		{"serve --config /nonexistent.yaml", []string{"/nonexistent.yaml"}},
		{"serve --config " + bad, []string{filepath.Base(bad), "line 1", "drian", "did you mean drain"}},
		{"serve --config " + broken, []string{filepath.Base(broken), "line"}},
		{"serve --config " + plan, []string{filepath.Base(plan), "line 2", "romo"}},
		{"--log-level loud serve", []string{"--log-level", "debug"}},
		{"apply", []string{"--file"}},
		{"apply -f /nonexistent.yaml", []string{"/nonexistent.yaml"}},
		{"route", []string{"--to"}},
		{"call", []string{"<to>"}},
		{"phone dial", []string{"<target>"}},
		{"bench --calls many", []string{"--calls"}},
	} {
		t.Run(c.args, func(t *testing.T) {
			if strings.HasPrefix(c.args, "serve") {
				c.args += " --data " + t.TempDir()
			}
			out, status := commandLine(t, strings.Fields(c.args)...)
			says(t, out, status, 2, append(c.words, "roomline: ")...)
			if lines := strings.Count(out, "\n"); lines != 1 {
				t.Errorf("%d lines: %s", lines, out)
			}
			if strings.Contains(out, "--help: ") {
				t.Errorf("a flag is blamed that has nothing to do with it: %s", out)
			}
		})
	}
}

func TestEveryCommandsHelpHasExamples(t *testing.T) {
	var c commands
	parser, err := newParser(&c, nil)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, child := range n.Children {
			walk(child)
		}
		if n.Hidden {
			return
		}
		path := strings.Fields(strings.TrimPrefix(n.Path(), "roomline"))
		t.Run(fmt.Sprint(path), func(t *testing.T) {
			e, ok := n.Target.Addr().Interface().(interface{ Examples() string })
			if !ok {
				t.Fatal("no examples")
			}
			for _, line := range strings.Split(strings.TrimRight(e.Examples(), "\n"), "\n") {
				if !strings.HasPrefix(line, "  roomline ") {
					t.Errorf("%q is not an example", line)
				}
			}
			if n.Help == "" && n != parser.Model.Node {
				t.Error("no help")
			}
		})
	}
	walk(parser.Model.Node)
}

// The examples are command lines that make sense.
func TestExamplesAreUnderstood(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"roomline.yaml", "dialplan.yaml", "in.wav"} {
		if err := os.WriteFile(name, []byte("routes: []\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var c commands
	parser, err := newParser(&c, nil)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, child := range n.Children {
			walk(child)
		}
		e, ok := n.Target.Addr().Interface().(interface{ Examples() string })
		if !ok {
			return
		}
		for _, line := range strings.Split(strings.TrimRight(e.Examples(), "\n"), "\n") {
			line, _, _ = strings.Cut(strings.ReplaceAll(line, " > ", " # "), " #")
			args := shellWords(strings.TrimPrefix(line, "  roomline"))
			var fresh commands
			p, err := newParser(&fresh, args)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Parse(args); err != nil {
				t.Errorf("%v: %v", args, err)
			}
		}
	}
	walk(parser.Model.Node)
}

// shellWords splits a command line as a shell does, as far as our examples need it.
func shellWords(line string) (args []string) {
	for _, m := range regexp.MustCompile(`(?:[^\s'"]|'[^']*'|"[^"]*")+`).FindAllString(line, -1) {
		args = append(args, strings.NewReplacer(`'`, "", `"`, "").Replace(m))
	}
	return args
}

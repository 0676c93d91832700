package configs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/dialplan"
)

// settings are the keys that roomline.yaml may hold beside a dial plan.
var settings = []string{
	"data", "database-url", "http", "public-url", "tls-cert", "tls-key", "acme", "sip", "sip-tls", "sip-tls-cert", "sip-tls-key", "sip-tls-ca", "rtp-ports",
	"webrtc-udp", "webrtc-tcp", "webrtc-codecs", "webrtc-red", "turn", "turn-secret", "public-ip", "admin-key", "metrics",
	"opus-complexity", "opus-bitrate", "opus-dtx", "hold-music", "media-timeout", "trace", "trace-size", "keep-events", "stir-ca", "drain",
}

// set is the environment of all samples.
func set(name string) string {
	if strings.HasSuffix(name, "_PIN") {
		return "4711"
	}
	return "set"
}

func TestEverySampleIsLoaded(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("got %v, %v", files, err)
	}
	for _, file := range files {
		if file == "roomline.yaml" {
			continue
		}
		p, err := dialplan.Parse(read(t, file), set)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if problems := p.Check(); len(problems) > 0 {
			t.Errorf("%s: %v", file, problems)
		}
	}
}

// The settings are commented out; with the marks taken away every key must be known.
func TestSettingsSampleShowsEverySetting(t *testing.T) {
	shown := regexp.MustCompile(`(?m)^#([a-z-]+):`)
	text := read(t, "roomline.yaml")
	var keys []string
	for _, m := range shown.FindAllSubmatch(text, -1) {
		keys = append(keys, string(m[1]))
	}
	if !slices.Equal(keys, settings) {
		t.Errorf("got %v\nwant %v", keys, settings)
	}
	if _, err := dialplan.ParseAmong(shown.ReplaceAll(text, []byte("$1:")), settings, os.Getenv); err != nil {
		t.Error(err)
	}
	if _, err := dialplan.ParseAmong([]byte("htpp: x"), settings, os.Getenv); err == nil {
		t.Error("an unknown key was taken")
	}
}

func TestTheSmallestTrunkHasTenLinesAtMost(t *testing.T) {
	text := read(t, "trunk.yaml")
	if n := strings.Count(string(text), "\n"); n > 10 {
		t.Errorf("%d lines", n)
	}
	p, err := dialplan.Parse(text, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if d := p.Decide(dialplan.Query{Trunk: "carrier", To: "+15551230000"}); d.Target.Room != "lobby" {
		t.Errorf("got %v", d)
	}
}

func TestTheDialPlanDoesWhatItsCommentsSay(t *testing.T) {
	p, err := dialplan.Parse(read(t, "dialplan.yaml"), set)
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 3, 10, 16, 0, 0, 0, time.UTC) // a Tuesday in New York
	for _, c := range []struct {
		q    dialplan.Query
		want string
	}{
		{dialplan.Query{Trunk: "carrier", To: "911", From: "+19005551234"}, "sos-{{call.id}}"},
		{dialplan.Query{Trunk: "carrier", To: "+15551230000", At: noon}, "sales"},
		{dialplan.Query{Trunk: "carrier", To: "+15551230000", At: noon.Add(12 * time.Hour)}, "front-desk"},
		{dialplan.Query{Trunk: "carrier", To: "+15551230000", At: time.Date(2026, 11, 26, 16, 0, 0, 0, time.UTC)}, "front-desk"},
		{dialplan.Query{Trunk: "carrier", To: "15551230001", At: noon}, "support"},
		{dialplan.Query{Trunk: "carrier", To: "+15551230003", At: noon}, "meeting"},
		{dialplan.Query{Trunk: "pbx", To: "lobby", At: noon}, "lobby"},
		{dialplan.Query{Trunk: "pbx", To: "lobby", Headers: map[string]string{"x-tenant": "blue"}}, "blue-{{call.to}}"},
	} {
		if d := p.Decide(c.q); d.Target.Room != c.want {
			t.Errorf("%v: got %v", c.q, d)
		}
	}
	for to, want := range map[string]string{"+12125551234": "carrier", "sip:1001@192.0.2.7": "pbx", "+33123456789": "", "911": "", "sip:bob@192.0.2.9": ""} {
		if trunk, _, _ := p.Outbound(to, ""); trunk.Name != want {
			t.Errorf("%s leaves by %q, want %q", to, trunk.Name, want)
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

package trace

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	us    = netip.MustParseAddrPort("192.0.2.1:5060")
	peer  = netip.MustParseAddrPort("198.51.100.7:5060")
	third = netip.MustParseAddrPort("[2001:db8::7]:5061")
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

const sdp = "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\n"

func message(start, callID, more, body string) []byte {
	return fmt.Appendf(nil, "%s\r\nVia: SIP/2.0/UDP 198.51.100.7\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\n%sContent-Length: %d\r\n\r\n%s", start, callID, more, len(body), body)
}

// call is one call's messages with two peers.
func call(id string) []Message {
	at := func(ms int, sent bool, remote netip.AddrPort, transport string, raw []byte) Message {
		return Message{Time: noon.Add(time.Duration(ms) * time.Millisecond), Sent: sent, Transport: transport, Local: us, Remote: remote, Raw: raw}
	}
	return []Message{
		at(0, false, peer, "udp", message("INVITE sip:lobby@192.0.2.1 SIP/2.0", id, "Authorization: Digest username=\"u\",\r\n response=\"6629fae49393a05397450978507c4ef1\"\r\n", sdp)),
		at(1, true, peer, "udp", message("SIP/2.0 100 Trying", id, "", "")),
		at(5, true, third, "tls", message("INVITE sip:+15551234567@example.com SIP/2.0", id, "", sdp)),
		at(300, false, third, "tls", message("SIP/2.0 180 Ringing", id, "", "")),
		at(301, true, peer, "udp", message("SIP/2.0 180 Ringing", id, "", "")),
		at(500, true, peer, "udp", message("SIP/2.0 200 OK", id, "", sdp)),
		at(1000, true, peer, "udp", message("SIP/2.0 200 OK", id, "", sdp)),
		at(1010, false, peer, "udp", message("ACK sip:lobby@192.0.2.1 SIP/2.0", id, "", "")),
		at(1500, false, peer, "udp", message("INFO sip:lobby@192.0.2.1 SIP/2.0", id, "Content-Type: application/dtmf-relay\r\n", "Signal=7\r\nDuration=160\r\n")),
	}
}

func start(t *testing.T, c Config) (*Recorder, func()) {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	var once sync.Once
	stop := func() { once.Do(func() { cancel(); wg.Wait() }) }
	t.Cleanup(stop)
	return r, stop
}

func TestMessagesAreKeptByCallAcrossARestart(t *testing.T) {
	dir := t.TempDir()
	r, stop := start(t, Config{Dir: dir})
	for i := range 50 {
		for _, m := range call(fmt.Sprintf("call %d\"x", i)) {
			r.Record(m)
		}
	}
	for _, when := range []string{"while it runs", "after a restart"} {
		got, err := r.Find(context.Background(), noon, noon.Add(2*time.Second), "call 7\"x")
		if err != nil || len(got) != len(call("")) {
			t.Fatalf("%s: %d messages, want %d: %v", when, len(got), len(call("")), err)
		}
		for i, want := range call("call 7\"x") {
			if got[i].Start() != want.Start() || !got[i].Time.Equal(want.Time) || got[i].Sent != want.Sent ||
				got[i].Local != want.Local || got[i].Remote != want.Remote || got[i].Transport != want.Transport {
				t.Errorf("%s: message %d is %+v", when, i, got[i])
			}
		}
		stop()
		r, stop = start(t, Config{Dir: dir})
	}
	if got, err := r.Find(context.Background(), noon.Add(-2*time.Hour), noon.Add(-time.Hour), "call 7\"x"); err != nil || len(got) != 0 {
		t.Errorf("an hour before there were %d messages: %v", len(got), err)
	}
}

func TestSecretsAreNotKept(t *testing.T) {
	dir := t.TempDir()
	r, stop := start(t, Config{Dir: dir})
	for _, m := range call("secret") {
		r.Record(m)
	}
	r.Record(Message{Time: noon, Transport: "udp", Local: us, Remote: peer, Raw: message("MESSAGE sip:x@y SIP/2.0", "secret", "Content-Type: text/plain\r\n", "the code is 4711")})
	r.Record(Message{Time: noon, Transport: "udp", Local: us, Remote: peer, Raw: message("INFO sip:x@y SIP/2.0", "secret", "Content-Type: application/dtmf\r\n", "7\r\n")})
	stop()
	files, _ := filepath.Glob(dir + "/*")
	kept, err := os.ReadFile(files[0])
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	for _, secret := range []string{"6629fae", "WVNfX19", "Signal=7", "4711", "\n7\r\n", `username="u"`} {
		if bytes.Contains(kept, []byte(secret)) {
			t.Errorf("%q was kept", secret)
		}
	}
	for _, rest := range []string{"Duration=160", "AES_CM_128_HMAC_SHA1_80 inline:" + mask + "|2^20|1:4", "Authorization: " + mask, "Content-Length: "} {
		if !bytes.Contains(kept, []byte(rest)) {
			t.Errorf("%q is missing in\n%s", rest, kept)
		}
	}
	if info, _ := os.Stat(files[0]); info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v", info.Mode())
	}
}

func TestOldAndTooMuchIsDeleted(t *testing.T) {
	dir := t.TempDir()
	names := []string{}
	for i := range 5 {
		name := filepath.Join(dir, fmt.Sprintf("%019d%s", noon.Add(time.Duration(i)*time.Hour).UnixNano(), suffix))
		names = append(names, name)
		if err := os.WriteFile(name, make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(name, time.Time{}, noon.Add(time.Duration(i)*time.Hour))
	}
	w := &writer{Config: Config{Dir: dir, Keep: 3 * time.Hour, Size: 2500}}
	w.tidy(noon.Add(5 * time.Hour))
	for i, name := range names {
		_, err := os.Stat(name)
		if kept := err == nil; kept != (i >= 3) {
			t.Errorf("segment %d kept: %v", i, kept)
		}
	}
}

func TestLadder(t *testing.T) {
	var b strings.Builder
	if err := Ladder(&b, call("x")); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/ladder.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// Wireshark's own reader must find every message, with its addresses.
func TestWiresharkOpensTheCapture(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("tshark is missing; scripts/tools installs it")
		}
		t.Skip("tshark is missing; scripts/tools installs it")
	}
	file := filepath.Join(t.TempDir(), "call.pcap")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := WritePCAP(f, call("x")); err != nil {
		t.Fatal(err)
	}
	f.Close()
	out, err := exec.Command(tshark, "-r", file, "-T", "fields", "-e", "frame.time_epoch", "-e", "sip.Method", "-e", "sip.Status-Code", "-e", "sip.Call-ID", "-e", "exported_pdu.ipv4_src", "-e", "exported_pdu.ipv6_dst", "-e", "exported_pdu.src_port").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(call("")) {
		t.Fatalf("%d messages:\n%s", len(lines), out)
	}
	if !strings.Contains(lines[0], "\tINVITE\t\tx\t198.51.100.7\t\t5060") || !strings.Contains(lines[2], "\tINVITE\t\tx\t192.0.2.1\t2001:db8::7\t5060") || !strings.Contains(lines[5], "\t200\tx") {
		t.Errorf("tshark reads\n%s", out)
	}
}

func BenchmarkRecord(b *testing.B) {
	r, err := New(Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	messages := call("benchmark-call-id@192.0.2.1")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Record(messages[i%len(messages)])
		if i%1000 == 999 {
			r.settle(ctx)
		}
	}
	cancel()
	wg.Wait()
	if r.Dropped() > 0 {
		b.Errorf("%d dropped", r.Dropped())
	}
}

func FuzzMasked(f *testing.F) {
	for _, m := range call("x") {
		f.Add(m.Raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		masked := Masked(raw)
		if len(masked) > 2*len(raw)+64 {
			t.Errorf("%d bytes became %d", len(raw), len(masked))
		}
		CallID(raw)
		var b bytes.Buffer
		Ladder(&b, []Message{{Raw: masked, Local: us, Remote: peer}})
	})
}

package phone

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/roomline/roomline/media"
)

// parse reads a command line as the program does.
func parse(t *testing.T, out io.Writer, args ...string) (*kong.Context, error) {
	t.Helper()
	var program struct {
		Phone Command `cmd:"" help:"A SIP softphone for people and tests."`
	}
	k, err := kong.New(&program, kong.Name("roomline"), kong.Writers(out, out), kong.Exit(func(int) { panic("exit") }))
	if err != nil {
		t.Fatal(err)
	}
	return k.Parse(append([]string{"phone"}, args...))
}

// execute runs a command line and returns its exit status.
func execute(ctx context.Context, t *testing.T, out io.Writer, args ...string) (int, error) {
	t.Helper()
	c, err := parse(t, out, args...)
	if err != nil {
		return ExitUsage, err
	}
	c.BindTo(ctx, (*context.Context)(nil))
	c.BindTo(out, (*io.Writer)(nil))
	err = c.Run(slog.New(slog.DiscardHandler))
	var e *ExitError
	switch {
	case errors.As(err, &e):
		return e.ExitCode(), err
	case err != nil:
		return -1, err
	}
	return 0, nil
}

// result is how a command ended.
type result struct {
	status int
	err    error
	out    string
}

// answering starts "phone answer" and returns where it listens.
func answering(t *testing.T, args ...string) (uri string, ended <-chan result) {
	t.Helper()
	r, w := io.Pipe()
	done, lines := make(chan result, 1), make(chan string, 1)
	ctx := within(t)
	status := make(chan result, 1)
	go func() {
		code, err := execute(ctx, t, w, append([]string{"answer"}, args...)...)
		w.Close()
		status <- result{status: code, err: err}
	}()
	go func() {
		var out strings.Builder
		for s := bufio.NewScanner(r); s.Scan(); {
			if u, ok := strings.CutPrefix(s.Text(), "listening: "); ok {
				lines <- u
			}
			out.WriteString(s.Text() + "\n")
		}
		end := <-status
		end.out = out.String()
		done <- end
	}()
	select {
	case uri = <-lines:
	case end := <-done:
		t.Fatalf("it does not listen: %+v", end)
	}
	return uri, done
}

func dialling(t *testing.T, args ...string) (Report, result) {
	t.Helper()
	var out bytes.Buffer
	status, err := execute(within(t), t, &out, append([]string{"dial"}, append(args, "--json")...)...)
	var r Report
	if e := json.Unmarshal(out.Bytes(), &r); e != nil && status != ExitUsage {
		t.Errorf("%v: the output is no report: %v\n%s", args, e, out.String())
	}
	return r, result{status: status, err: err, out: out.String()}
}

func TestDialAndAnswerCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	here, there := filepath.Join(dir, "here.wav"), filepath.Join(dir, "there.wav")
	uri, answered := answering(t, "--play", "tone:1000@-12", "--record", there, "--digits", "9*", "--digits-after", "200ms", "--expect-audio")
	r, end := dialling(t, uri, "--play", "tone:440@-20", "--record", here, "--both", "--digits", "12#", "--digits-after", "1.2s",
		"--duration", "2.5s", "--expect-audio", "--from", "+15550100", "--codec", "pcma")
	if end.status != 0 || end.err != nil {
		t.Fatalf("dial: %+v", end)
	}
	if !r.Answered || r.Cause != "normal" || r.Codec != "PCMA" || r.From != "+15550100" || r.To != uri || r.Direction != "outbound" ||
		r.Digits != "9*" || r.Gaps != 0 || r.PacketsLost != 0 || r.MOS < 4 || r.PacketsReceived < 90 || r.PacketsSent < 90 ||
		math.Abs(r.ToneHz-1000) > 1 || math.Abs(r.ToneLevel+12) > 1 || r.DurationMS < 2490 || r.HeardMS < 2000 {
		t.Errorf("report %s", end.out)
	}
	other := <-answered
	if other.status != 0 || !strings.Contains(other.out, "a tone of 440 Hz at -20.") || !strings.Contains(other.out, "digit 1\ndigit 2\ndigit #\n") ||
		!strings.Contains(other.out, `call from "+15550100" to "phone"`) || !strings.Contains(other.out, "digits received: 12#") {
		t.Errorf("answer: %d\n%s", other.status, other.out)
	}
	checkRecordings(t, here, there)
}

func checkRecordings(t *testing.T, here, there string) {
	t.Helper()
	f, err := os.Open(there)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pcm, rateHz, err := media.ReadWAV(f)
	if err != nil || rateHz != 8000 || len(pcm) < 16000 {
		t.Fatalf("%d samples at %d Hz: %v", len(pcm), rateHz, err)
	}
	if freq, _, ok := FindTone(loudest(pcm, 4000)); !ok || math.Abs(freq-440) > 1 {
		t.Errorf("the mono recording holds %v Hz (%v)", freq, ok)
	}
	both, err := os.ReadFile(here)
	if err != nil || len(both) < 44+64000 || both[22] != 2 {
		t.Fatalf("stereo recording of %d bytes: %v", len(both), err)
	}
	var left, right []int16
	for b := both[44:]; len(b) >= 4; b = b[4:] {
		left, right = append(left, int16(uint16(b[0])|uint16(b[1])<<8)), append(right, int16(uint16(b[2])|uint16(b[3])<<8))
	}
	if freq, _, ok := FindTone(loudest(left, 4000)); !ok || math.Abs(freq-1000) > 1 {
		t.Errorf("the left channel holds %v Hz (%v)", freq, ok)
	}
	if freq, _, ok := FindTone(loudest(right, 4000)); !ok || math.Abs(freq-440) > 1 {
		t.Errorf("the right channel holds %v Hz (%v)", freq, ok)
	}
}

func TestExitStatuses(t *testing.T) {
	tests := map[string]struct {
		answer, dial  []string
		status, other int
		code          int
	}{
		"busy":              {[]string{"--busy"}, nil, ExitBusy, 0, 486},
		"busy, rung first":  {[]string{"--busy", "--ring", "50ms"}, nil, ExitBusy, 0, 486},
		"declined":          {[]string{"--reject", "603"}, nil, ExitRejected, 0, 603},
		"gone number":       {[]string{"--reject", "410"}, nil, ExitRejected, 0, 410},
		"rejected at 404":   {[]string{"--reject", "404", "--ring", "50ms"}, nil, ExitRejected, 0, 404},
		"out of service":    {[]string{"--reject", "503"}, nil, ExitUnreachable, 0, 503},
		"no answer":         {[]string{"--ring", "1m"}, []string{"--ring-timeout", "300ms"}, ExitNoAnswer, ExitNoAnswer, 0},
		"silence":           {nil, []string{"--duration", "300ms", "--expect-audio"}, ExitSilent, 0, 0},
		"rings, answers":    {[]string{"--ring", "100ms", "--play", "speech"}, []string{"--duration", "700ms", "--expect-audio"}, 0, 0, 0},
		"hears nothing":     {[]string{"--expect-audio"}, []string{"--duration", "300ms"}, 0, ExitSilent, 0},
		"no common codec":   {[]string{"--codec", "PCMA"}, []string{"--codec", "PCMU"}, ExitRejected, -1, 488},
		"held and resumed":  {[]string{"--play", "tone:440"}, []string{"--duration", "900ms", "--hold-after", "200ms", "--resume-after", "500ms"}, 0, 0, 0},
		"ends before plans": {[]string{"--duration", "200ms"}, []string{"--duration", "5s", "--digits", "1", "--digits-after", "4s"}, ExitFailed, 0, 0},
		"said once":         {nil, []string{"--play", "testdata/beep.wav", "--once"}, 0, 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uri, answered := answering(t, append(tt.answer, "--wait", "5s")...)
			r, end := dialling(t, append([]string{uri}, tt.dial...)...)
			if end.status != tt.status || r.Exit != tt.status || tt.code != 0 && r.SIPCode != tt.code {
				t.Errorf("dial exits with %d, %v\n%s", end.status, end.err, end.out)
			}
			if tt.other < 0 {
				return // nobody called, as far as it knows
			}
			if other := <-answered; other.status != tt.other {
				t.Errorf("answer exits with %d: %v\n%s", other.status, other.err, other.out)
			}
		})
	}
}

func TestNobodyCalls(t *testing.T) {
	_, ended := answering(t, "--wait", "50ms")
	if end := <-ended; end.status != ExitNoAnswer || end.err == nil {
		t.Errorf("%+v", end)
	}
}

func TestCallsAtOnce(t *testing.T) {
	t.Parallel()
	uri, ended := answering(t, "--calls", "3", "--play", "tone:500")
	p := open(t, Config{})
	ctx := within(t)
	var calls []*Call
	for range 3 {
		c, err := p.Dial(ctx, uri, DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, c)
	}
	for _, c := range calls {
		heardTone(t, c, 500, -20)
		c.Hangup()
	}
	if end := <-ended; end.status != 0 || strings.Count(end.out, "talked for") != 3 {
		t.Errorf("%d\n%s", end.status, end.out)
	}
}

func TestCommandLinesThatMakeNoSense(t *testing.T) {
	const uri = "sip:lobby@127.0.0.1:5060"
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"dial"}, "target"},
		{[]string{"dial", "lobby"}, "expected sip:user@host:port"},
		{[]string{"dial", "sips:lobby@127.0.0.1"}, "TLS is not available yet"},
		{[]string{"dial", "tel:+15551234"}, "needs a server"},
		{[]string{"dial", "sip:lob by@127.0.0.1"}, "cannot be dialled"},
		{[]string{"dial", uri, "--play", "no/such.wav"}, "--play"},
		{[]string{"dial", uri, "--play", "tone:9000"}, "20 to 3999 Hz"},
		{[]string{"dial", uri, "--play", "tone:440@3"}, "-60 to -3 dBov"},
		{[]string{"dial", uri, "--play", "command_test.go"}, "not a RIFF/WAVE file"},
		{[]string{"dial", uri, "--play", "testdata/wide.wav"}, "sox"},
		{[]string{"dial", uri, "--digits", "12x"}, "no such key"},
		{[]string{"dial", uri, "--codec", "opus"}, "expected PCMU or PCMA"},
		{[]string{"dial", uri, "--both"}, "--record"},
		{[]string{"dial", uri, "--resume-after", "1s"}, "--hold-after"},
		{[]string{"dial", uri, "--duration", "1s", "--hold-after", "2s"}, "before the end"},
		{[]string{"dial", uri, "--ptime", "70ms"}, "10ms to 60ms"},
		{[]string{"dial", uri, "--ptime", "15ms"}, "10ms to 60ms"},
		{[]string{"dial", uri, "--listen", "lobby"}, "IP:port"},
		{[]string{"dial", "sip:lobby@[::1]:5060"}, "--listen"},
		{[]string{"answer", "--busy", "--reject", "404"}, "exclude"},
		{[]string{"answer", "--reject", "200"}, "400 to 699"},
		{[]string{"answer", "--reject", "401"}, "400 to 699"},
		{[]string{"answer", "--reject", "604", "--ring", "1s"}, "after --ring"},
		{[]string{"answer", "--calls=-1"}, "negative"},
	}
	for _, tt := range tests {
		status, err := execute(within(t), t, io.Discard, tt.args...)
		if status != ExitUsage || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %d, %v; want words of %q", tt.args, status, err, tt.want)
		}
	}
}

func TestHelp(t *testing.T) {
	help := func(args ...string) string {
		var out bytes.Buffer
		func() {
			defer func() {
				if p := recover(); p != nil && p != "exit" {
					panic(p)
				}
			}()
			parse(t, &out, append(args, "--help")...)
		}()
		return out.String()
	}
	for _, want := range []string{"phone dial", "phone answer", "Call somebody", "Wait for calls"} {
		if got := help(); !strings.Contains(got, want) {
			t.Errorf("the help does not say %q:\n%s", want, got)
		}
	}
	for _, command := range []string{"dial", "answer"} {
		got := help(command)
		for _, want := range []string{"Exit status:", "3 busy", `--play="silence"`, "--digits=KEYS", "--expect-audio", "--json", `--listen="127.0.0.1:0"`} {
			if !strings.Contains(got, want) {
				t.Errorf("the help of %s does not say %q:\n%s", command, want, got)
			}
		}
	}
}

// The examples are command lines that the program takes.
func TestExamples(t *testing.T) {
	for _, examples := range []string{(&DialCommand{}).Examples(), (&AnswerCommand{}).Examples()} {
		for _, line := range strings.Split(strings.TrimSpace(examples), "\n") {
			args, ok := strings.CutPrefix(strings.TrimSpace(strings.ReplaceAll(line, `"`, "")), "roomline phone ")
			if !ok {
				t.Errorf("example %q", line)
			}
			if _, err := parse(t, io.Discard, strings.Fields(args)...); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

func TestNumbered(t *testing.T) {
	for n, want := range map[int]string{1: "a/out.wav", 2: "a/out-2.wav", 13: "a/out-13.wav"} {
		if got := numbered("a/out.wav", n); got != want {
			t.Errorf("recording %d is %s, want %s", n, got, want)
		}
	}
	if got := numbered("", 2); got != "" {
		t.Error(fmt.Sprint("no recording is named ", got))
	}
}

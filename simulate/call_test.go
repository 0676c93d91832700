package simulate

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// slack is what a busy machine may add to a time that was waited for.
const slack = 400 * ms

func passed(t *testing.T, r *Result) {
	t.Helper()
	if !r.Passed() {
		r.WriteText(t.Output())
		t.Fatal("it did not pass")
	}
}

func failed(t *testing.T, r *Result, kind Kind, step int, words ...string) *Failure {
	t.Helper()
	f := r.Outcomes[0].Failure
	if f == nil {
		t.Fatal("it passed")
	}
	if f.Kind != kind || f.Step != step {
		t.Errorf("failed as %s in step %d: %v; want %s, %d", f.Kind, f.Step, f, kind, step)
	}
	for _, w := range words {
		if !strings.Contains(f.Error(), w) {
			t.Errorf("%v: does not say %q", f, w)
		}
	}
	return f
}

func TestAConversationOfTonesIsMeasured(t *testing.T) {
	t.Parallel()
	a := peer{greets: 300 * ms, lasts: 600 * ms, answers: 500 * ms, yields: -1, presses: "42", leaves: true}
	folder := t.TempDir()
	r := a.call(t, `
scenarios:
  - name: tones
    steps:
      - expect: {digits: "42"}
      - expect: {tone: 440, for: 400ms}
      - expect: {silence: 300ms}
      - tone: {hz: 900, for: 700ms}
      - expect: {tone: 660}
      - expect: {hangup: them}
    assert: {unanswered: 0, loss: 0}
`, func(o *Options) { o.Record = folder })
	passed(t, r)
	f := r.Outcomes[0].Figures
	if len(f.Latencies) != 1 || f.Latencies[0] < 440*ms || f.Latencies[0] > 500*ms+slack {
		t.Errorf("latencies %v, the agent waits for 500 ms", f.Latencies)
	}
	// Keys hold sound up, so that the greeting may come later.
	if g := f.Greetings; len(g) != 1 || g[0] < 240*ms || g[0] > 1300*ms {
		t.Errorf("greeting after %v", g)
	}
	if f.OverlapMax != 0 || f.Turns != 1 || f.MOS < 4 {
		t.Errorf("%+v", f)
	}
	wav, err := os.ReadFile(filepath.Join(folder, "test-tones.wav"))
	if err != nil || len(wav) < 4*8000 {
		t.Errorf("recording of %d bytes: %v", len(wav), err)
	}
}

func TestInterruptionsAreMeasured(t *testing.T) {
	t.Parallel()
	const script = `
scenarios:
  - name: barge in
    steps:
      - barge_in: {after: 500ms, wav: SOUND, yield: 1s}
      - assert: {yield: 1s, unanswered: 1}
`
	wav := filepath.Join(t.TempDir(), "a.wav")
	writeTone(t, wav, 800*ms)
	t.Run("yields", func(t *testing.T) {
		r := peer{greets: 0, lasts: 8 * time.Second, answers: -1, yields: 300 * ms}.call(t, strings.Replace(script, "SOUND", wav, 1))
		passed(t, r)
		if y := r.Outcomes[0].Figures.Yields; len(y) != 1 || y[0] < 240*ms || y[0] > 300*ms+slack {
			t.Errorf("yields %v, the agent takes 300 ms", y)
		}
	})
	t.Run("does not", func(t *testing.T) {
		r := peer{greets: 0, lasts: 8 * time.Second, answers: -1, yields: -1}.call(t, strings.Replace(script, "SOUND", wav, 1))
		failed(t, r, KindLimit, 0, "line 5", "silent 1000 ms after", "they spoke on for")
	})
	t.Run("has stopped before", func(t *testing.T) {
		r := peer{greets: 0, lasts: 200 * ms, answers: -1, yields: -1}.call(t, strings.Replace(script, "SOUND", wav, 1))
		failed(t, r, KindExpectation, 0, "they had stopped")
	})
}

func TestWhatDoesNotComeFails(t *testing.T) {
	quick := "defaults: {within: 300ms}\nscenarios:\n  - name: x\n    steps:\n"
	greeting := peer{greets: 0, lasts: 400 * ms, answers: -1, yields: -1}
	for name, tt := range map[string]struct {
		agent peer
		steps string
		kind  Kind
		step  int
		words string
	}{
		"another tone":  {greeting, "      - expect: {tone: 880}\n", KindExpectation, 0, "heard sound of 0."},
		"no beep":       {peer{greets: -1, answers: -1}, "      - expect: {beep: true}\n", KindExpectation, 0, "heard nothing"},
		"no keys":       {greeting, "      - expect: {digits: 1}\n", KindExpectation, 0, `the keys "1"`},
		"no goodbye":    {greeting, "      - expect: {hangup: them}\n", KindExpectation, 0, "to hang up"},
		"never silent":  {peer{greets: 0, lasts: 9 * time.Second, answers: -1, yields: -1}, "      - expect: {sound: true}\n      - expect: {silence: 500ms}\n", KindExpectation, 1, "silence for 500ms"},
		"no packets":    {peer{greets: 0, answers: -1, mute: true}, "      - expect: {sound: true}\n", KindNoMedia, 0, "no RTP"},
		"they hang up":  {peer{greets: -1, answers: 0, leaves: true}, "      - tone: {hz: 700, for: 100ms}\n      - wait: 9s\n", KindHungUp, 1, "hung up"},
		"unanswered":    {greeting, "      - tone: 700\n      - wait: 500ms\n      - assert: {unanswered: 0}\n", KindLimit, 2, "unanswered 1"},
		"it takes long": {greeting, "      - wait: 9s\n    timeout: 500ms\n", KindTimeout, 0, "longer than 500ms"},
		"busy":          {peer{refuse: bridge.CauseBusy}, "      - wait: 1s\n", KindBusy, -1, "expected an answer"},
		"not found":     {peer{refuse: bridge.CauseUnknownNumber}, "      - wait: 1s\n", KindNotFound, -1, "404"},
		"not refused":   {greeting, "      - expect: {refused: busy}\n", KindExpectation, 0, "the call was answered"},
		"refused else":  {peer{refuse: bridge.CauseBusy}, "      - expect: {refused: 404}\n", KindBusy, -1, "refused as 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed(t, tt.agent.call(t, quick+tt.steps), tt.kind, tt.step, tt.words)
		})
	}
}

func TestBeepsRefusalsAndHoldsPass(t *testing.T) {
	t.Parallel()
	passed(t, peer{refuse: bridge.CauseBusy}.call(t, "scenarios: [{steps: [expect: {refused: busy}]}, {steps: [expect: {refused: 486}]}, {steps: [expect: {refused: true}]}]"))
	passed(t, peer{greets: 200 * ms, lasts: 300 * ms, answers: -1, yields: -1}.call(t,
		"scenarios: [{steps: [expect: {beep: true}, hold: 200ms, wait: {from: 10ms, to: 50ms}, hangup]}]"))
}

func TestNobodyAnswersTheAddress(t *testing.T) {
	t.Parallel()
	s, err := Parse([]byte("scenarios: [{to: 'sip:a@127.0.0.1:9', ring: 1s, steps: [hangup]}]"), "x.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), []*Suite{s}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if k := r.Outcomes[0].Failure.Kind; k != KindUnreachable && k != KindNoAnswer {
		t.Errorf("%v: %v", k, r.Outcomes[0].Failure)
	}
}

func TestInterruptingHangsUpAndStillReports(t *testing.T) {
	t.Parallel()
	to := peer{greets: 0, lasts: time.Second, answers: -1, yields: -1}.answer(t)
	s, err := Parse([]byte("scenarios:\n  - {name: one, steps: [expect: {sound: true}, wait: 60s]}\n  - {name: two, steps: [wait: 60s]}"), "x.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(500*ms, cancel)
	folder := t.TempDir()
	r, err := Run(ctx, []*Suite{s}, Options{To: to, Failures: folder})
	if err != nil {
		t.Fatal(err)
	}
	if r.Passed() || len(r.Outcomes) != 2 {
		t.Fatalf("%+v", r)
	}
	for _, o := range r.Outcomes {
		if o.Failure == nil || o.Failure.Kind != KindInterrupted {
			t.Errorf("%s: %v", o.Name, o.Failure)
		}
	}
}

func TestRepeatingAndSeeds(t *testing.T) {
	t.Parallel()
	to := peer{greets: 0, lasts: 100 * ms, answers: -1, yields: -1}.answer(t)
	s, err := Parse([]byte("scenarios: [{name: a, steps: [hangup]}, {name: b, steps: [hangup]}]\nassert: {setup: 20s}"), "x.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), []*Suite{s}, Options{To: to, Repeat: 3, Seed: 7, Parallel: 3})
	if err != nil {
		t.Fatal(err)
	}
	passed(t, r)
	if len(r.Outcomes) != 6 || r.Outcomes[0].Name != "a #1" || r.Outcomes[5].Name != "b #3" || r.Suites[0].Figures.Calls != 6 {
		t.Errorf("%d outcomes, %+v", len(r.Outcomes), r.Suites[0].Figures)
	}
	if r, err := Run(t.Context(), []*Suite{s}, Options{To: to, Only: []string{"b"}}); err != nil || len(r.Outcomes) != 1 || r.Outcomes[0].Name != "b" {
		t.Errorf("only b: %+v, %v", r, err)
	}
	if _, err := Run(t.Context(), []*Suite{s}, Options{To: to, Only: []string{"c"}}); err == nil {
		t.Error("there is no c")
	}
	if o := (&Options{Seed: 7}).order(20); o[0] == 0 && o[1] == 1 && o[2] == 2 {
		t.Errorf("not by chance: %v", o)
	}
}

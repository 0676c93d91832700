package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

func TestSpread(t *testing.T) {
	var values []float64
	for i := 100; i >= 0; i-- {
		values = append(values, float64(i))
	}
	if got := spread(values); got != (Spread{N: 101, P50: 50, P99: 99, Max: 100}) {
		t.Errorf("%+v", got)
	}
	if got := spread(nil); got != (Spread{}) {
		t.Errorf("%+v of nothing", got)
	}
}

func TestRelayAlone(t *testing.T) {
	o, err := Options{Calls: 3, Scene: Scene{Duration: 2 * time.Second}}.check()
	if err != nil {
		t.Fatal(err)
	}
	r := newReport(o)
	r.measureRelay(context.Background(), o)
	if len(r.Notes) != 0 {
		t.Fatal(r.Notes)
	}
	for _, d := range []Direction{r.PhoneToRoom, r.RoomToPhone} {
		if d.RelayMS.N < 3*50 || d.RelayMS.P50 <= 0 {
			t.Errorf("relay delay %+v", d.RelayMS)
		}
	}
}

func TestCodecAlone(t *testing.T) {
	o, err := Options{Calls: 1, Scene: Scene{Duration: time.Second, Complexity: 5}}.check()
	if err != nil {
		t.Fatal(err)
	}
	r := newReport(o)
	browser, err := r.opusOrDefault(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.measureCodec(o, browser); err != nil {
		t.Fatal(err)
	}
	if c := r.CPU; c.EncodeUS <= c.DecodeUS || c.Codec < (c.EncodeUS+c.DecodeUS)*0.049 || c.Codec > (c.EncodeUS+c.DecodeUS)*0.051 {
		t.Errorf("%+v", c)
	}
}

func TestOptionsFromTheCommandLine(t *testing.T) {
	var cli struct {
		Bench struct{ Options } `cmd:""`
		Relay Relay             `cmd:"" name:"bench-relay" hidden:""`
	}
	p, err := kong.New(&cli)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Parse([]string{"bench", "--calls", "7", "--duration=3s", "--room", "whip"}); err != nil {
		t.Fatal(err)
	}
	o := cli.Bench.Options
	if o.Calls != 7 || o.Duration != 3*time.Second || o.Room != roomWHIP || o.Complexity != 5 || o.Bitrate != 24000 || o.CPS != 10 {
		t.Errorf("%+v", o)
	}
	if _, err := p.Parse([]string{RelayCommand, "4"}); err != nil || cli.Relay.Calls != 4 {
		t.Errorf("%+v, %v", cli.Relay, err)
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	for _, o := range []Options{
		{Calls: 0, Scene: Scene{Duration: time.Second}}, {Calls: 1}, {Calls: 1, Scene: Scene{Duration: time.Second, CPS: -1}},
		{Calls: 1, Scene: Scene{Duration: time.Second, RoomRate: 44100}}, {Calls: 100000, Scene: Scene{Duration: time.Second}},
	} {
		if _, err := Run(context.Background(), o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestReportIsJSONAndASummary(t *testing.T) {
	r := newReport(Options{Calls: 2, Scene: Scene{Room: roomBrowser, RoomCodec: "opus", Complexity: 5, Bitrate: 24000, Duration: time.Second}})
	r.Calls.Answered, r.Calls.Alive, r.Calls.Failed = 1, 1, 1
	r.CPU = CPU{Gateway: 6, Codec: 4, Relay: 1.5}
	r.PhoneToRoom = Direction{Sent: 100, Lost: 1, LossPercent: 1}
	r.conclude()
	if r.CPU.Overhead != 0.5 {
		t.Errorf("overhead %v", r.CPU.Overhead)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`"overhead":0.5`, `"complexity":5`, `"bitrate":24000`, `"loss_percent":1`, `"engine":"`} {
		if !bytes.Contains(text, []byte(field)) {
			t.Errorf("no %s in %s", field, text)
		}
	}
	var b strings.Builder
	r.Summary(&b)
	for _, words := range []string{"1 of 2 calls", "do not quote", "phone → room"} {
		if !strings.Contains(b.String(), words) {
			t.Errorf("no %q in %s", words, b.String())
		}
	}
}

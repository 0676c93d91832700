package bench

import (
	"context"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed setup.xml
var setupScenario []byte

// SetupOptions say how call set-up is measured. The tags are those of the command line.
type SetupOptions struct {
	CPS       int           `name:"cps" help:"Calls placed per second, by all SIPp together." default:"500"`
	Duration  time.Duration `help:"For how long calls are placed." default:"20s"`
	Hold      time.Duration `help:"How long each call stays up." default:"0s"`
	Instances int           `help:"How many SIPp share the work: one invents losses above some 500 calls a second." default:"3"`
	Binary    string        `help:"The gateway to measure; default: this program." type:"path"`
	Profile   string        `help:"Write a CPU profile of the gateway to this file." type:"path"`
	Serve     []string      `help:"A further setting of the gateway, such as --serve=--trace=0; may be repeated." placeholder:"FLAG"`

	// Log gets progress and the summary; nil: nobody.
	Log io.Writer `kong:"-"`
}

// SetupReport is what a run found. A call is an INVITE answered in a room of its
// own, an ACK, and a BYE: with its events and its CDR in the database.
type SetupReport struct {
	Calls         int     `json:"calls"`
	Failed        int     `json:"failed"`
	CPS           float64 `json:"cps"` // achieved
	Retransmitted int     `json:"retransmitted"`
	CPUMS         float64 `json:"cpu_ms_per_call"` // of the gateway, without what it takes idle
	Cores         float64 `json:"cores_busy"`
	SetupMS       float64 `json:"setup_ms"` // INVITE to 200, mean
	RSSMB         float64 `json:"rss_mb"`
	Dropped       int64   `json:"udp_dropped"` // datagrams that the machine's sockets lost
	Machine       Machine `json:"machine"`
}

func (o SetupOptions) check() (SetupOptions, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	switch {
	case o.CPS < 1 || o.CPS > 5000:
		return o, fmt.Errorf("%d calls per second: expected 1 to 5000", o.CPS)
	case o.Duration < time.Second || o.Duration > time.Hour:
		return o, fmt.Errorf("%s: expected 1s to 1h", o.Duration)
	case o.Instances < 1 || o.Instances > 16:
		return o, fmt.Errorf("%d instances: expected 1 to 16", o.Instances)
	case o.Hold < 0 || o.Hold > time.Minute:
		return o, fmt.Errorf("calls of %s: expected 0s to 1m", o.Hold)
	}
	return o, nil
}

// RunSetup measures what it costs to set calls up and to hang them up. It fails
// when the gateway or SIPp do not start, never because figures are bad.
func RunSetup(ctx context.Context, o SetupOptions) (*SetupReport, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("sipp"); err != nil {
		return nil, errors.New("sipp is missing: apt-get install sip-tester")
	}
	at := int(float64(o.CPS)*(o.Hold.Seconds()+2)) + 500 // calls at once, with those that have just ended
	g, err := startGateway(ctx, Options{Calls: min(at, 2000), Scene: Scene{Complexity: 5, Bitrate: 24000, Binary: o.Binary, serve: o.Serve}})
	if err != nil {
		return nil, err
	}
	defer g.stop()
	r := &SetupReport{Machine: thisMachine()}
	if err := r.measure(ctx, o, g); err != nil {
		return nil, fmt.Errorf("%w\nthe gateway said:\n%s", err, g.output)
	}
	fmt.Fprintf(o.Log, "%d calls at %.0f a second, %d failed, %d retransmissions: %.2f ms CPU per call, %.0f ms to the answer, %d datagrams dropped\n",
		r.Calls, r.CPS, r.Failed, r.Retransmitted, r.CPUMS, r.SetupMS, r.Dropped)
	return r, nil
}

// measure weighs the gateway idle, then with calls.
func (r *SetupReport) measure(ctx context.Context, o SetupOptions, g *gateway) error {
	fmt.Fprintf(o.Log, "gateway: warming up …\n")
	if _, err := runSIPp(ctx, g, min(o.CPS, 50), 2*time.Second, o.Hold); err != nil {
		return err
	}
	before, err := g.weigh()
	if err != nil {
		return err
	}
	sleep(ctx, 2*time.Second)
	from, err := g.weigh()
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "gateway: %d calls a second for %s …\n", o.CPS, o.Duration)
	all, err := r.place(ctx, o, g)
	if err != nil {
		return err
	}
	sleep(ctx, time.Second) // the last records reach the database
	to, err := g.weigh()
	if err != nil {
		return err
	}
	rss, _ := processRSS(g.cmd.Process.Pid)
	r.RSSMB = round(float64(rss) / (1 << 20))
	idle := (from.cpu - before.cpu).Seconds() / from.at.Sub(before.at).Seconds()
	spent := (to.cpu - from.cpu).Seconds() - idle*to.at.Sub(from.at).Seconds()
	r.Dropped = to.dropped - from.dropped
	r.Cores = round((to.cpu - from.cpu).Seconds() / to.at.Sub(from.at).Seconds())
	for _, s := range all {
		r.Calls, r.Failed, r.Retransmitted = r.Calls+s.calls, r.Failed+s.failed, r.Retransmitted+s.retransmitted
		r.SetupMS += s.setupMS / float64(len(all))
		r.CPS += s.cps
	}
	if r.Calls > 0 {
		r.CPUMS = spent * 1000 / float64(r.Calls)
	}
	return ctx.Err()
}

// place lets all SIPp run at once.
func (r *SetupReport) place(ctx context.Context, o SetupOptions, g *gateway) (all []tally, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failures []error
	for i := range o.Instances {
		share := o.CPS / o.Instances
		if i < o.CPS%o.Instances {
			share++
		}
		if share == 0 {
			continue
		}
		wg.Go(func() {
			s, err := runSIPp(ctx, g, share, o.Duration, o.Hold)
			mu.Lock()
			defer mu.Unlock()
			all, failures = append(all, s), append(failures, err)
		})
	}
	if o.Profile != "" {
		wg.Go(func() {
			err := g.profile(ctx, o.Profile, o.Duration)
			mu.Lock()
			defer mu.Unlock()
			failures = append(failures, err)
		})
	}
	wg.Wait()
	return all, errors.Join(failures...)
}

// tally is what one SIPp counted.
type tally struct {
	calls, failed, retransmitted int
	cps, setupMS                 float64
}

// runSIPp places calls at an even rate and waits until the last one has ended.
func runSIPp(ctx context.Context, g *gateway, cps int, d, hold time.Duration) (tally, error) {
	folder, err := os.MkdirTemp("", "roomline-bench-sipp-")
	if err != nil {
		return tally{}, err
	}
	defer os.RemoveAll(folder)
	scenario, stats := filepath.Join(folder, "setup.xml"), filepath.Join(folder, "stats.csv")
	if err := os.WriteFile(scenario, setupScenario, 0o600); err != nil {
		return tally{}, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return tally{}, err
	}
	calls := int(float64(cps) * d.Seconds())
	ctx, cancel := context.WithTimeout(ctx, d+hold+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sipp", g.sip, "-sf", scenario, "-i", "127.0.0.1", "-p", strconv.Itoa(ports[0]),
		"-mi", "127.0.0.1", "-mp", strconv.Itoa(ports[1]), "-r", strconv.Itoa(cps), "-m", strconv.Itoa(calls),
		"-l", strconv.Itoa(max(1000, 10*cps)), "-d", strconv.FormatInt(hold.Milliseconds(), 10),
		"-trace_stat", "-stf", stats, "-fd", "1", "-nostdin", "-timeout_error", "-recv_timeout", "20000")
	cmd.Dir = folder
	began := time.Now()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: some calls failed, which is a figure
		return tally{}, fmt.Errorf("sipp: %w\n%s", err, lastLines(out, 15))
	}
	t, err := readTally(stats)
	t.cps = float64(t.calls) / min(time.Since(began), d+time.Second).Seconds()
	return t, err
}

// readTally takes the last line of SIPp's statistics.
func readTally(file string) (t tally, err error) {
	f, err := os.Open(file)
	if err != nil {
		return t, err
	}
	defer f.Close()
	in := csv.NewReader(f)
	in.Comma, in.FieldsPerRecord, in.LazyQuotes = ';', -1, true
	lines, err := in.ReadAll()
	if err != nil || len(lines) < 2 {
		return t, fmt.Errorf("sipp wrote no statistics: %w", err)
	}
	names, last := lines[0], lines[len(lines)-1]
	number := func(name string) int {
		i := slices.Index(names, name)
		if i < 0 || i >= len(last) {
			return 0
		}
		n, _ := strconv.Atoi(last[i])
		return n
	}
	t.calls, t.failed = number("SuccessfulCall(C)"), number("FailedCall(C)")
	t.retransmitted = number("Retransmissions(C)")
	if i := slices.Index(names, "ResponseTimesetup(C)"); i >= 0 && i < len(last) {
		t.setupMS = clockMS(last[i])
	}
	return t, nil
}

// clockMS reads SIPp's 00:00:00:123456 in milliseconds.
func clockMS(s string) float64 {
	parts := strings.Split(s, ":")
	if len(parts) != 4 {
		return 0
	}
	seconds, _ := strconv.ParseFloat(parts[2], 64)
	micro, _ := strconv.ParseFloat(parts[3], 64)
	return round(seconds*1000 + micro/1000)
}

func lastLines(out []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

package bench

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"github.com/roomline/roomline/media"
)

// drain is how long sound may take to come out after the window has closed.
const drain = 500 * time.Millisecond

// measureGateway is the main part of a run.
func (r *Report) measureGateway(ctx context.Context, o Options) error {
	fmt.Fprintf(o.Log, "gateway: starting …\n")
	voices, err := startAgents()
	if err != nil {
		return err
	}
	defer voices.close()
	if o.Room == roomAgent {
		o.plan = voices.plan(o.Calls)
	}
	g, err := startGateway(ctx, o)
	if err != nil {
		return err
	}
	defer g.stop()
	p, err := startPhones(ctx, g.sip, o.Calls)
	if err != nil {
		return err
	}
	defer p.close()
	l := &load{options: o, gateway: g, phones: p, agents: voices, paced: startPacers(ctx, 2*o.Calls)}
	err = r.watch(ctx, l)
	late := l.paced.close()
	r.Generator.LateMS = spread(late)
	if err == nil {
		r.judgeAgents(ctx, l)
	}
	l.close()
	if err != nil {
		return err
	}
	r.judge(l.calls)
	return nil
}

// weight is the state of gateway and generator at one moment.
type weight struct {
	at               time.Time
	cpu, self, whole time.Duration // of the gateway, of us, of the whole machine
	dropped          int64
	switches         switches
	vitals           vitals // where they were asked for
}

func (g *gateway) weigh() (weight, error) {
	select {
	case <-g.ended:
		return weight{}, fmt.Errorf("the gateway has ended; it said:\n%s", g.output)
	default:
	}
	cpu, err := processCPU(g.cmd.Process.Pid)
	return weight{at: time.Now(), cpu: cpu, self: selfCPU(), whole: machineCPU(), dropped: udpErrors(),
		switches: processSwitches(g.cmd.Process.Pid)}, err
}

// size is what the gateway holds at one moment.
type size struct {
	rssMB, goroutines float64
	starters          map[string]int
}

func (g *gateway) size(ctx context.Context) (size, error) {
	rss, err := processRSS(g.cmd.Process.Pid)
	return size{rssMB: round(float64(rss) / (1 << 20)), goroutines: g.scrape(ctx).goroutines, starters: g.starters(ctx)}, err
}

// watch places the calls and weighs the gateway over the window.
func (r *Report) watch(ctx context.Context, l *load) (err error) {
	o, g := l.options, l.gateway
	before, err := r.idle(ctx, g)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "gateway: placing %d calls, %v a second …\n", o.Calls, o.CPS)
	l.place(ctx)
	up, err := g.weigh()
	if err != nil {
		return err
	}
	r.count(l)
	if len(l.calls) == 0 {
		return fmt.Errorf("none of %d calls was answered: %w\nthe gateway said:\n%s", o.Calls, l.why, g.output)
	}
	fmt.Fprintf(o.Log, "gateway: %d calls are up; measuring for %s …\n", len(l.calls), o.Duration)
	if err := pause(ctx, o.Settle); err != nil {
		return err
	}
	l.paced.forget()
	from, to, err := r.window(ctx, l)
	if err != nil {
		return err
	}
	r.weighed(l, from, to)
	r.setUpCost(l, before, up)
	if err := r.sized(ctx, l); err != nil {
		return err
	}
	return pause(ctx, drain)
}

// sized notes what the gateway holds with all calls up, and their jitter buffers.
func (r *Report) sized(ctx context.Context, l *load) error {
	busy, err := l.gateway.size(ctx)
	if err != nil {
		return err
	}
	calls := float64(len(l.calls))
	r.Memory.BusyMB, r.Goroutines.Busy = busy.rssMB, busy.goroutines
	r.Memory.PerLegMB = round((r.Memory.BusyMB - r.Memory.IdleMB) / calls)
	r.Goroutines.PerLeg = round((r.Goroutines.Busy - r.Goroutines.Idle) / calls)
	r.Goroutines.share(r.idleStarters, busy.starters, len(l.calls))
	buffers, err := l.gateway.buffers(ctx)
	if err != nil {
		r.note("jitter buffers are not known: %v", err)
	}
	r.BufferMS = spread(buffers)
	return nil
}

// idleTime is how long the gateway is watched before the first call.
const idleTime = 2 * time.Second

// idle notes what the gateway takes without calls.
func (r *Report) idle(ctx context.Context, g *gateway) (weight, error) {
	begin, err := g.weigh()
	if err != nil {
		return begin, err
	}
	if err := pause(ctx, idleTime); err != nil {
		return begin, err
	}
	before, err := g.weigh()
	if err != nil {
		return before, err
	}
	r.CPU.Idle = round((before.cpu - begin.cpu).Seconds() / before.at.Sub(begin.at).Seconds())
	first := g.scrape(ctx)
	if first.engine != "" {
		r.Engine = first.engine
	}
	r.scrape = g.scrape(ctx).mallocs - first.mallocs
	idle, err := g.size(ctx)
	r.Memory.IdleMB, r.Goroutines.Idle, r.idleStarters = idle.rssMB, idle.goroutines, idle.starters
	return before, err
}

// window waits for its length and weighs at both ends.
func (r *Report) window(ctx context.Context, l *load) (from, to weight, err error) {
	profiled := make(chan error, 1)
	if file := l.options.Profile; file != "" {
		go func() { profiled <- l.gateway.profile(ctx, file, l.options.Duration) }()
	} else {
		profiled <- nil
	}
	if stop, err := profileSelf(l.options.SelfProfile); err != nil {
		r.note("no profile of the load generator: %v", err)
	} else {
		defer stop()
	}
	asked := l.gateway.scrape(ctx)
	if from, err = l.gateway.weigh(); err != nil {
		return from, to, err
	}
	from.vitals = asked
	if err = pause(ctx, l.options.Duration); err != nil {
		return from, to, err
	}
	if to, err = l.gateway.weigh(); err != nil {
		return from, to, err
	}
	to.vitals = l.gateway.scrape(ctx)
	if err := <-profiled; err != nil {
		r.note("no profile: %v", err)
	}
	return from, to, nil
}

// profileSelf writes a profile of this process to file until stop; "": none.
func profileSelf(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	out, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		_ = out.Close()
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = out.Close() }, nil
}

// count notes how the set-up went.
func (r *Report) count(l *load) {
	var setups []float64
	for _, c := range l.calls {
		setups = append(setups, milliseconds(c.setup))
	}
	r.Calls.Answered, r.Calls.Failed = len(l.calls), l.failed
	r.Calls.SetupMS = spread(setups)
	if l.why != nil {
		r.note("the first call that failed: %v", l.why)
	}
}

// weighed turns two weights into rates.
func (r *Report) weighed(l *load, from, to weight) {
	seconds := to.at.Sub(from.at).Seconds()
	r.from, r.to = from, to
	r.WindowS = round(seconds)
	r.CPU.Gateway = round(milliseconds(to.cpu-from.cpu) / seconds / float64(len(l.calls)))
	r.CPU.Cores = round((to.cpu - from.cpu).Seconds() / seconds)
	r.Generator.Cores = round((to.self - from.self).Seconds() / seconds)
	r.Machine.OtherCores = round(max((to.whole-from.whole).Seconds()/seconds-r.CPU.Cores-r.Generator.Cores, 0))
	r.Generator.UDPErrors = to.dropped - from.dropped
	for _, c := range l.calls {
		r.Generator.ToGatewayLoss = max(r.Generator.ToGatewayLoss, round(c.line.Media().Quality().RemoteLoss))
		if c.down.heardSince(to.at.Add(-time.Second)) && (r.Room == roomNone || c.up.heardSince(to.at.Add(-time.Second))) {
			r.Calls.Alive++
		}
	}
}

// setUpCost is what the gateway spent while calls were placed, less what those
// cost that were up already.
func (r *Report) setUpCost(l *load, before, up weight) {
	var talked float64
	for _, c := range l.calls {
		talked += up.at.Sub(c.since).Seconds()
	}
	spent := milliseconds(up.cpu-before.cpu) - talked*r.CPU.Gateway
	r.Calls.CPUMS = round(max(spent, 0) / float64(len(l.calls)))
}

// judge reads the lanes, after all has stopped.
func (r *Report) judge(calls []*call) {
	var up, down direction
	for _, c := range calls {
		r.engineHeard(c)
		if r.Room == roomNone {
			continue
		}
		up.add(c.up.judge(r.from.at, r.to.at))
		down.add(c.down.judge(r.from.at, r.to.at))
	}
	up.report(&r.PhoneToRoom)
	down.report(&r.RoomToPhone)
	r.Runtime = runtimeOf(r.from, r.to, r.scrape, up.sent+down.sent)
}

// engineHeard notes what Opus was heard and sent.
func (r *Report) engineHeard(c *call) {
	if c.down.sound.codec != media.Opus {
		return
	}
	if rate := c.up.bitrate(); rate > 0 {
		r.BitrateHeard = rate
	}
	r.RoomBitrate, r.RoomRate = c.down.sound.bitrate, c.down.sound.rateHz
	r.toDecode = c.down.sound
}

// direction gathers the findings of one way over all calls.
type direction struct {
	added, transit, codec         []float64
	sent, lost, unmatched, silent int
}

func (d *direction) add(f finding) {
	d.sent += f.sent
	d.lost += f.lost
	d.unmatched += f.unmatched
	d.transit = append(d.transit, f.transitMS...)
	d.codec = append(d.codec, f.codecMS...)
	codec := spread(append([]float64(nil), f.codecMS...)).P50
	if len(f.codecMS) == 0 {
		d.silent++
		return
	}
	for _, t := range f.transitMS {
		d.added = append(d.added, t+codec)
	}
}

func (d *direction) report(to *Direction) {
	to.Added, to.Transit = spread(d.added), spread(d.transit)
	to.CodecMS, to.Marks = spread(d.codec).P50, len(d.codec)
	to.Sent, to.Lost, to.Unmatched, to.Unmarked = d.sent, d.lost, d.unmatched, d.silent
	if d.sent > 0 {
		to.LossPercent = round(100 * float64(d.lost) / float64(d.sent))
	}
}

// opusOrDefault is the sound to weigh the decoder with.
func (r *Report) opusOrDefault(o Options) (*sound, error) {
	if r.toDecode != nil {
		return r.toDecode, nil
	}
	rate := o.RoomRate
	if rate == 0 {
		rate = 48000
	}
	return newSound(media.Opus, rate, o.RoomBitrate)
}

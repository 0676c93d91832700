package simulate

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roomline/roomline/media/speech"
	"github.com/roomline/roomline/phone"
)

// Options are how suites are run.
type Options struct {
	To, From           string   // in place of what the suites say, if not empty
	Username, Password string   // for digest authentication
	Listen             string   // IP:port for SIP; empty: 127.0.0.1:0
	SRTP               string   // off (or empty), optional or required
	Parallel           int      // calls at once, at least 1
	Only               []string // scenarios with one of these in their names; empty: all
	Repeat             int      // how often each scenario is played, at least 1
	Seed               uint64   // orders scenarios by chance, and chooses waits; 0: the order of the file
	Record             string   // folder for the recordings of all calls; empty: none
	Failures           string   // folder for the recordings of calls that failed, if Record is empty; empty: none
	Tools              Tools
	Log                *slog.Logger // nil: silent

	// Began and Ended are told of each scenario, by several goroutines at once; nil: nobody.
	Began func(s *Suite, name string)
	Ended func(*Outcome)
}

// Run plays all scenarios. When ctx ends, calls are hung up, and what was not
// played counts as interrupted. An error means that nothing was called.
func Run(ctx context.Context, suites []*Suite, o Options) (*Result, error) {
	o.Parallel, o.Repeat = max(1, o.Parallel), max(1, o.Repeat)
	works, err := o.plan(ctx, suites)
	defer works.close()
	if err != nil {
		return nil, err
	}
	p, err := phone.Open(ctx, phone.Config{Addr: o.Listen, SRTP: o.SRTP, KeepHeard: longest, KeepSaid: true, Log: o.Log})
	if err != nil {
		return nil, err
	}
	result := &Result{Began: time.Now()}
	o.playAll(ctx, p, works.list)
	result.Took = time.Since(result.Began)
	for _, w := range works.list {
		result.Outcomes = append(result.Outcomes, w.outcome)
	}
	result.sum(suites)
	return result, p.Close()
}

// work is one scenario to be played once.
type work struct {
	suite    *Suite
	scenario *Scenario
	props    *props
	name     string
	random   *rand.Rand
	outcome  *Outcome
}

// works are all of them.
type works struct {
	list  []*work
	props []*props
}

func (w *works) close() {
	for _, p := range w.props {
		p.close()
	}
}

// plan prepares everything that is to be played.
func (o *Options) plan(ctx context.Context, suites []*Suite) (*works, error) {
	all := &works{}
	for _, s := range suites {
		p, err := prepare(ctx, s, o.Tools)
		if err != nil {
			return all, err
		}
		all.props = append(all.props, p)
		for i := range s.Scenarios {
			c := s.Scenarios[i]
			if !o.wanted(c.Name) {
				continue
			}
			if o.To != "" {
				c.To = o.To
			}
			if o.From != "" {
				c.From = o.From
			}
			if c.To == "" {
				return all, fmt.Errorf("%s: line %d: scenario %q calls nobody: give it to: sip:…, or name somebody with --to", s.File, c.Line, c.Name)
			}
			for n := range o.Repeat {
				all.list = append(all.list, o.work(s, &c, p, n))
			}
		}
	}
	if len(all.list) == 0 {
		return all, fmt.Errorf("no scenario has %s in its name", strings.Join(o.Only, " or "))
	}
	return all, nil
}

func (o *Options) wanted(name string) bool {
	return len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(part string) bool { return strings.Contains(name, part) })
}

func (o *Options) work(s *Suite, c *Scenario, p *props, n int) *work {
	w := &work{suite: s, scenario: c, props: p, name: c.Name}
	if o.Repeat > 1 {
		w.name = fmt.Sprintf("%s #%d", c.Name, n+1)
	}
	h := fnv.New64a()
	fmt.Fprint(h, s.File, c.Name, n) // a scenario waits alike in whatever order it is played
	w.random = rand.New(rand.NewPCG(o.Seed, h.Sum64()))
	return w
}

// playAll plays works, some at once.
func (o *Options) playAll(ctx context.Context, p *phone.Phone, list []*work) {
	queue := make(chan *work)
	var callers sync.WaitGroup
	for range min(o.Parallel, len(list)) {
		callers.Go(func() {
			for w := range queue {
				o.playOne(ctx, p, w)
			}
		})
	}
	for _, i := range o.order(len(list)) {
		queue <- list[i]
	}
	close(queue)
	callers.Wait()
}

// order is that of the files, or by chance.
func (o *Options) order(n int) []int {
	if o.Seed != 0 {
		return rand.New(rand.NewPCG(o.Seed, 0)).Perm(n)
	}
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// playOne plays one scenario to its end. A panic costs that one.
func (o *Options) playOne(ctx context.Context, p *phone.Phone, w *work) {
	out := &Outcome{Suite: w.suite, Scenario: w.scenario, Name: w.name, Began: time.Now()}
	w.outcome = out
	defer func() {
		if r := recover(); r != nil {
			out.Failure = &Failure{Kind: KindTool, Step: -1, Doing: "simulate", Heard: fmt.Sprintf("panic: %v\n%s", r, debug.Stack())}
		}
		out.Took = time.Since(out.Began)
		if o.Ended != nil {
			o.Ended(out)
		}
	}()
	if ctx.Err() != nil {
		out.Failure = &Failure{Kind: KindInterrupted, Step: -1, Doing: "dial", Heard: "it was interrupted before its call"}
		return
	}
	if o.Began != nil {
		o.Began(w.suite, w.name)
	}
	ctx, cancel := context.WithTimeout(ctx, w.scenario.Timeout)
	defer cancel()
	o.dial(ctx, p, w)
}

// dial calls, and plays the steps when the call is answered.
func (o *Options) dial(ctx context.Context, p *phone.Phone, w *work) {
	s, out := w.scenario, w.outcome
	call, err := p.Call(s.To, phone.DialOptions{
		From: s.From, Username: o.Username, Password: o.Password, Headers: s.Headers, RingTimeout: s.Ring,
	})
	if err != nil {
		out.Failure = &Failure{Kind: KindTool, Step: -1, Line: s.Line, Doing: "dial", Heard: err.Error()}
		return
	}
	err = call.Answered(ctx)
	answered := time.Now()
	if err != nil {
		out.Failure = undialled(s, err)
		out.Report = call.Report()
		return
	}
	c := &caller{scenario: s, props: w.props, random: w.random, call: call, ear: listen(call, answered), judged: map[Span][]speech.Heard{}}
	out.Answered = true
	out.Failure = c.play(ctx)
	c.finish(out)
	o.keep(c, out)
}

// undialled judges a call that was not answered; nil if that was expected.
func undialled(s *Scenario, err error) *Failure {
	out := &Failure{Kind: KindTool, Step: -1, Line: s.Line, Doing: "dial", Expected: "an answer", Heard: err.Error()}
	var refused *phone.Failure
	expected := len(s.Steps) > 0 && s.Steps[0].Expect.Event == Declined
	switch {
	case errors.As(err, &refused):
		out.Kind = kindOf(refused)
		if expected && fits(s.Steps[0].Expect.Cause, refused) {
			return nil
		}
	case errors.Is(err, context.DeadlineExceeded):
		out.Kind, out.Heard = KindTimeout, fmt.Sprintf("the scenario took longer than %s", s.Timeout)
	case errors.Is(err, context.Canceled):
		out.Kind, out.Heard = KindInterrupted, "it was interrupted"
	}
	if expected {
		out.Expected = s.Steps[0].Expect.String()
	}
	return out
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/roomline/roomline/api"
)

// close gives back what newGateway has opened.
func (g *gateway) close() {
	if g.http != nil {
		g.http.Close()
	}
	if g.metrics != nil {
		g.metrics.Close()
	}
	if g.rooms != nil {
		g.rooms.Close()
	}
	if g.engine != nil {
		g.engine.Close()
	}
	if g.spool != nil {
		g.spool.Close()
	}
	if g.store != nil {
		g.store.Close()
	}
}

// run starts the parts and, when ctx ends, stops them in the opposite order: new
// calls are refused, live ones may go on for the drain time, and the spool is
// emptied last. ready is closed when calls can come in.
func (g *gateway) run(ctx context.Context, ready chan<- struct{}) error {
	defer g.close()
	signalling := g.stage(ctx, "sip", g.ua.Run)
	tracing := g.stage(ctx, "trace", g.runTraces)
	records := g.stage(ctx, "spool", func(ctx context.Context) error { return g.spool.Run(ctx, g.store) })
	hooks := g.stage(ctx, "webhooks", g.api.Run)
	pruning := g.stage(ctx, "prune", g.prune)
	planning := g.stage(ctx, "plans", g.plans.run)
	calls := g.stage(ctx, "calls", func(ctx context.Context) error { g.exchange.Run(ctx); return nil })
	agents := g.stage(ctx, "agents", func(ctx context.Context) error { g.agents.Run(ctx); return nil })
	pages := g.stage(ctx, "http", g.serveHTTP)
	died, failed := firstError(signalling, pages), error(nil)
	select {
	case <-g.ua.Ready():
		close(ready)
		select {
		case <-ctx.Done():
		case failed = <-died:
		}
	case failed = <-died:
	case <-ctx.Done():
	}
	g.shutDown()
	for _, s := range []*stage{calls, agents, signalling, pages, planning, pruning, tracing, hooks, records} {
		s.stop(failed)
	}
	if errors.Is(failed, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; choose another address with --sip", failed)
	}
	return failed
}

// runTraces writes SIP messages, if they are kept.
func (g *gateway) runTraces(ctx context.Context) error {
	defer g.verifier.Close()
	if g.traces == nil {
		return nil
	}
	return g.traces.Run(ctx)
}

// pruneEvery is how often the database is rid of what has expired.
const pruneEvery = time.Hour

// prune deletes old events and what else has expired, until ctx ends.
func (g *gateway) prune(ctx context.Context) error {
	keep, err := g.s.eventTime()
	if err != nil {
		return err
	}
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			if err := g.store.Prune(ctx, now, now.Add(-keep)); err != nil && ctx.Err() == nil {
				g.log.Warn("old events could not be deleted; they are tried again in an hour", "error", err)
			}
		}
	}
}

// shutDown lets live calls go on for a while.
func (g *gateway) shutDown() {
	if n := len(g.exchange.Calls()); n > 0 {
		g.log.Info("draining", "calls", n, "at_most", g.drain)
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.drain)
	defer cancel()
	g.exchange.Drain(ctx)
}

// stage is one service that runs until it is stopped.
type stage struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	log    *slog.Logger
}

// stage starts a service outside of ctx's end, so that the order of stopping is ours.
func (g *gateway) stage(ctx context.Context, name string, run func(context.Context) error) *stage {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &stage{name: name, cancel: cancel, done: make(chan struct{}), log: g.log}
	go func() {
		defer close(s.done)
		s.err = run(ctx)
	}()
	return s
}

// stop ends the service and logs its error, unless that is what ended the gateway
// and is told by its caller.
func (s *stage) stop(told error) {
	s.cancel()
	<-s.done
	if s.err != nil && !errors.Is(s.err, context.Canceled) && !errors.Is(told, s.err) {
		s.log.Error("stopped with an error", "part", s.name, "error", s.err)
	}
}

// firstError tells when one of the stages has ended by itself.
func firstError(stages ...*stage) <-chan error {
	failed := make(chan error, len(stages))
	for _, s := range stages {
		go func() {
			<-s.done
			failed <- fmt.Errorf("%s: %w", s.name, s.err)
		}()
	}
	return failed
}

func (g *gateway) serveHTTP(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if g.metrics != nil {
		wg.Go(func() { api.Serve(ctx, g.metrics, nil, withProfiles(g.api.MetricsHandler()), g.log) })
	}
	return api.Serve(ctx, g.http, g.tls, g.api.Handler(), g.log)
}

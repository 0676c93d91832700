package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/store"
)

// plans holds the dial plan in force: an immutable snapshot that calls read
// without waiting for anything. It comes from the database, is kept on disk for
// a start without one, and follows what other gateways change.
type plans struct {
	s        settings
	store    *store.Store
	log      *slog.Logger
	changed  func() // told of every plan put in force; nil: nobody
	current  atomic.Pointer[dialplan.Plan]
	revision int64
	migrated bool
	fromFile *dialplan.Plan // of the configuration, until it is stored
}

const (
	planPoll      = 3 * time.Second
	migrationTime = time.Minute // of a database that was away at the start
)

// openPlans loads the plan. A database that is away is no reason not to start:
// calls go by the configuration file, or by the snapshot of the last plan.
func openPlans(ctx context.Context, s settings, db *store.Store, log *slog.Logger) (*plans, error) {
	p := &plans{s: s, store: db, log: log}
	p.current.Store(new(dialplan.Plan).Prepare())
	var err error
	if p.fromFile, err = s.filePlan(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := p.refresh(ctx); err != nil {
		snapshot, snapErr := store.LoadSnapshot(s.Data)
		switch {
		case p.fromFile != nil && s.DatabaseURL != "":
			p.set(p.fromFile)
		case snapErr == nil:
			p.current.Store(snapshot.Prepare())
		case !errors.Is(snapErr, fs.ErrNotExist):
			return nil, fmt.Errorf("the database is away (%w), and the last dial plan cannot be read: %w", err, snapErr)
		case s.DatabaseURL == "":
			return nil, fmt.Errorf("open the database: %w", err)
		}
		log.Error("the database is away; calls go by the last dial plan, records wait in the spool", "error", err)
	}
	return p, nil
}

// refresh migrates once, stores the plan of the configuration file once if there
// is one, and loads what is in force.
func (p *plans) refresh(ctx context.Context) error {
	if !p.migrated {
		if err := p.store.Migrate(ctx); err != nil {
			return err
		}
		p.migrated = true
	}
	if p.fromFile != nil {
		if err := p.store.ReplacePlan(ctx, p.fromFile); err != nil {
			return err
		}
		p.fromFile = nil
	}
	revision, err := p.store.PlanRevision(ctx)
	if err != nil {
		return err
	}
	plan, err := p.store.LoadPlan(ctx)
	if err != nil {
		return err
	}
	p.revision = revision
	p.set(plan)
	return nil
}

// inForce returns the plan; never nil. Safe for concurrent use.
func (p *plans) inForce() *dialplan.Plan { return p.current.Load() }

// trunkOf finds the trunk that an INVITE belongs to, zero if none.
func (p *plans) trunkOf(inv bridge.Invite) dialplan.Trunk {
	trunk, ok := p.inForce().TrunkNamed(inv.Trunk)
	if !ok {
		trunk, _ = p.inForce().TrunkOf(inv.Source.Addr())
	}
	return trunk
}

// set puts a plan in force and keeps it on disk.
func (p *plans) set(plan *dialplan.Plan) {
	p.current.Store(plan.Prepare())
	if err := store.SaveSnapshot(p.s.Data, plan); err != nil {
		p.log.Error("the dial plan snapshot could not be written", "error", err)
	}
	if p.changed != nil {
		p.changed()
	}
}

// run follows changes that other gateways make, until ctx ends.
func (p *plans) run(ctx context.Context) error {
	ticker := time.NewTicker(planPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		p.follow(ctx)
	}
}

func (p *plans) follow(ctx context.Context) {
	patience := planPoll
	if !p.migrated {
		patience = migrationTime
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if !p.migrated || p.fromFile != nil {
		if p.refresh(ctx) == nil {
			p.log.Info("the database is back")
		}
		return
	}
	if revision, err := p.store.PlanRevision(ctx); err == nil && revision != p.revision {
		p.refresh(ctx)
	}
}

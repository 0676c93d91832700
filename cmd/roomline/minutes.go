package main

import (
	"context"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/store"
)

// minutesPatience bounds the look into the database at the start.
const minutesPatience = 10 * time.Second

// spentToday adds up, once at the start, how long outbound calls have lasted
// since midnight UTC over each trunk that has a limit of minutes. A database that
// does not answer is no reason not to start: then counting begins at zero. Limits
// that are set later count from then on.
func (g *gateway) spentToday(ctx context.Context) func(trunk string) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, minutesPatience)
	defer cancel()
	spent := map[string]time.Duration{}
	for _, t := range g.plans.inForce().Trunks {
		if t.Limits == nil || t.Limits.Minutes <= 0 {
			continue
		}
		d, err := g.spentOn(ctx, t.Name, time.Now())
		if err != nil {
			g.log.Warn("the minutes that a trunk has spent today are not known and count from now on", "trunk", t.Name, "error", err)
		}
		spent[t.Name] = d
	}
	return func(trunk string) time.Duration { return spent[trunk] }
}

func (g *gateway) spentOn(ctx context.Context, trunk string, now time.Time) (total time.Duration, err error) {
	filter := store.CDRFilter{Trunk: trunk, Direction: string(bridge.Outbound), Since: now.UTC().Truncate(24 * time.Hour)}
	for page := (store.Page{Limit: 500}); ; {
		cdrs, next, err := g.store.CDRs(ctx, filter, page)
		if err != nil {
			return total, err
		}
		for _, c := range cdrs {
			total += time.Duration(c.DurationMS) * time.Millisecond
		}
		if next == "" {
			return total, nil
		}
		page.Cursor = next
	}
}

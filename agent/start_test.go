package agent

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// BenchmarkLeaseToStart is how long it takes from the lease until the program has
// been told of the call, on a machine without a network between: p50 and p95.
func BenchmarkLeaseToStart(b *testing.B) {
	started := make(chan time.Time)
	url := program(b, func(ctx context.Context, ws *websocket.Conn, _ *http.Request) {
		for {
			e, err := next(ctx, ws)
			if err != nil {
				return
			}
			if e.Event == "start" {
				started <- time.Now()
			}
		}
	})
	s := newStage(b, dialplan.Agent{Name: "bot", URL: url})
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		leg := s.send("bot")
		took = append(took, (<-started).Sub(begun))
		leg.End("enough")
		await(b, leg, bridge.AgentEnded)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
}

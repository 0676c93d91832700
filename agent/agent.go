// Package agent brings AI voices onto calls: it keeps the pools of the dial plan's
// agents, opens a WebSocket to a leased worker, speaks the agent's protocol there
// and gives it a seat in a room. It knows nothing of SIP and of HTTP routes; what
// an agent asks for (hang up, transfer, digits) it asks of the Exchange.
//
// # Goroutines
//
// House.Run supervises the pools. Each leg has a reader and a writer, which end
// before AgentEnded is told; House waits for them.
package agent

import (
	"log/slog"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// House sends agents into rooms; it is a bridge.Agents. Set its fields, then
// start Run.
type House struct {
	Exchange *bridge.Exchange
	Plan     func() *dialplan.Plan // the dial plan in force
	Log      *slog.Logger          // nil: nothing is logged
}

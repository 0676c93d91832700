package main

import (
	"encoding/json"
	"os"

	"github.com/roomline/roomline/bench"
)

// benchCommand holds what can be measured; the media road when nothing is said.
type benchCommand struct {
	Media benchMediaCommand `cmd:"" default:"withargs" help:"The media road: CPU, delay, loss and memory of calls that speak."`
	Scale benchScaleCommand `cmd:"" help:"How many calls hold on this machine, and what one costs among few and many."`
	Setup benchSetupCommand `cmd:"" help:"Call set-up: CPU per call, calls that fail (needs SIPp)."`
}

// Examples shows how the command is used.
func (*benchCommand) Examples() string {
	return `  roomline bench                                 # 50 calls, each with a browser in its room
  roomline bench --calls 100 --cps 10 --room phone > report.json
  roomline bench --calls 100 --room trunk        # telephones on an Opus trunk
  roomline bench scale --room browser --duration 10s > scale.json
  roomline bench setup --cps 500 --duration 20s
`
}

type benchMediaCommand struct{ bench.Options }

// Examples shows how the command is used.
func (*benchMediaCommand) Examples() string {
	return "  roomline bench media --calls 100 --cps 10 --room phone > report.json\n"
}

// Run measures, prints the summary on standard error and the report on standard output.
func (c *benchMediaCommand) Run(b *bound) error {
	o := c.Options
	o.Log = os.Stderr
	return printReport(bench.Run(b.ctx, o))
}

type benchScaleCommand struct{ bench.ScaleOptions }

// Examples shows how the command is used.
func (*benchScaleCommand) Examples() string {
	return `  roomline bench scale                           # browsers in the rooms: 1, 10, 50, 100 … calls, then by halves
  roomline bench scale --room trunk --cps 20 --duration 8s > scale.json
  roomline bench scale --from 150 --to 300 --near 5 --limit 5m
`
}

// Run looks for the border, prints each step on standard error and the report on
// standard output, also when it is stopped on the way.
func (c *benchScaleCommand) Run(b *bound) error {
	o := c.ScaleOptions
	o.Log = os.Stderr
	return printReport(bench.RunScale(b.ctx, o))
}

type benchSetupCommand struct{ bench.SetupOptions }

// Examples shows how the command is used.
func (*benchSetupCommand) Examples() string {
	return "  roomline bench setup --cps 500 --duration 20s\n"
}

// Run measures, as benchMediaCommand's does.
func (c *benchSetupCommand) Run(b *bound) error {
	o := c.SetupOptions
	o.Log = os.Stderr
	return printReport(bench.RunSetup(b.ctx, o))
}

func printReport[T any](report T, err error) error {
	if err != nil {
		return err
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(report)
}

// relayCommand is what the bench weighs beside the gateway.
type relayCommand struct{ bench.Relay }

// Run relays until standard input ends.
func (c *relayCommand) Run(*bound) error { return c.Relay.Run() }

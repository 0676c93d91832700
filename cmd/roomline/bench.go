package main

import (
	"encoding/json"
	"os"

	"github.com/roomline/roomline/bench"
)

type benchCommand struct{ bench.Options }

// Examples shows how the command is used.
func (*benchCommand) Examples() string {
	return `  roomline bench                                 # 50 calls, each with a browser in its room
  roomline bench --calls 100 --cps 10 --room phone > report.json
`
}

// Run measures, prints the summary on standard error and the report on standard output.
func (c *benchCommand) Run(b *bound) error {
	o := c.Options
	o.Log = os.Stderr
	report, err := bench.Run(b.ctx, o)
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

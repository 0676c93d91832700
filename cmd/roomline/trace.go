package main

import (
	"fmt"
	"os"
)

type traceCommand struct {
	gatewayFlags
	Call string `arg:"" help:"The call's id, live or ended."`
	PCAP string `name:"pcap" type:"path" placeholder:"FILE" help:"Write a capture file for Wireshark instead."`
	JSON bool   `name:"json" help:"Print the messages as JSON instead."`
}

// Examples shows how the command is used.
func (*traceCommand) Examples() string {
	return "  roomline trace call_0123456789abcdef\n  roomline trace call_0123456789abcdef --pcap call.pcap\n"
}

// Run draws the SIP messages of a call.
func (c *traceCommand) Run(b *bound) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	switch {
	case c.PCAP != "" && c.JSON:
		return fmt.Errorf("--pcap and --json exclude each other")
	case c.JSON:
		return cl.Trace(b.ctx, c.Call, "json", os.Stdout)
	case c.PCAP == "":
		return cl.Trace(b.ctx, c.Call, "text", os.Stdout)
	}
	f, err := os.OpenFile(c.PCAP, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := cl.Trace(b.ctx, c.Call, "pcap", f); err != nil {
		f.Close()
		os.Remove(c.PCAP)
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	fmt.Printf("written to %s; open it with Wireshark\n", c.PCAP)
	return nil
}

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/roomline/roomline/api/client"
	"github.com/roomline/roomline/bridge"
)

// trunkCommand holds the commands about trunks.
type trunkCommand struct {
	Test trunkTestCommand `cmd:"" help:"Test a trunk from name to sound, and say what is wrong."`
	List trunkListCommand `cmd:"" help:"Show how the trunks stand: registration and servers."`
}

// Examples shows how the commands are used.
func (*trunkCommand) Examples() string {
	return "  roomline trunk list\n  roomline trunk test carrier\n  roomline trunk test carrier --to +15551234567\n"
}

type trunkTestCommand struct {
	gatewayFlags
	Name   string        `arg:"" help:"The trunk."`
	To     string        `help:"Call this number too, and listen whether sound comes both ways; the dial plan must allow it."`
	From   string        `help:"Caller id of that call; default: the trunk's."`
	Listen time.Duration `default:"3s" help:"How long the answered call is listened to, 1s to 20s."`
}

// Examples shows how the command is used.
func (*trunkTestCommand) Examples() string {
	return "  roomline trunk test carrier\n  roomline trunk test carrier --to +15551234567 --listen 5s\n"
}

// Run tests and prints each step as it happens; a step that failed makes it fail.
func (c *trunkTestCommand) Run(b *bound) error {
	seconds := int(c.Listen.Round(time.Second) / time.Second)
	if seconds < 1 || seconds > 20 {
		return fmt.Errorf("--listen %s: expected 1s to 20s", c.Listen)
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	failed := false
	err = cl.TestTrunk(b.ctx, c.Name, client.TrunkTest{To: c.To, From: c.From, Listen: seconds}, func(s bridge.TrunkStep) {
		failed = failed || s.Result == "failed"
		printStep(os.Stdout, s)
	})
	switch {
	case err != nil:
		return err
	case failed:
		return exitCode(1)
	}
	fmt.Printf("trunk %s is in order\n", c.Name)
	return nil
}

func printStep(w io.Writer, s bridge.TrunkStep) {
	mark := map[string]string{"ok": "✓", "failed": "✗", "skipped": "–"}[s.Result]
	fmt.Fprintf(w, "%s %-9s %s", mark, s.Name, s.Words)
	if s.MS >= 1 {
		fmt.Fprintf(w, " (%.0f ms)", s.MS)
	}
	fmt.Fprintln(w)
	if s.Hint != "" {
		fmt.Fprintf(w, "  %-9s → %s\n", "", s.Hint)
	}
}

type trunkListCommand struct{ gatewayFlags }

// Examples shows how the command is used.
func (*trunkListCommand) Examples() string { return "  roomline trunk list\n" }

// Run prints one line per server of each trunk.
func (c *trunkListCommand) Run(b *bound) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	states, err := cl.TrunkStates(b.ctx)
	if err != nil {
		return err
	}
	if len(states) == 0 {
		fmt.Println("there are no trunks; `roomline apply -f dialplan.yaml` loads some")
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "TRUNK\tREGISTRATION\tSERVER\tSTATE\tRTT\tREASON")
	for _, st := range states {
		printState(w, st)
	}
	return w.Flush()
}

func printState(w io.Writer, st bridge.TrunkState) {
	registration := st.Registration
	if st.ExpiresAt != nil && registration == "registered" {
		registration += " for " + time.Until(*st.ExpiresAt).Round(time.Second).String()
	}
	servers := st.Servers
	if len(servers) == 0 {
		servers = []bridge.ServerState{{}}
	}
	for i, s := range servers {
		reason := s.Reason
		if i == 0 && st.RegisterError != "" {
			reason = strings.TrimPrefix(st.RegisterError+"; "+reason, "; ")
		}
		rtt := ""
		if s.RTTMS > 0 {
			rtt = fmt.Sprintf("%.1f ms", s.RTTMS)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", st.Name, dash(registration), dash(s.Server), dash(s.State), dash(rtt), strings.TrimSuffix(reason, "; "))
	}
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

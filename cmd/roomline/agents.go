package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/roomline/roomline/agent"
)

// agentsCommand holds the commands about AI agents.
type agentsCommand struct {
	List   agentsListCommand   `cmd:"" default:"withargs" help:"Show how the agents' workers stand."`
	Test   agentsTestCommand   `cmd:"" help:"Call every worker of an agent, from name to sound, and say what is wrong."`
	Drain  agentsDrainCommand  `cmd:"" help:"Send no calls to an agent any more; live ones go on."`
	Resume agentsResumeCommand `cmd:"" help:"Send calls to an agent again."`
}

// Examples shows how the commands are used.
func (*agentsCommand) Examples() string {
	return "  roomline agents\n  roomline agents test sales-bot\n  roomline agents drain sales-bot\n  roomline agents resume sales-bot\n"
}

type agentsListCommand struct{ gatewayFlags }

// Examples shows how the command is used.
func (*agentsListCommand) Examples() string { return "  roomline agents\n  roomline agents list\n" }

// Run prints one line per worker of each agent.
func (c *agentsListCommand) Run(b *bound) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	pools, err := cl.AgentStates(b.ctx)
	if err != nil {
		return err
	}
	if len(pools) == 0 {
		fmt.Println("there are no agents; `roomline apply -f dialplan.yaml` loads some")
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "AGENT\tCALLS\tWORKER\tSTATE\tCALLS\tSTART p50/p95\tREASON")
	for _, p := range pools {
		printPool(w, p)
	}
	return w.Flush()
}

func printPool(w io.Writer, p agent.PoolState) {
	calls := fmt.Sprint(p.Calls)
	if p.Cap > 0 {
		calls += fmt.Sprintf(" of %d", p.Cap)
	}
	name := p.Agent
	for _, s := range p.Workers {
		start := ""
		if s.StartP95MS > 0 {
			start = fmt.Sprintf("%.0f/%.0f ms", s.StartP50MS, s.StartP95MS)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", name, calls, s.Worker, s.State, s.Calls, dash(start), dash(reasonOf(s, time.Now())))
		name, calls = "", ""
	}
}

// reasonOf says what was wrong with a worker last, and when.
func reasonOf(s agent.WorkerState, now time.Time) string {
	if s.FaultAt == nil {
		return ""
	}
	return fmt.Sprintf("%s, %s ago: %s", s.Fault, now.Sub(*s.FaultAt).Round(time.Second), s.Reason)
}

type agentsTestCommand struct {
	gatewayFlags
	Name string `arg:"" help:"The agent."`
}

// Examples shows how the command is used.
func (*agentsTestCommand) Examples() string { return "  roomline agents test sales-bot\n" }

// Run tests and prints each step as it happens; a step that failed makes it fail.
func (c *agentsTestCommand) Run(b *bound) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	failed, worker := false, ""
	err = cl.TestAgent(b.ctx, c.Name, func(s agent.TestStep) {
		failed = failed || s.Result == "failed"
		if s.Worker != worker {
			worker = s.Worker
			fmt.Println(worker)
		}
		printStep(os.Stdout, s.TrunkStep)
	})
	switch {
	case err != nil:
		return err
	case failed:
		return exitCode(1)
	}
	fmt.Printf("agent %s is in order\n", c.Name)
	return nil
}

type agentsDrainCommand struct {
	gatewayFlags
	Name string `arg:"" help:"The agent."`
}

// Examples shows how the command is used.
func (*agentsDrainCommand) Examples() string { return "  roomline agents drain sales-bot\n" }

// Run drains the agent and says how many calls it still has.
func (c *agentsDrainCommand) Run(b *bound) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	p, err := cl.DrainAgent(b.ctx, c.Name)
	if err != nil {
		return err
	}
	fmt.Printf("agent %s takes no calls of this gateway any more; %d go on\n", c.Name, p.Calls)
	return nil
}

type agentsResumeCommand struct {
	gatewayFlags
	Name string `arg:"" help:"The agent."`
}

// Examples shows how the command is used.
func (*agentsResumeCommand) Examples() string { return "  roomline agents resume sales-bot\n" }

// Run lets calls come to the agent again.
func (c *agentsResumeCommand) Run(b *bound) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if _, err := cl.ResumeAgent(b.ctx, c.Name); err != nil {
		return err
	}
	fmt.Printf("agent %s takes calls again\n", c.Name)
	return nil
}

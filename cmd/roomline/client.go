package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/roomline/roomline/api/client"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// gatewayFlags say which gateway a client command talks to.
type gatewayFlags struct {
	URL  string `env:"ROOMLINE_URL" default:"http://127.0.0.1:8080" help:"The gateway's URL."`
	Key  string `env:"ROOMLINE_KEY" help:"An API key; default: the one in the data folder."`
	Data string `env:"ROOMLINE_DATA" default:"./data" placeholder:"DIR" help:"The local gateway's data folder."`
}

func (g *gatewayFlags) client() (*client.Client, error) {
	key := g.Key
	if key == "" {
		text, err := os.ReadFile(filepath.Join(g.Data, adminKeyFile))
		if err != nil {
			return nil, fmt.Errorf("no API key: give --key or ROOMLINE_KEY, or --data with the data folder of the gateway on this machine")
		}
		key = strings.TrimSpace(string(text))
	}
	return client.New(g.URL, key)
}

type callCommand struct {
	gatewayFlags
	To          string        `arg:"" help:"Number (+15551234567) or SIP URI."`
	Room        string        `help:"Where the phone is brought; default: a room of its own." xor:"target"`
	Agent       string        `help:"An agent that talks to the phone once it has answered, in place of a room." xor:"target"`
	Queue       string        `help:"A queue in which the phone waits once it has answered, in place of a room." xor:"target"`
	From        string        `help:"Caller id."`
	Trunk       string        `help:"Leave by this trunk; default: the routes choose."`
	RingTimeout time.Duration `help:"How long it may ring; default: the gateway's."`
	Wait        bool          `default:"true" negatable:"" help:"Follow the call until it ends."`
}

// Examples shows how the command is used.
func (*callCommand) Examples() string {
	return "  roomline call +15551234567 --room lobby\n  roomline call +15551234567 --agent sales-bot\n  roomline call sip:desk@pbx.example --room lobby --no-wait\n"
}

// Run places the call and follows it.
func (c *callCommand) Run(b *bound) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	rec, err := cl.CreateCall(b.ctx, client.CallRequest{
		To: c.To, From: c.From, Trunk: c.Trunk, Room: c.Room, Agent: c.Agent, Queue: c.Queue, RingTimeout: int(c.RingTimeout.Seconds()),
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s  %s → room %s\n", rec.ID, rec.To, rec.Room)
	if !c.Wait {
		return nil
	}
	last := rec.State
	for {
		if rec, err = cl.Call(b.ctx, rec.ID); err != nil {
			return err
		}
		if rec.State != last {
			last = rec.State
			fmt.Printf("%s  %s\n", time.Now().Format("15:04:05"), last)
		}
		if rec.State == bridge.StateEnded {
			fmt.Printf("ended: %s %s\n", rec.Cause, rec.Reason)
			if rec.AnsweredAt == nil {
				return exitCode(1)
			}
			return nil
		}
		select {
		case <-b.ctx.Done():
			return nil
		case <-time.After(300 * time.Millisecond):
		}
	}
}

type applyCommand struct {
	gatewayFlags
	File   string `short:"f" required:"" type:"existingfile" placeholder:"FILE" help:"The dial plan, YAML."`
	Prune  bool   `help:"Remove what the file does not name."`
	DryRun bool   `help:"Say what would change, and change nothing."`
}

// Examples shows how the command is used.
func (*applyCommand) Examples() string {
	return "  roomline apply -f dialplan.yaml --dry-run\n  roomline apply -f dialplan.yaml --prune\n"
}

// Run checks the file here, so that its lines can be named, and loads it through the API.
func (c *applyCommand) Run(b *bound) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	plan, err := dialplan.Parse(text, os.Getenv)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	result, err := cl.Apply(b.ctx, plan, c.Prune, c.DryRun)
	if err != nil {
		return err
	}
	for _, change := range result.Changes {
		fmt.Println(change)
	}
	switch {
	case len(result.Changes) == 0:
		fmt.Println("nothing changes")
	case !result.Applied:
		fmt.Println("dry run: nothing was changed")
	}
	return nil
}

type routeCommand struct {
	gatewayFlags
	To       string   `required:"" help:"The called number or user."`
	From     string   `help:"The caller."`
	Trunk    string   `help:"The trunk it comes in on, or leaves by."`
	FromRoom bool     `help:"A call that leaves a room or the API, instead of one that comes in."`
	Header   []string `sep:"none" placeholder:"NAME: VALUE" help:"A header field or attribute of the call; may be given several times."`
	At       string   `help:"The moment to ask about, such as 2026-12-24T18:00; default: now."`
	File     string   `short:"f" type:"existingfile" placeholder:"FILE" help:"Explain this file without a gateway."`
	JSON     bool     `help:"Print the steps as JSON."`
}

// Examples shows how the command is used.
func (*routeCommand) Examples() string {
	return "  roomline route --to +15551234567 --from +15557654321 --trunk carrier\n  roomline route --to +15551234567 --trunk pbx --header 'X-Tenant: blue' --header 'lang: de'\n  roomline route --to 911 --at 2026-12-24T18:00 -f dialplan.yaml\n"
}

// Run explains a route from a file, or asks the gateway.
func (c *routeCommand) Run(b *bound) error {
	headers, err := headersOf(c.Header)
	if err != nil {
		return err
	}
	if c.File != "" {
		return c.explainFile(headers)
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	explained, err := cl.Explain(b.ctx, client.RouteQuery{To: c.To, From: c.From, Trunk: c.Trunk, FromRoom: c.FromRoom, Headers: headers, At: c.At})
	if err != nil {
		return err
	}
	return c.print(explained, explained.Text)
}

func (c *routeCommand) explainFile(headers map[string]string) error {
	at, err := moment(c.At)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	plan, err := dialplan.Parse(text, os.Getenv)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	e := plan.Explain(dialplan.Query{FromRoom: c.FromRoom, Trunk: c.Trunk, To: c.To, From: c.From, Headers: headers, At: at})
	e.Decision = e.Decision.Masked()
	return c.print(e, e.String())
}

func (c *routeCommand) print(v any, text string) error {
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	fmt.Println(strings.TrimRight(text, "\n"))
	return nil
}

// headersOf reads what --header says.
func headersOf(lines []string) (map[string]string, error) {
	headers := make(map[string]string, len(lines))
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("--header %q: expected a name and a value, like 'X-Tenant: blue'", line)
		}
		headers[name] = strings.TrimSpace(value)
	}
	return headers, nil
}

// moment reads a time with or without seconds and zone; empty is now.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Now(), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--at %q: expected a time such as 2026-12-24T18:00", s)
}

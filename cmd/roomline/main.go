// Command roomline is the gateway and its tools: phone lines in, WebRTC rooms
// out. It reads configuration, wires the parts, and starts and stops them in
// order; it has no logic of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set at link time: -ldflags "-X main.version=1.2.3".
var version = "development"

// commands is the command line. Every command's Run gets what [kong.Bind] binds below.
type commands struct {
	Serve    serveCommand    `cmd:"" help:"Run the gateway."`
	Demo     demoCommand     `cmd:"" help:"The main job in one command: a gateway, a real call into it, a room to open in the browser."`
	Call     callCommand     `cmd:"" help:"Place a call through a running gateway."`
	Phone    phoneCommand    `cmd:"" help:"A SIP softphone for people and tests."`
	Apply    applyCommand    `cmd:"" help:"Load trunks, numbers, routes and agents from a YAML file."`
	Route    routeCommand    `cmd:"" help:"Explain which route a call would take, and why."`
	Trunk    trunkCommand    `cmd:"" help:"Test trunks, and show how they stand."`
	Agents   agentsCommand   `cmd:"" help:"Test AI agents, show how their workers stand, drain them."`
	Trace    traceCommand    `cmd:"" help:"Draw the SIP messages of a call."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database up to date, or show where it stands."`
	Simulate simulateCommand `cmd:"" help:"Test voice agents: scripted callers that dial, speak, listen and measure."`
	Bench    benchCommand    `cmd:"" help:"Measure the media road, or call set-up."`

	Relay relayCommand `cmd:"" name:"bench-relay" hidden:"" help:"Relay packets; the bench weighs it."`

	LogLevel  string           `enum:"debug,info,warn,error" default:"info" env:"ROOMLINE_LOG_LEVEL" help:"What is logged: debug, info, warn or error."`
	LogFormat string           `enum:"text,json" default:"text" env:"ROOMLINE_LOG_FORMAT" help:"text or json."`
	Version   kong.VersionFlag `help:"Print the version and exit."`
}

// exitCode is an error that has been told already and sets the exit status.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() { os.Exit(run(os.Args[1:])) }

// run parses the command line and runs the command. It returns the exit status:
// 0 for success, 1 for a failure, 2 for a command line that makes no sense.
func run(args []string) int {
	var c commands
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parser, err := newParser(&c, args)
	if err != nil {
		return fail(err, 2)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return fail(err, 2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = parsed.Run(&bound{ctx: ctx, log: c.logger()})
	var code exitCode
	switch {
	case errors.As(err, &code):
		return int(code)
	case err != nil:
		return fail(err, 1)
	}
	return 0
}

// newParser makes the command line's parser; args are only looked at for --config.
func newParser(c *commands, args []string) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("roomline"),
		kong.Description("Phone lines in, WebRTC rooms out."),
		kong.Vars{"version": version},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.Help(helpWithExamples),
		kong.Resolvers(readConfig(args)),
	)
}

// Examples shows where to begin.
func (*commands) Examples() string {
	return "  roomline demo                             # the main job in one command\n" +
		"  roomline serve --config roomline.yaml\n  roomline call +15551234567 --room lobby\n"
}

// bound is what commands are given.
type bound struct {
	ctx context.Context
	log *slog.Logger
}

func fail(err error, status int) int {
	fmt.Fprintln(os.Stderr, "roomline: "+strings.TrimPrefix(err.Error(), "roomline: "))
	return status
}

func (c *commands) logger() *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(c.LogLevel)) // kong has checked it
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}

// helpWithExamples prints kong's help and the command's examples, if it has some.
func helpWithExamples(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	node := ctx.Selected()
	for _, step := range ctx.Path { // a command that only holds others is not selected
		if node == nil && step.Command == ctx.Path[len(ctx.Path)-1].Command {
			node = step.Node()
		}
	}
	if node == nil || !node.Target.CanAddr() {
		return nil
	}
	if e, ok := node.Target.Addr().Interface().(interface{ Examples() string }); ok {
		fmt.Fprintf(ctx.Stdout, "\nExamples:\n%s", e.Examples())
	}
	return nil
}

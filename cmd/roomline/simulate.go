package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/roomline/roomline/media/speech"
	"github.com/roomline/roomline/simulate"
)

type simulateCommand struct {
	Files    []string      `arg:"" optional:"" type:"path" help:"Suites of scenarios, YAML; docs/simulate.md explains the format."`
	To       string        `help:"Call this SIP URI, whatever the suites say." placeholder:"URI"`
	From     string        `help:"Call from this number, name or SIP URI, whatever the suites say." placeholder:"WHO"`
	Username string        `name:"user" help:"For digest authentication." placeholder:"NAME"`
	Password string        `help:"For digest authentication." env:"ROOMLINE_PHONE_PASSWORD" placeholder:"WORD"`
	Listen   string        `help:"IP:port for SIP, and the IP for RTP." default:"127.0.0.1:0"`
	SRTP     string        `name:"srtp" help:"Encrypt the sound with keys in SDP: off, optional or required." enum:"off,optional,required" default:"off"`
	JUnit    string        `name:"junit" type:"path" help:"Write JUnit XML for CI systems to this file." placeholder:"FILE"`
	Report   string        `type:"path" help:"Write a report with drawn timelines to this file, .html or .md." placeholder:"FILE"`
	Record   string        `type:"path" help:"Keep the recordings of all calls in this folder: the caller left, the agent right." placeholder:"FOLDER"`
	Failures string        `type:"path" help:"Without --record, keep the recordings of calls that failed in this folder." default:"simulate-failures" placeholder:"FOLDER"`
	Only     []string      `help:"Play the scenarios that have this in their names." sep:"none" placeholder:"TEXT"`
	Parallel int           `help:"How many calls to place at once." default:"1"`
	Repeat   int           `help:"How often to play each scenario." default:"1"`
	Seed     uint64        `help:"Play in an order by chance, and wait by chance, alike for the same number; 0: the order of the files."`
	Timeout  time.Duration `help:"Stop after this long; what was not played then has failed." placeholder:"TIME"`
	Verbose  bool          `short:"v" help:"Tell the steps of every call."`
	Init     bool          `help:"Write a sample suite with comments to the file named (default: simulate.yaml), and stop."`
}

// Help is the long help.
func (*simulateCommand) Help() string {
	return `Calls a voice agent by SIP as scripted callers would: they speak, press keys, wait for
what they hear, interrupt, and measure from the sound how soon they are answered. Speaking
text needs espeak-ng and sox, understanding words pocketsphinx, pocketsphinx-en-us and sox
(Debian's packages); recordings, tones and keys need nothing.

Exit status: 0 all scenarios passed, 1 some did not, 2 usage or a suite that makes no sense.`
}

// Examples shows how the command is used.
func (*simulateCommand) Examples() string {
	return "  roomline simulate --init clinic.yaml\n" +
		"  roomline simulate clinic.yaml --to sip:clinic@127.0.0.1:5060\n" +
		"  roomline simulate suites/*.yaml --junit junit.xml --report report.html --parallel 4\n" +
		"  roomline simulate clinic.yaml --repeat 20 --seed 7 --record calls --listen 192.0.2.20:0\n"
}

// Run plays the suites.
func (c *simulateCommand) Run(b *bound) error {
	if c.Init {
		return c.writeSample()
	}
	suites, err := c.read()
	if err != nil {
		return exitCode(fail(err, 2))
	}
	ctx := b.ctx
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	result, err := simulate.Run(ctx, suites, c.options(b.log, os.Stdout))
	if err != nil && result == nil {
		return exitCode(fail(err, 2))
	}
	if err := errors.Join(err, c.report(result, os.Stdout)); err != nil {
		return err
	}
	if !result.Passed() {
		return exitCode(1)
	}
	return nil
}

// read reads and checks everything before anybody is called.
func (c *simulateCommand) read() (suites []*simulate.Suite, err error) {
	switch {
	case len(c.Files) == 0:
		return nil, errors.New("there is no suite: name a YAML file, or write a sample with roomline simulate --init")
	case c.Parallel < 1 || c.Parallel > 500 || c.Repeat < 1 || c.Repeat > 10000 || c.Timeout < 0:
		return nil, errors.New("--parallel takes 1 to 500, --repeat 1 to 10000, --timeout a time above 0")
	case c.Report != "" && reportKind(c.Report) == "":
		return nil, fmt.Errorf("--report %s: expected a name that ends in .html or .md", c.Report)
	}
	for _, file := range c.Files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		s, err := simulate.Parse(text, file, os.Getenv)
		if err != nil {
			return nil, fmt.Errorf("%s does not make sense:\n%w", file, err)
		}
		suites = append(suites, s)
	}
	return suites, nil
}

func reportKind(name string) string {
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".html", ".md":
		return ext
	}
	return ""
}

func (c *simulateCommand) options(log *slog.Logger, out io.Writer) simulate.Options {
	var mu sync.Mutex
	tell := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, format+"\n", args...)
	}
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		log = nil // what the phone tells everyday stays out of the report
	}
	return simulate.Options{
		To: c.To, From: c.From, Username: c.Username, Password: c.Password, Listen: c.Listen, SRTP: c.SRTP,
		Parallel: c.Parallel, Only: c.Only, Repeat: c.Repeat, Seed: c.Seed, Record: c.Record, Failures: c.Failures,
		Tools: speechTools(), Log: log,
		Began: func(_ *simulate.Suite, name string) { tell("call  %s", name) },
		Ended: func(o *simulate.Outcome) {
			tell("%s", o.Line())
			if c.Verbose {
				tell("%s", o.Story())
			}
		},
	}
}

// speechTools are Debian's programs.
func speechTools() simulate.Tools {
	return simulate.Tools{
		Speak: func(ctx context.Context, text, voice string) ([]int16, error) {
			return speech.Synthesize(ctx, text, speech.Voice{Name: voice})
		},
		Understand: func(phrases []string) (simulate.Recognizer, error) { return speech.NewRecognizer(phrases) },
	}
}

// report writes what was asked for.
func (c *simulateCommand) report(r *simulate.Result, out io.Writer) error {
	fmt.Fprintln(out)
	r.WriteText(out)
	var failed error
	if c.JUnit != "" {
		failed = writeInto(c.JUnit, r.WriteJUnit)
	}
	switch reportKind(c.Report) {
	case ".html":
		failed = errors.Join(failed, writeInto(c.Report, func(w io.Writer) error { return r.WriteHTML(w, filepath.Dir(c.Report)) }))
	case ".md":
		failed = errors.Join(failed, writeInto(c.Report, r.WriteMarkdown))
	}
	return failed
}

// writeInto makes a file and writes it.
func writeInto(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// writeSample writes the sample suite where nothing is yet.
func (c *simulateCommand) writeSample() error {
	name := "simulate.yaml"
	if len(c.Files) > 0 {
		name = c.Files[0]
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(simulate.Sample())
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	fmt.Printf("written to %s; play it with: roomline simulate %s\n", name, name)
	return nil
}

package main

import (
	"errors"
	"os"

	"github.com/roomline/roomline/phone"
)

// phoneCommand is the softphone; its commands are the phone package's own.
type phoneCommand struct {
	Dial   phoneDial   `cmd:"" help:"Call somebody, talk, report."`
	Answer phoneAnswer `cmd:"" help:"Wait for calls, answer them, report."`
}

// Examples shows how the commands are used.
func (*phoneCommand) Examples() string {
	return "  roomline phone dial sip:lobby@127.0.0.1:5060 --play speech --record heard.wav --duration 10s\n" +
		"  roomline phone answer --listen 127.0.0.1:5070 --play speech\n"
}

type phoneDial struct{ phone.DialCommand }

// Run calls.
func (c *phoneDial) Run(b *bound) error { return phoneExit(c.DialCommand.Run(b.ctx, b.log, os.Stdout)) }

type phoneAnswer struct{ phone.AnswerCommand }

// Run waits for calls.
func (c *phoneAnswer) Run(b *bound) error {
	return phoneExit(c.AnswerCommand.Run(b.ctx, b.log, os.Stdout))
}

// phoneExit turns the phone's outcome into an exit status.
func phoneExit(err error) error {
	var e *phone.ExitError
	switch {
	case !errors.As(err, &e):
		return err
	case !e.Told:
		fail(e, e.Status)
	}
	return exitCode(e.Status)
}

package phone

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
)

// AnswerCommand is "roomline phone answer".
type AnswerCommand struct {
	Options
	Calls  int           `help:"How many calls to take, also at once; 0: until Ctrl-C." default:"1"`
	Wait   time.Duration `help:"Exit with 4 when nobody has called for so long; 0: wait for ever." placeholder:"TIME"`
	Ring   time.Duration `help:"Let it ring so long before the answer or the refusal." placeholder:"TIME"`
	Busy   bool          `help:"Be busy (486)."`
	Reject int           `help:"Refuse with this SIP code, 400 to 699." placeholder:"CODE"`
}

// Help is the long help.
func (*AnswerCommand) Help() string {
	return "Waits for calls, answers or refuses them, and reports how each went. Calls that are refused\n" +
		"as asked count as gone well. It takes calls for every user name.\n\n" + exitHelp
}

// Examples shows the command at work.
func (*AnswerCommand) Examples() string {
	return `  roomline phone answer --listen 127.0.0.1:5070 --play speech --record heard.wav
  roomline phone answer --listen 127.0.0.1:5070 --ring 3s --calls 10 --json
  roomline phone answer --listen 127.0.0.1:5070 --reject 603 --calls 0
`
}

// causeOf is the Cause of a refusal with a SIP code.
func causeOf(code int) bridge.Cause {
	switch code {
	case 403:
		return bridge.CauseForbidden
	case 404, 410, 484, 604:
		return bridge.CauseUnknownNumber
	case 408, 480:
		return bridge.CauseNoAnswer
	case 486, 600:
		return bridge.CauseBusy
	case 488, 606:
		return bridge.CauseIncompatible
	case 500:
		return bridge.CauseInternal
	case 502, 503:
		return bridge.CauseUnreachable
	case 504:
		return bridge.CauseMediaTimeout
	}
	return bridge.CauseRejected
}

// afterRinging are the codes that a Line can end with once it rings.
var afterRinging = map[int]bool{403: true, 404: true, 480: true, 486: true, 488: true, 500: true, 503: true, 504: true, 603: true}

func (a *AnswerCommand) check() error {
	if err := a.Options.check(); err != nil {
		return err
	}
	if a.Busy {
		if a.Reject != 0 {
			return usage("--busy and --reject exclude each other")
		}
		a.Reject = 486
	}
	switch {
	case a.Calls < 0 || a.Ring < 0 || a.Wait < 0:
		return usage("a count or a time is negative")
	case a.Reject != 0 && (a.Reject < 400 || a.Reject > 699 || a.Reject == 401 || a.Reject == 407):
		return usage("--reject %d: expected a code from 400 to 699 other than 401 and 407", a.Reject)
	case a.Reject != 0 && a.Ring > 0 && !afterRinging[a.Reject]:
		return usage("--reject %d after --ring: expected 403, 404, 480, 486, 488, 500, 503, 504 or 603", a.Reject)
	}
	return nil
}

// Run waits for calls.
func (a *AnswerCommand) Run(ctx context.Context, log *slog.Logger, out io.Writer) error {
	if err := a.check(); err != nil {
		return err
	}
	refused := make(chan bridge.Refusal, waitingCalls)
	p, err := a.open(ctx, log, Config{Admit: a.admit(refused)})
	if err != nil {
		return err
	}
	defer p.Close()
	t := newTeller(out, a.JSON)
	log.Info("phone listens", "uri", p.URI("phone"))
	t.line("listening: %s", p.URI("phone"))
	desk := desk{command: a, phone: p, teller: t, refused: refused}
	return desk.run(ctx)
}

// admit refuses at once what is to be refused without ringing.
func (a *AnswerCommand) admit(refused chan<- bridge.Refusal) func(bridge.Invite) *bridge.Refusal {
	if a.Reject == 0 || a.Ring > 0 {
		return nil
	}
	return func(inv bridge.Invite) *bridge.Refusal {
		r := bridge.Refusal{SIPCode: a.Reject, Cause: causeOf(a.Reject), From: inv.From, To: inv.To, SIPCallID: inv.SIPCallID, Reason: "refused as asked"}
		select {
		case refused <- r:
		default:
		}
		return &r
	}
}

// desk is one run of the answer command.
type desk struct {
	command *AnswerCommand
	phone   *Phone
	teller  *teller
	refused <-chan bridge.Refusal

	talking sync.WaitGroup
	mu      sync.Mutex
	reports []Report
}

func (d *desk) run(ctx context.Context) error {
	err := d.takeAll(ctx)
	d.talking.Wait()
	if err != nil {
		return err
	}
	return outcome(d.reports...)
}

// takeAll takes as many calls as were asked for.
func (d *desk) takeAll(ctx context.Context) error {
	for n := 1; d.command.Calls == 0 || n <= d.command.Calls; n++ {
		call, refusal, err := d.next(ctx)
		switch {
		case err != nil:
			return err
		case refusal != nil:
			d.refusedOne(*refusal)
		case call == nil: // Ctrl-C
			return nil
		default:
			d.talking.Go(func() { d.serve(ctx, call, n) })
		}
	}
	return nil
}

// next waits for a call or a refusal; none of them when ctx has ended.
func (d *desk) next(ctx context.Context) (*Call, *bridge.Refusal, error) {
	var late <-chan time.Time
	if d.command.Wait > 0 {
		timer := time.NewTimer(d.command.Wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case c := <-d.phone.incoming:
		return c, nil, nil
	case r := <-d.refused:
		return nil, &r, nil
	case <-late:
		return nil, nil, &ExitError{Status: ExitNoAnswer, Err: errNobody}
	case <-ctx.Done():
		return nil, nil, nil
	case <-d.phone.stopped:
		return nil, nil, &ExitError{Status: ExitFailed, Err: errClosed}
	}
}

// serve rings, then answers or refuses one call.
func (d *desk) serve(ctx context.Context, c *Call, n int) {
	a := d.command
	d.teller.line("call from %q to %q", c.from, c.to)
	if a.Ring > 0 && c.Ring() == nil {
		timer := time.NewTimer(a.Ring)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.Ended():
		case <-ctx.Done():
			c.Hangup()
		}
	}
	if a.Reject != 0 {
		c.Reject(causeOf(a.Reject), "refused as asked")
	} else {
		c.line.Answer() // a caller who has gone meanwhile shows in the report
	}
	d.done(a.talk(ctx, c, d.teller, numbered(a.Record, n), a.Reject))
}

func (d *desk) done(r Report) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reports = append(d.reports, r)
}

// refusedOne reports a call that was refused before it became one.
func (d *desk) refusedOne(r bridge.Refusal) {
	report := Report{SIPCallID: r.SIPCallID, Direction: "inbound", From: r.From, To: r.To,
		Cause: r.Cause, SIPCode: r.SIPCode, Reason: r.Reason, HeardLevel: -127, HeardLoudest: -127}
	d.teller.line("call from %q to %q", r.From, r.To)
	d.teller.report(report)
	d.done(report)
}

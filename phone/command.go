package phone

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/roomline/roomline/media"
)

// Command is "roomline phone" for kong. Its commands have
//
//	Run(ctx context.Context, log *slog.Logger, out io.Writer) error
//
// so that all three are to be bound. They return an [*ExitError] for every exit
// status but 0; what went wrong with the command line comes back as one too.
type Command struct {
	Dial   DialCommand   `cmd:"" help:"Call somebody, talk, report."`
	Answer AnswerCommand `cmd:"" help:"Wait for calls, answer them, report."`
}

// Options are what both commands do with a call.
type Options struct {
	Play        string        `help:"What to say: speech (recorded speech), tone:HZ[@DBOV], bursts:HZ[@DBOV] (60 ms each second), silence, or a WAV file (8 kHz mono, 16 bit, µ-law or A-law). Repeated until the end." default:"silence"`
	Once        bool          `help:"Say it once; without --duration, hang up then."`
	Record      string        `help:"Write what was heard to this WAV file, placed by RTP time. Further calls go to FILE-2.wav and so on." placeholder:"FILE"`
	Both        bool          `help:"Record two channels: heard left, said right."`
	Digits      string        `help:"Press these keys: 0-9 * # A-D; a comma is a pause of half a second." placeholder:"KEYS"`
	DigitsAfter time.Duration `help:"When to press the keys, from the answer." default:"500ms"`
	Duration    time.Duration `help:"Hang up this long after the answer; 0: when the other side does, or at Ctrl-C." placeholder:"TIME"`
	HoldAfter   time.Duration `help:"Put the other side on hold this long after the answer." placeholder:"TIME"`
	ResumeAfter time.Duration `help:"Take it back this long after the answer." placeholder:"TIME"`
	Codec       string        `help:"The one codec to speak, PCMU or PCMA; default: both." placeholder:"NAME"`
	SRTP        string        `name:"srtp" help:"Encrypt the sound with keys in SDP: off, optional or required." enum:"off,optional,required" default:"off"`
	Ptime       time.Duration `help:"Length of the packets sent, 10ms to 60ms; default: what the other side asks for." placeholder:"TIME"`
	Listen      string        `help:"IP:port for SIP, and the IP for RTP." default:"127.0.0.1:0"`
	ExpectAudio bool          `help:"Exit with 7 unless something louder than -55 dBov was heard."`
	JSON        bool          `name:"json" help:"Print nothing but one JSON report per call."`
}

// exitHelp tells the exit statuses.
const exitHelp = `Exit status: 0 talked as asked, 1 failed here or broke off, 2 usage, 3 busy,
4 no answer, 5 rejected, 6 unreachable, 7 nothing was heard (with --expect-audio).`

// recordLimit bounds what is kept of a call for --record and the report.
const recordLimit = 2 * time.Hour

// check finds what makes no sense before anything is opened.
func (o *Options) check() error {
	if _, err := ParseSource(o.Play, o.Once); err != nil {
		return usage("--play: %w", err)
	}
	if _, err := o.codecs(); err != nil {
		return err
	}
	if err := checkPtime(o.Ptime); err != nil {
		return usage("--ptime: %w", err)
	}
	if _, err := netip.ParseAddrPort(o.Listen); err != nil {
		return usage("--listen %q: expected IP:port, as in 127.0.0.1:0", o.Listen)
	}
	if _, err := newMouth(0).press(o.Digits); err != nil {
		return usage("--digits: %w", err)
	}
	switch {
	case o.Both && o.Record == "":
		return usage("--both says how to record: name the file with --record")
	case o.Duration < 0 || o.HoldAfter < 0 || o.ResumeAfter < 0 || o.DigitsAfter < 0:
		return usage("a time is negative")
	case o.ResumeAfter > 0 && (o.HoldAfter == 0 || o.ResumeAfter <= o.HoldAfter):
		return usage("--resume-after %s: expected a time later than --hold-after", o.ResumeAfter)
	case o.Duration > 0 && o.HoldAfter >= o.Duration:
		return usage("--hold-after %s: expected a time before the end of the call (--duration %s)", o.HoldAfter, o.Duration)
	}
	return nil
}

func (o *Options) codecs() ([]media.Codec, error) {
	if o.Codec == "" {
		return nil, nil
	}
	c, ok := media.ParseCodec(o.Codec)
	if !ok || c != media.PCMU && c != media.PCMA {
		return nil, usage("--codec %s: expected PCMU or PCMA", o.Codec)
	}
	return []media.Codec{c}, nil
}

// open starts the phone that the options describe.
func (o *Options) open(ctx context.Context, log *slog.Logger, c Config) (*Phone, error) {
	c.Addr, c.Ptime, c.SRTP, c.Log = o.Listen, o.Ptime, o.SRTP, slog.New(warnings{log.Handler()})
	c.Codecs, _ = o.codecs()
	c.KeepHeard, c.KeepSaid = recordLimit, o.Both
	p, err := Open(ctx, c)
	if err != nil {
		return nil, &ExitError{Status: ExitFailed, Err: err}
	}
	return p, nil
}

// DialCommand is "roomline phone dial".
type DialCommand struct {
	Target string `arg:"" help:"Whom to call: sip:user@host:port, with ;transport=tcp for TCP."`
	Options
	From        string        `help:"Who calls: a number, a name or a SIP URI; default: the username, else phone." placeholder:"WHO"`
	Username    string        `help:"For digest authentication." placeholder:"NAME"`
	Password    string        `help:"For digest authentication." env:"ROOMLINE_PHONE_PASSWORD" placeholder:"WORD"`
	RingTimeout time.Duration `help:"Give up when nobody has answered by then." default:"30s"`
}

// Help is the long help.
func (*DialCommand) Help() string {
	return "Calls somebody and reports how it went. Keys that the other side presses are printed.\n" +
		"The default address reaches this machine only; for others name one of yours with --listen.\n\n" + exitHelp
}

// Examples shows the command at work.
func (*DialCommand) Examples() string {
	return `  roomline phone dial sip:lobby@127.0.0.1:5060 --play in.wav --record out.wav --duration 10s
  roomline phone dial sip:lobby@127.0.0.1:5060 --play speech --duration 10s --expect-audio --json
  roomline phone dial sip:lobby@127.0.0.1:5060 --digits "12#" --digits-after 2s --duration 5s
  roomline phone dial "sip:+15551234@192.0.2.10;transport=tcp" --listen 192.0.2.20:0 --username me --play tone:440
`
}

// Run calls.
func (d *DialCommand) Run(ctx context.Context, log *slog.Logger, out io.Writer) error {
	if err := d.check(); err != nil {
		return err
	}
	target, err := parseTarget(d.Target)
	if err != nil {
		return usage("%w", err)
	}
	p, err := d.open(ctx, log, Config{})
	if err != nil {
		return err
	}
	defer p.Close()
	call, err := p.Call(target, DialOptions{From: d.From, Username: d.Username, Password: d.Password, RingTimeout: d.RingTimeout})
	if err != nil {
		return usage("%w%s", err, d.hint(err))
	}
	t := newTeller(out, d.JSON)
	t.line("calling %s", target)
	return outcome(d.talk(ctx, call, t, d.Record, 0))
}

// hint explains what a loopback address cannot do.
func (d *DialCommand) hint(err error) string {
	if strings.HasPrefix(d.Listen, "127.") && strings.Contains(err.Error(), "listened on") {
		return "; name an address of its family with --listen"
	}
	return ""
}

// outcome makes a command's error of what its calls came to.
func outcome(reports ...Report) error {
	for _, r := range reports {
		if r.Exit != ExitTalked {
			return &ExitError{Status: r.Exit, Told: true}
		}
	}
	return nil
}

// warnings keeps the user agent's everyday lines from people's terminals, unless
// they have asked for everything.
type warnings struct{ slog.Handler }

// Enabled implements slog.Handler.
func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return w.Handler.Enabled(ctx, level) && (level >= slog.LevelWarn || w.Handler.Enabled(ctx, slog.LevelDebug))
}

// WithAttrs implements slog.Handler.
func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }

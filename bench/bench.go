// Package bench measures what a gateway adds: processor time per call, delay,
// loss and memory, over the road that real calls take. It starts the gateway as
// a child process on loopback, places calls with our own SIP user agent, brings
// one WebRTC peer or another phone into each room, lets both sides speak, and
// weighs the child alone. Beside it stand the codec alone and a relay alone.
//
// It judges nothing: a slow machine gets a report like any other. It does not
// measure the load generator, except to say when that was too busy for its
// figures to be trusted.
//
// Goroutines: one paces every 800 streams, one reads each SIP line's events, one
// each WebSocket, one runs the SIP user agent. Run waits for all of them, and for
// the child processes.
package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/roomline/roomline/media"
)

// Options say what is measured. The tags are those of the command line.
type Options struct {
	Calls int `help:"Calls at once." default:"50"`
	Scene
	Profile     string `help:"Write a CPU profile of the gateway to this file, if it offers one on its metrics address." type:"path"`
	SelfProfile string `help:"Write a CPU profile of the load generator to this file." type:"path" hidden:""`
}

// Scene is how calls are set up, however many.
type Scene struct {
	CPS         float64       `name:"cps" help:"Calls placed per second." default:"10"`
	Duration    time.Duration `help:"Length of the measured window, after all calls are up." default:"20s"`
	Settle      time.Duration `help:"Wait between the last answer and the window." default:"4s"`
	Room        string        `help:"Who is in each room besides the caller: a browser (one WebSocket peer), whip (a WHIP and a WHEP peer), phone (a second SIP call in PCMU), trunk (a second SIP call in Opus over plain RTP), agent (an AI agent of ours in PCMU, over Twilio's protocol), none." enum:"browser,whip,phone,trunk,agent,none" default:"browser"`
	RoomCodec   string        `help:"What browsers are offered, and speak: opus, PCMU or PCMA." enum:"opus,PCMU,PCMA" default:"opus"`
	Complexity  int           `help:"Opus complexity asked of the gateway, 0 to 10." default:"5"`
	Bitrate     int           `help:"Opus bitrate asked of the gateway, in bit/s." default:"24000"`
	RoomBitrate int           `help:"Opus bitrate that the browser or the trunk sends, in bit/s; 0: 32000 from browsers, from a trunk as much as is asked of the gateway." default:"0"`
	RoomRate    int           `help:"Sampling rate in Hz that the browser or the trunk encodes at. 0: browsers do what the gateway asks for by maxplaybackrate, else 48000; a trunk 8000, as another gateway between telephones." default:"0"`
	Binary      string        `help:"The gateway to measure; default: this program." type:"path"`

	serve []string // further flags of the gateway
	plan  string   // its dial plan; empty: what the room needs

	// Log gets progress and the summary; nil: nobody.
	Log io.Writer `kong:"-"`
}

// check fills in what a zero Options leaves out and refuses nonsense.
func (o Options) check() (Options, error) {
	if o.CPS == 0 {
		o.CPS = 10
	}
	if o.Bitrate == 0 {
		o.Bitrate = 24000
	}
	if o.Room == "" {
		o.Room = roomBrowser
	}
	if o.RoomCodec == "" {
		o.RoomCodec = media.Opus.String()
	}
	if o.RoomBitrate == 0 {
		o.RoomBitrate = 32000
		if o.Room == roomTrunk {
			o.RoomBitrate = o.Bitrate
		}
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	switch {
	case o.Calls < 1 || o.Calls > 5000:
		return o, fmt.Errorf("%d calls: expected 1 to 5000", o.Calls)
	case o.CPS < 0.1 || o.CPS > 1000:
		return o, fmt.Errorf("%v calls per second: expected 0.1 to 1000", o.CPS)
	case o.Duration < time.Second || o.Duration > time.Hour:
		return o, fmt.Errorf("a window of %s: expected 1s to 1h", o.Duration)
	case !o.browserCodec().Audio():
		return o, fmt.Errorf("room codec %q: expected opus, PCMU or PCMA", o.RoomCodec)
	case o.RoomRate != 0 && o.RoomRate != 8000 && o.RoomRate != 16000 && o.RoomRate != 48000:
		return o, fmt.Errorf("room rate %d: expected 0, 8000, 16000 or 48000 Hz", o.RoomRate)
	}
	return o, nil
}

// The values of Options.Room.
const (
	roomBrowser = "browser"
	roomWHIP    = "whip"
	roomPhone   = "phone"
	roomTrunk   = "trunk"
	roomAgent   = "agent"
	roomNone    = "none"
)

// heardInRoom is the codec of what the caller's sound becomes; who is alone
// hears nothing.
func (s Scene) heardInRoom() media.Codec {
	switch s.Room {
	case roomPhone, roomAgent, roomNone:
		return media.PCMU
	case roomBrowser, roomWHIP:
		return s.browserCodec()
	}
	return media.Opus
}

// browserCodec is what browsers are offered; RoomCodec has been checked.
func (s Scene) browserCodec() media.Codec {
	c, _ := media.ParseCodec(s.RoomCodec)
	return c
}

// Run measures and reports. It fails when the gateway does not start or no call
// is answered, never because figures are bad. Linux only, as it reads /proc.
func Run(ctx context.Context, o Options) (*Report, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	r := newReport(o)
	if err := r.measureGateway(ctx, o); err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Log, "codec alone …\n")
	browser, err := r.opusOrDefault(o)
	if err != nil {
		return nil, err
	}
	if err := r.measureCodec(o, browser); err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Log, "relay alone …\n")
	r.measureRelay(ctx, o)
	r.conclude()
	r.Summary(o.Log)
	return r, ctx.Err()
}

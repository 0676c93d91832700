package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
	"github.com/roomline/roomline/room"
)

const demoRoom = "demo"

type demoCommand struct {
	Once bool   `help:"End after the verification: exit 0 if sound went both ways, 1 if not."`
	HTTP string `name:"http" default:"127.0.0.1:0" placeholder:"ADDR" help:"Where the room page is; port 0 takes a free one."`
}

// Examples shows how the command is used.
func (*demoCommand) Examples() string {
	return "  roomline demo          # stays up; open the printed link to join the call\n  roomline demo --once   # verifies and exits\n"
}

// demo is a gateway of its own with a phone call in it.
type demo struct {
	g     *gateway
	phone *phone.Phone
	call  *phone.Call
	began time.Time
}

// Run shows the main job: a phone call, a room, and somebody who listens and
// answers over WebRTC.
func (c *demoCommand) Run(b *bound) error {
	dir, err := os.MkdirTemp("", "roomline-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := demoSettings(dir, c.HTTP)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	quiet := slog.New(slog.DiscardHandler)
	g, err := newGateway(ctx, s, quiet)
	if err != nil {
		return err
	}
	ready, over := make(chan struct{}), make(chan error, 1)
	go func() { over <- g.run(ctx, ready) }()
	d := &demo{g: g, began: time.Now()}
	err = d.show(ctx, ready, over, c.Once)
	d.hangUp()
	cancel()
	return errors.Join(err, <-over)
}

// demoSettings are the defaults with free ports on loopback.
func demoSettings(dir, http string) (settings, error) {
	sip, err := freePort()
	if err != nil {
		return settings{}, err
	}
	return settings{
		Data: dir, HTTP: http, SIP: []string{sip}, RTPPorts: "40000-49999", WebRTCUDP: "127.0.0.1:0",
		AdminKey: bridge.NewID("demo"), OpusComplexity: 5, OpusBitrate: 24000, MediaTimeout: "30s", Drain: "0s",
		Trace: "24h", TraceSize: 64, KeepEvents: "720h", WebRTCRED: "auto",
	}, nil
}

// freePort finds a loopback port that UDP and TCP both have free, below those that
// systems give to connections that leave: one of them could take it meanwhile.
func freePort() (string, error) {
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 22000+rand.IntN(10000)))
		if err != nil {
			continue
		}
		addr := l.Addr().String()
		l.Close()
		if p, err := net.ListenPacket("udp", addr); err == nil {
			p.Close()
			return addr, nil
		}
	}
	return "", errors.New("no port is free on 127.0.0.1 for both UDP and TCP")
}

// step prints one line of what happens.
func (d *demo) step(format string, args ...any) {
	fmt.Printf("  %5.1f s  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

func (d *demo) show(ctx context.Context, ready <-chan struct{}, over chan error, once bool) error {
	fmt.Println("Roomline demo: a phone and a browser talk through a room")
	fmt.Println()
	select {
	case <-ready:
	case err := <-over:
		over <- nil
		return err
	case <-ctx.Done():
		return nil
	}
	d.step("the gateway is up: SIP on %s, pages on %s, browsers on UDP %s", d.g.ua.Addr(), d.g.url(), d.g.engine.Addr())
	if err := d.placeCall(ctx); err != nil {
		return err
	}
	passed, err := d.verify(ctx)
	switch {
	case err != nil:
		return err
	case once && passed:
		return nil
	case once:
		return exitCode(1)
	}
	return d.stayUp(ctx)
}

// placeCall has the built-in phone call the room and speak.
func (d *demo) placeCall(ctx context.Context) (err error) {
	if d.phone, err = phone.Open(ctx, phone.Config{KeepHeard: time.Minute, KeepSaid: true}); err != nil {
		return err
	}
	target := fmt.Sprintf("sip:%s@%s", demoRoom, d.g.ua.Addr())
	d.step("the built-in phone calls %s", target)
	if d.call, err = d.phone.Dial(ctx, target, phone.DialOptions{From: "+15550100"}); err != nil {
		return fmt.Errorf("the call did not come up: %w", err)
	}
	speech, err := phone.Speech(true)
	if err != nil {
		return err
	}
	d.call.Speak(speech)
	p := d.call.Session().Params()
	d.step("answered: %s, %d ms packets; recorded speech is on the line", p.Codec, p.Ptime.Milliseconds())
	return nil
}

func (d *demo) hangUp() {
	if d.phone != nil {
		d.phone.Close()
	}
}

// verify joins the room over WebRTC, listens, speaks, and measures both ways.
func (d *demo) verify(ctx context.Context) (passed bool, err error) {
	guest, err := d.enter(ctx)
	if err != nil {
		return false, err
	}
	defer guest.leave()
	d.step("a guest joined the room over WebRTC (DTLS-SRTP, Opus); measuring for %s …", measureFor)
	select {
	case <-time.After(measureFor):
	case <-ctx.Done():
		return false, nil
	}
	toRoom := guest.heardFrom(d.call)
	toPhone := guest.heardBy(d.call)
	fmt.Println()
	fmt.Println("            direction       level      loss   delay added   estimated MOS")
	fmt.Println("            phone → room  " + toRoom.String())
	fmt.Println("            room → phone  " + toPhone.String())
	fmt.Println("            (6.5 ms of each delay is Opus' look-ahead: our encoder's one way, the guest's the other)")
	fmt.Println()
	if passed = toRoom.good() && toPhone.good(); passed {
		d.step("audio flows both ways")
	} else {
		d.step("FAILED: audio does not flow as it should; is this machine under heavy load?")
	}
	return passed, nil
}

// stayUp prints the link and waits.
func (d *demo) stayUp(ctx context.Context) error {
	token, _, err := d.g.keys.Mint(room.Claims{
		Identity: "you", Name: "You", Role: bridge.RoleDispatcher, Room: demoRoom,
	}, 12*time.Hour, time.Now())
	if err != nil {
		return err
	}
	fmt.Printf("\n  Join the call in a browser on this machine:\n\n    %s/rooms/%s#%s\n", d.g.url(), demoRoom, token)
	fmt.Printf("\n  Call the room with any SIP phone on this machine:\n\n    sip:%s@%s\n", demoRoom, d.g.ua.Addr())
	fmt.Printf("\n  API key: %s    documentation: %s/v1/openapi.json\n\n  Ctrl-C ends it.\n\n", d.g.s.AdminKey, d.g.url())
	sub := d.g.exchange.Subscribe("")
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-sub.Events:
			if !ok {
				return nil
			}
			d.tell(e)
		}
	}
}

// tell prints what happens in the room.
func (d *demo) tell(e bridge.Event) {
	who := strings.TrimSpace(fmt.Sprint(e.Data["identity"], " ", e.Data["kind"]))
	switch e.Type {
	case "participant.joined":
		d.step("%s joined", who)
	case "participant.left":
		d.step("%s left", who)
	case "call.ended":
		d.step("the call ended: %v", e.Data["cause"])
	case "dtmf.received":
		d.step("a key was pressed")
	}
}

// leg is how one direction sounded.
type leg struct {
	levelDB float64
	loss    float64 // percent
	delay   time.Duration
	mos     float64
}

func (l leg) good() bool { return l.levelDB > -50 && l.loss < 5 && l.delay > 0 && l.mos > 3 }

func (l leg) String() string {
	delay := "not found"
	if l.delay > 0 {
		delay = fmt.Sprintf("%.1f ms", float64(l.delay.Microseconds())/1000)
	}
	return fmt.Sprintf("%6.1f dBov  %5.2f %%  %12s   %13.2f", l.levelDB, l.loss, delay, l.mos)
}

func newLeg(pcm []int16, codec media.Codec, loss float64, delays []time.Duration) leg {
	l := leg{levelDB: media.Level(pcm), loss: loss, delay: median(delays)}
	_, l.mos = media.EModel(codec, loss, 1, l.delay+20*time.Millisecond)
	return l
}

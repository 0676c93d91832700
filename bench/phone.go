package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/sip"
)

// phones is our end of the SIP calls: one user agent for all of them.
type phones struct {
	ua     *sip.UA
	server string // the gateway's host:port
	wait   sync.WaitGroup
	stop   context.CancelFunc
}

func startPhones(ctx context.Context, server string, calls int) (*phones, error) {
	low, err := freeRange(phonePorts, 4*calls+100)
	if err != nil {
		return nil, err
	}
	ports, err := rtp.NewPorts(low, low+4*calls+99)
	if err != nil {
		return nil, err
	}
	ua, err := sip.New(sip.Config{
		Addrs: []string{"127.0.0.1:0"}, Ports: ports,
		UserAgent: "roomline bench", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	p := &phones{ua: ua, server: server, stop: stop}
	failed := make(chan error, 1)
	p.wait.Go(func() {
		if err := ua.Run(running); err != nil && running.Err() == nil {
			failed <- err
		}
	})
	select {
	case <-ua.Ready():
		return p, nil
	case err := <-failed:
		stop()
		p.wait.Wait()
		return nil, fmt.Errorf("start the load generator's SIP: %w", err)
	}
}

// close hangs up what is still up and waits.
func (p *phones) close() {
	p.stop()
	p.wait.Wait()
}

// answerTimeout is how long a call may ring.
const answerTimeout = 20 * time.Second

// dial calls a room in a codec and waits for the answer.
func (p *phones) dial(ctx context.Context, room, caller string, codec media.Codec) (bridge.Line, error) {
	server, err := netip.ParseAddrPort(p.server)
	if err != nil {
		return nil, err
	}
	line, err := p.ua.Dial(bridge.DialSpec{
		CallID: caller,
		Trunk: dialplan.Trunk{Name: "bench", Outbound: &dialplan.Outbound{Servers: []string{p.server}},
			Codecs: []string{codec.String()}},
		To:          "sip:" + room + "@" + server.String(),
		From:        caller,
		RingTimeout: answerTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("call room %s: %w", room, err)
	}
	if err := answered(ctx, line); err != nil {
		return nil, fmt.Errorf("call room %s: %w", room, err)
	}
	p.wait.Go(func() { // nobody else reads its events
		for range line.Events() {
		}
	})
	return line, nil
}

// answered reads events up to the answer.
func answered(ctx context.Context, line bridge.Line) error {
	timeout := time.NewTimer(answerTimeout + 2*time.Second)
	defer timeout.Stop()
	for {
		select {
		case e, ok := <-line.Events():
			switch {
			case !ok:
				return fmt.Errorf("ended without a word")
			case e.Kind == bridge.LineAnswered:
				return nil
			case e.Kind == bridge.LineEnded:
				return fmt.Errorf("%s (SIP %d): %s", e.Cause, e.SIPCode, e.Reason)
			}
		case <-timeout.C:
			line.End(bridge.CauseNoAnswer, "not answered in time")
			return fmt.Errorf("no answer within %s", answerTimeout)
		case <-ctx.Done():
			line.End(bridge.CauseShutdown, "the bench was stopped")
			return ctx.Err()
		}
	}
}

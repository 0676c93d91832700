package sip

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/sip/socket"
	"github.com/roomline/roomline/sip/text"
)

const (
	maxPinged = 16               // addresses of one trunk
	downCheck = 10 * time.Second // how often at least a server that is down is asked
)

// keepAlive asks every server of a trunk again and again whether it lives, until
// ctx ends. Any answer but 503 is a sign of life.
func (u *UA) keepAlive(ctx context.Context, t dialplan.Trunk, every time.Duration) {
	for {
		allUp := u.pingAll(ctx, t, every)
		wait := every
		if !allUp {
			wait = min(wait, downCheck)
		}
		wait += time.Duration((rand.Float64() - 0.5) * 0.1 * float64(wait))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (u *UA) pingAll(ctx context.Context, t dialplan.Trunk, every time.Duration) (allUp bool) {
	var targets []target
	allUp = true
	for _, l := range u.lookUp(ctx, t) {
		targets = append(targets, l.targets...)
		allUp = allUp && l.err == nil
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, to := range targets[:min(len(targets), maxPinged)] {
		wg.Go(func() {
			defer u.catch("a keepalive")
			res, rtt, err := u.ping(ctx, t, to)
			if ctx.Err() != nil {
				return
			}
			reason := ""
			if err != nil {
				reason = hintOf(err)
			} else if res.StatusCode == 503 {
				reason = "503 " + text.Printable(res.Reason, 100)
			}
			u.notePing(t, to, reason, rtt, 3*max(every, downCheck))
			mu.Lock()
			defer mu.Unlock()
			allUp = allUp && reason == ""
		})
	}
	wg.Wait()
	return allUp
}

// notePing keeps what an OPTIONS showed, and logs a change.
func (u *UA) notePing(t dialplan.Trunk, to target, reason string, rtt, valid time.Duration) {
	before, known := u.names.healthOf(to)
	u.names.pinged(to, reason == "", reason, rtt, valid)
	switch {
	case reason != "" && (!known || before.up):
		u.log.Warn("a server of a trunk is down", "trunk", t.Name, "server", to.String(), "reason", reason)
	case reason == "" && known && !before.up:
		u.log.Info("a server of a trunk is up again", "trunk", t.Name, "server", to.String(), "rtt", rtt)
	}
}

// ping sends one OPTIONS, RFC 3261 section 11, and says how long the answer took.
func (u *UA) ping(ctx context.Context, t dialplan.Trunk, to target) (*sipmsg.Response, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	d, err := u.outside(t, to)
	if err != nil {
		return nil, 0, err
	}
	d.Remote = "<" + d.Target + ">"
	req, err := d.request(sipmsg.OPTIONS, 1)
	if err != nil {
		return nil, 0, err
	}
	req.AppendHeader(sipmsg.NewHeader("Accept", "application/sdp"))
	req.AppendHeader(sipmsg.NewHeader("User-Agent", u.config.UserAgent))
	req.SetBody(nil)
	if socket.IsStream(to.transport) {
		if err := u.connect(ctx, to, d.Socket); err != nil {
			return nil, 0, fmt.Errorf("connect: %w", err)
		}
	}
	begin := time.Now()
	res, err := u.ask(ctx, req, to, &d)
	return res, time.Since(begin), err
}

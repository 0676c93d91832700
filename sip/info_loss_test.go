package sip

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

// rainyConn loses one datagram of twenty that it is to send, while it rains.
type rainyConn struct {
	net.PacketConn
	rains *atomic.Bool
	drops *atomic.Int64
	mu    sync.Mutex
	rng   *rand.Rand
}

func (c *rainyConn) WriteTo(b []byte, to net.Addr) (int, error) {
	c.mu.Lock()
	lost := c.rng.IntN(20) == 0
	c.mu.Unlock()
	if lost && c.rains.Load() {
		c.drops.Add(1)
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, to)
}

// A thousand keys go by INFO over UDP that loses 5 % each way; each arrives once.
func TestEveryKeyByInfoArrivesOnceUnderLoss(t *testing.T) {
	const lines, keysEach = 10, 100
	var rains atomic.Bool
	var drops atomic.Int64
	var seed atomic.Uint64
	rainy := func(c *Config) {
		c.Listen = func(ctx context.Context, network, address string) (net.PacketConn, error) {
			conn, err := media.ListenUDP(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &rainyConn{PacketConn: conn, rains: &rains, drops: &drops, rng: rand.New(rand.NewPCG(1, seed.Add(1)))}, nil
		}
	}
	a, b := startAgent(t, rainy), startAgent(t, rainy)
	type pair struct{ out, in bridge.Line }
	var pairs []pair
	for range lines {
		out, in := talk(t, a, b)
		pairs = append(pairs, pair{out, in})
	}
	rains.Store(true)
	defer rains.Store(false)
	var wg sync.WaitGroup
	for _, p := range pairs {
		wg.Go(func() {
			for i := range keysEach {
				key := rune(dtmfKeys[i%len(dtmfKeys)])
				if err := p.out.SendDigit(t.Context(), key, usualKey); err != nil {
					t.Errorf("key %d: %v", i, err)
					return
				}
				select {
				case e := <-p.in.Events():
					if e.Kind != bridge.LineDigit || e.Digit.Key != key {
						t.Errorf("key %d arrives as %v %q", i, e.Kind, e.Digit.Key)
					}
				case <-time.After(patience):
					t.Errorf("key %d was acknowledged and did not arrive", i)
				}
			}
			p.out.End(bridge.CauseNormal, "")
			if e := <-p.in.Events(); e.Kind != bridge.LineEnded {
				t.Errorf("one event too many: %v", e.Kind)
			}
		})
	}
	wg.Wait()
	if n := drops.Load(); n < lines*keysEach/20 {
		t.Errorf("only %d datagrams were lost", n)
	}
}

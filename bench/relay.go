package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// RelayCommand is the name under which the command line offers [Relay].
const RelayCommand = "bench-relay"

// Relay is the hidden command that the bench weighs beside the gateway: for each
// call two UDP sockets with a goroutine each, which send on the other one what
// they receive. It ends when its standard input does.
type Relay struct {
	Calls int `arg:"" help:"Pairs of sockets."`
}

// Run relays; it first prints the ports as JSON, two by two.
func (r Relay) Run() error { return r.relay(os.Stdin, os.Stdout) }

func (r Relay) relay(in io.Reader, out io.Writer) error {
	var ports []uint16
	var conns []*net.UDPConn
	var loops sync.WaitGroup
	defer loops.Wait()
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range 2 * r.Calls {
		c, err := loopbackUDP()
		if err != nil {
			return err
		}
		conns = append(conns, c)
		ports = append(ports, localPort(c))
	}
	for i := 0; i < len(conns); i += 2 {
		var phone, room atomic.Pointer[netip.AddrPort]
		loops.Go(func() { forward(conns[i], conns[i+1], &phone, &room) })
		loops.Go(func() { forward(conns[i+1], conns[i], &room, &phone) })
	}
	if err := json.NewEncoder(out).Encode(ports); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// forward sends to the peer of to what comes from the peer of from, until from
// is closed.
func forward(from, to *net.UDPConn, mine, theirs *atomic.Pointer[netip.AddrPort]) {
	buf := make([]byte, 1500)
	for {
		n, source, err := from.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if mine.Load() == nil {
			mine.Store(&source)
		}
		if peer := theirs.Load(); err == nil && peer != nil {
			_, _ = to.WriteToUDPAddrPort(buf[:n], *peer)
		}
	}
}

func loopbackUDP() (*net.UDPConn, error) {
	return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

func localPort(c *net.UDPConn) uint16 { return uint16(c.LocalAddr().(*net.UDPAddr).Port) }

// relayWindow bounds how long the relay is watched.
const relayWindow = 8 * time.Second

// measureRelay runs the relay as a child and weighs it. It is a yardstick, not
// the matter itself: if it cannot be had, the report says so and goes on.
func (r *Report) measureRelay(ctx context.Context, o Options) {
	if err := r.relayAlone(ctx, o); err != nil {
		r.note("no figures for the relay alone: %v", err)
	}
}

func (r *Report) relayAlone(ctx context.Context, o Options) error {
	child, ports, err := startRelay(ctx, o.Calls)
	if err != nil {
		return err
	}
	defer child.stop()
	paced := startPacers(ctx, 2*o.Calls)
	var probes [2][]*probe
	defer func() {
		for _, p := range append(probes[0], probes[1]...) {
			p.close()
		}
	}()
	sizes := [2]int{12 + 160, 12 + o.Bitrate/50/8} // RTP header and payload
	for i, port := range ports {
		p, err := newProbe(port, sizes[i%2])
		if err != nil {
			paced.close()
			return err
		}
		probes[i%2] = append(probes[i%2], p)
		paced.add(p)
	}
	window := min(o.Duration, relayWindow)
	spent, err := child.weigh(ctx, time.Second, window)
	paced.close()
	if err != nil {
		return err
	}
	r.CPU.Relay = round(milliseconds(spent) / window.Seconds() / float64(o.Calls))
	// What the phone's socket sent is heard on the room's, and the other way about.
	r.PhoneToRoom.RelayMS = spread(allDelays(probes[1]))
	r.RoomToPhone.RelayMS = spread(allDelays(probes[0]))
	return nil
}

// relayChild is the relay's process.
type relayChild struct {
	cmd *exec.Cmd
	in  io.Closer
}

func startRelay(ctx context.Context, calls int) (*relayChild, []uint16, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self, RelayCommand, strconv.Itoa(calls))
	cmd.Env = childEnv()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	child := &relayChild{cmd: cmd, in: in}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var ports []uint16
	if err == nil {
		err = json.Unmarshal(line, &ports)
	}
	if err == nil && len(ports) != 2*calls {
		err = fmt.Errorf("%d ports for %d calls", len(ports), calls)
	}
	if err != nil {
		child.stop()
		return nil, nil, fmt.Errorf("start %s: %w", RelayCommand, err)
	}
	return child, ports, nil
}

func (c *relayChild) stop() {
	_ = c.in.Close() // ends it
	_ = c.cmd.Wait()
}

// weigh waits for settle, then returns the processor time of the window after it.
func (c *relayChild) weigh(ctx context.Context, settle, window time.Duration) (time.Duration, error) {
	if err := pause(ctx, settle); err != nil {
		return 0, err
	}
	before, err := processCPU(c.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, window); err != nil {
		return 0, err
	}
	after, err := processCPU(c.cmd.Process.Pid)
	return after - before, err
}

// pause waits for d, less when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

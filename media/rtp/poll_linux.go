//go:build linux && (amd64 || arm64 || riscv64)

package rtp

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Waking up costs more than the packet that one wakes up for: at a few thousand
// packets a second a goroutine per socket spends most of its time on going to
// sleep and being woken. Therefore a poller that is busy reads in ticks: it sleeps
// for one tick however many packets come, and then reads them all. One that is
// not busy waits for the next packet, which then is not delayed at all.
//
// On two cores ticks save half of the CPU that the sockets of 100 calls cost and a
// quarter with 50 calls, and add half a tick of delay on average.
const (
	// Go's runtime sleeps whole milliseconds on Linux: a little less than one makes
	// it one, a little more two.
	tick        = 900 * time.Microsecond
	busyWindow  = 64 * time.Millisecond
	busyPackets = 128 // per busyWindow: 1,000 a second, the sound of 20 calls; from here on ticks are the fewer wake-ups
)

// shared are the pollers of the process, one for each CPU, while it has sessions.
var shared pollers

// pollers spread sockets over poller goroutines, which run from the first socket
// to the last.
type pollers struct {
	mu      sync.Mutex
	all     []*poller
	sockets int
	running sync.WaitGroup
}

// join gives s to the poller with the least to do and starts to read.
func (ps *pollers) join(s *polledSocket) error {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if err := ps.start(); err != nil {
		return err
	}
	best := ps.all[0]
	for _, p := range ps.all[1:] {
		if p.load < best.load {
			best = p
		}
	}
	if err := best.add(s); err != nil {
		ps.stopUnused()
		return err
	}
	s.poller = best
	best.load += s.weight
	ps.sockets++
	return nil
}

// leave is the end of join. The pollers end with the last socket.
func (ps *pollers) leave(s *polledSocket) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	s.poller.remove(s)
	s.poller.load -= s.weight
	ps.sockets--
	ps.stopUnused()
}

func (ps *pollers) start() error {
	for len(ps.all) < runtime.GOMAXPROCS(0) && ps.sockets == 0 {
		p, err := newPoller()
		if err != nil {
			ps.stopUnused()
			return err
		}
		ps.all = append(ps.all, p)
		ps.running.Go(p.run)
	}
	return nil
}

func (ps *pollers) stopUnused() {
	if ps.sockets > 0 {
		return
	}
	for _, p := range ps.all {
		p.stop()
	}
	ps.running.Wait()
	ps.all = nil
}

// poller reads many sockets in one goroutine.
//
// Its sockets are in an epoll instance, and that one is in a second, the gate,
// which Go's own poller watches: so the goroutine waits like any other and holds
// no thread. During ticks the gate is shut, and packets wake nobody.
type poller struct {
	load    int // of its sockets; belongs to pollers
	epoll   int
	gate    *os.File
	gateRaw syscall.RawConn
	wake    int // eventfd: look whether to end
	ending  atomic.Bool
	ticking atomic.Bool

	mu      sync.Mutex
	sockets map[int32]*polledSocket

	// What follows belongs to the goroutine.
	events  [64]unix.EpollEvent
	inbox   inbox
	packets int // in this window
	window  time.Time
}

func newPoller() (*poller, error) {
	p := &poller{sockets: map[int32]*polledSocket{}, epoll: -1, wake: -1}
	if err := p.open(); err != nil {
		p.close()
		return nil, fmt.Errorf("poller: %w", err)
	}
	return p, nil
}

func (p *poller) open() (err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return err
	}
	if err = watch(p.epoll, p.wake, unix.EPOLLIN); err != nil {
		return err
	}
	gate, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err = unix.SetNonblock(gate, true); err != nil { // for os.NewFile to let the runtime watch it
		return err
	}
	p.gate = os.NewFile(uintptr(gate), "rtp-poller")
	if p.gateRaw, err = p.gate.SyscallConn(); err != nil {
		return err
	}
	return watch(gate, p.epoll, unix.EPOLLIN)
}

func (p *poller) close() {
	if p.gate != nil {
		p.gate.Close()
	}
	for _, fd := range []int{p.wake, p.epoll} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (p *poller) stop() {
	p.ending.Store(true)
	unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

func (p *poller) add(s *polledSocket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sockets[int32(s.fd)] = s
	return watch(p.epoll, s.fd, unix.EPOLLIN)
}

func (p *poller) remove(s *polledSocket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sockets, int32(s.fd))
	unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, s.fd, nil)
}

func watch(epoll, fd int, events uint32) error {
	return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// run reads until stop. Every socket with packets has one read in turn, so that a
// flood to one of them does not keep the others waiting.
func (p *poller) run() {
	defer p.close()
	p.window = time.Now()
	for !p.ending.Load() {
		n, err := p.poll()
		if n == 0 && err == nil {
			if p.isBusy(time.Now()) {
				time.Sleep(tick)
				continue
			}
			n, err = p.await()
		}
		if err != nil {
			time.Sleep(tick) // nothing that one could mend; do not burn
			continue
		}
		for _, e := range p.events[:n] {
			p.read(e.Fd)
		}
	}
}

// poll finds sockets with packets, without waiting; see [media.RecvDatagram] for
// why the scheduler is not told.
func (p *poller) poll() (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll),
		uintptr(unsafe.Pointer(&p.events)), uintptr(len(p.events)), 0, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

func (p *poller) read(fd int32) {
	p.mu.Lock()
	s := p.sockets[fd]
	p.mu.Unlock()
	if s != nil && s.read(&p.inbox) {
		p.packets++
	}
}

// isBusy counts packets by windows, and shuts the gate for ticks.
func (p *poller) isBusy(now time.Time) bool {
	if now.Sub(p.window) >= busyWindow {
		busy := p.packets >= busyPackets && now.Sub(p.window) < 2*busyWindow
		p.packets, p.window = 0, now
		if busy != p.ticking.Load() {
			p.ticking.Store(busy)
			p.openGate(!busy)
		}
	}
	return p.ticking.Load()
}

func (p *poller) openGate(open bool) {
	e := unix.EpollEvent{Fd: int32(p.epoll)}
	if open {
		e.Events = unix.EPOLLIN
	}
	p.gateRaw.Control(func(gate uintptr) { unix.EpollCtl(int(gate), unix.EPOLL_CTL_MOD, p.epoll, &e) })
}

// await waits until there is something to read. The gate only wakes it: what
// there is, the pollers' own epoll instance says.
func (p *poller) await() (n int, err error) {
	gone := p.gateRaw.Read(func(uintptr) bool {
		n, err = p.poll()
		return n > 0 || err != nil
	})
	if gone != nil {
		return 0, gone
	}
	return n, err
}

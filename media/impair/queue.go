package impair

import (
	"bytes"
	"container/heap"
	"net/netip"
	"sync"
	"time"
)

// queue is a link with the packets that are on it. One goroutine delivers them.
type queue struct {
	deliver func(datagram)
	wake    chan struct{}
	stop    chan struct{}
	done    sync.WaitGroup

	mu   sync.Mutex
	link *Link
	held flights
	n    uint64
}

// flight is a packet under way.
type flight struct {
	datagram
	at time.Time
	n  uint64 // keeps the order of those that arrive together
}

func newQueue(n Network, deliver func(datagram)) *queue {
	q := &queue{deliver: deliver, wake: make(chan struct{}, 1), stop: make(chan struct{}), link: NewLink(n)}
	q.done.Go(q.run)
	return q
}

func (q *queue) end() {
	close(q.stop)
	q.done.Wait()
}

// carry puts a copy of a datagram on the link, if it is not lost there.
func (q *queue) carry(b []byte, peer netip.AddrPort) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	arrivals := []time.Time{now}
	if sound(b) {
		arrivals = q.link.Carry(now)
	}
	for _, at := range arrivals {
		q.n++
		heap.Push(&q.held, flight{datagram{bytes.Clone(b), peer}, at, q.n})
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// sound tells RTP from RTCP, STUN, DTLS and SIP: RFC 7983, RFC 5761 section 4.
func sound(b []byte) bool { return len(b) >= 12 && b[0]>>6 == 2 && (b[1] < 192 || b[1] > 223) }

func (q *queue) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(q.due())
		select {
		case <-q.stop:
			return
		case <-q.wake:
		case <-timer.C:
		}
	}
}

// due delivers what has arrived and returns how long the next takes.
func (q *queue) due() time.Duration {
	for {
		f, wait := q.first()
		if wait > 0 {
			return wait
		}
		q.deliver(f.datagram)
	}
}

func (q *queue) first() (f flight, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.held) == 0 {
		return f, time.Hour
	}
	if wait = time.Until(q.held[0].at); wait > 0 {
		return f, wait
	}
	return heap.Pop(&q.held).(flight), 0
}

// flights is a heap by arrival.
type flights []flight

func (f flights) Len() int { return len(f) }
func (f flights) Less(i, j int) bool {
	if f[i].at.Equal(f[j].at) {
		return f[i].n < f[j].n
	}
	return f[i].at.Before(f[j].at)
}
func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }

// Push implements heap.Interface.
func (f *flights) Push(x any) { *f = append(*f, x.(flight)) }

// Pop implements heap.Interface.
func (f *flights) Pop() any {
	old := *f
	last := old[len(old)-1]
	*f = old[:len(old)-1]
	return last
}

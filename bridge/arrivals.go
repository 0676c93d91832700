package bridge

import (
	"slices"
	"time"

	"github.com/roomline/roomline/media"
)

// The measures of arrivals; lateness is counted in ticks.
const (
	arrivalsMost = 256
	arrivalsAge  = 5 * media.NarrowbandHz // what is older is forgotten
	arrivalsFew  = 16                     // below so many none is taken for an exception
	outlierEvery = 100                    // from then on one in so many, and one in any case
	anotherRoad  = media.NarrowbandHz / 2 // so far off the rest, the peer's clock or road is another one
	shorterRoad  = 60 * media.NarrowbandHz / 1000
	rescueAge    = 10 * media.NarrowbandHz        // redundancy that was of use twice in that time is waited for
	rescueMost   = 60 * media.NarrowbandHz / 1000 // by so much longer than for packets, at most
)

// ticksOf is a time in ticks of 8 kHz.
func ticksOf(t time.Time) int64 { return t.UnixNano() / int64(time.Second/media.NarrowbandHz) }

// arrivals remembers how late a source's packets came in the last seconds: when
// they arrived less where they stand on the source's timeline. That difference is
// of no meaning by itself, but the jitter is how it varies.
type arrivals struct {
	ring   [arrivalsMost]arrival
	first  int                 // the oldest
	sorted [arrivalsMost]int64 // the lateness of the same, in order
	n      int
	last   arrival // of all packets, remembered or not

	rescued [2]arrival // sounds that came from a later packet's redundancy, the newest first
}

type arrival struct{ at, late int64 }

// note takes a packet of so many ticks that stands at position at. Packets on the
// heels of a late one, as after a stall, belong to the same event and are not counted.
func (a *arrivals) note(arrived, at, length int64) {
	now := arrival{arrived, arrived - at}
	heels := a.n > 0 && arrived-a.last.at < length/2 && now.late < a.last.late
	a.last = now
	if a.n > 0 && a.strange(now.late) && !heels {
		a.n, a.rescued = 0, [2]arrival{}
	}
	if heels {
		return
	}
	for a.n == arrivalsMost || a.n > 0 && arrived-a.ring[a.first].at > arrivalsAge {
		a.forget()
	}
	place, _ := slices.BinarySearch(a.sorted[:a.n], now.late)
	copy(a.sorted[place+1:a.n+1], a.sorted[place:a.n])
	a.sorted[place] = now.late
	a.ring[(a.first+a.n)%arrivalsMost] = now
	a.n++
}

// rescue takes note of lost sound for position at that arrived in the redundancy of
// a later packet. It is late by nature, and no jitter; but where it comes again and
// again, it is worth waiting for.
func (a *arrivals) rescue(arrived, at int64) {
	a.rescued[1], a.rescued[0] = a.rescued[0], arrival{arrived, arrived - at}
}

// move takes note that the source's timeline has been put off by so many ticks.
func (a *arrivals) move(ticks int64) {
	for i := range a.n {
		a.sorted[i] -= ticks
		a.ring[(a.first+i)%arrivalsMost].late -= ticks
	}
	a.last.late -= ticks
	for i := range a.rescued {
		a.rescued[i].late -= ticks
	}
}

// strange reports whether a packet has so little to do with those before it that
// they say nothing any more.
func (a *arrivals) strange(late int64) bool {
	return late > a.demand()+anotherRoad || late < a.sorted[0]-shorterRoad
}

func (a *arrivals) forget() {
	place, _ := slices.BinarySearch(a.sorted[:a.n], a.ring[a.first].late)
	copy(a.sorted[place:], a.sorted[place+1:a.n])
	a.first, a.n = (a.first+1)%arrivalsMost, a.n-1
}

// demand is the lateness that a buffer must put up with: that of the latest packet
// but for the exceptions. There is at least one packet.
func (a *arrivals) demand() int64 {
	but := 0
	if a.n >= arrivalsFew {
		but = max(1, a.n/outlierEvery)
	}
	late := a.sorted[a.n-1-but]
	if second := a.rescued[1].at; second == 0 || a.last.at-second > rescueAge {
		return late
	}
	return max(late, min(late+rescueMost, a.rescued[0].late, a.rescued[1].late))
}

// spread is by how much the demand lies above what is usual.
func (a *arrivals) spread() int64 { return a.demand() - a.sorted[a.n/2] }

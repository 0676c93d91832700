package rtp

import (
	"time"

	"github.com/roomline/roomline/media"
)

// Reorder puts packets back in order. It holds packets only while one is
// missing before them. Not safe for concurrent use.
type Reorder struct{}

// NewReorder makes a Reorder that holds at most max packets (1 to 32) and none
// longer than wait.
func NewReorder(max int, wait time.Duration) *Reorder { return &Reorder{} }

// Push takes the next packet as it arrived and emits what is in order now;
// lost is the number of packets given up right before the emitted one.
// Duplicates and packets that come too late are dropped. Held packets are
// copies; an emitted packet is valid during emit only.
func (r *Reorder) Push(p *media.Packet, emit func(p *media.Packet, lost int)) {}

// Flush gives up on gaps that have been waited for long enough at now.
func (r *Reorder) Flush(now time.Time, emit func(p *media.Packet, lost int)) {}

// Deadline returns when Flush would emit something, zero if nothing is held.
func (r *Reorder) Deadline() time.Time { return time.Time{} }

// Reset forgets everything.
func (r *Reorder) Reset() {}

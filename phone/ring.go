package phone

import "math/rand/v2"

// Numbers start at random, RFC 3550 section 5.1.
func startNumber() uint16 { return uint16(rand.Uint32()) }
func startTime() uint32   { return rand.Uint32() }

// ring keeps the newest packets.
type ring struct {
	packets []Packet
	next    int // where the next one goes once all places are taken
}

// ringSize is how many packets are remembered in each direction: 80 s at 20 ms.
const ringSize = 4096

func (r *ring) add(p Packet) {
	if len(r.packets) < ringSize {
		r.packets = append(r.packets, p)
		return
	}
	r.packets[r.next] = p
	r.next = (r.next + 1) % ringSize
}

// list returns a copy, oldest first.
func (r *ring) list() []Packet {
	list := make([]Packet, 0, len(r.packets))
	list = append(list, r.packets[r.next:]...)
	return append(list, r.packets[:r.next]...)
}

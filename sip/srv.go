package sip

import (
	"net"
	"slices"
)

// shuffleSRV orders SRV records for one attempt: by priority, and among equals
// by chance, each in proportion to its weight, RFC 2782. pick gives a random
// number in [0,n). The records are not changed.
func shuffleSRV(records []*net.SRV, pick func(n int) int) []*net.SRV {
	list := slices.Clone(records)
	slices.SortStableFunc(list, func(a, b *net.SRV) int {
		if a.Priority != b.Priority {
			return int(a.Priority) - int(b.Priority)
		}
		return min(int(a.Weight), 1) - min(int(b.Weight), 1) // those without weight first, as RFC 2782 asks
	})
	for start := 0; start < len(list); {
		end := start
		for end < len(list) && list[end].Priority == list[start].Priority {
			end++
		}
		weigh(list[start:end], pick)
		start = end
	}
	return list
}

// weigh puts records of one priority in order.
func weigh(list []*net.SRV, pick func(n int) int) {
	sum := 0
	for _, r := range list {
		sum += int(r.Weight)
	}
	for i := range list {
		at, n := i, pick(sum+1)
		for running := 0; at < len(list); at++ {
			if running += int(list[at].Weight); running >= n {
				break
			}
		}
		chosen := list[at]
		copy(list[i+1:at+1], list[i:at])
		list[i] = chosen
		sum -= int(chosen.Weight)
	}
}

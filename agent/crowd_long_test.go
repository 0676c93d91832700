//go:build long

package agent

import "testing"

// Workers are killed, started again and misbehave at random, for thousands of calls.
func TestThousandsOfCallsWhileWorkersAreKilled(t *testing.T) {
	for seed := range uint64(4) {
		chaos(t, 1000, 6, seed+1)
	}
}

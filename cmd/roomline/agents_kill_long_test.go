//go:build long

package main

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/roomline/roomline/phone"
)

// TestKillFiftyAgents kills the program that serves a call 50 times, now and then
// by freezing it: on ten gateways, lest their pools take the programs for broken,
// five times each, on two calls.
func TestKillFiftyAgents(t *testing.T) {
	for batch := range 10 {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			s := startServed(t)
			p := softphone(t, phone.Config{})
			for n := range 5 {
				if n%3 == 0 {
					s.dial(p)
				}
				signal := syscall.SIGKILL
				if n == 4 {
					signal = syscall.SIGSTOP
				}
				s.kill(signal, s.came)
				s.unbroken()
				if n == 2 {
					s.call.Hangup()
				}
			}
		})
	}
}

//go:build long

package main

import (
	"syscall"
	"testing"

	"github.com/roomline/roomline/phone"
)

// TestKillFiftyAgents kills the program that serves a call 50 times, three times
// on each call, now and then by freezing it.
func TestKillFiftyAgents(t *testing.T) {
	s := startServed(t)
	p := softphone(t, phone.Config{})
	for n := range 50 {
		if n%3 == 0 {
			if s.call != nil {
				s.unbroken()
				s.call.Hangup()
			}
			s.dial(p)
		}
		signal := syscall.SIGKILL
		if n%10 == 9 {
			signal = syscall.SIGSTOP
		}
		s.kill(signal, s.came)
	}
	s.unbroken()
}

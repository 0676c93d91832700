package main

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

func TestSIPpCallIsAnsweredAndRecorded(t *testing.T) {
	h := startHouse(t, "")
	host, port, _ := net.SplitHostPort(h.ua.Addr().String())
	local, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	_, localPort, _ := net.SplitHostPort(local)
	media, _ := strconv.Atoi(localPort)
	startProgram(t, t.TempDir(), "sipp", net.JoinHostPort(host, port), "-sn", "uac", "-s", "lobby", "-m", "1", "-d", "500",
		"-i", "127.0.0.1", "-p", localPort, "-mi", "127.0.0.1", "-mp", strconv.Itoa(media+2), "-nostdin", "-timeout", "20").wait(t, 30*time.Second)
	c := h.cdrs(1)[0]
	if c.Cause != bridge.CauseNormal || c.Room != "lobby" || c.From != "sipp" || c.AnsweredAt == nil || c.DurationMS < 400 {
		t.Errorf("CDR %+v", c)
	}
}

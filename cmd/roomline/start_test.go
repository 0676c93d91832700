package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
)

// TestAStartThatFailsSaysWhyAndLeavesNothing starts gateways that cannot start.
func TestAStartThatFailsSaysWhyAndLeavesNothing(t *testing.T) {
	first := startHouse(t, "")
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*settings)
		says  []string
	}{
		"a data folder in use":       {func(s *settings) { s.Data = first.s.Data }, []string{"spool"}},
		"a data folder that is none": {func(s *settings) { s.Data = file + "/data" }, []string{"data folder"}},
		"an HTTP port in use":        {func(s *settings) { s.HTTP = first.http.Addr().String() }, []string{"in use", "--http"}},
		"a metrics port in use":      {func(s *settings) { s.Metrics = first.metrics.Addr().String() }, []string{"in use", "--metrics"}},
		"a WebRTC port in use":       {func(s *settings) { s.WebRTCUDP = first.engine.Addr().String() }, []string{"in use", "--webrtc-udp"}},
		"a SIP port in use":          {func(s *settings) { s.SIP = []string{first.ua.Addr().String()} }, []string{"in use", "--sip"}},
		"a certificate that is none": {func(s *settings) { s.TLSCert, s.TLSKey = file, file }, []string{"--tls-cert"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := demoSettings(t.TempDir(), "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			c.spoil(&s)
			err = start(s)
			for _, word := range c.says {
				if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
					t.Errorf("it says %q, want one sentence with %q", err, word)
				}
			}
			if l, err := net.Listen("tcp", s.SIP[0]); c.says[len(c.says)-1] != "--sip" {
				if err != nil {
					t.Errorf("the SIP port was kept: %v", err)
				} else {
					l.Close()
				}
			}
		})
	}
}

// start runs a gateway that is expected to fail.
func start(s settings) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	g, err := newGateway(ctx, s, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	go func() { // one that gets ready after all is ended, so that the test fails rather than hangs
		select {
		case <-ready:
			cancel()
		case <-ctx.Done():
		}
	}()
	return g.run(ctx, ready)
}

package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// BenchmarkLeaseToStart measures a lease until the agent's program has read `start`, with
// and without TLS, one call after the other.
func BenchmarkLeaseToStart(b *testing.B) {
	for _, scheme := range []string{"ws", "wss"} {
		b.Run(scheme, func(b *testing.B) { benchStart(b, scheme) })
	}
}

func benchStart(b *testing.B, scheme string) {
	started := make(chan time.Time, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		for e, err := next(r.Context(), ws); err == nil; e, err = next(r.Context(), ws) {
			if e.Event == "start" {
				started <- time.Now()
			}
		}
	}))
	conf := &tls.Config{RootCAs: x509.NewCertPool()}
	if scheme == "wss" {
		srv.StartTLS()
		conf.RootCAs.AddCert(srv.Certificate())
	} else {
		srv.Start()
	}
	defer srv.Close()
	plan := &dialplan.Plan{Agents: []dialplan.Agent{{Name: "bot", URL: scheme + strings.TrimPrefix(srv.URL[4:], "s") + "/media", Probe: "off"}}}
	h := &House{Exchange: &bridge.Exchange{}, TLS: conf, Plan: func() *dialplan.Plan { return plan }}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Run(ctx)
	}()
	var all recent
	for b.Loop() {
		began := time.Now()
		leg, err := h.Send(bridge.AgentSpec{Agent: "bot", Room: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		all.add((<-started).Sub(began))
		leg.End("over")
		finish(leg)
	}
	b.ReportMetric(ms(all.share(0.5)), "p50-ms")
	b.ReportMetric(ms(all.share(0.95)), "p95-ms")
	cancel()
	<-done
}

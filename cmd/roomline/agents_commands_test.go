package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// greeter is an agent that says something as soon as it is connected.
func greeter(t *testing.T) (url string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		err = ws.Write(ctx, websocket.MessageText, []byte(`{"event":"media","media":{"payload":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}`))
		for err == nil {
			_, _, err = ws.Read(ctx)
		}
	}))
	t.Cleanup(srv.Close)
	return "ws" + strings.TrimPrefix(srv.URL, "http") + "/media?token=secret"
}

// What the page of an agent's owner would be, on the command line.
func TestAgentsOnTheCommandLine(t *testing.T) {
	h := startHouse(t, `
agents:
  - {name: bot, url: "`+greeter(t)+`", pool: 20, probe: 1s}
  - {name: away, url: "ws://127.0.0.1:9/media", probe: 1s}
routes:
  - {name: bot, to: bot, agent: bot}
`)
	out, status := h.commandLine("agents", "test", "bot")
	says(t, out, status, 0, "– tls", "✓ connect", "✓ websocket", "✓ start", "✓ sound", "agent bot is in order")
	out, status = h.commandLine("agents", "test", "away")
	says(t, out, status, 1, "✗ connect", "start the agent")
	out, status = h.commandLine("agents", "test", "nobody")
	says(t, out, status, 1, "nobody")

	h.until("probes have judged the workers", func() bool {
		out, status = h.commandLine("agents")
		return strings.Contains(out, "quarantined") && strings.Contains(out, " up ")
	})
	says(t, out, status, 0, "AGENT", "0 of 20", "ws://127.0.0.1:9/media", "refused")
	if strings.Contains(out, "secret") {
		t.Errorf("a secret is in\n%s", out)
	}
	out, status = h.commandLine("agents", "drain", "bot")
	says(t, out, status, 0, "agent bot takes no calls of this gateway any more; 0 go on")
	out, status = h.commandLine("agents", "list")
	says(t, out, status, 0, "draining")
	out, status = h.commandLine("agents", "resume", "bot")
	says(t, out, status, 0, "agent bot takes calls again")
	h.until("the metrics say so", func() bool {
		page := h.page("/metrics")
		return strings.Contains(page, `roomline_agent_workers{agent="bot",state="up"} 1`) && strings.Contains(page, `roomline_agent_workers{agent="away",state="up"} 0`)
	})
}

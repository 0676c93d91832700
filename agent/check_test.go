package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// tested returns what a test says of an agent at this URL, a line per step.
func tested(t *testing.T, url string, conf *tls.Config) string {
	t.Helper()
	h := &House{Exchange: &bridge.Exchange{}, TLS: conf, Plan: func() *dialplan.Plan {
		return &dialplan.Plan{Agents: []dialplan.Agent{{Name: "bot", URL: url}}}
	}}
	var lines []string
	if err := h.Test(t.Context(), "bot", func(s TestStep) {
		lines = append(lines, strings.TrimSuffix(s.Name+" "+s.Result+": "+s.Words+" → "+s.Hint, " → "))
		if s.Worker != workerName(url) {
			t.Errorf("the worker is called %s", s.Worker)
		}
	}); err != nil {
		t.Fatal(err)
	}
	h.running.Wait()
	return strings.Join(lines, "\n")
}

func wantSteps(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, words := range want {
		if !strings.Contains(got, words) {
			t.Errorf("no %q in\n%s", words, got)
		}
	}
	if n := strings.Count(got, "\n") + 1; n != 6 {
		t.Errorf("%d steps in\n%s", n, got)
	}
}

func TestATestOfAnAgentInOrder(t *testing.T) {
	m := newMachine(t)
	defer m.kill()
	got := tested(t, strings.Replace(m.url(), "127.0.0.1", "localhost", 1), nil)
	wantSteps(t, got, "dns ok: localhost is", "127.0.0.1", "connect ok: connected to 127.0.0.1:", "tls skipped: ws: what is said is not encrypted",
		"websocket ok", "start ok", "twilio-media-streams", "sound ok: the agent speaks")
}

func TestATestSaysWhatIsWrong(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	hangsUp := func(w http.ResponseWriter, r *http.Request) {
		if ws, err := websocket.Accept(w, r, nil); err == nil {
			ws.Close(websocket.StatusNormalClosure, "")
		}
	}
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  []string
	}{
		"a wrong key":  {status(401), []string{"websocket failed: the agent answered 401", "check key", "start skipped", "sound skipped"}},
		"a wrong path": {status(404), []string{"websocket failed: the agent answered 404", "check the path"}},
		"a web page":   {status(200), []string{"websocket failed: the agent answered 200", "there is a web page at this url"}},
		"hanging up":   {hangsUp, []string{"websocket ok", "start ok", "sound failed: the agent has ended the call by itself → the agent's own log"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(c.serve)
			defer srv.Close()
			got := tested(t, "ws"+strings.TrimPrefix(srv.URL, "http")+"/media?token=secret", nil)
			wantSteps(t, got, append(c.want, "connect ok")...)
			if strings.Contains(got, "secret") {
				t.Errorf("a secret is in\n%s", got)
			}
		})
	}
}

func TestATestOfAnAgentThatIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	got := tested(t, "ws://"+l.Addr().String()+"/media", nil)
	wantSteps(t, got, "dns skipped: 127.0.0.1 is an address already", "connect failed", "refused", "start the agent", "tls skipped", "sound skipped: not tried")
	h := &House{}
	wantError(t, h.Test(t.Context(), "nobody", nil), bridge.NotFound, "nobody")
}

func TestATestOfTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		(&machine{}).talk(context.Background(), ws, works)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	url := "wss" + strings.TrimPrefix(srv.URL, "https") + "/media"
	wantSteps(t, tested(t, url, nil), "tls failed", "signed by an authority that this machine trusts", "websocket skipped")
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	wantSteps(t, tested(t, url, &tls.Config{RootCAs: roots}), "tls ok: TLS 1.3, the certificate is valid until", "sound ok")
}

func TestNamesAreRemembered(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	var n names
	host := "localhost:" + port
	connect := func() error {
		conn, err := n.dial(t.Context(), "tcp", host)
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := connect(); err != nil {
		t.Fatal(err)
	}
	p, ok := n.find(host, time.Now())
	if !ok || p.addr != "127.0.0.1:"+port {
		t.Fatalf("remembered %+v", p)
	}
	if _, ok := n.find(host, time.Now().Add(nameLasts)); ok {
		t.Error("it is never looked up again")
	}
	n.remember(host, "127.0.0.1:1", time.Now()) // where nobody is any more
	if err := connect(); err != nil {
		t.Errorf("an address that has changed is not looked up: %v", err)
	}
	if p, _ := n.find(host, time.Now()); p.addr != "127.0.0.1:"+port {
		t.Errorf("remembered %+v", p)
	}
	l.Close()
	if connect() == nil {
		t.Error("nobody listens")
	}
}

func TestTLSSessionsAreResumed(t *testing.T) {
	resumed := make(chan bool, 4)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resumed <- r.TLS.DidResume
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		(&machine{}).talk(context.Background(), ws, works)
	}))
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	h := &House{Exchange: &bridge.Exchange{}, TLS: &tls.Config{RootCAs: roots}}
	h.init()
	for i := range 2 {
		leg := h.openLeg("wss"+strings.TrimPrefix(srv.URL, "https"), dialplan.Agent{Name: "bot"}, probeSpec(dialplan.Agent{Name: "bot"}))
		await(t, leg, bridge.AgentReady)
		if got, want := <-resumed, i > 0; got != want {
			t.Errorf("connection %d is resumed: %v", i, got)
		}
		for leg.spoken.Load() == 0 { // a ticket comes with the first data
			time.Sleep(time.Millisecond)
		}
		leg.End("over")
		drop(leg)
	}
}

// A probe of a model's session asks for no answer, which would cost something.
func TestATestOfAModelSaysNothing(t *testing.T) {
	t.Parallel()
	v, a := model(t)
	h := &House{Exchange: &bridge.Exchange{}, Plan: func() *dialplan.Plan { return &dialplan.Plan{Agents: []dialplan.Agent{a}} }}
	var steps []string
	if err := h.Test(t.Context(), a.Name, func(s TestStep) { steps = append(steps, s.Name+" "+s.Result+" "+s.Words) }); err != nil {
		t.Fatal(err)
	}
	h.running.Wait()
	got := strings.Join(steps, "\n")
	wantSteps(t, got, "websocket ok", "start ok the agent has been told of a call, in openai-realtime", "sound skipped it said nothing for 3s")
	v.Key = "sk-other"
	steps = nil
	if err := h.Test(t.Context(), a.Name, func(s TestStep) { steps = append(steps, s.Name+" "+s.Result+": "+s.Words+" → "+s.Hint) }); err != nil {
		t.Fatal(err)
	}
	h.running.Wait()
	wantSteps(t, strings.Join(steps, "\n"), "websocket ok", "start failed: the model's server refuses the key", "check key", "sound skipped")
}

// Command ivr is a small voice agent that runs offline: the desk of a clinic that
// tells its opening hours, books an appointment and passes callers on to a person.
// It speaks the Twilio Media Streams protocol, so that it shows what any agent for
// Roomline looks like, and is the one that Roomline's own tests call.
//
//	go run ./examples/ivr
//	roomline serve --config examples/ivr/roomline.yaml
//	roomline phone dial sip:clinic@127.0.0.1:5060
//
// It speaks with espeak-ng and understands with pocketsphinx (Debian's packages
// espeak-ng, sox, pocketsphinx and pocketsphinx-en-us).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

// faults are the ways in which --break spoils the agent, for testing tests.
var faults = []string{"", "silent", "slow", "deaf", "wrong", "no-yield", "crash"}

// options are what the command line says.
type options struct {
	listen string
	fault  string
	desk   desk
}

func main() {
	o := options{}
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8090", "where the gateway connects to: ws://ADDR/media")
	flag.StringVar(&o.fault, "break", "", "be broken on purpose: silent, slow, deaf, wrong, no-yield or crash")
	flag.StringVar(&o.desk.url, "api", "http://127.0.0.1:8080", "the gateway's HTTP address, for passing callers on")
	flag.StringVar(&o.desk.account, "account", os.Getenv("IVR_ACCOUNT"), "accountSid of the agent in the dial plan; default: what the gateway says")
	flag.StringVar(&o.desk.key, "key", os.Getenv("IVR_KEY"), "key of the agent in the dial plan")
	flag.StringVar(&o.desk.person, "person", "", "whom callers are passed on to: queue:NAME, room:NAME or a number; default: nobody")
	flag.Parse()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "ivr:", err)
		os.Exit(1)
	}
}

func (o options) run() error {
	if !slices.Contains(faults, o.fault) {
		return fmt.Errorf("--break %s is unknown; use one of%s", o.fault, strings.Join(faults, " "))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	voices, err := prepare(ctx)
	if err != nil {
		return err
	}
	defer voices.close()
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /media", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		defer c.CloseNow()
		s := newSession(c, voices, o)
		if err := s.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			slog.Info("a call ended badly", "call", s.callSID, "error", err)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	fmt.Printf("ready on ws://%s/media\n", l.Addr())
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

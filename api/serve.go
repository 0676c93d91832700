package api

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// drainTime is how long requests in flight get when the gateway stops.
const drainTime = 5 * time.Second

// stopKey finds the channel that closes when the listener stops, in a request's context.
type stopKey struct{}

// stopping returns the channel that closes when event streams should end, nil outside [Serve].
func stopping(ctx context.Context) <-chan struct{} {
	done, _ := ctx.Value(stopKey{}).(<-chan struct{})
	return done
}

// Serve answers HTTP on a listener until ctx ends, then lets requests finish
// for five seconds and returns nil. It closes the listener. tlsConfig is nil
// for plain HTTP. Event streams end at once; WebSockets are the room's to close.
//
// There is no deadline for whole requests: [Server.Handler] sets one per kind.
func Serve(ctx context.Context, ln net.Listener, tlsConfig *tls.Config, h http.Handler, log *slog.Logger) error {
	base, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), stopKey{}, ctx.Done()))
	defer cancel()
	srv := &http.Server{
		Handler:           h,
		TLSConfig:         tlsConfig,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	failed := make(chan error, 1)
	go func() {
		if tlsConfig != nil {
			failed <- srv.ServeTLS(ln, "", "")
			return
		}
		failed <- srv.Serve(ln)
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, enough := context.WithTimeout(base, drainTime)
	defer enough()
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

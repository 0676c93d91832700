package main

import (
	"net/http"
	"net/http/pprof"
	"net/netip"
)

// withProfiles adds Go's profiles to the metrics listener, for who asks from
// this machine. The command line is left out: it may hold secrets.
func withProfiles(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", metrics)
	mux.Handle("GET /debug/pprof/profile", fromHere(http.HandlerFunc(pprof.Profile)))
	for _, name := range []string{"heap", "goroutine", "allocs", "mutex", "block"} {
		mux.Handle("GET /debug/pprof/"+name, fromHere(pprof.Handler(name)))
	}
	return mux
}

func fromHere(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !from.Addr().IsLoopback() {
			http.Error(w, "profiles are for this machine only", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

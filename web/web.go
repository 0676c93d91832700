// Package web owns the pages that people see: the front page, the room page,
// the page of trunks and calls, the page of a queue, and the page for what is not there, with their scripts, styles and icons,
// all embedded in the binary. The pages are clients of the HTTP API and of the
// room's WebSocket; the package itself knows neither calls nor rooms, imports
// no other folder of the house, and starts no goroutines.
package web

import (
	"net/http"
	"regexp"
	"strings"
)

// roomName is what a room may be called, as the API has it.
var roomName = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,64}$`)

// callPath names a call, as the API does.
var callPath = regexp.MustCompile(`^/calls/[A-Za-z0-9_-]{1,64}$`)

// queuePath names a queue, as the dial plan does.
var queuePath = regexp.MustCompile(`^/queues/[a-z0-9][a-z0-9-]{0,62}$`)

// Handler serves
//
//	/                            the front page
//	/rooms/{room}                the room page; the token stays in the fragment
//	/trunks, /calls/{id}         the page of trunks and calls; its key stays in memory
//	/queues/{queue}              who waits there, and who takes them; the key may be in the fragment
//	/assets/{version}/...        scripts, styles and icons, kept for a year
//	anything else                404, as a page
//
// to GET and HEAD, with a content security policy that allows nothing from
// elsewhere. It is safe for concurrent use.
func Handler() http.Handler {
	return load()
}

// ServeHTTP finds the file that a path names.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	harden(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "pages can only be read: use GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	path := r.URL.Path
	if path == "/" {
		s.front.serve(w, r, http.StatusOK, revalidate)
		return
	}
	if room, ok := strings.CutPrefix(path, "/rooms/"); ok && roomName.MatchString(room) {
		w.Header().Set("X-Robots-Tag", "noindex")
		s.room.serve(w, r, http.StatusOK, revalidate)
		return
	}
	if path == "/trunks" || callPath.MatchString(path) {
		w.Header().Set("X-Robots-Tag", "noindex")
		s.trunks.serve(w, r, http.StatusOK, revalidate)
		return
	}
	if queuePath.MatchString(path) {
		w.Header().Set("X-Robots-Tag", "noindex")
		s.queue.serve(w, r, http.StatusOK, revalidate)
		return
	}
	if rest, ok := strings.CutPrefix(path, "/assets/"); ok {
		s.serveAsset(w, r, rest)
		return
	}
	s.missing.serve(w, r, http.StatusNotFound, never)
}

// serveAsset serves version/name. A page that is still open after an upgrade
// asks for a version that is gone; it gets today's file, uncached.
func (s *site) serveAsset(w http.ResponseWriter, r *http.Request, rest string) {
	version, name, _ := strings.Cut(rest, "/")
	f, ok := s.assets[name]
	switch {
	case !ok:
		s.missing.serve(w, r, http.StatusNotFound, never)
	case version == s.version:
		f.serve(w, r, http.StatusOK, forever)
	default:
		f.serve(w, r, http.StatusOK, revalidate)
	}
}

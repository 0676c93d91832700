package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// get asks the handler; header holds name and value pairs.
func get(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPathsLeadToPages(t *testing.T) {
	version := load().version
	for _, c := range []struct {
		path, contains, cache string
		status                int
	}{
		{"/", "Phone lines in", revalidate, 200},
		{"/rooms/lobby", `data-test="join"`, revalidate, 200},
		{"/rooms/sos-a.b_c+1", `data-test="join"`, revalidate, 200},
		{"/trunks", `data-test="ladder"`, revalidate, 200},
		{"/calls/call_0123abcd", `data-test="ladder"`, revalidate, 200},
		{"/queues/desk", `data-test="waiting"`, revalidate, 200},
		{"/queues/", "nothing at this address", never, 404},
		{"/queues/Desk", "nothing at this address", never, 404},
		{"/calls/", "nothing at this address", never, 404},
		{"/calls/a/b", "nothing at this address", never, 404},
		{"/rooms/", "nothing at this address", never, 404},
		{"/rooms/a/b", "nothing at this address", never, 404},
		{"/rooms/caf%C3%A9", "nothing at this address", never, 404},
		{"/rooms/" + strings.Repeat("x", 65), "nothing at this address", never, 404},
		{"/nope", "nothing at this address", never, 404},
		{"/assets/" + version + "/js/room.js", "The room page", forever, 200},
		{"/assets/0123456789ab/js/room.js", "The room page", revalidate, 200},
		{"/assets/" + version + "/js/nope.js", "nothing at this address", never, 404},
		{"/assets/" + version + "/../pages/room.html", "nothing at this address", never, 404},
		{"/assets/", "nothing at this address", never, 404},
	} {
		r := get(t, "GET", c.path)
		if r.StatusCode != c.status || r.Header.Get("Cache-Control") != c.cache {
			t.Errorf("%s: %d %q, want %d %q", c.path, r.StatusCode, r.Header.Get("Cache-Control"), c.status, c.cache)
		}
		if b := body(t, r); !strings.Contains(b, c.contains) {
			t.Errorf("%s: no %q in %.80q", c.path, c.contains, b)
		}
	}
}

func TestEveryAnswerIsHardened(t *testing.T) {
	for _, path := range []string{"/", "/rooms/lobby", "/nope", "/assets/x/css/base.css"} {
		h := get(t, "GET", path).Header
		for name, want := range map[string]string{
			"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self';",
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "no-referrer",
			"X-Frame-Options":              "DENY",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Permissions-Policy":           "microphone=(self)",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if !strings.Contains(h.Get(name), want) {
				t.Errorf("%s: %s is %q, want %q in it", path, name, h.Get(name), want)
			}
		}
		if csp := h.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
			t.Errorf("%s: the policy has a hole: %s", path, csp)
		}
	}
}

func TestOnlyReading(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		r := get(t, method, "/rooms/lobby")
		if r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
	r := get(t, "HEAD", "/rooms/lobby")
	if b := body(t, r); r.StatusCode != 200 || b != "" || r.Header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %s", r.StatusCode, len(b), r.Header.Get("Content-Length"))
	}
}

func TestAnUnchangedFileIsNotSentAgain(t *testing.T) {
	for _, encoding := range []string{"", "gzip"} {
		etag := get(t, "GET", "/", "Accept-Encoding", encoding).Header.Get("ETag")
		for _, known := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
			r := get(t, "GET", "/", "Accept-Encoding", encoding, "If-None-Match", known)
			if b := body(t, r); r.StatusCode != 304 || b != "" {
				t.Errorf("%q knowing %s: %d with %d bytes", encoding, known, r.StatusCode, len(b))
			}
		}
		if r := get(t, "GET", "/", "Accept-Encoding", encoding, "If-None-Match", `"other"`); r.StatusCode != 200 {
			t.Errorf("%q knowing another file: %d", encoding, r.StatusCode)
		}
	}
}

func TestCompressedIsTheSame(t *testing.T) {
	plain := body(t, get(t, "GET", "/rooms/lobby"))
	for _, c := range []struct {
		accept string
		gzip   bool
	}{
		{"gzip", true}, {"br, gzip;q=0.5", true}, {"*", true},
		{"", false}, {"br", false}, {"gzip;q=0", false}, {"x-gzip-like", false},
	} {
		r := get(t, "GET", "/rooms/lobby", "Accept-Encoding", c.accept)
		if got := r.Header.Get("Content-Encoding") == "gzip"; got != c.gzip {
			t.Errorf("Accept-Encoding %q: gzip %v, want %v", c.accept, got, c.gzip)
			continue
		}
		text := body(t, r)
		if c.gzip {
			z, err := gzip.NewReader(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if _, err := io.Copy(&out, z); err != nil {
				t.Fatal(err)
			}
			text = out.String()
		}
		if text != plain {
			t.Errorf("Accept-Encoding %q: %d bytes differ from the plain %d", c.accept, len(text), len(plain))
		}
	}
}

// A page must not lean on anything that its policy forbids or that is not there.
func TestPagesNameOnlyWhatIsThere(t *testing.T) {
	s := load()
	link := regexp.MustCompile(`(?:src|href)="([^"#][^"]*)"`)
	forbidden := regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]|<style|\sstyle="|\son[a-z]+="|https?://[^…\s]`)
	for name, page := range map[string]*file{"front": s.front, "room": s.room, "trunks": s.trunks, "missing": s.missing} {
		if bad := forbidden.Find(page.body); bad != nil {
			t.Errorf("%s holds what the policy forbids: %q", name, bad)
		}
		if bytes.Contains(page.body, []byte("{{")) {
			t.Errorf("%s: a placeholder was left", name)
		}
		for _, m := range link.FindAllStringSubmatch(string(page.body), -1) {
			if asset, ok := strings.CutPrefix(m[1], "/assets/"+s.version+"/"); ok && s.assets[asset] == nil {
				t.Errorf("%s: no asset %s", name, asset)
			}
		}
	}
	imported := regexp.MustCompile(`from "\./([a-z]+\.js)"`)
	for name, f := range s.assets {
		for _, m := range imported.FindAllStringSubmatch(string(f.body), -1) {
			if s.assets["js/"+m[1]] == nil {
				t.Errorf("%s imports %s, which is not there", name, m[1])
			}
		}
	}
}

func BenchmarkRoomPage(b *testing.B) {
	h := Handler()
	r := httptest.NewRequest("GET", "/rooms/lobby", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed static
var static embed.FS

// What Cache-Control says.
const (
	forever    = "public, max-age=31536000, immutable" // the path holds the version
	revalidate = "no-cache"                            // ask again, usually answered 304
	never      = "no-store"
)

// contentTypes of the files that we have; another kind of file is a mistake.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// site is everything that can be served, read once.
type site struct {
	version             string // of all assets together
	assets              map[string]*file
	front, room, trunks *file
	queue, missing      *file
}

// file is one thing to serve, as it is and compressed.
type file struct {
	contentType   string
	etag          string // without quotes
	body, gzipped []byte
}

// load reads the embedded files. What can fail here fails in the first test.
func load() *site {
	s := &site{assets: map[string]*file{}}
	sum := sha256.New()
	walk("static/assets", func(name string, body []byte) {
		fmt.Fprintf(sum, "%s %d\n", name, len(body))
		sum.Write(body)
		s.assets[name] = newFile(name, body)
	})
	s.version = hex.EncodeToString(sum.Sum(nil))[:12]
	page := func(name string) *file {
		body, err := static.ReadFile("static/pages/" + name)
		must(err)
		return newFile(name, bytes.ReplaceAll(body, []byte("{{assets}}"), []byte("/assets/"+s.version)))
	}
	s.front, s.room, s.trunks = page("front.html"), page("room.html"), page("trunks.html")
	s.queue, s.missing = page("queue.html"), page("missing.html")
	return s
}

// walk calls visit with every file below root, in lexical order.
func walk(root string, visit func(name string, body []byte)) {
	must(fs.WalkDir(static, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := static.ReadFile(p)
		visit(strings.TrimPrefix(p, root+"/"), body)
		return err
	}))
}

func newFile(name string, body []byte) *file {
	contentType, ok := contentTypes[path.Ext(name)]
	if !ok {
		panic("web: no content type for " + name)
	}
	sum := sha256.Sum256(body)
	return &file{
		contentType: contentType,
		etag:        hex.EncodeToString(sum[:])[:24],
		body:        body,
		gzipped:     compress(body),
	}
}

func compress(body []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	must(err)
	_, err = z.Write(body)
	must(err)
	must(z.Close())
	return out.Bytes()
}

// serve answers a GET or HEAD, with 304 if the client has this very file.
func (f *file) serve(w http.ResponseWriter, r *http.Request, status int, cache string) {
	body, etag := f.body, `"`+f.etag+`"`
	h := w.Header()
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body, etag = f.gzipped, `"`+f.etag+`-gz"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", cache)
	h.Set("ETag", etag)
	if status == http.StatusOK && matches(r.Header.Get("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// acceptsGzip reads Accept-Encoding, RFC 9110 section 12.5.3.
func acceptsGzip(header string) bool {
	for item := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(strings.ToLower(item), ";")
		if c := strings.TrimSpace(coding); c != "gzip" && c != "*" {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
		return err != nil || q > 0
	}
	return false
}

// matches reads If-None-Match by weak comparison, RFC 9110 section 13.1.2.
func matches(header, etag string) bool {
	for item := range strings.SplitSeq(header, ",") {
		item = strings.TrimPrefix(strings.TrimSpace(item), "W/")
		if item == etag || item == "*" {
			return true
		}
	}
	return false
}

func must(err error) {
	if err != nil {
		panic("web: " + err.Error())
	}
}

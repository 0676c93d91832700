// Package roomline_test guards the whole house rather than one room of it.
package roomline_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/roomline/roomline/"

// floors are the folders from the ground up. A folder may import those below its
// floor. Folders of one floor do not import each other, unless one is the
// other's parent folder.
var floors = [][]string{
	{"media", "media/amd", "media/impair", "media/prompts", "media/red", "media/stoi", "sip/text"},
	{"dialplan", "media/speech", "transcode", "transcode/earpiece", "media/rtp", "media/webrtc", "media/webrtc/whip"},
	{"bridge"},
	{"sip/grammar", "sip/sdp", "sip/stir", "sip/trace"},
	{"sip/socket"},
	{"sip", "room", "store", "agent"},
	{"api", "web", "phone", "bench"},
	{"simulate"},
	{"cmd/roomline"},
}

// aside may be imported by those named only: SQL by the store, a client by the
// commands, a browser by tests.
var aside = map[string][]string{
	"configs":            {},
	"scripts/flame":      {},
	"migrations":         {"store"},
	"api/client":         {"cmd/roomline", "api"},
	"store/pgtest":       {"store", "api", "cmd/roomline"},
	"sip/stir/stirtest":  {"sip/stir", "sip", "cmd/roomline"},
	"web/chromium":       {"web", "cmd/roomline"},
	"agent/realtimetest": {"agent", "cmd/roomline"},
}

// borders keep a library's types in the folders that wrap it.
var borders = map[string][]string{
	"github.com/emiago/sipgo":         {"sip", "sip/socket"},
	"github.com/pion/webrtc":          {"media/webrtc"},
	"github.com/pion/ice":             {"media/webrtc"},
	"github.com/pion/interceptor":     {"media/webrtc"},
	"github.com/pion/sdp":             {"sip/sdp", "media/webrtc"},
	"github.com/pion/srtp":            {"media/rtp", "media/webrtc"},
	"github.com/pion/dtls":            {"media/rtp", "media/webrtc"},
	"github.com/thesyncim/gopus":      {"transcode"},
	"github.com/jackc/pgx":            {"store", "store/pgtest"},
	"modernc.org/sqlite":              {"store"},
	"github.com/pressly/goose":        {"store"},
	"github.com/nyaruka/phonenumbers": {"dialplan"},
	"github.com/danielgtaylor/huma":   {"api"},
	"github.com/golang-jwt/jwt":       {"room", "sip/stir", "sip/stir/stirtest"},
	"github.com/coder/websocket":      {"room", "bench", "agent", "agent/realtimetest", "examples/ivr"},
	"github.com/prometheus":           {"api"},
}

type folder struct {
	ImportPath string
	Imports    []string
}

func folders(t *testing.T) (all []folder) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var f folder
		if err := dec.Decode(&f); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
}

func floorOf(name string) int {
	return slices.IndexFunc(floors, func(names []string) bool { return slices.Contains(names, name) })
}

func TestImportsGoDown(t *testing.T) {
	seen := 0
	for _, f := range folders(t) {
		name, ours := strings.CutPrefix(f.ImportPath, module)
		if !ours {
			continue
		}
		seen++
		if _, is := aside[name]; !is && floorOf(name) < 0 && !strings.HasPrefix(name, "examples/") {
			t.Errorf("%s stands on no floor; give it one in floors or aside", name)
		}
		for _, imported := range f.Imports {
			if other, ours := strings.CutPrefix(imported, module); ours {
				mayImport(t, name, other)
			} else {
				staysBehindItsBorder(t, name, imported)
			}
		}
	}
	if seen < 10 {
		t.Fatalf("only %d folders were looked at", seen)
	}
}

func mayImport(t *testing.T, name, other string) {
	t.Helper()
	if by, is := aside[other]; is {
		if !slices.Contains(by, name) {
			t.Errorf("%s imports %s, which only %v may", name, other, by)
		}
		return
	}
	if _, is := aside[name]; is || strings.HasPrefix(name, "examples/") {
		return
	}
	from, to := floorOf(name), floorOf(other)
	switch {
	case to > from:
		t.Errorf("%s imports %s: imports go down only", name, other)
	case to == from && !strings.HasPrefix(name, other+"/"):
		t.Errorf("%s imports %s, which is on the same floor", name, other)
	}
}

func staysBehindItsBorder(t *testing.T, name, imported string) {
	t.Helper()
	for library, wrapped := range borders {
		if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.Contains(wrapped, name) {
			t.Errorf("%s imports %s, which only %v may", name, imported, wrapped)
		}
	}
}

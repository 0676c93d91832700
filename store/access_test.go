package store

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func testKeys(t *testing.T, s *Store, _ func() *Store) {
	k, secret, err := s.CreateKey(t.Context(), "console", true)
	must(t, err)
	if !strings.HasPrefix(secret, k.Prefix) || len(k.Prefix) >= len(secret)/2 || !k.Admin || k.Name != "console" || k.LastUsedAt != nil {
		t.Errorf("got %+v", k)
	}
	found, err := s.KeyOf(t.Context(), secret)
	if err != nil || found.ID != k.ID || found.LastUsedAt == nil {
		t.Errorf("got %+v, %v", found, err)
	}
	if again, err := s.Key(t.Context(), k.ID); err != nil || again.LastUsedAt == nil || !again.CreatedAt.Equal(k.CreatedAt) {
		t.Errorf("got %+v, %v", again, err)
	}
	for _, wrong := range []string{"", secret + "x", k.Prefix, hashOf(secret), "' OR ''='"} {
		if _, err := s.KeyOf(t.Context(), wrong); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: got %v", wrong, err)
		}
	}
	must(t, s.RevokeKey(t.Context(), k.ID))
	must(t, s.RevokeKey(t.Context(), k.ID))
	if _, err := s.KeyOf(t.Context(), secret); !errors.Is(err, ErrNotFound) {
		t.Errorf("a revoked key: got %v", err)
	}
	if err := s.RevokeKey(t.Context(), "key_none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	admin, err := s.PutKey(t.Context(), "admin", "my-own-admin-key", true)
	must(t, err)
	again, err := s.PutKey(t.Context(), "admin", "my-own-admin-key", true)
	if err != nil || again.ID != admin.ID {
		t.Errorf("got %+v, %v", again, err)
	}
	if _, err := s.PutKey(t.Context(), "admin", "short", true); err == nil {
		t.Error("a short key was taken")
	}
	keys, next, err := s.Keys(t.Context(), Page{})
	if err != nil || len(keys) != 2 || next != "" || keys[0].ID != admin.ID || keys[1].RevokedAt == nil {
		t.Errorf("got %+v, %v", keys, err)
	}
	texts, err := collect(t.Context(), s.read, scanText, "SELECT id || hash || prefix || name FROM api_keys")
	if err != nil || strings.Contains(strings.Join(texts, " "), secret[8:]) || strings.Contains(strings.Join(texts, " "), "my-own-admin-key") {
		t.Errorf("a secret is in the database: %v, %v", texts, err)
	}
}

func testRequests(t *testing.T, s *Store, _ func() *Store) {
	ctx, now := t.Context(), start
	claim := func(key, hash string, at time.Time) (Request, bool, error) {
		return s.ClaimRequest(ctx, "key_1", key, hash, at)
	}
	if _, first, err := claim("k", "h", now); err != nil || !first {
		t.Fatalf("got %v, %v", first, err)
	}
	if r, first, err := claim("k", "h", now.Add(time.Second)); err != nil || first || r.Done || !r.StartedAt.Equal(stored(now)) {
		t.Errorf("in progress: got %+v, %v, %v", r, first, err)
	}
	if _, first, err := claim("k", "other", now); !errors.Is(err, ErrConflict) || first {
		t.Errorf("another body: got %v, %v", first, err)
	}
	if _, first, err := s.ClaimRequest(ctx, "key_2", "k", "other", now); err != nil || !first {
		t.Errorf("another client: got %v, %v", first, err)
	}
	answer := []byte("{\"id\":\"call_1\"}\x00\xff")
	must(t, s.FinishRequest(ctx, "key_1", "k", 201, answer))
	must(t, s.ReleaseRequest(ctx, "key_1", "k")) // too late to change anything
	if r, first, err := claim("k", "h", now.Add(RequestTTL-time.Second)); err != nil || first || !r.Done || r.Status != 201 || !bytes.Equal(r.Body, answer) {
		t.Errorf("done: got %+v, %v, %v", r, first, err)
	}
	if err := s.FinishRequest(ctx, "key_1", "none", 201, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, first, err := claim("k", "new", now.Add(RequestTTL)); err != nil || !first {
		t.Errorf("expired: got %v, %v", first, err)
	}
	must(t, s.ReleaseRequest(ctx, "key_1", "k"))
	if _, first, err := claim("k", "h", now); err != nil || !first {
		t.Errorf("released: got %v, %v", first, err)
	}
}

func TestPeerDefect11RetriedRequestIsFirstOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "roomline.db"))
	must(t, s.Migrate(t.Context()))
	testRequests(t, s, nil)
}

func testRequestsTogether(t *testing.T, s *Store, another func() *Store) {
	gateways := []*Store{s, another()}
	var firsts atomic.Int32
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			_, first, err := gateways[i%2].ClaimRequest(t.Context(), "key_1", "k", "h", start)
			if err != nil {
				t.Error(err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	group.Wait()
	if firsts.Load() != 1 {
		t.Errorf("%d were first", firsts.Load())
	}
}

func TestAdminKeyIsMadeOnceAndKeptPrivate(t *testing.T) {
	dir := t.TempDir()
	secret, created, err := AdminKey(dir)
	if err != nil || !created || len(secret) < 20 {
		t.Fatalf("got %d letters, %v, %v", len(secret), created, err)
	}
	again, created, err := AdminKey(dir)
	if err != nil || created || again != secret {
		t.Errorf("got another, %v, %v", created, err)
	}
	path := filepath.Join(dir, "admin.key")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
	must(t, os.WriteFile(path, []byte("\n"), 0o600))
	if _, _, err := AdminKey(dir); err == nil {
		t.Error("an empty key was taken")
	}
}

func TestWebhookSecretsAreNeverPrinted(t *testing.T) {
	w := Webhook{ID: "wh_1", URL: "https://example.com/?token=hidden", Secret: "whsec_hidden"}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "webhook", w, "pointer", &w)
	fmt.Fprintf(&out, "%v %+v %#v %s %+v", w, w, w, &w, Delivery{Webhook: w})
	if strings.Contains(out.String(), "hidden") {
		t.Errorf("got %s", out.String())
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for url, want := range map[string]string{
		"": "expected a file or a postgres:// URL", "mysql://u:hunter22@h/d": "mysql:// is not supported",
		"/nonexistent/folder/x.db": "no such file", "postgres://u:hunter22@h:notaport/d": "port",
	} {
		_, err := Open(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%q: got %v", url, err)
		}
	}
}

func TestSQLiteFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "sqlite:"+filepath.Join(dir, "roomline.db"))
	must(t, s.Migrate(t.Context()))
	files, err := os.ReadDir(dir)
	must(t, err)
	if len(files) != 3 {
		t.Errorf("expected the file, its journal and its index, got %v", files)
	}
	for _, f := range files {
		if info, _ := f.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
	}
}

func testMigrations(t *testing.T, s *Store, another func() *Store) {
	must(t, s.Migrate(t.Context()))
	must(t, another().Migrate(t.Context()))
	steps, err := s.MigrationStatus(t.Context())
	if err != nil || len(steps) < 4 || steps[0].Version != 1 || steps[0].Name != "00001_history.sql" {
		t.Fatalf("got %+v, %v", steps, err)
	}
	for _, m := range steps {
		if !m.Applied || m.AppliedAt.IsZero() || time.Since(m.AppliedAt).Abs() > 24*time.Hour {
			t.Errorf("got %+v", m)
		}
	}
	provider, err := s.provider()
	must(t, err)
	if _, err := provider.DownTo(t.Context(), 0); err != nil {
		t.Error(err)
	}
	steps, err = s.MigrationStatus(t.Context())
	if err != nil || steps[0].Applied {
		t.Errorf("got %+v, %v", steps, err)
	}
	gateways := []*Store{s, another(), another()}
	if s.Engine() == "sqlite" {
		gateways = gateways[:1] // one process owns a SQLite file
	}
	var group sync.WaitGroup
	for _, g := range gateways {
		group.Go(func() {
			if err := g.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	must(t, s.PutCDR(t.Context(), cdr("c", 0)))
}

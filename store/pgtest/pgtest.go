// Package pgtest runs a true PostgreSQL for tests: a subprocess in a temporary
// folder, on a unix socket alone, with fsync off. It is for tests only.
package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running PostgreSQL.
type Server struct {
	dir     string
	bin     string
	as      *syscall.Credential // nil: as ourselves
	process *exec.Cmd
	exited  chan struct{}
	output  bytes.Buffer // read it only after exited is closed
	made    int
}

// Start runs a server until the test ends. Without PostgreSQL the test is
// skipped, or fails where the environment variable CI is set.
func Start(t testing.TB) *Server {
	t.Helper()
	bin, err := find()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s := &Server{bin: bin}
	t.Cleanup(func() { s.remove(t) })
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	s.Up(t)
	return s
}

// find takes the newest version that Debian's package installed, or the PATH's.
func find() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		version := func(path string) int {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
			return n
		}
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", fmt.Errorf("PostgreSQL is not installed; `apt-get install postgresql` brings it")
}

// prepare makes a cluster. Its collation is English, as a team's often is, and
// not the bytes' order: lists must not depend on that.
func (s *Server) prepare() (err error) {
	if s.dir, err = os.MkdirTemp("/tmp", "roomline-pg"); err != nil { // short: a socket's path has 107 bytes at most
		return err
	}
	if os.Geteuid() == 0 { // PostgreSQL refuses to be root
		if s.as, err = another(); err != nil {
			return err
		}
		if err = os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return err
		}
	}
	initdb := s.command("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync",
		"--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

func another() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("PostgreSQL cannot run as root, and there is neither a user postgres nor nobody")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir = s.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=America/New_York"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return c
}

// Up starts a server that is down, and returns when it takes connections.
func (s *Server) Up(t testing.TB) {
	t.Helper()
	s.output.Reset()
	s.process = s.command("postgres", "-D", s.data(), "-k", s.dir, "-h", "", "-F",
		"-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "shared_buffers=16MB", "-c", "timezone=America/New_York")
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	s.exited = make(chan struct{})
	go func(process *exec.Cmd, exited chan struct{}) { // ends with the process, for which Down waits
		defer close(exited)
		_ = process.Wait()
	}(s.process, s.exited)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.url("postgres"))
		if err == nil {
			_ = conn.Close(ctx)
			return
		}
		select {
		case <-s.exited:
			t.Fatalf("PostgreSQL ended: %s", s.output.String())
		case <-ctx.Done():
			t.Fatalf("PostgreSQL does not take connections: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Down stops the server at once, connections or not, and waits for its end.
func (s *Server) Down(t testing.TB) {
	t.Helper()
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(syscall.SIGINT) // "fast": roll back and disconnect
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		_ = s.process.Process.Signal(syscall.SIGQUIT)
		<-s.exited
		t.Errorf("PostgreSQL did not stop in time: %s", s.output.String())
	}
	s.process = nil
}

func (s *Server) remove(t testing.TB) {
	s.Down(t)
	if err := os.RemoveAll(s.dir); err != nil {
		t.Error(err)
	}
}

// Database makes an empty database and returns its postgres:// URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	s.made++
	name := fmt.Sprintf("test%d", s.made)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return s.url(name)
}

func (s *Server) url(database string) string {
	return "postgres:///" + database + "?user=postgres&host=" + s.dir
}

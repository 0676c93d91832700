package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Open prepares a database: a file path (or sqlite:PATH), or a postgres:// URL.
// It does not migrate. A PostgreSQL that is away is no error here, so that a
// gateway can start without it; [Store.Ping] tells.
func Open(ctx context.Context, url string) (*Store, error) {
	switch {
	case url == "":
		return nil, fmt.Errorf("open the database: expected a file or a postgres:// URL")
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		return openPostgres(url)
	case strings.Contains(url, "://"):
		scheme, _, _ := strings.Cut(url, "://")
		return nil, fmt.Errorf("open the database: %s:// is not supported; expected a file or a postgres:// URL", scheme)
	}
	return openSQLite(ctx, strings.TrimPrefix(url, "sqlite:"))
}

func openPostgres(url string) (*Store, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err) // pgx leaves the password out
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(10)
	db.SetMaxIdleConns(4)
	return &Store{engine: "postgres", write: db, read: db}, nil
}

// openSQLite makes the file readable for its owner only; SQLite gives its
// journal the mode of the file.
func openSQLite(ctx context.Context, path string) (*Store, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	file.Close()
	// synchronous(FULL): the spool forgets a record as soon as the database has it.
	dsn := "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	s := &Store{engine: "sqlite"}
	if s.write, err = sql.Open("sqlite", dsn+"&_txlock=immediate"); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	if err := s.write.PingContext(ctx); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("open the database %s: %w", path, err)
	}
	if s.read, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s.read.SetMaxOpenConns(4)
	return s, nil
}

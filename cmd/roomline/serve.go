package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/roomline/roomline/store"
)

type serveCommand struct {
	settings
}

// Examples shows how the command is used.
func (*serveCommand) Examples() string {
	return `  roomline serve
  roomline serve --sip 192.0.2.10:5060 --public-ip 198.51.100.7 --http 127.0.0.1:8080 --config roomline.yaml
  roomline serve --sip 192.0.2.10:5060/public=198.51.100.7 --sip 10.0.0.5:5060 --sip-tls 192.0.2.10:5061 --tls-cert cert.pem --tls-key key.pem
  roomline serve --database-url postgres://roomline@db.example/roomline
`
}

// Run serves until a signal comes.
func (c *serveCommand) Run(b *bound) error {
	g, err := newGateway(b.ctx, c.settings, b.log)
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	over, stop := context.WithCancel(b.ctx)
	defer stop()
	wg.Go(func() {
		select {
		case <-ready:
			b.log.Info("ready", "sip", g.ua.Addr(), "http", g.url(), "webrtc", g.engine.Addr(), "database", g.store.Engine(), "version", version)
		case <-over.Done():
		}
	})
	return g.run(b.ctx, ready)
}

type migrateCommand struct {
	Up     migrateUp     `cmd:"" default:"withargs" help:"Bring the schema up to date."`
	Status migrateStatus `cmd:"" help:"Show the steps of the schema."`
}

// Examples shows how the commands are used.
func (*migrateCommand) Examples() string {
	return "  roomline migrate up\n  roomline migrate status --database-url postgres://roomline@db.example/roomline\n"
}

type databaseFlags struct {
	DatabaseURL string `env:"ROOMLINE_DATABASE_URL" placeholder:"URL" help:"postgres://…; default: SQLite in the data folder."`
	Data        string `env:"ROOMLINE_DATA" default:"./data" placeholder:"DIR" help:"Data folder."`
}

func (d *databaseFlags) open(ctx context.Context) (*store.Store, error) {
	if d.DatabaseURL != "" {
		return store.Open(ctx, d.DatabaseURL)
	}
	return store.Open(ctx, filepath.Join(d.Data, "roomline.db"))
}

type migrateUp struct{ databaseFlags }

// Examples shows how the command is used.
func (*migrateUp) Examples() string {
	return "  roomline migrate up\n  roomline migrate up --database-url postgres://roomline@db.example/roomline\n"
}

// Run migrates.
func (m *migrateUp) Run(b *bound) error {
	db, err := m.open(b.ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Migrate(b.ctx); err != nil {
		return err
	}
	return printMigrations(b.ctx, db)
}

type migrateStatus struct{ databaseFlags }

// Examples shows how the command is used.
func (*migrateStatus) Examples() string { return "  roomline migrate status --data ./data\n" }

// Run prints the steps.
func (m *migrateStatus) Run(b *bound) error {
	db, err := m.open(b.ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	return printMigrations(b.ctx, db)
}

func printMigrations(ctx context.Context, db *store.Store) error {
	steps, err := db.MigrationStatus(ctx)
	if err != nil {
		return err
	}
	for _, s := range steps {
		state := "pending"
		if s.Applied {
			state = "applied " + s.AppliedAt.UTC().Format("2006-01-02 15:04:05")
		}
		fmt.Printf("%4d  %-40s %s\n", s.Version, s.Name, state)
	}
	return nil
}

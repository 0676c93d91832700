// Package migrations holds the schema of the store as numbered SQL files, in
// the SQL that SQLite and PostgreSQL share: TEXT, BIGINT, BYTEA and plain
// indexes. Times are TEXT in UTC with microseconds
// (2026-01-02T15:04:05.000000Z), so that they sort as they read; objects are
// JSON in a TEXT column named body, with columns beside it for what is searched.
package migrations

import "embed"

// Files are the migrations, in the form of goose.
//
//go:embed *.sql
var Files embed.FS

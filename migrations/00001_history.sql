-- +goose Up
CREATE TABLE cdrs (
    id         TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    direction  TEXT NOT NULL,
    caller     TEXT NOT NULL,
    called     TEXT NOT NULL,
    room       TEXT NOT NULL,
    trunk      TEXT NOT NULL,
    cause      TEXT NOT NULL,
    parent_id  TEXT NOT NULL,
    body       TEXT NOT NULL
);
CREATE INDEX cdrs_by_time ON cdrs (created_at, id);
CREATE INDEX cdrs_by_room ON cdrs (room, created_at, id);
CREATE INDEX cdrs_by_caller ON cdrs (caller, created_at, id);
CREATE INDEX cdrs_by_called ON cdrs (called, created_at, id);
CREATE INDEX cdrs_by_parent ON cdrs (parent_id, created_at, id);

CREATE TABLE events (
    id      TEXT PRIMARY KEY,
    at      TEXT NOT NULL,
    type    TEXT NOT NULL,
    call_id TEXT NOT NULL,
    room    TEXT NOT NULL,
    body    TEXT NOT NULL
);
CREATE INDEX events_by_time ON events (at, id);
CREATE INDEX events_by_call ON events (call_id, id);

CREATE TABLE refusals (
    id     TEXT PRIMARY KEY,
    at     TEXT NOT NULL,
    caller TEXT NOT NULL,
    called TEXT NOT NULL,
    cause  TEXT NOT NULL,
    body   TEXT NOT NULL
);
CREATE INDEX refusals_by_time ON refusals (at, id);

-- +goose Down
DROP TABLE refusals;
DROP TABLE events;
DROP TABLE cdrs;

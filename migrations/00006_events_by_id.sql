-- +goose Up
-- Ids of events sort by time: what goes by time goes by the primary key.
DROP INDEX events_by_time;

-- +goose Down
CREATE INDEX events_by_time ON events (at, id);

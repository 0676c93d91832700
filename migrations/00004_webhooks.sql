-- +goose Up
CREATE TABLE webhooks (
    id         TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    disabled   BIGINT NOT NULL,
    body       TEXT NOT NULL
);
CREATE INDEX webhooks_by_time ON webhooks (created_at, id);

CREATE TABLE deliveries (
    event_id    TEXT NOT NULL,
    webhook_id  TEXT NOT NULL,
    event       TEXT NOT NULL,
    state       TEXT NOT NULL,   -- pending, done or dead
    attempts    BIGINT NOT NULL,
    next_at     TEXT NOT NULL,
    lease       TEXT NOT NULL,   -- of whoever is sending it
    lease_until TEXT NOT NULL,   -- empty: nobody is
    last_error  TEXT NOT NULL,
    PRIMARY KEY (event_id, webhook_id)
);
CREATE INDEX deliveries_due ON deliveries (state, next_at);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, event_id);

-- +goose Down
DROP TABLE deliveries;
DROP TABLE webhooks;

-- +goose Up
CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    hash         TEXT NOT NULL UNIQUE, -- SHA-256 of the secret, hexadecimal
    prefix       TEXT NOT NULL,
    name         TEXT NOT NULL,
    admin        BIGINT NOT NULL,
    created_at   TEXT NOT NULL,
    last_used_at TEXT NOT NULL,        -- empty: never
    revoked_at   TEXT NOT NULL         -- empty: in force
);
CREATE INDEX api_keys_by_time ON api_keys (created_at, id);

CREATE TABLE requests (
    scope       TEXT NOT NULL,
    request_key TEXT NOT NULL,
    hash        TEXT NOT NULL,
    done        BIGINT NOT NULL,
    status      BIGINT NOT NULL,
    answer      BYTEA,
    started_at  TEXT NOT NULL,
    expires_at  TEXT NOT NULL,
    PRIMARY KEY (scope, request_key)
);
CREATE INDEX requests_by_expiry ON requests (expires_at);

-- +goose Down
DROP TABLE requests;
DROP TABLE api_keys;

-- +goose Up
CREATE TABLE holidays (
    name     TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    body     TEXT NOT NULL
);

-- +goose Down
DROP TABLE holidays;

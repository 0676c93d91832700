-- +goose Up
CREATE TABLE queues (
    name     TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    body     TEXT NOT NULL
);

-- +goose Down
DROP TABLE queues;

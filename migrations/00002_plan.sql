-- +goose Up
CREATE TABLE trunks (
    name     TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    body     TEXT NOT NULL
);
CREATE TABLE numbers (
    name     TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    body     TEXT NOT NULL
);
CREATE TABLE routes (
    name     TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    body     TEXT NOT NULL
);
CREATE TABLE agents (
    name     TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    body     TEXT NOT NULL
);

-- One row. Whoever changes the plan raises it first, which keeps all others out.
CREATE TABLE plan_revision (
    id       BIGINT PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO plan_revision (id, revision) VALUES (1, 0);

-- +goose Down
DROP TABLE plan_revision;
DROP TABLE agents;
DROP TABLE routes;
DROP TABLE numbers;
DROP TABLE trunks;

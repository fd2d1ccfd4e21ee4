-- A database as version 1 of the feed's schema left it: its statements, and rows
-- as it wrote them. Never changed: such databases are out there.
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        target TEXT NOT NULL,
        min_generation INTEGER,
        at INTEGER NOT NULL
    );
CREATE INDEX entries_by_time ON entries (at);
CREATE TABLE bounds (bound_ms INTEGER PRIMARY KEY, seen INTEGER NOT NULL);
CREATE TABLE site_kills (
        id BLOB PRIMARY KEY,
        map TEXT NOT NULL,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        told INTEGER NOT NULL,
        min_generation INTEGER NOT NULL,
        asked INTEGER NOT NULL,
        epoch TEXT,
        seq INTEGER,
        accepted INTEGER,
        bound_ms INTEGER
    ) WITHOUT ROWID;
CREATE TABLE map (generation INTEGER PRIMARY KEY, shards INTEGER NOT NULL, region INTEGER NOT NULL);
INSERT INTO meta VALUES
    ('high', 4),
    ('low', 0),
    ('schema', 1),
    ('tick', 4);
INSERT INTO entries VALUES
    (1, x'01000007010101010101010101010101', 'session', 'AQAABwEBAQEBAQEBAQEBAQ', NULL, 1750000000000),
    (2, x'01000007020202020202020202020202', 'refresh', 'AgICAgICAgICAgICAgICAg', NULL, 1750000000000),
    (3, x'01000007030303030303030303030303', 'subject', 'alice', 3, 1750000001000),
    (4, x'01000007464646464646464646464646', 'site', '', 1, 1750000001000);
INSERT INTO bounds VALUES
    (300000, 1750000001000);
INSERT INTO site_kills VALUES
    (x'01000007464646464646464646464646', '[{"generation":1,"shards":30,"region":0},{"generation":2,"shards":70,"region":4}]', 100, 100, 100, 1, 1750000001000, '0707070707070707', 4, 1750000001000, 300000);
INSERT INTO map VALUES
    (1, 64, 0),
    (2, 64, 0);

-- A database as version 1 of the schema left it: its statements, and rows as
-- it wrote them. Never changed: such databases are out there.
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
        id BLOB PRIMARY KEY,
        subject TEXT NOT NULL,
        level INTEGER NOT NULL,
        auth_time INTEGER NOT NULL,
        created INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        idle_expires INTEGER NOT NULL,
        absolute_expires INTEGER NOT NULL,
        claims TEXT
    ) WITHOUT ROWID;
CREATE INDEX sessions_by_subject ON sessions (subject, created);
CREATE INDEX sessions_by_expiry ON sessions (idle_expires);
CREATE TABLE secrets (key BLOB PRIMARY KEY, session BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX secrets_by_session ON secrets (session);

INSERT INTO meta VALUES
    ('map_generation', 1), ('map_region', 0), ('map_shard', 7), ('map_shards', 64),
    ('schema', 1), ('sweep_at', 1750001980000);
-- The session that golden_shard_1.txt has.
INSERT INTO sessions VALUES
    (x'01000007010101010101010101010101', 'alice', 1, 1750000000000, 1750000000000, 1750000000000,
     1750001980000, 1750043200000, '{"plan":"gold"}');
INSERT INTO secrets VALUES
    (x'72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793', x'01000007010101010101010101010101');

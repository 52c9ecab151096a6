-- The log. `document` is the entry as written, byte for byte, so that a later schema can chain entries by digest.
-- `received` (Unix seconds), `machine_id` and `kind` repeat what the document says, for indexes.
CREATE TABLE report (
    seq        INTEGER PRIMARY KEY,
    received   INTEGER NOT NULL,
    machine_id TEXT NOT NULL CHECK (length(machine_id) BETWEEN 1 AND 64),
    kind       TEXT NOT NULL CHECK (kind IN ('seen', 'offered', 'event')),
    document   TEXT NOT NULL CHECK (length(document) <= 16384)
) STRICT;

CREATE INDEX report_by_machine ON report (machine_id, seq);

CREATE TRIGGER report_is_never_changed BEFORE UPDATE ON report
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

CREATE TRIGGER report_is_never_deleted BEFORE DELETE ON report
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

-- The projection: the log folded per host. Can be emptied and recomputed at any time.
-- `document` is the instance; the other columns repeat what it says, for filters and counts.
CREATE TABLE instance (
    machine_id TEXT PRIMARY KEY,
    group_name TEXT NOT NULL,
    version    TEXT NOT NULL,
    status     TEXT NOT NULL,
    document   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX instance_by_group ON instance (group_name, version, status);

-- Not in the log: when a host last came, whether or not anything about it had changed.
CREATE TABLE heartbeat (
    machine_id TEXT PRIMARY KEY REFERENCES instance (machine_id) DEFERRABLE INITIALLY DEFERRED,
    last_check INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What tests were seen to do: every attempt of every report, once. `document` is the attempt with its circumstances; `digest` is
-- the SHA-256 of subject, suite and attempt, so that a report can be recorded again, or a longer one after it, and nothing counts twice.
-- `test`, `started` (Unix seconds), `subject` and `suite` repeat what the document says, for indexes.
CREATE TABLE test_attempt (
    seq      INTEGER PRIMARY KEY,
    digest   BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    test     TEXT NOT NULL CHECK (length(test) BETWEEN 1 AND 120),
    started  INTEGER NOT NULL,
    subject  TEXT NOT NULL CHECK (length(subject) = 64),
    suite    TEXT NOT NULL CHECK (length(suite) = 64),
    document TEXT NOT NULL CHECK (length(document) <= 65536)
) STRICT;

CREATE INDEX test_attempt_by_test ON test_attempt (test, started);

CREATE TRIGGER test_attempt_is_never_changed BEFORE UPDATE ON test_attempt
BEGIN SELECT RAISE(ABORT, 'attempts are evidence'); END;

CREATE TRIGGER test_attempt_is_never_deleted BEFORE DELETE ON test_attempt
BEGIN SELECT RAISE(ABORT, 'attempts are evidence'); END;

-- Who muted which failure, extended that, or lifted it: entries that are never changed. What is in force is a fold over them.
CREATE TABLE test_quarantine (
    seq      INTEGER PRIMARY KEY,
    document TEXT NOT NULL CHECK (length(document) <= 65536)
) STRICT;

CREATE TRIGGER test_quarantine_is_never_changed BEFORE UPDATE ON test_quarantine
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

CREATE TRIGGER test_quarantine_is_never_deleted BEFORE DELETE ON test_quarantine
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
